"""Singular vectors of activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from hf_interpreto.concepts.dictionary import LinearDictionary
from hf_interpreto.concepts.explainer import ConceptExplainer


@dataclass(eq=False, repr=False)
class SVD(LinearDictionary):
    """Leading right singular vectors: as PCA, but of activations that are not centred.

    scikit-learn's `TruncatedSVD`, whose numbers it gives; codes are signed.

    Args:
        n_iter: power iterations of the randomised solver.
    """

    n_iter: int = 5

    def _fit(self, rows: Tensor) -> None:
        from sklearn.decomposition import TruncatedSVD

        found = TruncatedSVD(self.nb_concepts, n_iter=self.n_iter, random_state=self.seed).fit(rows.cpu().numpy())
        self._set(np.zeros(rows.shape[1]), found.components_, found.components_)


class SVDConcepts(ConceptExplainer):
    """Singular vectors as concepts; see `SVD`."""

    dictionary_class = SVD
