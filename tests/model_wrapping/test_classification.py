import pytest
import torch

from hf_interpreto import Occlusion
from hf_interpreto.attributions.metrics import Deletion
from hf_interpreto.errors import InvalidInputError, NonFiniteScoresError, TruncationWarning, UnknownNameError
from hf_interpreto.testing import tiny_model
from tests.model_wrapping.oracles import (
    LONG,
    TEXT,
    build,
    coalition_scores,
    example_of,
    examples_of,
    plain_logits,
    random_keep,
)


def test_without_a_target_the_predicted_class_is_explained(bert):
    model, tokenizer = bert
    task, engine = build(*bert)
    for text in (TEXT, LONG, "good"):
        example = example_of(task, engine, text)
        with torch.no_grad():
            best = int(model(**tokenizer(text, return_tensors="pt")).logits.argmax())
        assert [(row.id, row.label, row.element) for row in example.rows] == [(best, f"LABEL_{best}", None)]
        assert example.target_ids.tolist() == [best]


def test_given_classes_are_explained_in_the_order_given(bert):
    task, engine = build(*bert)
    example = example_of(task, engine, TEXT, [2, "LABEL_0", 2])
    assert [row.id for row in example.rows] == [2, 0, 2]
    assert example.groups == [[0], [1], [2]]
    assert example.logits is None


def test_labels_take_the_names_of_the_config():
    model, tokenizer = tiny_model("bert", task="text-classification")
    model.config.id2label, model.config.label2id = {0: "joy", 1: "anger", 2: "fear"}, {"joy": 0, "anger": 1, "fear": 2}
    task, engine = build(model, tokenizer)
    assert [row.label for row in example_of(task, engine, TEXT, ["fear", 0]).rows] == ["fear", "joy"]
    with pytest.raises(UnknownNameError, match="unknown target label 'angr'; did you mean 'anger'"):
        example_of(task, engine, TEXT, "angr")


def test_several_inputs_with_and_without_targets_are_read_together(bert):
    task, engine = build(*bert)
    examples = task.examples([TEXT, LONG, "good film"], [None, [0, 1], None], engine)
    assert [len(example.rows) for example in examples] == [1, 2, 1]
    assert [example.logits is None for example in examples] == [False, True, False]
    for example in examples[::2]:
        assert torch.allclose(example.logits, plain_logits(bert[0], example), atol=1e-5)


def test_a_multi_label_model_explains_every_label_above_one_half_or_the_best(multi_label):
    model, tokenizer = multi_label
    task, engine = build(*multi_label)
    seen = set()
    for text in (TEXT, LONG, "good", "very bad film", "the book was slow and dull", "a", "she", "never better"):
        example = example_of(task, engine, text)
        with torch.no_grad():
            logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
        above = [index for index in range(4) if torch.sigmoid(logits[index]) > 0.5]
        assert [row.id for row in example.rows] == (above or [int(logits.argmax())])
        seen.add(len(above))
    assert len(seen) > 1
    assert task.independent_labels


@pytest.mark.parametrize("score", ["logit", "logprob", "probability", "log_odds", "margin"])
def test_scores_of_independent_labels_know_no_other_label(multi_label, score):
    task, engine = build(*multi_label, score=score)
    example = example_of(task, engine, TEXT, [0, 1, 2, 3])
    z = plain_logits(multi_label[0], example)[0].double()
    expected = {"logit": z, "logprob": torch.nn.functional.logsigmoid(z), "probability": torch.sigmoid(z)}
    expected |= {"log_odds": z, "margin": z}
    keep = torch.ones(1, len(example.players), dtype=torch.bool)
    assert torch.allclose(coalition_scores(engine, example, keep)[0], expected[score], atol=1e-5)


def test_a_regression_model_is_explained_by_its_number(regressor):
    task, engine = build(*regressor)
    example = example_of(task, engine, TEXT)
    assert [row.id for row in example.rows] == [0]
    keep = torch.ones(1, len(example.players), dtype=torch.bool)
    assert torch.allclose(coalition_scores(engine, example, keep)[0], plain_logits(regressor[0], example)[0].double())


def test_reference_logits_are_not_computed_again(bert):
    model, _ = bert
    task, engine = build(*bert)
    examples = task.examples([TEXT, LONG], [None, None], engine)
    calls = []
    handle = model.register_forward_pre_hook(lambda module, args, kwargs: calls.append(kwargs), with_kwargs=True)
    try:
        scores = [coalition_scores(engine, e, torch.ones(3, len(e.players), dtype=torch.bool)) for e in examples]
    finally:
        handle.remove()
    assert calls == []
    for example, score in zip(examples, scores, strict=True):
        wanted = plain_logits(model, example)[0, example.target_ids].double()
        assert torch.allclose(score, wanted.expand(3, -1), atol=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2"])
def test_decoders_with_or_without_a_padding_token_classify_in_batches_as_one_by_one(name):
    model, tokenizer = tiny_model(name, task="text-classification")
    texts = [TEXT, "good", LONG, "a very bad film"]
    task, engine = build(model, tokenizer, batch_size=4)
    examples = examples_of(task, engine, texts)
    for example, text in zip(examples, texts, strict=True):
        with torch.no_grad():
            alone = model(**tokenizer(text, return_tensors="pt")).logits[0]
        assert torch.allclose(example.logits[0], alone, atol=1e-5)


def test_a_decoder_still_reads_its_last_place_when_that_token_becomes_padding():
    model, tokenizer = tiny_model("qwen2", task="text-classification")
    task, engine = build(model, tokenizer, replacement="pad")
    example = example_of(task, engine, TEXT, [0, 1, 2])
    keep = torch.ones(1, len(example.players), dtype=torch.bool)
    keep[0, -1] = False
    ids = example.ids.clone()
    ids[list(example.player_elements[-1].tokens)] = tokenizer.pad_token_id
    with torch.no_grad():
        hidden = model.model(input_ids=ids[None], attention_mask=torch.ones_like(ids)[None])[0]
        expected = model.score(hidden[0, -1]).double()
    assert torch.allclose(coalition_scores(engine, example, keep)[0], expected, atol=1e-5)


def test_a_pair_is_explained_with_its_token_types(bert):
    model, tokenizer = bert
    task, engine = build(*bert)
    example = example_of(task, engine, ("a good film", "a bad book"), [0, 1, 2])
    with torch.no_grad():
        expected = model(**tokenizer("a good film", "a bad book", return_tensors="pt")).logits[0].double()
    keep = torch.ones(1, len(example.players), dtype=torch.bool)
    assert torch.allclose(coalition_scores(engine, example, keep)[0], expected, atol=1e-5)
    assert [element.text for element in example.elements] == ["a", "good", "film", "a", "bad", "book"]


@pytest.mark.parametrize("order", [1, -1])
def test_inputs_with_and_without_token_types_never_change_each_other(bert, order):
    _, tokenizer = bert
    task, engine = build(*bert)
    inputs = [("a good film", "a bad book"), {"input_ids": tokenizer("a good day it was")["input_ids"]}][::order]
    together = engine.logits(task.examples(inputs, [0, 0], engine))
    alone = [engine.logits(task.examples([item], [0], engine))[0] for item in inputs]
    for first, second in zip(together, alone, strict=True):
        assert torch.allclose(first, second, atol=1e-6)


def test_a_long_text_is_cut_with_a_warning_and_the_rest_is_explained(bert):
    model, tokenizer = bert
    task, engine = build(*bert)
    text = "good film " * 60
    with pytest.warns(TruncationWarning, match="An input of 122 tokens was cut to the 64"):
        example = example_of(task, engine, text)
    with torch.no_grad():
        expected = model(**tokenizer(text, truncation=True, return_tensors="pt")).logits[0]
    assert torch.allclose(example.logits[0], expected, atol=1e-5)
    assert len(example.elements) == 62


def test_nan_logits_are_told_before_anything_is_explained(bert):
    model, tokenizer = tiny_model("bert", task="text-classification")
    with torch.no_grad():
        model.classifier.weight.fill_(torch.nan)
    for target in (None, 0):
        task, engine = build(model, tokenizer)
        example = example_of(task, engine, TEXT, target)
        with pytest.raises(NonFiniteScoresError, match=r"scores for \"I didn't like.*NaN or infinite.*float32"):
            coalition_scores(engine, example, random_keep(example))


def test_a_text_of_special_tokens_alone_has_nothing_to_explain(bert):
    task, engine = build(*bert)
    with pytest.raises(InvalidInputError, match=r"nothing to explain at granularity='word'; only special tokens"):
        example_of(task, engine, "[SEP] [CLS]")
    assert [e.text for e in example_of(task, build(*bert)[1], "[SEP] ok").elements] == ["ok"]


@pytest.mark.parametrize("granularity", ["all_tokens", "token", "word", "sentence", "part_sentence"])
def test_special_tokens_are_perturbed_only_among_all_tokens(bert, granularity):
    task, engine = build(*bert, granularity=granularity)
    example = example_of(task, engine, TEXT, 0)
    touched = set((example.token_players < len(example.players)).nonzero()[:, 0].tolist())
    everything = set(range(len(example.ids)))
    assert touched == (everything if granularity == "all_tokens" else everything - {0, len(example.ids) - 1})


@pytest.mark.parametrize("score", ["probability", "logprob", "log_odds", "margin"])
def test_a_score_that_compares_classes_is_refused_for_a_model_of_one_output(score):
    model, tokenizer = tiny_model("bert", task="text-classification", num_labels=1)
    with pytest.raises(ValueError, match=r"compares classes.*single output.*score='logit'"):
        Occlusion(model, tokenizer, score=score)
    with pytest.raises(ValueError, match="compares classes"):
        Deletion(model, tokenizer, score=score)
