"""Independent components of activations."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from hf_interpreto.concepts.dictionary import LinearDictionary
from hf_interpreto.concepts.explainer import ConceptExplainer


@dataclass(eq=False, repr=False)
class ICA(LinearDictionary):
    """Directions whose codes are as independent as they can be (Hyvärinen and Oja, 2000).

    scikit-learn's `FastICA`, whose numbers it gives; codes are signed and of unit variance.

    Args:
        max_iter: of the fixed-point iteration; scikit-learn warns where it does not converge.
        tol: change of the unmixing at which it stops.
    """

    max_iter: int = 1000
    tol: float = 1e-4

    def _fit(self, rows: Tensor) -> None:
        from sklearn.decomposition import FastICA

        solver = FastICA(
            self.nb_concepts, whiten="unit-variance", max_iter=self.max_iter, tol=self.tol, random_state=self.seed
        )
        found = solver.fit(rows.cpu().numpy())
        self._set(found.mean_, found.components_, found.mixing_.T)


class ICAConcepts(ConceptExplainer):
    """Independent components as concepts; see `ICA`."""

    dictionary_class = ICA
