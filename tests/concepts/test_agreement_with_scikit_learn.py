"""PCA, SVD, ICA and KMeans give scikit-learn's numbers."""

import numpy as np
import pytest
import torch
from sklearn import cluster, decomposition

from hf_interpreto.concepts import ICA, PCA, SVD, KMeans
from tests.concepts.data import planted, relative_error

SOLVERS = {
    PCA: lambda: decomposition.PCA(6, random_state=0),
    SVD: lambda: decomposition.TruncatedSVD(6, random_state=0),
    ICA: lambda: decomposition.FastICA(6, whiten="unit-variance", max_iter=1000, random_state=0),
}


@pytest.fixture(scope="module")
def rows():
    return planted(800, 24, 8, signed=True)[0]


@pytest.mark.parametrize("method", SOLVERS)
def test_codes_and_reconstructions_equal_those_of_scikit_learn(method, rows):
    seen, unseen = rows[:600], rows[600:]
    theirs, ours = SOLVERS[method]().fit(seen.numpy()), method(6).fit(seen)
    codes = theirs.transform(unseen.numpy())
    np.testing.assert_allclose(ours.encode(unseen).numpy(), codes, atol=1e-5)
    np.testing.assert_allclose(ours(unseen).numpy(), theirs.inverse_transform(codes), atol=1e-5)


def test_whitened_codes_equal_those_of_scikit_learn(rows):
    theirs, ours = decomposition.PCA(6, whiten=True).fit(rows.numpy()), PCA(6, whiten=True).fit(rows)
    codes = theirs.transform(rows.numpy())
    np.testing.assert_allclose(ours.encode(rows).numpy(), codes, atol=1e-4)
    np.testing.assert_allclose(ours(rows).numpy(), theirs.inverse_transform(codes), atol=1e-5)
    torch.testing.assert_close(ours.encode(rows).std(0), torch.ones(6), atol=1e-3, rtol=0)


def test_pca_knows_the_share_of_variance_of_each_concept(rows):
    theirs = decomposition.PCA(6, random_state=0).fit(rows.numpy())
    np.testing.assert_allclose(PCA(6).fit(rows).explained_variance_ratio, theirs.explained_variance_ratio_, atol=1e-6)


def test_clusters_equal_those_of_scikit_learn_and_the_nearest_has_the_largest_code(rows):
    theirs = cluster.KMeans(8, n_init="auto", random_state=0).fit(rows[:600].numpy())
    ours = KMeans(8).fit(rows[:600])
    np.testing.assert_allclose(ours.dictionary, theirs.cluster_centers_, atol=1e-6)
    codes = ours.encode(rows[600:])
    assert (codes.argmax(1).numpy() == theirs.predict(rows[600:].numpy())).all()
    torch.testing.assert_close(codes.sum(1), torch.ones(200))
    assert (codes >= 0).all()


def test_memberships_reconstruct_no_worse_than_the_nearest_centre(rows):
    model = KMeans(8).fit(rows)
    hard = model.dictionary[model.encode(rows).argmax(1)]
    assert relative_error(rows, model(rows)) <= relative_error(rows, hard) + 1e-6


def test_rows_at_their_centres_belong_to_them_alone():
    centres = 5 * torch.eye(3)
    rows = centres.repeat(20, 1)
    model = KMeans(3).fit(rows)
    torch.testing.assert_close(model(rows), rows)
    torch.testing.assert_close(model.encode(rows).amax(1), torch.ones(60))
