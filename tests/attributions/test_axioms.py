"""Axioms, on every method that promises them."""

import pytest
import torch

from hf_interpreto.attributions import (
    GradientShap,
    InputxGradient,
    IntegratedGradients,
    KernelShap,
    Lime,
    Occlusion,
    Saliency,
    Sobol,
)
from hf_interpreto.model_wrapping.scores import Score, logit
from hf_interpreto.testing import pair_game_classifier
from tests.attributions.cases import ADDITIVE, DIFFERENCE, METHODS, contributions, small, tiny

TEXT = "the film was not great"
named = {"ids": lambda method: method.__name__}


def exact(method):
    """Enough for a method to be exact where it can be."""
    return {Lime: {"ridge": 1e-9, "n_perturbations": None}, KernelShap: {"n_perturbations": None}}.get(method, {})


def zero_baseline(method):
    return {"baseline": "zero"} if method in (IntegratedGradients, GradientShap) else {}


@pytest.mark.parametrize("method", ADDITIVE, **named)
def test_a_linear_model_gives_its_weights(method, linear, words):
    (output,) = small(method, linear, words, **exact(method), **zero_baseline(method))(TEXT, targets=[0, 1, 2])
    torch.testing.assert_close(output.attributions, contributions(linear, words, TEXT).T, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("method", ADDITIVE, **named)
def test_the_default_baseline_is_worth_nothing_to_a_model_that_ignores_masks(method, linear, words):
    (output,) = small(method, linear, words, **exact(method))(TEXT, targets=2)
    expected = contributions(linear, words, TEXT)[:, 2]
    torch.testing.assert_close(output.attributions[0], expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("method", ADDITIVE, **named)
def test_the_scores_of_a_contrast_are_the_difference_of_the_scores(method):
    model, tokenizer = tiny("bert", "text-classification")
    settings = {Lime: {"n_perturbations": 200}, KernelShap: {"n_perturbations": 60}}.get(method, {})
    (both,) = small(method, model, tokenizer, **settings)("We never had better food", targets=[0, 1])
    (contrast,) = small(method, model, tokenizer, score=DIFFERENCE, **settings)("We never had better food", targets=0)
    difference = both.attributions[1] - both.attributions[0]
    torch.testing.assert_close(contrast.attributions[0], difference, atol=1e-4, rtol=1e-3)
    assert contrast.score == "difference"


@pytest.mark.parametrize("method", [*ADDITIVE, Sobol], **named)
def test_a_word_that_the_model_ignores_scores_nothing(method, words):
    # LIME's kernel is no product of coins, so that it promises this where nothing interacts.
    pairs = {} if method is Lime else {("not", "great"): -3.0}
    model = pair_game_classifier(words, {"great": 2.0, "not": 1.0}, pairs)
    (output,) = small(method, model, words, **exact(method))("film not great", targets=1)
    scores = output.attributions[0]
    assert abs(float(scores[0])) < 1e-5 * float(scores.abs().max())
    assert bool((scores[1:].abs() > 0.1).all())


@pytest.mark.parametrize("method", [Occlusion, KernelShap, IntegratedGradients, InputxGradient, Saliency], **named)
def test_words_of_the_same_worth_score_the_same(method, words):
    model = pair_game_classifier(words, {"not": 1.0, "great": 1.0}, {("not", "great"): 3.0, ("film", "the"): 1.0})
    (output,) = small(method, model, words, **exact(method))("film great was not the", targets=1)
    scores = dict(zip(output.elements, output.attributions[0].tolist(), strict=True))
    assert scores["great"] == pytest.approx(scores["not"], abs=1e-5)
    assert scores["film"] == pytest.approx(scores["the"], abs=1e-5)
    assert scores["great"] != pytest.approx(scores["film"], abs=1e-2)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_constant_model_gives_zeros_and_not_nan(method, words):
    (output,) = small(method, pair_game_classifier(words, {}), words)(TEXT, targets=[0, 1])
    assert output.attributions.abs().max() == 0
    if output.standard_errors is not None:
        assert not bool((output.standard_errors.nan_to_num() != 0).any())


@pytest.mark.parametrize("method", [Occlusion, KernelShap, Lime, IntegratedGradients, InputxGradient], **named)
def test_the_label_that_loses_is_explained_with_the_opposite_sign(method, words):
    model = pair_game_classifier(words, {"great": 2.0, "awful": -3.0}, {("not", "great"): -3.0})
    (output,) = small(method, model, words, **exact(method))("not great awful", targets=[0, 1])
    torch.testing.assert_close(output.attributions[0], -output.attributions[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_score_twice_as_large_has_scores_twice_as_large(method):
    model, tokenizer = tiny("bert", "text-classification")
    double = Score("double", lambda logits, ids: 2 * logit(logits, ids))
    (plain,) = small(method, model, tokenizer)("We never had better food", targets=1)
    (twice,) = small(method, model, tokenizer, score=double)("We never had better food", targets=1)
    power = {"Sobol": 0, "SquareGrad": 2, "VarGrad": 2}.get(method.__name__, 1)
    torch.testing.assert_close(twice.attributions, 2**power * plain.attributions, atol=1e-4, rtol=1e-3)
