from itertools import permutations

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from hf_interpreto.testing import linear_text_classifier, pair_game_classifier, shift_copy_lm, word_tokenizer

WORDS = ["not", "good", "very", "bad", "film"]


@pytest.fixture
def tokenizer():
    return word_tokenizer(WORDS)


@pytest.fixture
def linear(tokenizer):
    return linear_text_classifier(tokenizer, num_labels=3)


@pytest.fixture
def game(tokenizer):
    pairs = {("not", "good"): -3.0, ("very", "good"): 0.5, ("bad", "bad"): 0.25}
    return pair_game_classifier(tokenizer, {"good": 2.0, "bad": -1.5, "film": 0.1}, pairs)


def test_the_linear_models_contributions_add_up_to_its_logits(linear, tokenizer):
    inputs = tokenizer("very good film film", return_tensors="pt")
    contributions = linear.contributions(inputs.input_ids[0])
    torch.testing.assert_close(contributions.sum(dim=0) + linear.classifier.bias, linear(**inputs).logits[0])
    assert contributions[0].abs().sum() == contributions[-1].abs().sum() == 0
    assert (contributions[1:-1].abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("name", ["linear", "game"])
def test_padding_and_special_tokens_add_nothing(name, request, tokenizer):
    model = request.getfixturevalue(name)
    alone = model(**tokenizer("not good", return_tensors="pt")).logits[0]
    batch = tokenizer(["not good", "very bad film film"], padding=True, return_tensors="pt")
    torch.testing.assert_close(model(**batch).logits[0], alone)
    batch["attention_mask"][:] = 1
    torch.testing.assert_close(model(**batch).logits[0], alone)


@pytest.mark.parametrize("name", ["linear", "game"])
def test_hooks_on_the_input_embeddings_see_and_replace_what_the_model_reads(name, request, tokenizer):
    model = request.getfixturevalue(name)
    inputs = tokenizer("very good film", return_tensors="pt")
    seen = []
    hook = model.get_input_embeddings().register_forward_hook(lambda _m, _i, out: seen.append(out) or out * 0)
    silenced = model(**inputs).logits
    hook.remove()
    nothing = model(**tokenizer("", return_tensors="pt")).logits
    assert seen[0].shape[:2] == inputs.input_ids.shape
    torch.testing.assert_close(silenced, nothing)
    embedded = model(inputs_embeds=seen[0], attention_mask=inputs.attention_mask).logits
    torch.testing.assert_close(embedded, model(**inputs).logits)


@pytest.mark.parametrize("text", ["not very good film", "bad bad good not", "film [MASK] good"])
def test_the_games_shapley_values_are_those_of_all_orders_of_its_words(game, tokenizer, text):
    ids = tokenizer(text, return_tensors="pt").input_ids[0]
    players = range(1, len(ids) - 1)
    expected = torch.zeros(len(ids), 2)
    orders = list(permutations(players))
    for order in orders:
        present = torch.full_like(ids, tokenizer.mask_token_id)
        value = game(input_ids=present[None]).logits[0]
        for player in order:
            present[player] = ids[player]
            new = game(input_ids=present[None]).logits[0]
            expected[player] += (new - value).detach() / len(orders)
            value = new
    torch.testing.assert_close(game.shapley_values(ids), expected)
    assert expected.abs().sum() > 0


def test_a_repeated_pair_counts_once(game, tokenizer):
    logits = game(**tokenizer("bad bad", return_tensors="pt")).logits
    torch.testing.assert_close(logits, torch.tensor([[2.75, -2.75]]))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("shift", [0, 1, 3])
def test_the_copying_model_scores_the_token_of_its_source(shift, side):
    tokenizer = word_tokenizer(WORDS, boundaries=False, padding_side=side)
    model = shift_copy_lm(tokenizer, shift=shift, sharpness=7.0)
    batch = tokenizer(["not good very bad film", "bad film"], padding=True, return_tensors="pt")
    logits = model(**batch).logits
    for row in range(2):
        for position in range(5):
            source = model.source_of(position + 1)
            expected = torch.zeros(len(tokenizer))
            if source >= 0 and batch.attention_mask[row, source] and batch.attention_mask[row, position]:
                expected[batch.input_ids[row, source]] = 7.0
            if batch.attention_mask[row, position]:
                assert torch.equal(logits[row, position], expected)


@pytest.mark.parametrize("use_cache", [True, False])
def test_the_copying_model_generates_copies_of_its_sources(use_cache):
    tokenizer = word_tokenizer(WORDS, boundaries=False)
    model = shift_copy_lm(tokenizer, shift=2)
    ids = tokenizer("not good very bad", return_tensors="pt")
    written = model.generate(**ids, max_new_tokens=6, do_sample=False, use_cache=use_cache)[0]
    assert tokenizer.decode(written) == "not good very bad good very bad good very bad"
    assert all(written[position] == written[model.source_of(position)] for position in range(4, 10))


def test_the_copying_model_gives_the_same_logits_from_a_cache_and_for_kept_positions():
    tokenizer = word_tokenizer(WORDS, boundaries=False)
    model = shift_copy_lm(tokenizer, shift=2)
    ids = tokenizer("not good very bad film", return_tensors="pt").input_ids
    whole = model(input_ids=ids).logits
    cache = model(input_ids=ids[:, :3]).past_key_values
    rest = model(input_ids=ids[:, 3:], past_key_values=cache, attention_mask=torch.ones(1, 5)).logits
    assert torch.equal(rest, whole[:, 3:])
    assert torch.equal(model(input_ids=ids, logits_to_keep=2).logits, whole[:, -2:])
    assert torch.equal(model(input_ids=ids, logits_to_keep=torch.tensor([1, 4])).logits, whole[:, [1, 4]])


def test_the_models_are_the_same_after_saving_and_loading(linear, game, tokenizer, tmp_path):
    copier = shift_copy_lm(word_tokenizer(WORDS, boundaries=False), shift=2)
    loaders = (AutoModelForSequenceClassification, AutoModelForSequenceClassification, AutoModelForCausalLM)
    for index, (model, loader) in enumerate(zip((linear, game, copier), loaders, strict=True)):
        model.save_pretrained(tmp_path / str(index))
        loaded = loader.from_pretrained(tmp_path / str(index))
        assert type(loaded) is type(model)
        ids = torch.tensor([[4, 5, 6, 7]])
        assert torch.equal(loaded(input_ids=ids).logits, model(input_ids=ids).logits)


def test_building_a_model_leaves_the_global_random_state_as_it_was(tokenizer):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    linear_text_classifier(tokenizer)
    pair_game_classifier(tokenizer, {})
    shift_copy_lm(tokenizer)
    assert torch.equal(torch.rand(3), expected)


def test_a_word_outside_the_vocabulary_and_missing_inputs_are_refused(tokenizer, linear):
    with pytest.raises(ValueError, match="superb"):
        pair_game_classifier(tokenizer, {"superb": 1.0})
    with pytest.raises(ValueError, match="either input_ids or inputs_embeds"):
        linear()
