import pytest
import torch

from hf_interpreto.errors import InvalidTargetError, UnknownNameError
from hf_interpreto.testing import tiny_model
from tests.model_wrapping.oracles import TEXT, build, coalition_scores, example_of, examples_of, plain_logits

NAMES = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC"}


@pytest.fixture
def named():
    model, tokenizer = tiny_model("bert", task="token-classification", num_labels=4)
    model.config.id2label, model.config.label2id = NAMES, {name: index for index, name in NAMES.items()}
    return model, tokenizer


def _whole(example):
    return torch.ones(1, len(example.players), dtype=torch.bool)


def _word_logits(model, tokenizer, text, words):
    """Logits of each word at its first token, by the tokenizer's own spans."""
    encoded = tokenizer(text, return_offsets_mapping=True, return_tensors="pt")
    offsets = encoded.pop("offset_mapping")[0].tolist()
    with torch.no_grad():
        logits = model(**encoded).logits[0]
    starts = [next(i for i, (a, b) in enumerate(offsets) if a == word.span[0] and b > a) for word in words]
    return logits[starts]


def test_every_word_that_is_tagged_is_explained_and_outside_words_are_not(named):
    model, tokenizer = named
    task, engine = build(*named)
    example = example_of(task, engine, TEXT)
    logits = _word_logits(model, tokenizer, TEXT, example.elements)
    tagged = [(i, label) for i, label in enumerate(logits.argmax(-1).tolist()) if label != 0]
    assert 0 < len(tagged) < len(example.elements)
    assert [(row.element, row.id, row.label) for row in example.rows] == [(i, t, NAMES[t]) for i, t in tagged]
    assert torch.allclose(example.logits, logits[[i for i, _ in tagged]], atol=1e-5)


def test_all_words_are_explained_where_none_is_tagged(named):
    model, _ = named
    with torch.no_grad():
        model.classifier.bias[0] += 1000
    task, engine = build(*named)
    example = example_of(task, engine, TEXT)
    assert [row.element for row in example.rows] == list(range(len(example.elements)))
    assert {row.label for row in example.rows} == {"O"}


@pytest.mark.parametrize("target", ["B-LOC", 3, torch.tensor(3)])
def test_one_label_is_explained_for_every_word(named, target):
    task, engine = build(*named)
    example = example_of(task, engine, "the good film", target)
    assert [(row.element, row.label) for row in example.rows] == [(0, "B-LOC"), (1, "B-LOC"), (2, "B-LOC")]


def test_pairs_name_the_word_and_its_label(named):
    task, engine = build(*named)
    (example,) = examples_of(task, engine, ["the good film"], [[(2, "B-PER"), (0, 1), (2, "O")]])
    assert [(row.element, row.label) for row in example.rows] == [(2, "B-PER"), (0, "B-PER"), (2, "O")]
    logits = _word_logits(*named, "the good film", example.elements)
    expected = torch.stack([logits[2, 1], logits[0, 1], logits[2, 0]]).double()
    assert torch.allclose(coalition_scores(engine, example, _whole(example))[0], expected, atol=1e-5)


def test_several_inputs_take_their_own_pairs(named):
    task, engine = build(*named)
    examples = examples_of(task, engine, ["the good film", "a book"], [[(0, 1)], [(1, 2), (0, 0)]])
    assert [[(row.element, row.id) for row in e.rows] for e in examples] == [[(0, 1)], [(1, 2), (0, 0)]]


def test_a_word_is_read_at_its_first_token(named):
    task, engine = build(*named)
    example = example_of(task, engine, "unbelievable, misunderstanding", 1)
    assert [len(element.tokens) > 1 for element in example.elements] == [True, False, True]
    assert example.positions.tolist() == [element.tokens[0] for element in example.elements]


@pytest.mark.parametrize(("index", "n"), [(3, 3), (-1, 3)])
def test_a_word_out_of_range_is_refused(named, index, n):
    task, engine = build(*named)
    with pytest.raises(InvalidTargetError, match=f"targets: word {index} is out of range; the text has {n}"):
        example_of(task, engine, "the good film", [(index, 1)])


def test_wrong_labels_are_told(named):
    task, engine = build(*named)
    with pytest.raises(UnknownNameError, match="unknown target label 'B-PERS'; did you mean 'B-PER'"):
        example_of(task, engine, "the good film", "B-PERS")
    with pytest.raises(InvalidTargetError, match="class id 4 is out of range; the model has 4 classes"):
        example_of(task, engine, "the good film", [(0, 4)])


@pytest.mark.parametrize("name", ["roberta", "gpt2", "llama", "deberta-v2"])
def test_other_families_are_tagged_at_the_same_places_as_by_a_plain_call(name):
    model, tokenizer = tiny_model(name, task="token-classification", num_labels=4)
    task, engine = build(model, tokenizer)
    examples = examples_of(task, engine, [TEXT, "a book"])
    for example in examples:
        assert torch.allclose(example.logits, plain_logits(model, example), atol=1e-5)
