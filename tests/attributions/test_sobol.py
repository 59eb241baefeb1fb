import math

import numpy as np
import pytest
import torch
from scipy.stats import qmc

from hf_interpreto.attributions import Sobol
from hf_interpreto.errors import InvalidInputError, UnknownNameError
from hf_interpreto.testing import pair_game_classifier, word_tokenizer
from tests.attributions.cases import contributions, counted, word_ids

TEXT = "the film was not great"
GAME = ({"great": 2.0, "film": 0.5}, {("not", "great"): -3.0, ("film", "the"): 1.0})


def ishigami(x, a=7.0, b=0.1):
    return np.sin(x[..., 0]) + a * np.sin(x[..., 1]) ** 2 + b * x[..., 2] ** 4 * np.sin(x[..., 0])


def ishigami_indices(a=7.0, b=0.1):
    """First order and total indices on [-pi, pi]^3, by integration."""
    variance = a**2 / 8 + b * math.pi**4 / 5 + b**2 * math.pi**8 / 18 + 0.5
    first = np.array([0.5 * (1 + b * math.pi**4 / 5) ** 2, a**2 / 8, 0.0])
    both = b**2 * math.pi**8 * (1 / 18 - 1 / 50)
    return first / variance, np.array([first[0] + both, first[1], both]) / variance


def continuous_scores(function, n, dimension):
    """Scores of the design that `masks` lays out, on numbers instead of bits: the whole, A, B, and the C_i."""
    points = (qmc.Sobol(2 * dimension, scramble=True, rng=0).random(n) * 2 - 1) * math.pi
    a, b = points[:, :dimension], points[:, dimension:]
    blocks = [np.zeros((1, dimension)), a, b]
    for i in range(dimension):
        c = a.copy()
        c[:, i] = b[:, i]
        blocks.append(c)
    return torch.from_numpy(function(np.concatenate(blocks)))[:, None]


def enumerated_total(model, tokenizer, text):
    """Total indices of a game of fair coins, over all subsets: E var(f | all but i) / var f."""
    ids = word_ids(tokenizer, text)[1:-1]
    g = len(ids)
    keep = ((torch.arange(2**g)[:, None] >> torch.arange(g)) & 1).double()
    linear, pairs = model.word_weights[ids].double(), model.pair_weights[ids][:, ids].double()
    values = (keep @ linear + 0.5 * torch.einsum("pi,ij,pj->p", keep, pairs, keep)).detach()
    changes = [(values - values[torch.arange(2**g) ^ (1 << i)]).square().mean() / 4 for i in range(g)]
    return torch.stack(changes) / values.var(unbiased=False)


@pytest.mark.parametrize(("order", "which"), [("first", 0), ("total", 1)])
def test_the_estimators_are_right_on_the_ishigami_function(bert, order, which):
    explainer = Sobol(*bert, sobol_indices_order=order)
    scores = continuous_scores(ishigami, 2**12, 3)
    found = explainer.aggregate(scores, torch.ones(len(scores), 3, dtype=torch.bool))
    np.testing.assert_allclose(found.attributions[0].numpy(), ishigami_indices()[which], atol=0.02)


def test_the_error_on_the_ishigami_function_shrinks_with_the_design(bert):
    explainer = Sobol(*bert)
    truth = torch.from_numpy(ishigami_indices()[1])
    errors = []
    for n in (2**5, 2**8, 2**12):
        scores = continuous_scores(ishigami, n, 3)
        found = explainer.aggregate(scores, torch.ones(len(scores), 3, dtype=torch.bool))
        errors.append(float((found.attributions[0] - truth).abs().max()))
    assert errors[2] < errors[1] < errors[0]


def test_the_design_is_the_whole_then_a_then_b_then_a_with_one_column_of_b(bert):
    masks = Sobol(*bert, n_token_perturbations=16).masks(6)
    assert masks.shape == (1 + 16 * 8, 6)
    assert bool(masks[0].all())
    a, b, c = masks[1:17], masks[17:33], masks[33:].unflatten(0, (6, 16))
    for i in range(6):
        others = torch.arange(6) != i
        assert torch.equal(c[i][:, i], b[:, i])
        assert torch.equal(c[i][:, others], a[:, others])
    assert a.sum(0).tolist() == b.sum(0).tolist() == [8] * 6  # one sequence: every column is balanced


@pytest.mark.parametrize("g", [6, 10, 16, 24, 30, 40, 60])
def test_no_column_of_b_is_a_copy_of_as_or_its_complement(bert, g):
    # The first bits of a Sobol sequence repeat: a copied column would score 0, and a complement double.
    for seed in range(3):
        masks = Sobol(*bert, seed=seed).masks(g)[1:]
        agree = (masks[:32] == masks[32:64]).double().mean(0)
        assert bool(((agree > 0) & (agree < 1)).all())


def test_every_word_of_a_long_text_that_matters_gets_a_score():
    many = [f"w{index}" for index in range(60)]
    tokenizer = word_tokenizer(many)
    model = pair_game_classifier(tokenizer, dict.fromkeys(many, 1.0))
    for seed in range(3):
        (output,) = Sobol(model, tokenizer, seed=seed)(" ".join(many), targets=1)
        assert bool((output.attributions > 0).all())


def test_a_linear_model_gives_shares_of_squared_weights(linear, words):
    (output,) = Sobol(linear, words, n_token_perturbations=1024)(TEXT, targets=[0, 1, 2])
    weights = contributions(linear, words, TEXT).T.square()
    torch.testing.assert_close(output.attributions, weights / weights.sum(1, keepdim=True), atol=0.02, rtol=0.05)


def test_total_indices_of_a_game_of_pairs_equal_enumeration(words):
    model = pair_game_classifier(words, *GAME)
    (output,) = Sobol(model, words, n_token_perturbations=1024)(TEXT, targets=1)
    expected = enumerated_total(model, words, TEXT)
    torch.testing.assert_close(output.attributions[0].double(), expected, atol=0.03, rtol=0.05)


def test_a_total_index_is_never_below_the_first_order_one(words):
    model = pair_game_classifier(words, *GAME)
    first, total = (
        Sobol(model, words, n_token_perturbations=512, sobol_indices_order=order)(TEXT, targets=1)[0].attributions[0]
        for order in ("first", "total")
    )
    assert bool((total >= first - 0.02).all())
    assert float(total[4] - first[4]) > 0.1  # "great" matters together with "not"


def test_first_order_and_total_agree_where_nothing_interacts(linear, words):
    first, total = (
        Sobol(linear, words, n_token_perturbations=1024, sobol_indices_order=order)(TEXT, targets=1)[0].attributions
        for order in ("first", "total")
    )
    torch.testing.assert_close(first, total, atol=0.05, rtol=0.05)


def test_a_constant_model_gives_zeros_and_not_nan(words):
    for order in ("first", "total"):
        (output,) = Sobol(pair_game_classifier(words, {}), words, sobol_indices_order=order)(TEXT, targets=1)
        assert output.attributions.tolist() == [[0.0] * 5]


def test_a_word_that_changes_nothing_gets_exactly_nothing(words):
    model = pair_game_classifier(words, *GAME)
    (output,) = Sobol(model, words)("was not great", targets=1)
    assert output.attributions[0, 0] == 0
    assert bool((output.attributions[0, 1:] > 0).all())


def test_signs_are_those_of_the_effects(words):
    model = pair_game_classifier(words, {"great": 2.0, "awful": -3.0})
    plain, signed = (Sobol(model, words, signed=s)("great awful", targets=1)[0].attributions[0] for s in (False, True))
    assert bool((plain > 0).all())
    torch.testing.assert_close(signed, plain * torch.tensor([1.0, -1.0]))


@pytest.mark.parametrize("sampler", ["sobol", "halton", "latin_hypercube"])
def test_every_sampler_estimates_the_same(words, sampler):
    model = pair_game_classifier(words, *GAME)
    (output,) = Sobol(model, words, sampler=sampler, n_token_perturbations=1024)(TEXT, targets=1)
    expected = enumerated_total(model, words, TEXT)
    torch.testing.assert_close(output.attributions[0].double(), expected, atol=0.08, rtol=0.1)


def test_designs_are_rounded_up_to_a_power_of_two_and_equal_rows_run_once(bert):
    model, tokenizer = bert
    explainer = Sobol(model, tokenizer, n_token_perturbations=20)
    assert len(explainer.masks(4)) == 1 + 32 * 6
    with counted(model) as rows:
        (output,) = explainer("the sea was blue", targets=0)
    assert output.n_forward == sum(rows) == len(explainer.masks(4).unique(dim=0)) <= 2**4


def test_standard_errors_shrink_with_the_design(words):
    model = pair_game_classifier(words, *GAME)
    errors = [
        Sobol(model, words, n_token_perturbations=n)(TEXT, targets=1)[0].standard_errors.max() for n in (16, 64, 1024)
    ]
    assert errors[0] > errors[1] > errors[2] > 0


def test_more_elements_than_the_sequence_has_dimensions_are_refused(bert):
    with pytest.raises(InvalidInputError, match="at most 10600 elements, got 11000"):
        Sobol(*bert).masks(11000)


def test_wrong_hyper_parameters_are_named(bert):
    with pytest.raises(UnknownNameError, match="unknown sampler 'sobel'; did you mean 'sobol'"):
        Sobol(*bert, sampler="sobel")
    with pytest.raises(UnknownNameError, match="unknown sobol_indices_order 'second'"):
        Sobol(*bert, sobol_indices_order="second")
    with pytest.raises(ValueError, match="n_token_perturbations=1: expected at least 2"):
        Sobol(*bert, n_token_perturbations=1)
