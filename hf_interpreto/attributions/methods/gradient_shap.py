"""GradientSHAP: expected gradients between the input and baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from hf_interpreto.attributions.gradients import GradientExplainer, Origin, Points, Reduction, check_draws, normal


@dataclass(eq=False, kw_only=True)
class GradientShap(GradientExplainer):
    r"""Expected gradients (Lundberg & Lee, 2017; Erion et al., 2021, https://arxiv.org/abs/1906.10670).

    `phi_i = E_{a ~ U(0,1)} sum_d (x - x')_{i,d} df/dx_{i,d}(x' + a (x - x'))`, with x' the baseline plus noise. The
    draws of `a` are stratified and antithetic. In units of the score, signed; the sum is f(x) - f(x') in expectation.
    `n` forward and backward passes, and two forward passes for the ends.

    Args:
        n_perturbations: draws.
        noise_std: standard deviation of the noise on the baseline, in units of that of the input's embeddings. 0 makes
            the scores the integral that IntegratedGradients computes, by Monte Carlo.

    Example:
        >>> from hf_interpreto.demo import load_demo
        >>> model, tokenizer = load_demo("classifier")
        >>> (output,) = GradientShap(model, tokenizer)("I was delighted by the news.")
        >>> output.standard_errors.shape == output.attributions.shape
        True
    """

    input_x_gradient: bool = True
    n_perturbations: int = 64
    noise_std: float = 0.0

    default_reduction: ClassVar[Reduction] = Reduction.SUM
    is_complete: ClassVar[bool] = True
    is_sampled: ClassVar[bool] = True

    citation = (
        "@article{erion2021improving, title={Improving Performance of Deep Learning Models with Axiomatic Attribution "
        "Priors and Expected Gradients}, author={Erion, Gabriel and Janizek, Joseph D. and Sturmfels, Pascal and "
        "Lundberg, Scott M. and Lee, Su-In}, journal={Nature Machine Intelligence}, year={2021}}"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_draws(self.n_perturbations, self.noise_std)

    def points(self, origin: Origin) -> Points:
        """`x'_j + a_j (x - x'_j)`; the noise of point j depends on its own seed, not on the batch."""
        n = self.n_perturbations
        generator = origin.generator()
        half = (n + 1) // 2
        low = (torch.arange(half) + torch.rand(half, generator=generator)) / n
        shares = torch.cat([low, 1 - low[: n // 2]])  # of an odd number, the middle one stands alone
        seeds = torch.randint(2**62, (n,), generator=generator)
        scale = float(self.noise_std * origin.x.std())
        scored = (origin.delta != 0).any(-1, keepdim=True)  # tokens that keep their embedding keep it here too

        def step(index: Tensor) -> Tensor:
            if scale == 0:
                return origin.delta.expand(len(index), -1, -1)
            noise = torch.stack([normal(origin.x.shape, int(seed)) for seed in seeds[index]]).to(origin.x)
            return origin.delta - scale * noise * scored

        def at(index: Tensor) -> Tensor:
            return origin.x - (1 - shares[index]).to(origin.x)[:, None, None] * step(index)

        return Points(n, at, torch.full((n,), 1 / n, dtype=torch.float64), step)
