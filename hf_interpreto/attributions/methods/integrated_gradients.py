"""Integrated gradients: the score's difference to a baseline, shared out along a straight path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from hf_interpreto.attributions.gradients import GradientExplainer, Origin, Points, Reduction
from hf_interpreto.errors import UnknownNameError
from hf_interpreto.model_wrapping.examples import Example
from hf_interpreto.model_wrapping.requests import GradientSums, Program

RULES = ("gauss_legendre", "trapezoid", "midpoint", "right")


@dataclass(eq=False, kw_only=True)
class IntegratedGradients(GradientExplainer):
    r"""Integrated gradients (Sundararajan et al., 2017, https://arxiv.org/abs/1703.01365).

    `IG_i = sum_d (x - x')_{i,d} int_0^1 df/dx_{i,d}(x' + a (x - x')) da`. In units of the score, signed; the sum is
    f(x) - f(x') (`completeness_gap` says how nearly). The number of nodes is doubled until the gap is within
    `tolerance`. `n` forward and backward passes, and two forward passes for the ends.

    Args:
        n_perturbations: nodes of the quadrature, to begin with.
        tolerance: relative gap, |sum - difference| / |difference|, at which doubling stops; None never doubles.
        max_perturbations: nodes at most.
        rule: "gauss_legendre", "trapezoid", "midpoint" or "right".

    Example:
        >>> from hf_interpreto.demo import load_demo
        >>> model, tokenizer = load_demo("classifier")
        >>> (output,) = IntegratedGradients(model, tokenizer)("I was delighted by the news.")
        >>> difference = output.target_scores - output.baseline_scores
        >>> bool((output.completeness_gap.abs() <= 0.01 * difference.abs()).all())
        True
    """

    input_x_gradient: bool = True
    n_perturbations: int = 16
    tolerance: float | None = 0.01
    max_perturbations: int = 256
    rule: str = "gauss_legendre"

    default_reduction: ClassVar[Reduction] = Reduction.SUM
    is_complete: ClassVar[bool] = True

    citation = (
        "@inproceedings{sundararajan2017axiomatic, title={Axiomatic Attribution for Deep Networks}, "
        "author={Sundararajan, Mukund and Taly, Ankur and Yan, Qiqi}, booktitle={ICML}, year={2017}}"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rule not in RULES:
            raise UnknownNameError("rule", self.rule, RULES)
        if self.n_perturbations < 1 or (self.rule == "trapezoid" and self.n_perturbations < 2):
            raise ValueError(f"n_perturbations={self.n_perturbations}: too few for the rule {self.rule!r}.")

    def attribute(self, example: Example) -> Program:
        """The ends once, then quadratures with twice as many nodes each until the sum fits."""
        origin = self.origin(example)
        whole, baseline = yield from self.ends(example, origin)
        n = self.n_perturbations
        while True:
            points = self._path(origin, n)
            sums = yield self.request(example, origin, points)
            found = self.explanation(example, sums, points, (whole, baseline))
            if not found.is_complete or 2 * n > self.max_perturbations or self._fits(sums, whole - baseline):
                found.diagnostics["n_perturbations"] = n
                return found
            n *= 2

    def points(self, origin: Origin) -> Points:
        """The first quadrature."""
        return self._path(origin, self.n_perturbations)

    def _path(self, origin: Origin, n: int) -> Points:
        nodes, weights = quadrature(self.rule, n)

        def at(index: Tensor) -> Tensor:
            share = nodes[index].to(origin.x)[:, None, None]
            return origin.baseline + share * origin.delta

        return Points(n, at, weights)

    def _fits(self, sums: GradientSums, difference: Tensor) -> bool:
        if self.tolerance is None:
            return True
        gap = (sums.first.sum(1) - difference).abs()
        return bool((gap <= self.tolerance * difference.abs().clamp_min(1e-6)).all())


def quadrature(rule: str, n: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights on [0, 1], `(n,)` each, float64."""
    if rule == "gauss_legendre":
        nodes, weights = np.polynomial.legendre.leggauss(n)
        return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)
    if rule == "trapezoid":
        weights = np.full(n, 1 / (n - 1))
        weights[[0, -1]] /= 2
        return torch.linspace(0, 1, n, dtype=torch.float64), torch.from_numpy(weights)
    shift = 0.5 if rule == "midpoint" else 1.0
    return (torch.arange(n, dtype=torch.float64) + shift) / n, torch.full((n,), 1 / n, dtype=torch.float64)
