"""Faults of other libraries that must not be ours; each test is named after what must hold instead."""

import copy

import pytest
import torch

from hf_interpreto.attributions import (
    InputxGradient,
    IntegratedGradients,
    KernelShap,
    Lime,
    Occlusion,
    Saliency,
)
from hf_interpreto.errors import InvalidInputError, InvalidTargetError, TruncationWarning, UnknownNameError
from hf_interpreto.testing import pair_game_classifier, tiny_model, tiny_tokenizer
from tests.attributions.cases import METHODS, small, tiny, word_ids

methods = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
CHAT = [
    {"role": "user", "content": "Is the film good?"},
    {"role": "assistant", "content": "I love it."},
    {"role": "user", "content": "Why?"},
]


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma2", "gpt2", "t5", "bart"])
def test_a_text_target_gets_no_special_tokens_as_rows(name):
    (output,) = Occlusion(*tiny(name, "text-generation"), granularity="token")("The film", " is a test")
    special = set(tiny_tokenizer(name).all_special_ids)
    assert not special & {target.id for target in output.targets}
    (words,) = Occlusion(*tiny(name, "text-generation"))("The film", " is a test")
    assert words.labels == ["is", "a", "test"]


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2", "gemma2", "mistral"])
def test_target_ids_are_explained_as_given(name):
    model, tokenizer = tiny(name, "text-generation")
    special = set(tokenizer.all_special_ids)
    ordinary = torch.tensor([i for i in range(len(tokenizer)) if i not in special])
    explainer = Saliency(model, tokenizer, granularity="all_tokens")
    generator = torch.Generator().manual_seed(0)
    for _ in range(6):
        ids = ordinary[torch.randint(len(ordinary), (5,), generator=generator)]
        (output,) = explainer("I felt sad", targets=ids)
        assert output.example.ids[-5:].tolist() == ids.tolist()
        assert [target.id for target in output.targets] == ids.tolist()
        with torch.no_grad():
            logits = model(input_ids=output.example.ids[None]).logits[0].log_softmax(-1)
        expected = logits[-6:-1].gather(1, ids[:, None])[:, 0]
        torch.testing.assert_close(output.target_scores, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["qwen2", "gemma2"])
def test_chat_tokens_of_the_prompt_are_kept(name):
    model, tokenizer = tiny(name, "text-generation")
    (output,) = Occlusion(model, tokenizer)(CHAT, targets="It is fun")
    rendered = tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    expected = tokenizer(rendered, add_special_tokens=False).input_ids
    assert output.example.ids[: len(expected)].tolist() == expected
    shown = "".join(output.elements[: output.n_source])
    assert shown == "".join(message["content"] for message in CHAT).replace(" ", "")
    (every,) = Occlusion(model, tokenizer, attribute_template=True)(CHAT, targets="It is fun")
    assert every.n_source > output.n_source
    assert "user" in " ".join(every.elements)


@methods
@pytest.mark.parametrize("name", ["gpt2", "qwen2", "llama"])
def test_vocabulary_is_never_resized(method, name):
    model, tokenizer = tiny_model(name, task="text-generation")
    rows, length = model.get_input_embeddings().weight.shape[0], len(tokenizer)
    before = model.get_input_embeddings().weight.detach().clone()
    small(method, model, tokenizer)("I felt sad", " and calm")
    assert model.get_input_embeddings().weight.shape[0] == rows == model.config.vocab_size
    assert model.get_output_embeddings().weight.shape[0] == rows
    assert torch.equal(model.get_input_embeddings().weight, before)
    assert len(tokenizer) == length
    if name == "qwen2":
        assert rows > length


def test_integrated_gradients_are_signed_and_multiplied_by_the_whole_way(words):
    model = pair_game_classifier(words, {"great": 2.0, "awful": -3.0})
    (output,) = IntegratedGradients(model, words)("great awful", targets=1)
    assert output.attributions[0].tolist() == pytest.approx([2, -3], abs=1e-5)


def test_saliency_is_not_multiplied_by_the_input_unless_asked(bert):
    plain, times = (Saliency(*bert, **s)("A small dog", targets=0)[0] for s in ({}, {"input_x_gradient": True}))
    assert not torch.allclose(plain.attributions, times.attributions)
    assert plain.settings["input_x_gradient"] is False
    assert InputxGradient(*bert).input_x_gradient is True


def test_one_and_two_words_have_the_same_shapley_values_for_every_seed(words):
    model = pair_game_classifier(words, {"great": 2.0, "not": -1.0}, {("not", "great"): -3.0})
    for seed in range(8):
        explainer = KernelShap(model, words, n_perturbations=100, seed=seed)
        one, two = explainer(["great", "not great"], targets=1)
        assert one.attributions[0].tolist() == pytest.approx([2], abs=1e-5)
        assert two.attributions[0].tolist() == pytest.approx([-2.5, 0.5], abs=1e-5)


@pytest.mark.parametrize("distance", ["cosine", "hamming", "euclidean"])
def test_the_unperturbed_text_weighs_most_in_lime(bert, distance):
    explainer = Lime(*bert, distance_function=distance, n_perturbations=50)
    weights = explainer.weights(explainer.masks(20))
    assert int(weights.argmax()) == 0
    assert weights[0] > 2 * weights.min()


@methods
@pytest.mark.parametrize(("name", "task"), [("bert", "text-classification"), ("gpt2", "text-generation")])
def test_a_word_alone_is_explained(method, name, task):
    (output,) = small(method, *tiny(name, task))("sad", targets=1 if name == "bert" else " dog")
    assert output.attributions.shape == (1, 1 if name == "bert" else 2)
    assert bool(output.attributions[0, 0].isfinite())


def test_decoders_that_classify_are_read_where_the_model_reads_them():
    model, tokenizer = tiny("gpt2", "text-classification")
    texts = ["A small dog ran", "A small dog", "Nobody knew why the lights went off"]
    outputs = Occlusion(model, tokenizer)(texts, targets=[[0, 1, 2]] * 3)
    for text, output in zip(texts, outputs, strict=True):
        with torch.no_grad():
            logits = model(input_ids=word_ids(tokenizer, text)[None]).logits[0]
        torch.testing.assert_close(output.target_scores, logits, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(outputs[0].target_scores, outputs[1].target_scores)


def test_a_tokenizer_without_a_padding_token_is_enough(gpt2):
    model, tokenizer = gpt2
    assert tokenizer.pad_token is None
    outputs = IntegratedGradients(model, tokenizer)(["I felt sad", "The sea was blue and"], targets=" quiet then")
    assert len(outputs) == 2
    assert tokenizer.pad_token is None


def test_rows_do_not_depend_on_the_batch_they_were_padded_in():
    model, tokenizer = tiny("gpt2", "text-generation")
    prompts, targets = ["I felt", "The sea was blue and quiet, and the"], [" sad", " sun was bright in the morning"]
    together = Saliency(model, tokenizer)(prompts, targets)
    assert [output.attributions.shape[0] for output in together] == [1, 6]
    assert [output.labels for output in together] == [["sad"], ["sun", "was", "bright", "in", "the", "morning"]]


def test_arguments_of_the_user_are_not_changed_nor_shared(gpt2):
    given = {"max_new_tokens": 2}
    kept = copy.deepcopy(given)
    explainer = Saliency(*gpt2, generation_args=given)
    (two,) = explainer("I felt")
    (three,) = explainer("I felt", max_new_tokens=3)
    (again,) = explainer("I felt")
    assert len(two.example.positions) == len(again.example.positions) == 2
    assert len(three.example.positions) == 3
    assert given == kept
    assert Saliency(*gpt2).generation_args == {}


def test_the_device_is_where_the_model_is(bert):
    model, tokenizer = bert
    Occlusion(model, tokenizer)("A small dog", targets=0)
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}


@pytest.mark.parametrize(
    ("inputs", "targets", "error", "message"),
    [
        (3, None, InvalidInputError, "model_inputs: cannot explain a int"),
        (None, None, InvalidInputError, "model_inputs: cannot explain a NoneType"),
        ([], None, InvalidInputError, "got an empty list; there is nothing to explain"),
        ("", None, InvalidInputError, "got an empty text; there is nothing to explain"),
        (["A dog", 3], None, InvalidInputError, "cannot explain a int"),
        ({"texts": "A dog"}, None, InvalidInputError, "it needs 'input_ids', or 'text'"),
        (CHAT, 0, ValueError, "the tokenizer has no chat template"),
        ("A dog", 3, InvalidTargetError, r"class id 3 is out of range; the model has 3 classes \(0 to 2\)"),
        ("A dog", "LABEL2", UnknownNameError, "unknown target label 'LABEL2'; did you mean 'LABEL_2'"),
        ("A dog", 1.5, InvalidTargetError, "got a float, 1.5; expected ids, names or texts"),
        ("A dog", [], InvalidTargetError, "targets: "),
        (["A dog", "A cat"], [0, 1, 2], InvalidTargetError, "got 3 for 2 inputs"),
        (
            "A dog",
            torch.tensor([0.5]),
            InvalidTargetError,
            "expected integer class ids, got a tensor of torch.float32",
        ),
    ],
)
def test_wrong_arguments_are_told_in_words(bert, inputs, targets, error, message):
    with pytest.raises(error, match=message):
        Occlusion(*bert)(inputs, targets)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("  ", "has no tokens; there is nothing to explain"),
        (torch.tensor([1.0]), "expected token ids, got a tensor"),
        ([100000], "token ids go from 0 to"),
        ([], "targets: "),
        (5.5, "targets: "),
    ],
)
def test_wrong_targets_of_a_generator_are_told_in_words(gpt2, target, message):
    with pytest.raises(InvalidTargetError, match=message):
        Occlusion(*gpt2)("I felt", target)


def test_texts_beyond_the_limit_are_cut_with_a_warning_and_prompts_are_refused(bert, gpt2):
    with pytest.warns(TruncationWarning, match="tokens was cut to the 64 that the model can read"):
        (output,) = Saliency(*bert)("sad dog " * 60, targets=0)
    assert len(output.example.ids) == 64
    with pytest.raises(InvalidInputError, match="tokens together, and the model reads"):
        Saliency(*gpt2)("sad dog " * 80, targets=" and calm")
