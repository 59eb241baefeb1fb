"""SmoothGrad: the mean gradient around the input."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from hf_interpreto.attributions.gradients import Moments, NoisyGradientExplainer


@dataclass(eq=False, kw_only=True)
class SmoothGrad(NoisyGradientExplainer):
    """Norm of the mean of gradients over noisy inputs (Smilkov et al., 2017, https://arxiv.org/abs/1706.03825).

    `|| mean_j df/dx_i (x + e_j) ||`, L2 over the embedding's width, averaged over an element's tokens. Unsigned. With
    no noise it is Saliency. `n` forward and backward passes and one forward pass.

    Example:
        >>> from hf_interpreto.demo import load_demo
        >>> model, tokenizer = load_demo("classifier")
        >>> (output,) = SmoothGrad(model, tokenizer, n_perturbations=4)("I was delighted by the news.")
        >>> output.n_backward
        4
    """

    citation = (
        "@article{smilkov2017smoothgrad, title={SmoothGrad: Removing Noise by Adding Noise}, "
        "author={Smilkov, Daniel and "
        "Thorat, Nikhil and Kim, Been and Vi{\\'e}gas, Fernanda and Wattenberg, Martin}, journal={arXiv:1706.03825}, "
        "year={2017}}"
    )

    def combine(self, moments: Moments) -> Tensor:
        """The mean."""
        return moments.first
