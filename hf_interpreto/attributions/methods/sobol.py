"""Sobol indices: the share of the score's variance that each element takes part in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import torch
from scipy.stats import qmc
from torch import Tensor

from hf_interpreto.attributions.base import Explanation
from hf_interpreto.attributions.perturbations import PerturbationExplainer
from hf_interpreto.errors import InvalidInputError
from hf_interpreto.typing import parse_member

_MAX_DIMENSION = 21201  # of scipy's direction numbers


class SobolIndicesOrders(StrEnum):
    """Which index."""

    FIRST_ORDER = "first"
    TOTAL_ORDER = "total"


class SequenceSamplers(StrEnum):
    """Which low-discrepancy sequence the design is made from."""

    SOBOL = "sobol"
    HALTON = "halton"
    LatinHypercube = "latin_hypercube"


@dataclass(eq=False, kw_only=True)
class Sobol(PerturbationExplainer):
    r"""Sobol indices of random deletions (Fel et al., 2021, https://arxiv.org/abs/2111.04138).

    Each element is kept with probability 1/2. Total index by Jansen, from one scrambled sequence of `2 g` dimensions:
    `T_i = mean (f(A) - f(C_i))^2 / (2 V)`, with `C_i` = A with column `i` from B, and V the variance of f. In [0, 1]
    up to sampling error, unsigned: how much the element matters, alone or with others. 0 for all where f does not
    vary. `(g + 2) n` forward passes, less those that are equal.

    Args:
        n_token_perturbations: `n`, rounded up to a power of two.
        sobol_indices_order: "total", or "first" for each element alone.
        sampler: "sobol", "halton" or "latin_hypercube".
        signed: multiply by the sign of the element's mean effect.

    Example:
        >>> from hf_interpreto.demo import load_demo
        >>> model, tokenizer = load_demo("classifier")
        >>> (output,) = Sobol(model, tokenizer)("I was delighted by the news.")
        >>> output.top(1)[0][0]
        'delighted'
    """

    n_token_perturbations: int = 32
    sobol_indices_order: SobolIndicesOrders | str = SobolIndicesOrders.TOTAL_ORDER
    sampler: SequenceSamplers | str = SequenceSamplers.SOBOL
    signed: bool = False

    citation = (
        "@inproceedings{fel2021look, title={Look at the Variance! Efficient Black-box Explanations with Sobol-based "
        "Sensitivity Analysis}, author={Fel, Thomas and Cad{\\`e}ne, R{\\'e}mi and Chalvidal, Mathieu "
        "and Cord, Matthieu "
        "and Vigouroux, David and Serre, Thomas}, booktitle={NeurIPS}, year={2021}}"
    )
    sobol_indices_orders = SobolIndicesOrders
    samplers = SequenceSamplers

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sobol_indices_order = parse_member(SobolIndicesOrders, self.sobol_indices_order, "sobol_indices_order")
        self.sampler = parse_member(SequenceSamplers, self.sampler, "sampler")
        if self.n_token_perturbations < 2:
            raise ValueError(f"n_token_perturbations={self.n_token_perturbations}: expected at least 2.")

    def masks(self, g: int) -> Tensor:
        """The whole input, then A, B and the g blocks C_i."""
        if 2 * g > _MAX_DIMENSION:
            raise InvalidInputError(
                f"Sobol explains at most {_MAX_DIMENSION // 2} elements, got {g}. Use a coarser granularity."
            )
        n = 1 << (self.n_token_perturbations - 1).bit_length()
        a, b = (self._sample(n, 2 * g) >= 0.5).split(g, dim=1)
        b = self._independent(a, b)
        c = a.repeat(g, 1, 1)  # (g, n, g)
        columns = torch.arange(g)
        c[columns, :, columns] = b.T
        return torch.cat([torch.ones(1, g, dtype=torch.bool), a, b, c.flatten(0, 1)])

    def aggregate(self, scores: Tensor, masks: Tensor) -> Explanation:
        """Jansen's estimators; the standard error is that of the mean over the design's rows."""
        g = masks.shape[1]
        n = (len(masks) - 1) // (g + 2)
        f_a, f_b = scores[1 : n + 1], scores[n + 1 : 2 * n + 1]
        f_c = scores[2 * n + 1 :].unflatten(0, (g, n))  # (g, n, t)
        variance = torch.cat([f_a, f_b]).var(dim=0)  # (t,)
        scale = torch.where(variance > 1e-12, variance, torch.inf)
        if self.sobol_indices_order is SobolIndicesOrders.TOTAL_ORDER:
            terms = (f_a - f_c).square() / (2 * scale)
        else:
            terms = (variance - 0.5 * (f_b - f_c).square()) / scale
        indices = terms.mean(1).T
        errors = (terms.std(1) / n**0.5).T
        if self.signed:
            indices = indices * self._signs(f_a, f_b, masks, n)
        return Explanation(indices, scores[0], standard_errors=errors, diagnostics={"variance": variance})

    def _signs(self, f_a: Tensor, f_b: Tensor, masks: Tensor, n: int) -> Tensor:
        kept = masks[1 : 2 * n + 1].double() - 0.5
        return ((torch.cat([f_a, f_b]) - f_a.mean(0)).T @ kept).sign()

    def _independent(self, a: Tensor, b: Tensor) -> Tensor:
        """B with the columns shuffled that are A's own, or their complements.

        The leading bit of a Sobol dimension is the parity of some of the index's bits, and `n` rows have only `n - 1`
        such parities; a column that never differs from its partner, or always does, would count for nothing or double.
        """
        generator = self.generator()
        b = b.clone()
        for column in range(a.shape[1]):
            for _ in range(10):
                if bool((a[:, column] == b[:, column]).double().mean().remainder(1)):
                    break
                b[:, column] = b[torch.randperm(len(b), generator=generator), column]
        return b

    def _sample(self, n: int, dimension: int) -> Tensor:
        if self.sampler is SequenceSamplers.SOBOL:
            sampler: qmc.QMCEngine = qmc.Sobol(dimension, scramble=True, seed=self.seed)
        elif self.sampler is SequenceSamplers.HALTON:
            sampler = qmc.Halton(dimension, scramble=True, seed=self.seed)
        else:
            sampler = qmc.LatinHypercube(dimension, seed=self.seed)
        return torch.from_numpy(sampler.random(n))
