"""SquareGrad: the mean squared gradient around the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from hf_interpreto.attributions.gradients import Moments, NoisyGradientExplainer, Reduction


@dataclass(eq=False, kw_only=True)
class SquareGrad(NoisyGradientExplainer):
    """Mean of squared gradients over noisy inputs (Hooker et al., 2019, https://arxiv.org/abs/1806.10758).

    `sum_d mean_j (df/dx_{i,d} (x + e_j))^2`, averaged over an element's tokens. Unsigned, in squared units. With no
    noise it is Saliency squared. `n` forward and backward passes and one forward pass.

    Example:
        >>> from hf_interpreto.demo import load_demo
        >>> model, tokenizer = load_demo("classifier")
        >>> (output,) = SquareGrad(model, tokenizer, n_perturbations=4)("I was delighted by the news.")
        >>> bool((output.attributions >= 0).all())
        True
    """

    default_reduction: ClassVar[Reduction] = Reduction.SUM
    is_linear: ClassVar[bool] = False

    citation = (
        "@inproceedings{hooker2019benchmark, title={A Benchmark for Interpretability Methods in Deep "
        "Neural Networks}, "
        "author={Hooker, Sara and Erhan, Dumitru and Kindermans, Pieter-Jan and Kim, Been}, booktitle={NeurIPS}, "
        "year={2019}}"
    )

    def combine(self, moments: Moments) -> Tensor:
        """The second moment."""
        return moments.second
