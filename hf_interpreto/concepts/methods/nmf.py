"""Non-negative matrix factorisation of activations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hf_interpreto.concepts.explainer import ConceptExplainer
from hf_interpreto.concepts.methods.factorization import Factorization, hals_sweeps
from hf_interpreto.errors import InvalidInputError


@dataclass(eq=False, repr=False)
class NMF(Factorization):
    """`A ~ Z D` with `A`, `Z` and `D` all non-negative (Lee and Seung, 1999), by HALS.

    Starts from the singular vectors of the activations (NNDSVDa: Boutsidis and Gallopoulos, 2008), or from rows that
    point in different directions where there are more concepts than dimensions.

    Args:
        force_relu: take negative activations as 0, in fitting and in encoding, instead of refusing them.

    Raises:
        InvalidInputError: from `fit` and `encode`, for negative activations without `force_relu`.
    """

    force_relu: bool = False

    def _fit(self, rows: Tensor) -> None:
        super()._fit(self._non_negative(rows))

    def _encode(self, rows: Tensor) -> Tensor:
        return super()._encode(self._non_negative(rows))

    def _non_negative(self, rows: Tensor) -> Tensor:
        if self.force_relu:
            return rows.clamp_min(0)
        if bool((rows < 0).any()):
            share = float((rows < 0).float().mean())
            raise InvalidInputError(
                f"activations: {share:.0%} of the values are negative (the least is {float(rows.min()):.3g}), and NMF "
                "takes none. Use SemiNMF, split the model after a ReLU, or pass force_relu=True to take them as 0."
            )
        return rows

    def _start(self, chunks: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        n, d = sum(map(len, chunks)), chunks[0].shape[1]
        if self.nb_concepts > min(n, d):
            return super()._start(chunks)
        return _singular_start(chunks, self.nb_concepts)

    def _update_directions(self, directions: Tensor, code_gram: Tensor, product: Tensor) -> Tensor:
        updated = directions.clone()
        hals_sweeps(updated, product, code_gram, sweeps=2)
        return updated


def _singular_start(chunks: list[Tensor], count: int) -> tuple[list[Tensor], Tensor]:
    """The larger of the positive and the negative part of each pair of singular vectors; the mean where they are 0."""
    moments = torch.stack([chunk.double().T @ chunk.double() for chunk in chunks]).sum(0)
    values, vectors = torch.linalg.eigh(moments)
    scales = values.flip(0)[:count].clamp_min(1e-12 * float(values[-1])).sqrt()
    right = vectors.flip(1)[:, :count].T  # (c, d)
    left = torch.cat([chunk.double() @ right.T for chunk in chunks]).T / scales[:, None]  # (c, n)
    sizes = [(side.clamp_min(0).norm(dim=1), side.clamp_max(0).norm(dim=1)) for side in (left, right)]
    signs = torch.where(sizes[0][0] * sizes[1][0] >= sizes[0][1] * sizes[1][1], 1.0, -1.0).double()[:, None]
    left, right = (left * signs).clamp_min(0), (right * signs).clamp_min(0)
    lengths = left.norm(dim=1), right.norm(dim=1)
    weights = (scales * lengths[0] * lengths[1]).sqrt()[:, None]
    mean = float(sum(float(chunk.double().sum()) for chunk in chunks)) / (left.shape[1] * right.shape[1])
    factors = [
        weights * side / length.clamp_min(1e-300)[:, None] for side, length in zip((left, right), lengths, strict=True)
    ]
    left, right = (torch.where(side > 0, side, mean).to(chunks[0].dtype) for side in factors)
    return [part.contiguous() for part in left.split([len(chunk) for chunk in chunks], dim=1)], right


class NMFConcepts(ConceptExplainer):
    """Non-negative parts as concepts; see `NMF`."""

    dictionary_class = NMF
