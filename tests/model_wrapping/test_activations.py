import pytest
import torch

from hf_interpreto.errors import InvalidInputError, TaskMismatchError, TokenizerError, UnknownNameError
from hf_interpreto.granularity import GranularityAggregationStrategy
from hf_interpreto.model_wrapping.split_model import ModelWithSplitPoints
from hf_interpreto.testing import TINY_MODELS, slow_tokenizer, tiny_model

CASES = [(name, task) for name, tasks in TINY_MODELS.items() for task in tasks]
TEXTS = [
    "It was slow. Don't go.",
    "The film was a great surprise, and I would see it again tomorrow.",
    "Good",
    "The first half was unbelievable.",
]
_LAYERS = ("T5Block", "EncoderLayer", "DecoderLayer")


def split(name, task=None, points=None, **options):
    """A tiny model split at its last layer, at both towers' last where there are two."""
    model, tokenizer = tiny_model(name, task=task)
    if points is None:
        points = [-1]
        if model.config.is_encoder_decoder:
            layers = [path for path, module in model.named_modules() if type(module).__name__.endswith(_LAYERS)]
            points = [[path for path in layers if part in path][-1] for part in ("encoder.", "decoder.")]
    return ModelWithSplitPoints(model, points, tokenizer=tokenizer, **options)


def by_hand(split_model, text, path):
    """Activations `(l, d)` of one text by a hook of the test's own, with what a plain tokenizer call gives."""
    kept = []
    handle = split_model.model.get_submodule(path).register_forward_hook(lambda m, a, output: kept.append(output))
    with torch.no_grad():
        split_model.model(**split_model.tokenizer(text, return_tensors="pt"))
    handle.remove()
    return (kept[0] if isinstance(kept[0], torch.Tensor) else kept[0][0])[0]


def close(found, expected):
    return torch.allclose(found, expected, rtol=0, atol=1e-6 * float(expected.abs().max()))


@pytest.mark.parametrize(("name", "task"), CASES)
def test_texts_in_one_batch_give_the_activations_of_texts_alone(name, task):
    split_model = split(name, task)
    for granularity in ("all_tokens", "token", "sample"):
        together = split_model.get_activations(TEXTS, granularity, batch_size=4)
        alone = [split_model.get_activations(text, granularity) for text in TEXTS]
        assert list(together) == split_model.split_points
        for path, rows in together.items():
            assert close(rows, torch.cat([one[path] for one in alone]))


@pytest.mark.parametrize("batch_size", [1, 2, 3, "auto"])
def test_the_batch_size_never_changes_a_row(gpt2, batch_size):
    model, tokenizer = gpt2
    split_model = ModelWithSplitPoints(model, [0, 1], tokenizer=tokenizer)
    whole = split_model.get_activations(TEXTS, "word", batch_size=4)
    found = split_model.get_activations(TEXTS, "word", batch_size=batch_size)
    assert all(close(found[path], whole[path]) for path in whole)
    assert found.rows.elements == whole.rows.elements


def test_padded_token_ids_give_the_rows_of_their_texts_whatever_the_side(bert):
    model, tokenizer = bert
    split_model = ModelWithSplitPoints(model, -1, tokenizer=tokenizer)
    (path,) = split_model.split_points
    expected = split_model.get_activations(TEXTS, "all_tokens")
    lengths = [len(tokenizer(text)["input_ids"]) for text in TEXTS]
    for side in ("right", "left"):
        encoded = tokenizer(TEXTS, padding=True, return_tensors="pt", padding_side=side)
        found = split_model.get_activations(encoded, "all_tokens")
        assert len(found[path]) == sum(lengths)
        assert close(found[path], expected[path])
        assert found.rows.samples.bincount().tolist() == lengths


@pytest.mark.parametrize("as_given", [list, tuple, iter, lambda texts: (text for text in texts)])
def test_any_container_of_texts_will_do(bert, as_given):
    split_model = ModelWithSplitPoints(bert[0], -1, tokenizer=bert[1])
    (path,) = split_model.split_points
    expected = split_model.get_activations(TEXTS[:3])
    assert torch.equal(split_model.get_activations(as_given(TEXTS[:3]))[path], expected[path])


def test_all_tokens_are_the_special_ones_too_and_tokens_are_not(bert):
    split_model = ModelWithSplitPoints(bert[0], -1, tokenizer=bert[1])
    (path,) = split_model.split_points
    whole = by_hand(split_model, TEXTS[0], path)
    every = split_model.get_activations(TEXTS[0], "all_tokens")
    tokens = split_model.get_activations(TEXTS[0], "token")
    assert torch.equal(every[path], whole)
    assert (every.rows.elements[0], every.rows.elements[-1]) == ("[CLS]", "[SEP]")
    assert torch.equal(tokens[path], whole[1:-1])


@pytest.mark.parametrize("strategy", list(GranularityAggregationStrategy))
def test_words_sentences_and_samples_aggregate_their_tokens(bert, strategy):
    split_model = ModelWithSplitPoints(bert[0], -1, tokenizer=bert[1])
    (path,) = split_model.split_points
    text, words = "It was unbelievable. I love it.", ["It", "was", "unbelievable", ".", "I", "love", "it", "."]
    tokens = split_model.get_activations(text, "token")
    elements = split_model.element_tokens(text, "token")[0]
    spans = {element.span: index for index, element in enumerate(elements)}
    for granularity in ("word", "sentence", "sample"):
        found = split_model.get_activations(text, granularity, aggregation_strategy=strategy)
        units = split_model.element_tokens(text, granularity)[0]
        expected = []
        for unit in units:
            inside = [i for (a, b), i in spans.items() if unit.span[0] <= a and b <= unit.span[1]]
            expected.append(strategy.aggregate(tokens[path][inside], dim=0))
        assert close(found[path], torch.stack(expected))
        assert found.rows.elements == [unit.text for unit in units]
    assert split_model.get_activations(text, "word").rows.elements == words
    assert split_model.get_activations(text, "sentence").rows.elements == ["It was unbelievable.", "I love it."]
    assert split_model.get_activations(text, "sample").rows.elements == [text]


def test_rows_know_their_sample_and_their_text(gpt2):
    split_model = ModelWithSplitPoints(gpt2[0], -1, tokenizer=gpt2[1])
    found = split_model.get_activations(TEXTS, "word")
    rows = found.rows
    assert rows.texts == TEXTS
    assert len(rows) == len(found[split_model.split_points[0]]) == len(rows.samples)
    assert rows.samples.tolist() == sorted(rows.samples.tolist())
    assert all(word in TEXTS[sample] for word, sample in zip(rows.elements, rows.samples.tolist(), strict=True))
    elements = split_model.element_tokens(TEXTS, "word")
    assert [element.text for found in elements for element in found] == rows.elements


@pytest.mark.parametrize("name", ["bert", "roberta", "modernbert", "albert"])
def test_the_class_token_is_the_tokenizers(name):
    split_model = split(name, "text-classification")
    (path,) = split_model.split_points
    every = split_model.get_activations(TEXTS, "all_tokens")
    found = split_model.get_activations(TEXTS, split_model.activation_granularities.CLS_TOKEN)
    starts = [every.rows.samples.tolist().index(sample) for sample in range(len(TEXTS))]
    assert close(found[path], every[path][starts])
    assert found.rows.elements == TEXTS


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2", "t5", "bart"])
def test_the_class_token_of_other_classifiers_is_the_one_that_they_read(name):
    """Changing the head's input there, and there alone, changes the logits."""
    split_model = split(name, "text-classification")
    path = split_model.split_points[-1]
    (elements,) = split_model.element_tokens(TEXTS[0], "cls_token")
    ((position,),) = [element.tokens for element in elements]
    plain = split_model.run_with_edit(TEXTS[0], path, lambda hidden: hidden)

    def moved(at):
        def edit(hidden):
            changed = hidden.clone()
            changed[:, at] += torch.linspace(-1, 1, hidden.shape[-1])
            return changed

        return split_model.run_with_edit(TEXTS[0], path, edit)

    assert not torch.equal(moved(position), plain)
    assert torch.equal(moved(position - 1), plain) or name in ("t5", "bart")


@pytest.mark.parametrize("name", ["gpt2", "llama", "t5"])
def test_a_generator_without_class_token_says_so(name):
    with pytest.raises(TokenizerError, match=r"no CLS token.*'sample'"):
        split(name, "text-generation").get_activations(TEXTS, "cls_token")


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "t5", "bart"])
def test_predicted_classes_stand_beside_each_row(name):
    split_model = split(name, "text-classification")
    with torch.no_grad():
        logits = [split_model.model(**split_model.tokenizer(text, return_tensors="pt")).logits[0] for text in TEXTS]
    expected = torch.stack(logits).argmax(-1)
    found = split_model.get_activations(TEXTS, "word", include_predicted_classes=True, batch_size=4)
    assert list(found) == [*split_model.split_points, "predictions"]
    assert torch.equal(found["predictions"], expected[found.rows.samples])
    plain = split_model.get_activations(TEXTS, "word", batch_size=4)
    assert "predictions" not in plain
    assert all(close(found[path], plain[path]) for path in plain)


@pytest.mark.parametrize(("name", "task"), [("gpt2", "text-generation"), ("bert", "token-classification")])
def test_classes_are_not_predicted_by_models_that_have_none_for_a_text(name, task):
    with pytest.raises(TaskMismatchError, match="predicts no class for a whole text"):
        split(name, task).get_activations(TEXTS, include_predicted_classes=True)


def test_half_precision_models_give_float32_rows():
    model, tokenizer = tiny_model("llama", dtype=torch.bfloat16)
    split_model = ModelWithSplitPoints(model, -1, tokenizer=tokenizer)
    (path,) = split_model.split_points
    found = split_model.get_activations(TEXTS[0], "all_tokens")[path]
    expected = by_hand(split_model, TEXTS[0], path)
    assert expected.dtype == torch.bfloat16
    assert found.dtype == torch.float32
    assert torch.equal(found, expected.float())
    word = split_model.get_activations("unbelievable", "sample")[path]
    tokens = split_model.get_activations("unbelievable", "token")[path]
    assert torch.allclose(word[0], tokens.mean(0), atol=1e-6)


def test_rows_can_be_trained_on(bert):
    split_model = ModelWithSplitPoints(bert[0], -1, tokenizer=bert[1])
    rows = split_model.get_activations(TEXTS)[split_model.split_points[0]]
    weight = torch.ones(32, requires_grad=True)
    (rows @ weight).sum().backward()
    assert torch.allclose(weight.grad, rows.sum(0))


def test_wrong_input_is_named(bert):
    split_model = ModelWithSplitPoints(bert[0], -1, tokenizer=bert[1])
    with pytest.raises(InvalidInputError, match=r"inputs\[1\]: .*empty"):
        split_model.get_activations(["good", " ", "film"])
    with pytest.raises(InvalidInputError, match="got none"):
        split_model.get_activations([])
    with pytest.raises(InvalidInputError, match=r"inputs\[0\]: .*int"):
        split_model.get_activations([3])
    with pytest.raises(InvalidInputError, match="'sample'"):
        split_model.get_activations({"input_ids": torch.tensor([[bert[1].cls_token_id]])}, "sample")
    with pytest.raises(UnknownNameError, match="did you mean 'sentence'"):
        split_model.get_activations("good", "sentences")
    with pytest.raises(UnknownNameError, match="did you mean 'mean'"):
        split_model.get_activations("good", "word", aggregation_strategy="meen")
    with pytest.raises(ValueError, match="batch_size=0"):
        split_model.get_activations("good", batch_size=0)


def test_a_slow_tokenizer_gives_tokens(bert):
    model, _ = bert
    split_model = ModelWithSplitPoints(model, -1, tokenizer=slow_tokenizer())
    found = split_model.get_activations("the film was great", "token")
    assert len(found.rows) == len(slow_tokenizer()("the film was great", add_special_tokens=False)["input_ids"])
