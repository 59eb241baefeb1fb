"""How many concepts it takes to say what an activation is."""

from __future__ import annotations

from torch import Tensor

from hf_interpreto.concepts.explainer import ConceptExplainer
from hf_interpreto.concepts.metrics.base import ConceptMetric


class Sparsity(ConceptMetric):
    """Mean number of concepts per row whose code is not 0, `L0 = mean_n sum_c [|z| > epsilon]`; from 0 to `c`.

    interpreto's metric of this name is that over the number of concepts; here that is `SparsityRatio`.

    Args:
        concept_explainer: fitted.
        epsilon: magnitudes up to it count as 0.
    """

    def __init__(self, concept_explainer: ConceptExplainer, epsilon: float = 0.0) -> None:
        super().__init__(concept_explainer)
        self.epsilon = epsilon

    def _compute(self, rows: Tensor) -> float:
        return sum(int((codes.abs() > self.epsilon).sum()) for codes in self._codes(rows)) / len(rows)


class SparsityRatio(Sparsity):
    """Mean share of the concepts whose code is not 0, `L0 / c`; from 0 to 1.

    interpreto divides by the number of concepts once more.
    """

    def _compute(self, rows: Tensor) -> float:
        return super()._compute(rows) / self.concept_explainer.nb_concepts
