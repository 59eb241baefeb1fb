"""How well activations are reconstructed from their concepts, row by row."""

from __future__ import annotations

from torch import Tensor

from hf_interpreto.concepts.metrics.base import ConceptMetric


class MSE(ConceptMetric):
    """Mean squared error, `mean_nd (x - x_hat)^2`; 0 is best.

    What interpreto calls MSE grows with the number of rows: it is a norm. See `MeanEuclideanDistance`.
    """

    def _compute(self, rows: Tensor) -> float:
        return sum(float((x - y).square().sum()) for x, y in self._pairs(rows)) / rows.numel()


class MeanEuclideanDistance(ConceptMetric):
    """Mean length of what is left over, `mean_n |x - x_hat|`; 0 is best."""

    def _compute(self, rows: Tensor) -> float:
        return sum(float((x - y).norm(dim=1).sum()) for x, y in self._pairs(rows)) / len(rows)


class ReconstructionError(ConceptMetric):
    """Share of the variance that is lost, `sum |x - x_hat|^2 / sum |x - mean|^2`; 0 is best, the mean alone gives 1.

    Rows that are all alike have no variance: the error is then 0 if they are reconstructed exactly, else infinite.
    """

    def _compute(self, rows: Tensor) -> float:
        mean = sum(chunk.double().sum(0) for chunk in rows.split(8192)) / len(rows)
        lost = spread = 0.0
        for x, y in self._pairs(rows):
            lost += float((x - y).square().sum())
            spread += float((x - mean.cpu()).square().sum())
        if spread == 0:
            return 0.0 if lost == 0 else float("inf")
        return lost / spread


class ExplainedVariance(ReconstructionError):
    """Share of the variance that is kept, R2, `1 - ReconstructionError`; 1 is best, and it may be negative."""

    def _compute(self, rows: Tensor) -> float:
        return 1 - super()._compute(rows)
