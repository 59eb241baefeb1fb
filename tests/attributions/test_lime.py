import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge

from hf_interpreto.attributions import Lime
from hf_interpreto.errors import UnknownNameError
from hf_interpreto.testing import pair_game_classifier
from tests.attributions.cases import contributions

TEXT = "the film was not great and slow"


def test_a_linear_model_gives_its_weights_whatever_the_sample(linear, words):
    expected = contributions(linear, words, TEXT).T
    for budget in (24, 40, None):
        (output,) = Lime(linear, words, n_perturbations=budget, ridge=1e-9)(TEXT, targets=[0, 1, 2])
        torch.testing.assert_close(output.attributions, expected, atol=1e-4, rtol=1e-3)


def test_the_default_ridge_changes_a_linear_model_by_less_than_a_thousandth(linear, words):
    (output,) = Lime(linear, words)(TEXT, targets=0)
    expected = contributions(linear, words, TEXT)[:, 0]
    assert (output.attributions[0] - expected).abs().max() < 1e-3 * expected.abs().max()


def test_an_additive_model_is_fitted_whole(linear, words):
    (output,) = Lime(linear, words)(TEXT, targets=[0, 1])
    assert output.diagnostics["r2"] == pytest.approx([1, 1], abs=1e-6)
    torch.testing.assert_close(
        torch.tensor(output.diagnostics["local_prediction"]), output.target_scores, atol=1e-3, rtol=1e-3
    )


def test_interactions_are_not_fitted_whole(words):
    model = pair_game_classifier(words, {"great": 1.0}, {("not", "great"): -4.0, ("film", "slow"): 3.0})
    (output,) = Lime(model, words)("not great film slow", targets=1)
    assert 0 < output.diagnostics["r2"][0] < 0.99


def test_a_model_that_rewards_a_word_gives_it_a_positive_score(words):
    model = pair_game_classifier(words, {"great": 2.0, "awful": -1.0})
    (output,) = Lime(model, words)("the film was great not awful", targets=1)
    assert output.top(2, by_magnitude=False)[0][0] == "great"
    scores = dict(zip(output.elements, output.attributions[0].tolist(), strict=True))
    assert scores["great"] == pytest.approx(2, abs=1e-3)
    assert scores["awful"] == pytest.approx(-1, abs=1e-3)


@pytest.mark.parametrize("distance", ["cosine", "hamming", "euclidean"])
def test_the_whole_text_weighs_one_and_fewer_words_weigh_less(bert, distance):
    explainer = Lime(*bert, distance_function=distance)
    kept = torch.ones(9, 8).tril(-1).bool()  # 0, 1, ... 8 of 8 words
    weights = explainer.weights(kept)
    assert weights[-1] == 1
    assert bool((weights.diff() > 0).all())


def test_the_kernel_is_the_closed_form_of_the_cosine_distance(bert):
    masks = torch.rand(20, 6, generator=torch.Generator().manual_seed(0)) > 0.4
    masks = masks[masks.any(1)]
    whole = np.ones(6)
    for row, weight in zip(masks.numpy(), Lime(*bert).weights(masks).tolist(), strict=True):
        cosine = row @ whole / (np.linalg.norm(row) * np.linalg.norm(whole))
        percent = 100 * (1 - cosine)
        assert weight == pytest.approx(math.sqrt(math.exp(-(percent**2) / 25**2)))


def test_a_wider_kernel_is_flatter(bert):
    masks = torch.ones(1, 8, dtype=torch.bool)
    masks[0, :4] = False
    narrow, wide = (float(Lime(*bert, kernel_width=width).weights(masks)) for width in (0.1, 1.0))
    assert narrow < wide < 1


@pytest.mark.parametrize("ridge", [1e-9, 0.1])
def test_coefficients_intercept_and_fit_agree_with_scikit_learn(bert, ridge):
    explainer = Lime(*bert, n_perturbations=60, ridge=ridge)
    masks = explainer.masks(8)
    scores = torch.randn(60, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = explainer.aggregate(scores, masks)
    weights, design = explainer.weights(masks).numpy(), masks.double().numpy()
    center = np.average(design, axis=0, weights=weights)
    scale = (weights[:, None] * (design - center) ** 2).sum(0).mean()
    for target in range(2):
        model = Ridge(alpha=ridge * scale) if ridge > 1e-6 else LinearRegression()
        model.fit(design, scores[:, target].numpy(), sample_weight=weights)
        np.testing.assert_allclose(found.attributions[target].numpy(), model.coef_, atol=1e-6)
        assert float(found.diagnostics["intercept"][target]) == pytest.approx(model.intercept_, abs=1e-6)
        r2 = model.score(design, scores[:, target].numpy(), sample_weight=weights)
        assert float(found.diagnostics["r2"][target]) == pytest.approx(r2, abs=1e-6)


def test_the_design_starts_with_the_whole_text_and_takes_away_with_the_chance_asked_for(bert):
    masks = Lime(*bert, n_perturbations=4000, perturb_probability=0.2).masks(30)
    assert bool(masks[0].all())
    assert float((~masks[1:]).double().mean()) == pytest.approx(0.2, abs=0.01)


def test_every_subset_is_run_once_where_the_budget_holds_them(bert):
    masks = Lime(*bert).masks(5)
    assert len(masks) == 32 == len(masks.unique(dim=0))
    assert bool(masks[0].all())


def test_standard_errors_are_the_spread_over_seeds(words):
    model = pair_game_classifier(
        words, {"great": 1.0, "awful": -1.0}, {("not", "great"): -2.0, ("very", "awful"): 1.5, ("film", "slow"): 1.0}
    )
    text = "the film was not very great but slow and awful plain dull"
    outputs = [Lime(model, words, n_perturbations=150, seed=seed)(text, targets=1)[0] for seed in range(30)]
    spread = torch.stack([output.attributions[0] for output in outputs]).std(0)
    claimed = torch.stack([output.standard_errors[0] for output in outputs]).mean(0)
    assert float((claimed / spread).mean()) == pytest.approx(1, abs=0.35)


def test_a_word_alone_is_the_whole_difference(words):
    model = pair_game_classifier(words, {"great": 2.0})
    (output,) = Lime(model, words)("great", targets=1)
    assert output.attributions[0].tolist() == pytest.approx([2], abs=1e-3)


def test_a_constant_model_gives_zeros(words):
    (output,) = Lime(pair_game_classifier(words, {}), words)(TEXT, targets=1)
    assert output.attributions.abs().max() == 0
    assert output.diagnostics["r2"] == [1.0]


def test_wrong_hyper_parameters_are_named(bert):
    with pytest.raises(UnknownNameError, match="unknown distance_function 'cosin'; did you mean 'cosine'"):
        Lime(*bert, distance_function="cosin")
    with pytest.raises(ValueError, match="n_perturbations=1: expected at least 2"):
        Lime(*bert, n_perturbations=1)
    with pytest.raises(ValueError, match="perturb_probability=1: expected a number between 0 and 1"):
        Lime(*bert, perturb_probability=1)
