"""NMF, SemiNMF and ConvexNMF: what they find, that their error never grows, and that encoding is well defined."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from sklearn.decomposition import NMF as SklearnNMF

from hf_interpreto.concepts import NMF, ConvexNMF, SemiNMF
from hf_interpreto.concepts.methods.factorization import hals_sweeps, non_negative_codes
from hf_interpreto.errors import InvalidInputError
from tests.concepts.data import planted, recovery, relative_error

METHODS = [NMF, SemiNMF, ConvexNMF]


@pytest.mark.parametrize("method", METHODS)
def test_the_error_never_grows(method):
    rows, _ = planted()
    errors = method(10, tol=0, max_iter=60).fit(rows).errors
    assert len(errors) > 3
    assert all(later <= earlier + 1e-6 for earlier, later in pairwise(errors))
    assert errors[-1] < 0.9 * errors[0]


@pytest.mark.parametrize("method", METHODS)
def test_the_error_that_is_reported_is_that_of_the_reconstruction(method):
    rows, _ = planted()
    model = method(10, max_iter=40, tol=0).fit(rows)
    # Codes are solved for once more, so that reconstruction is as good or better.
    assert relative_error(rows, model(rows)) <= model.errors[-1] + 1e-6
    assert relative_error(rows, model(rows)) == pytest.approx(model.errors[-1], rel=0.05, abs=1e-5)


def test_nmf_recovers_planted_directions():
    rows, truth = planted()
    assert recovery(NMF(10).fit(rows).dictionary, truth) >= 0.95


def test_semi_nmf_reconstructs_signed_activations_as_well_as_the_directions_that_made_them():
    rows, truth = planted(signed=True)
    assert (rows < 0).any()
    rebuilt = non_negative_codes(rows, truth) @ truth
    assert relative_error(rows, SemiNMF(10, tol=1e-7).fit(rows)(rows)) <= 1.05 * relative_error(rows, rebuilt)


@pytest.mark.parametrize("iterations", [3, 10, 30, 100])
@pytest.mark.parametrize("shape", [(2000, 64, 10), (300, 24, 20)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_nmf_is_not_worse_than_scikit_learn_at_the_same_number_of_iterations(shape, iterations):
    rows, _ = planted(*shape)
    ours = NMF(shape[2], max_iter=iterations, tol=0).fit(rows).errors[-1]
    solver = SklearnNMF(shape[2], init="nndsvda", max_iter=iterations, tol=0, random_state=0)
    codes = solver.fit_transform(rows.double().numpy())
    theirs = relative_error(rows, torch.from_numpy(codes @ solver.components_))
    assert ours <= theirs * 1.001


@pytest.mark.parametrize("method", METHODS)
def test_codes_solve_the_non_negative_least_squares_problem_of_each_row(method):
    rows, _ = planted(200)
    model = method(6).fit(rows)
    codes = model.encode(rows[:20])
    truth = np.stack([nnls(model.dictionary.T.double().numpy(), row.double().numpy())[0] for row in rows[:20]])
    assert (codes >= 0).all()
    np.testing.assert_allclose(codes.numpy(), truth, atol=2e-4)


def test_codes_of_a_row_do_not_depend_on_the_rows_beside_it():
    rows, _ = planted(300)
    dictionary = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    whole = non_negative_codes(rows, dictionary)
    parts = torch.cat([non_negative_codes(part, dictionary) for part in rows.split(7)])
    torch.testing.assert_close(whole, parts, atol=1e-5, rtol=1e-4)


def test_a_sweep_leaves_a_component_without_curvature_alone():
    factor = torch.ones(2, 3)
    hals_sweeps(factor, torch.ones(2, 3), torch.tensor([[1.0, 0.0], [0.0, 0.0]]), 1)
    assert factor.isfinite().all()
    assert (factor[1] == 1).all()


def test_nmf_factors_are_not_negative_and_directions_have_unit_length():
    rows, _ = planted()
    model = NMF(10).fit(rows)
    assert (model.dictionary >= 0).all()
    torch.testing.assert_close(model.dictionary.norm(dim=1), torch.ones(10))


def test_nmf_refuses_negative_activations_and_names_semi_nmf():
    rows, _ = planted(signed=True)
    with pytest.raises(InvalidInputError, match=r"negative.*SemiNMF"):
        NMF(5).fit(rows)
    model = NMF(5).fit(rows.clamp_min(0))
    with pytest.raises(InvalidInputError, match="SemiNMF"):
        model.encode(rows)


def test_nmf_with_force_relu_takes_negative_activations_as_zero():
    rows, _ = planted(signed=True)
    forced, clamped = NMF(5, force_relu=True).fit(rows), NMF(5).fit(rows.clamp_min(0))
    assert torch.equal(forced.dictionary, clamped.dictionary)
    assert torch.equal(forced.encode(rows), clamped.encode(rows.clamp_min(0)))


def test_nmf_finds_more_concepts_than_dimensions():
    rows, _ = planted(400, 12, 8)
    model = NMF(20).fit(rows)
    assert model.dictionary.shape == (20, 12)
    assert relative_error(rows, model(rows)) < 0.01


@pytest.mark.parametrize("n", [300, 1500])
def test_convex_nmf_directions_are_non_negative_mixtures_of_activations(n):
    rows, _ = planted(n, signed=True)
    model = ConvexNMF(6, n_anchors=400, max_iter=50).fit(rows)
    assert len(model.anchors) == min(n, 400)
    assert (model.weights >= 0).all()
    torch.testing.assert_close(model.weights @ model.anchors, model.dictionary, atol=1e-5, rtol=1e-4)
    _, misses = zip(*(nnls(rows.T.double().numpy(), row.double().numpy()) for row in model.dictionary), strict=True)
    assert max(misses) < 1e-3


def test_convex_nmf_finds_planted_directions_that_are_among_the_activations():
    rows, truth = planted()
    rows = torch.cat([rows, truth])
    assert recovery(ConvexNMF(10).fit(rows).dictionary, truth) >= 0.95


def test_activations_of_zero_cannot_be_factorized():
    with pytest.raises(InvalidInputError, match="all values are 0"):
        SemiNMF(2).fit(torch.zeros(5, 3))
