"""Comprehensiveness and sufficiency of rationales, averaged over their lengths."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from hf_interpreto.attributions.metrics.base import FaithfulnessMetric


@dataclass(eq=False, kw_only=True)
class _Rationale(FaithfulnessMetric):
    fractions: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.fractions or not all(0 < fraction <= 1 for fraction in self.fractions):
            raise ValueError(f"fractions={self.fractions}: expected shares above 0 and up to 1.")

    def measure(self, curve: Tensor, m: int) -> float:
        """What the whole input scores above the perturbed ones, on average."""
        del m
        return float((curve[0] - curve[1:]).mean())

    def _sizes(self, m: int) -> list[int]:
        """Elements of each rationale; never none."""
        return [max(1, math.ceil(fraction * m - 1e-9)) for fraction in self.fractions]


@dataclass(eq=False, kw_only=True)
class Comprehensiveness(_Rationale):
    """What the score loses without the rationale: `mean_k f(x) - f(x without top k%)`.

    **Higher is better.**

    ERASER's area over the perturbation curve (DeYoung et al., 2020, https://arxiv.org/abs/1911.03429).

    Args:
        fractions: shares of the elements that make up the rationales.

    Example:
        >>> from hf_interpreto import Occlusion
        >>> from hf_interpreto.demo import load_demo
        >>> model, tokenizer = load_demo("classifier")
        >>> metric = Comprehensiveness(model, tokenizer)
        >>> value, details = metric.evaluate(Occlusion(model, tokenizer)("I was delighted by it."))
        >>> details.beats_random
        True
    """

    higher_is_better: ClassVar[bool] = True

    def steps(self, m: int) -> list[int]:
        """Nothing taken away, then each rationale."""
        return [0, *self._sizes(m)]

    def keep(self, chosen: Tensor) -> Tensor:
        """All but the rationale."""
        return ~chosen


@dataclass(eq=False, kw_only=True)
class Sufficiency(_Rationale):
    """What the score loses with the rationale alone: `mean_k f(x) - f(top k% of x)`.

    **Lower is better.**

    ERASER's area over the perturbation curve (DeYoung et al., 2020, https://arxiv.org/abs/1911.03429).

    Args:
        fractions: shares of the elements that make up the rationales.

    Example:
        >>> from hf_interpreto import Occlusion
        >>> from hf_interpreto.demo import load_demo
        >>> model, tokenizer = load_demo("classifier")
        >>> metric = Sufficiency(model, tokenizer)
        >>> value, details = metric.evaluate(Occlusion(model, tokenizer)("I was delighted by it."))
        >>> details.beats_random
        True
    """

    higher_is_better: ClassVar[bool] = False

    def steps(self, m: int) -> list[int]:
        """The whole input, then each rationale."""
        return [m, *self._sizes(m)]

    def keep(self, chosen: Tensor) -> Tensor:
        """Only the rationale."""
        return chosen
