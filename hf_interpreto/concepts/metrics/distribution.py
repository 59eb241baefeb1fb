"""How far the distribution of reconstructed activations lies from that of the activations."""

from __future__ import annotations

import torch
from torch import Tensor

from hf_interpreto.concepts.metrics.base import ConceptMetric


class FID(ConceptMetric):
    """Mean over dimensions of the Wasserstein-1 distance of activations and reconstructions; 0 is best.

    `mean_d mean_n |sort(x)_nd - sort(x_hat)_nd|`. The name is interpreto's; it is no Fréchet distance, which is
    `FrechetDistance`.
    """

    def _compute(self, rows: Tensor) -> Tensor:
        rebuilt = torch.cat([y.float() for _, y in self._pairs(rows)])
        total = torch.zeros((), dtype=torch.float64)
        for x, y in zip(rows.cpu().split(64, dim=1), rebuilt.split(64, dim=1), strict=True):
            total += (x.sort(0).values.double() - y.sort(0).values.double()).abs().sum()
        return total / rows.numel()


class FrechetDistance(ConceptMetric):
    """Fréchet distance of Gaussians fitted to activations and reconstructions; 0 is best.

    `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2)`, in squared units of the activations. Wants several times
    as many rows as dimensions.
    """

    def _compute(self, rows: Tensor) -> Tensor:
        d = rows.shape[1]
        sums = torch.zeros(2, d, dtype=torch.float64)
        squares = torch.zeros(2, d, d, dtype=torch.float64)
        # Moments about a row of the data: those about 0 cancel where the mean is large.
        origin = rows[0].cpu().double()
        for pair in self._pairs(rows):
            for k, values in enumerate(pair):
                sums[k] += (values - origin).sum(0)
                squares[k] += (values - origin).T @ (values - origin)
        means = sums / len(rows)
        first, second = squares / len(rows) - means[:, :, None] * means[:, None, :]
        root = _root(first)
        cross = torch.linalg.eigvalsh(root @ second @ root).clamp_min(0).sqrt().sum()
        distance = (means[0] - means[1]).square().sum() + first.trace() + second.trace() - 2 * cross
        return distance.clamp_min(0)


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T
