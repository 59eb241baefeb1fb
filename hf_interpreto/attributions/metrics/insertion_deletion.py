"""Insertion and Deletion: the score as elements come or go, the most important first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from hf_interpreto.attributions.metrics.base import FaithfulnessMetric


@dataclass(eq=False, kw_only=True)
class _Curve(FaithfulnessMetric):
    n_perturbations: int = 100
    max_percentage_perturbed: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_perturbations < 1 or not 0 < self.max_percentage_perturbed <= 1:
            raise ValueError(
                f"n_perturbations={self.n_perturbations}, max_percentage_perturbed={self.max_percentage_perturbed}: "
                "expected at least 1, and a share above 0 and up to 1."
            )

    def steps(self, m: int) -> list[int]:
        """0 to all elements (or `max_percentage_perturbed` of them), in at most `n_perturbations` steps."""
        last = max(1, round(m * self.max_percentage_perturbed))
        n = min(self.n_perturbations, last)
        return [round(last * step / n) for step in range(n + 1)]

    def measure(self, curve: Tensor, m: int) -> float:
        """Area under the curve over the share of elements, as a mean height."""
        steps = torch.tensor(self.steps(m), dtype=curve.dtype)
        return float(torch.trapezoid(curve, steps / steps[-1]))


@dataclass(eq=False, kw_only=True)
class Insertion(_Curve):
    """Area under the score as elements are put into an empty input, the most important first.

    **Higher is better.**

    Petsiuk et al., 2018, https://arxiv.org/abs/1806.07421. In the unit of the score; in [0, 1] for probabilities.

    Args:
        n_perturbations: steps of the curve at most.
        max_percentage_perturbed: share of the elements that are put in.

    Example:
        >>> from hf_interpreto import Occlusion
        >>> from hf_interpreto.demo import load_demo
        >>> model, tokenizer = load_demo("classifier")
        >>> auc, details = Insertion(model, tokenizer).evaluate(Occlusion(model, tokenizer)("I was delighted by it."))
        >>> details.beats_random
        True
    """

    higher_is_better: ClassVar[bool] = True

    def keep(self, chosen: Tensor) -> Tensor:
        """Only what was put in."""
        return chosen


@dataclass(eq=False, kw_only=True)
class Deletion(_Curve):
    """Area under the score as elements are taken from the input, the most important first.

    **Lower is better.**

    Petsiuk et al., 2018, https://arxiv.org/abs/1806.07421. In the unit of the score; in [0, 1] for probabilities.

    Args:
        n_perturbations: steps of the curve at most.
        max_percentage_perturbed: share of the elements that are taken away.

    Example:
        >>> from hf_interpreto import Occlusion
        >>> from hf_interpreto.demo import load_demo
        >>> model, tokenizer = load_demo("classifier")
        >>> auc, details = Deletion(model, tokenizer).evaluate(Occlusion(model, tokenizer)("I was delighted by it."))
        >>> details.beats_random
        True
    """

    higher_is_better: ClassVar[bool] = False

    def keep(self, chosen: Tensor) -> Tensor:
        """All but what was taken away."""
        return ~chosen
