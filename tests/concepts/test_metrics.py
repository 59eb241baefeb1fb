"""Metrics against their definitions, written out."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import wasserstein_distance

from hf_interpreto import concepts
from hf_interpreto.concepts.metrics import (
    FID,
    MSE,
    ExplainedVariance,
    FrechetDistance,
    MeanEuclideanDistance,
    ReconstructionError,
    Sparsity,
    SparsityRatio,
    Stability,
)
from hf_interpreto.errors import InvalidInputError, NotFittedError
from tests.concepts.data import planted

METRICS = [
    FID,
    MSE,
    ExplainedVariance,
    FrechetDistance,
    MeanEuclideanDistance,
    ReconstructionError,
    Sparsity,
    SparsityRatio,
]


@pytest.fixture(scope="module")
def rows():
    return planted(600, 32, 8, signed=True)[0]


@pytest.fixture
def fitted(split_bert, rows):
    return concepts.SemiNMFConcepts(split_bert, nb_concepts=4).fit(rows)


@pytest.mark.parametrize("metric", METRICS)
def test_a_mapping_is_as_good_as_its_tensor_and_the_answer_is_a_float(metric, fitted, rows):
    mapping = {fitted.split_point: rows, "predictions": torch.zeros(len(rows), dtype=torch.long)}
    value = metric(fitted).compute(rows)
    assert type(value) is float
    assert metric(fitted).compute(mapping) == value


@pytest.mark.parametrize("metric", METRICS)
def test_batches_change_nothing(metric, fitted, rows, monkeypatch):
    whole = metric(fitted).compute(rows)
    monkeypatch.setattr("hf_interpreto.concepts.metrics.base._CHUNK", 17)
    assert metric(fitted).compute(rows) == pytest.approx(whole, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_bad_activations_and_unfitted_explainers_are_refused(metric, fitted, split_bert, rows):
    with pytest.raises(InvalidInputError, match="NaN"):
        metric(fitted).compute(torch.full((3, 32), torch.nan))
    with pytest.raises(InvalidInputError, match="width 31"):
        metric(fitted).compute(rows[:, :31])
    with pytest.raises(NotFittedError):
        metric(concepts.SVDConcepts(split_bert, nb_concepts=2)).compute(rows)


def test_reconstruction_metrics_have_their_definitions(fitted, rows):
    rebuilt = fitted.concept_model(rows).double().numpy()
    x = rows.double().numpy()
    left = x - rebuilt
    assert MSE(fitted).compute(rows) == pytest.approx((left**2).mean(), rel=1e-6)
    assert MeanEuclideanDistance(fitted).compute(rows) == pytest.approx(np.linalg.norm(left, axis=1).mean(), rel=1e-6)
    lost = (left**2).sum() / ((x - x.mean(0)) ** 2).sum()
    assert ReconstructionError(fitted).compute(rows) == pytest.approx(lost, rel=1e-6)
    assert ExplainedVariance(fitted).compute(rows) == pytest.approx(1 - lost, rel=1e-6)


def test_mse_does_not_grow_with_the_number_of_rows(fitted, rows):
    assert MSE(fitted).compute(rows.repeat(3, 1)) == pytest.approx(MSE(fitted).compute(rows), rel=1e-6)


def test_distances_of_distributions_have_their_definitions(fitted, rows):
    x, y = rows.double().numpy(), fitted.concept_model(rows).double().numpy()
    apart = np.mean([wasserstein_distance(x[:, k], y[:, k]) for k in range(x.shape[1])])
    assert FID(fitted).compute(rows) == pytest.approx(apart, rel=1e-5)
    first, second = (np.cov(values.T, bias=True) for values in (x, y))
    cross = np.trace(sqrtm(sqrtm(first) @ second @ sqrtm(first)).real)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * cross
    assert FrechetDistance(fitted).compute(rows) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("metric", [MSE, ReconstructionError, FID, FrechetDistance, MeanEuclideanDistance])
def test_a_perfect_reconstruction_has_no_error(metric, split_bert, rows):
    assert metric(concepts.NeuronsAsConcepts(split_bert)).compute(rows) == pytest.approx(0, abs=1e-9)


def test_sparsity_counts_concepts_and_its_ratio_is_a_share(split_bert):
    neurons = concepts.NeuronsAsConcepts(split_bert)
    codes = torch.zeros(4, 32)
    codes[0, :3], codes[1, 5], codes[2, :] = 1.0, -0.2, 0.5
    assert Sparsity(neurons).compute(codes) == (3 + 1 + 32 + 0) / 4
    assert Sparsity(neurons, epsilon=0.3).compute(codes) == (3 + 32) / 4
    assert SparsityRatio(neurons).compute(codes) == 36 / 4 / 32


def test_stability_is_one_for_equal_and_zero_for_orthogonal_dictionaries():
    first, second = torch.eye(6)[:3], torch.eye(6)[3:]
    assert Stability(first, first[[2, 0, 1]] * 5).compute() == pytest.approx(1)
    assert Stability(first, second).compute() == pytest.approx(0)
    assert Stability(first, first, second).compute() == pytest.approx(1 / 3)


def test_stability_matches_one_to_one(rows):
    first = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    second = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert Stability(first, second).compute() == pytest.approx((1 + 0.6) / 2)
    assert Stability(first, second[:1]).compute() == pytest.approx(1)


def test_stability_ignores_signs_only_where_they_mean_nothing(split_bert, rows):
    first, second = concepts.PCA(3).fit(rows), concepts.PCA(3).fit(rows)
    second.dictionary = -second.dictionary
    assert Stability(first, second).compute() == pytest.approx(1)
    assert Stability(first.dictionary, second.dictionary).compute() < 0.5
    explainer = concepts.PCAConcepts(split_bert, nb_concepts=3).fit(rows)
    assert Stability(explainer, first).compute() == pytest.approx(1)


def test_stability_wants_two_dictionaries_of_one_width():
    with pytest.raises(InvalidInputError, match="two or more"):
        Stability(torch.eye(2))
    with pytest.raises(InvalidInputError, match=r"different widths \(2, 3\)"):
        Stability(torch.eye(2), torch.eye(3))
