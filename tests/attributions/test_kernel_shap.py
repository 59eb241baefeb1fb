import numpy as np
import pytest
import torch

from hf_interpreto.attributions import KernelShap
from hf_interpreto.attributions.methods.kernel_shap import shapley_kernel
from hf_interpreto.model_wrapping.scores import Score
from hf_interpreto.testing import linear_text_classifier, pair_game_classifier, word_tokenizer
from tests.attributions.cases import (
    brute_force_shapley,
    contributions,
    counted,
    masked_scores,
    permutation_shapley,
    word_ids,
)

SIXTEEN = [f"w{index}" for index in range(16)]


@pytest.fixture(scope="module")
def game():
    """Sixteen words with worths and pairs of their own, and some words that differ: sampling has an error here."""
    tokenizer = word_tokenizer(SIXTEEN)
    generator = torch.Generator().manual_seed(3)
    weights = {word: float(torch.randn((), generator=generator)) for word in SIXTEEN}
    pairs = {
        (SIXTEEN[i], SIXTEEN[j]): float(torch.randn((), generator=generator)) for i in range(16) for j in range(i)
    }
    return pair_game_classifier(tokenizer, weights, pairs), tokenizer


def _cube(logits, ids):
    return logits.gather(-1, ids[..., None]).squeeze(-1) ** 3 / 100


CUBED = Score("cubed", _cube)  # turns a game of pairs into one with interactions of every order up to six


def shapley(model, tokenizer, text):
    return model.shapley_values(word_ids(tokenizer, text))[1:-1, 1]


def test_all_coalitions_give_the_exact_values_of_a_game_of_pairs(game):
    model, tokenizer = game
    text = " ".join(SIXTEEN[:10])
    (output,) = KernelShap(model, tokenizer)(text, targets=1)
    assert output.diagnostics["exact"] is True
    torch.testing.assert_close(output.attributions[0], shapley(model, tokenizer, text), atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    "text", ["I would see it again", "Nothing was true!", "unbelievable misunderstanding, I fear"]
)
def test_all_coalitions_equal_brute_force_on_a_transformer(bert, text):
    model, tokenizer = bert
    (output,) = KernelShap(model, tokenizer)(text, targets=1)
    groups = [list(element.tokens) for element in output.example.elements]
    value = masked_scores(model, word_ids(tokenizer, text), groups, tokenizer.mask_token_id, 1)
    expected = brute_force_shapley(value, len(groups))
    torch.testing.assert_close(output.attributions[0].double(), expected, atol=1e-4, rtol=1e-4)


def test_the_two_definitions_of_shapley_values_agree_with_each_other(bert):
    model, tokenizer = bert
    ids = word_ids(tokenizer, "the sea was blue")
    value = masked_scores(model, ids, [[i] for i in range(1, 5)], tokenizer.mask_token_id, 0)
    torch.testing.assert_close(brute_force_shapley(value, 4), permutation_shapley(value, 4))


@pytest.mark.parametrize("budget", [2, 7, 20, 60, 300])
def test_the_sum_is_the_difference_at_any_budget(bert, budget):
    model, tokenizer = bert
    (output,) = KernelShap(model, tokenizer, n_perturbations=budget)(
        "He went home early because he was sick, and the manager was not happy.", targets=[0, 1, 2]
    )
    difference = output.target_scores - output.baseline_scores
    torch.testing.assert_close(output.attributions.sum(1), difference, atol=1e-4, rtol=1e-4)
    assert output.completeness_gap.abs().max() < 1e-6


def test_the_error_shrinks_as_coalitions_grow(game):
    model, tokenizer = game
    text = " ".join(SIXTEEN)
    budgets = (64, 256, 1024)
    exact = torch.from_numpy(_exact_cubed(model))

    def error(budget, seed):
        (output,) = KernelShap(model, tokenizer, n_perturbations=budget, seed=seed, score=CUBED)(text, targets=1)
        return float((output.attributions[0].double() - exact).norm() / exact.norm())

    errors = [np.mean([error(budget, seed) for seed in range(6)]) for budget in budgets]
    assert errors[1] < 0.75 * errors[0]
    assert errors[2] < 0.75 * errors[1]


def test_standard_errors_cover_the_truth(game):
    model, tokenizer = game
    exact = torch.from_numpy(_exact_cubed(model))
    inside, total = 0, 0
    for seed in range(12):
        (output,) = KernelShap(model, tokenizer, n_perturbations=400, seed=seed, score=CUBED)(
            " ".join(SIXTEEN), targets=1
        )
        miss = (output.attributions[0].double() - exact).abs()
        inside += int((miss <= 1.96 * output.standard_errors[0]).sum())
        total += len(miss)
    assert inside / total > 0.88


def test_standard_errors_are_the_spread_over_seeds(game):
    model, tokenizer = game
    outputs = [
        KernelShap(model, tokenizer, n_perturbations=300, seed=seed, score=CUBED)(" ".join(SIXTEEN), targets=1)[0]
        for seed in range(20)
    ]
    spread = torch.stack([output.attributions[0] for output in outputs]).std(0)
    claimed = torch.stack([output.standard_errors[0] for output in outputs]).mean(0)
    assert 0.7 < float((claimed / spread).mean()) < 1.6


def test_it_stops_when_the_scores_are_precise_enough(game):
    model, tokenizer = game
    text = " ".join(SIXTEEN)
    runs = {
        precision: KernelShap(model, tokenizer, n_perturbations=4000, precision=precision, score=CUBED)(
            text, targets=1
        )[0]
        for precision in (0.5, 0.1, None)
    }
    used = {precision: output.diagnostics["n_perturbations"] for precision, output in runs.items()}
    assert used[0.5] < used[0.1] < used[None] <= 4000
    for precision in (0.5, 0.1):
        output = runs[precision]
        assert output.standard_errors.max() <= precision * output.attributions.abs().max()


def test_it_never_stops_on_errors_that_it_cannot_know_yet():
    many = [f"w{index}" for index in range(200)]
    tokenizer = word_tokenizer(many, model_max_length=256)
    model = linear_text_classifier(tokenizer)
    text = " ".join(many)
    (output,) = KernelShap(model, tokenizer)(text, targets=1)
    expected = contributions(model, tokenizer, text)[:, 1]
    torch.testing.assert_close(output.attributions[0], expected, atol=1e-2, rtol=1e-2)


def test_errors_that_cannot_be_known_are_not_called_zero(game):
    model, tokenizer = game
    (output,) = KernelShap(model, tokenizer, n_perturbations=8)(" ".join(SIXTEEN), targets=1)
    missed = (output.attributions[0] - shapley(model, tokenizer, " ".join(SIXTEEN))).abs().max()
    assert missed > 0.1
    assert not bool((output.standard_errors < 1e-3 * missed).any())


def test_a_default_budget_that_cannot_hold_all_coalitions_samples_some(game):
    model, tokenizer = game
    (output,) = KernelShap(model, tokenizer, score=CUBED)(" ".join(SIXTEEN[:12]), targets=1)
    assert output.diagnostics["exact"] is False
    assert bool((output.standard_errors > 0).all())


def test_one_word_and_two_words_are_right(words):
    model = pair_game_classifier(words, {"great": 2.0, "not": 1.0}, {("not", "great"): -6.0})
    explainer = KernelShap(model, words)
    alone, both = explainer(["great", "not great"], targets=1)
    assert alone.attributions.tolist() == [[2.0]]
    assert both.attributions[0].tolist() == pytest.approx([-2, -1], abs=1e-6)
    for seed in range(5):
        (again,) = KernelShap(model, words, seed=seed, n_perturbations=2)("not great", targets=1)
        assert again.attributions[0].tolist() == pytest.approx([-2, -1], abs=1e-6)


def test_the_kernel_is_that_of_shapley():
    expected = [0, 4 / (5 * 1 * 4), 4 / (10 * 2 * 3), 4 / (10 * 3 * 2), 4 / (5 * 4 * 1), 0]
    assert shapley_kernel(5).tolist() == pytest.approx(expected)


def test_a_large_text_keeps_finite_weights():
    assert bool(shapley_kernel(2000).isfinite().all())


def test_no_coalition_is_run_twice(game):
    model, tokenizer = game
    with counted(model) as rows:
        (output,) = KernelShap(model, tokenizer, n_perturbations=300)(" ".join(SIXTEEN), targets=1)
    assert output.n_forward == sum(rows) == output.diagnostics["n_perturbations"] + 2
    masks = KernelShap(model, tokenizer, n_perturbations=300).masks(16)
    assert len(masks.unique(dim=0)) == len(masks) == 302


def test_coalitions_come_with_their_complements(bert):
    masks = KernelShap(*bert, n_perturbations=200).masks(20)
    keys = {tuple(row) for row in masks.tolist()}
    assert all(tuple(not kept for kept in row) in keys for row in keys)


def test_symmetric_words_share_alike_and_a_dummy_gets_nothing(words):
    model = pair_game_classifier(words, {"not": 1.0, "great": 1.0}, {("not", "great"): 3.0})
    (output,) = KernelShap(model, words)("not film great the", targets=1)
    assert output.attributions[0].tolist() == pytest.approx([2.5, 0, 2.5, 0], abs=1e-6)


def test_a_budget_of_one_is_refused(bert):
    with pytest.raises(ValueError, match="n_perturbations=1: expected at least 2"):
        KernelShap(*bert, n_perturbations=1)


def _exact_cubed(model):
    """Shapley values of v ** 3 / 100 over all 2 ** 16 coalitions, from the worths of words and pairs."""
    ids = word_ids(word_tokenizer(SIXTEEN), " ".join(SIXTEEN))[1:-1]
    linear = model.word_weights[ids].detach().numpy().astype(float)
    pairs = model.pair_weights[ids][:, ids].detach().numpy().astype(float)
    keep = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
    values = (keep @ linear + 0.5 * np.einsum("pi,ij,pj->p", keep, pairs, keep, optimize=True)) ** 3 / 100
    sizes = keep.sum(1)
    factorial = np.cumprod([1, *range(1, 17)]).astype(float)
    weights = factorial[np.minimum(sizes, 15)] * factorial[np.maximum(15 - sizes, 0)] / factorial[16]
    found = np.empty(16)
    for i in range(16):
        without = np.flatnonzero(keep[:, i] == 0)
        found[i] = (weights[without] * (values[without + (1 << i)] - values[without])).sum()
    return found
