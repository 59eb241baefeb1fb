import pytest
import torch

from hf_interpreto.errors import InvalidInputError, InvalidTargetError, TokenizerError
from hf_interpreto.testing import tiny_model
from tests.model_wrapping.oracles import build, coalition_scores, example_of, examples_of, plain_logits

FAMILIES = ["bert", "distilbert", "roberta", "albert", "electra", "deberta-v2", "modernbert"]


def _text(tokenizer, masks=1):
    return " ".join(["The film was", *[f"{tokenizer.mask_token} and"] * (masks - 1), f"{tokenizer.mask_token}."])


def _whole(example):
    return torch.ones(1, len(example.players), dtype=torch.bool)


@pytest.mark.parametrize("masks", [1, 2, 3])
@pytest.mark.parametrize("name", FAMILIES)
def test_without_a_target_the_best_token_at_every_mask_is_explained(name, masks):
    model, tokenizer = tiny_model(name, task="fill-mask")
    task, engine = build(model, tokenizer)
    text = _text(tokenizer, masks)
    example = example_of(task, engine, text)
    encoded = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        logits = model(**encoded).logits[0]
    places = (encoded["input_ids"][0] == tokenizer.mask_token_id).nonzero()[:, 0]
    assert example.positions.tolist() == places.tolist()
    assert example.target_ids.tolist() == logits[places].argmax(-1).tolist()
    expected = logits[places].log_softmax(-1).amax(-1).double()
    assert torch.allclose(coalition_scores(engine, example, _whole(example))[0], expected, atol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_mask_is_shown_in_its_place_but_never_perturbed_nor_scored(name):
    model, tokenizer = tiny_model(name, task="fill-mask")
    task, engine = build(model, tokenizer)
    example = example_of(task, engine, _text(tokenizer))
    assert [e.text for e in example.elements] == ["The", "film", "was", tokenizer.mask_token, "."]
    assert [e.frozen for e in example.elements] == [False, False, False, True, False]
    assert [row.element for row in example.rows] == [3]
    assert [e.tokens[0] for e in example.elements] == sorted(e.tokens[0] for e in example.elements)
    empty = example.keep_tokens(torch.zeros(1, 4, dtype=torch.bool))[0]
    assert bool(empty[example.positions[0]])


@pytest.mark.parametrize("name", FAMILIES)
def test_the_mask_like_every_element_is_its_exact_text(name):
    model, tokenizer = tiny_model(name, task="fill-mask")
    task, engine = build(model, tokenizer)
    example = example_of(task, engine, _text(tokenizer, 2))
    for element in example.elements:
        assert example.text[slice(*element.span)] == element.text


@pytest.mark.parametrize("name", FAMILIES)
def test_words_and_ids_can_be_given_for_a_mask(name):
    model, tokenizer = tiny_model(name, task="fill-mask")
    task, engine = build(model, tokenizer)
    example = example_of(task, engine, _text(tokenizer), ["was", 40])
    (wanted,) = tokenizer("x was", add_special_tokens=False)["input_ids"][-1:]
    assert example.target_ids.tolist() == [wanted, 40]
    assert example.rows[0].label.strip("▁Ġ ") == "was"
    assert example.positions.unique().numel() == 1
    logits = plain_logits(model, example).log_softmax(-1)
    expected = logits.gather(-1, example.target_ids[:, None])[:, 0].double()
    assert torch.allclose(coalition_scores(engine, example, _whole(example))[0], expected, atol=1e-4)


def test_with_several_masks_a_list_has_one_target_for_each(filler):
    _, tokenizer = filler
    task, engine = build(*filler)
    (example,) = examples_of(task, engine, [_text(tokenizer, 2)], [[40, 41]])
    assert example.target_ids.tolist() == [40, 41]
    assert example.positions[0] < example.positions[1]
    assert [row.element for row in example.rows] == [3, 5]


@pytest.mark.parametrize("target", [40, [40], torch.tensor([40])])
def test_one_target_serves_every_mask(filler, target):
    task, engine = build(*filler)
    example = example_of(task, engine, _text(filler[1], 2), target)
    assert example.target_ids.tolist() == [40, 40]


def test_a_number_of_targets_that_is_not_that_of_the_masks_is_refused(filler):
    task, engine = build(*filler)
    with pytest.raises(InvalidTargetError, match="targets: got 2 for 3 masks; give one for each, or one for all"):
        example_of(task, engine, _text(filler[1], 3), [40, 41])


def test_a_text_without_a_mask_is_refused(filler):
    task, engine = build(*filler)
    with pytest.raises(InvalidInputError, match="'The film was good' holds no '<mask>' to fill; put one in"):
        example_of(task, engine, "The film was good")


def test_a_text_of_nothing_but_a_mask_has_nothing_to_explain(filler):
    task, engine = build(*filler)
    with pytest.raises(InvalidInputError, match="has nothing to explain"):
        example_of(task, engine, "<mask>")


def test_a_tokenizer_without_a_mask_is_refused(filler):
    model, _ = filler
    _, tokenizer = tiny_model("roberta", task="fill-mask")
    tokenizer.mask_token = None
    task, engine = build(model, tokenizer)
    with pytest.raises(TokenizerError, match="the tokenizer has no mask token, which a masked language model fills"):
        example_of(task, engine, "The film was <mask>")


@pytest.mark.parametrize("word", ["misunderstanding", "two words", ""])
def test_a_word_of_several_tokens_cannot_fill_a_mask(filler, word):
    task, engine = build(*filler)
    with pytest.raises(InvalidTargetError, match=f"'{word}' is not one token of this model, so it cannot fill a mask"):
        example_of(task, engine, _text(filler[1]), word)


@pytest.mark.parametrize("target", [100000, -1, 1.5, True])
def test_what_is_no_token_is_refused(filler, target):
    task, engine = build(*filler)
    with pytest.raises(InvalidTargetError, match="expected a word or a token id, got"):
        example_of(task, engine, _text(filler[1]), [target])


def test_a_piece_of_a_word_can_be_a_target():
    model, tokenizer = tiny_model("bert", task="fill-mask")
    piece = next(token for token in tokenizer.get_vocab() if token.startswith("##") and len(token) > 3)
    task, engine = build(model, tokenizer)
    assert example_of(task, engine, _text(tokenizer), piece).target_ids.tolist() == [tokenizer.get_vocab()[piece]]
