"""VarGrad: the variance of the gradient around the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from hf_interpreto.attributions.gradients import Moments, NoisyGradientExplainer, Reduction


@dataclass(eq=False, kw_only=True)
class VarGrad(NoisyGradientExplainer):
    """Variance of gradients over noisy inputs (Richter et al., 2020, https://arxiv.org/abs/2010.10436).

    `sum_d var_j df/dx_{i,d} (x + e_j)`, unbiased, averaged over an element's tokens. Unsigned, in squared units; 0
    where the score is linear. `n` forward and backward passes and one forward pass.

    Example:
        >>> from hf_interpreto.demo import load_demo
        >>> model, tokenizer = load_demo("classifier")
        >>> (output,) = VarGrad(model, tokenizer, n_perturbations=4)("I was delighted by the news.")
        >>> bool((output.attributions >= 0).all())
        True
    """

    default_reduction: ClassVar[Reduction] = Reduction.SUM
    is_linear: ClassVar[bool] = False

    citation = (
        "@inproceedings{richter2020vargrad, title={VarGrad: A Low-Variance Gradient Estimator for Variational "
        "Inference}, author={Richter, Lorenz and Boustati, Ayman and Nuesken, Nikolas and Ruiz, Francisco J. R. "
        "and Akyildiz, Omer Deniz}, booktitle={NeurIPS}, year={2020}}"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_perturbations < 2:
            raise ValueError(f"n_perturbations={self.n_perturbations}: a variance needs at least 2.")

    def combine(self, moments: Moments) -> Tensor:
        """The unbiased variance."""
        return (moments.second - moments.first.square()).clamp_min(0) * moments.count / (moments.count - 1)
