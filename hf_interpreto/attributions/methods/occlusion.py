"""Occlusion: what the score loses when an element is taken away."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hf_interpreto.attributions.base import Explanation
from hf_interpreto.attributions.perturbations import PerturbationExplainer


@dataclass(eq=False, kw_only=True)
class Occlusion(PerturbationExplainer):
    """Leave-one-out, and leave-a-window-out (Zeiler & Fergus, 2014, https://arxiv.org/abs/1311.2901).

    `score_i = f(x) - f(x without i)`; with a window of several elements, the mean over the windows that cover `i`.
    In units of the score, signed: positive where the element speaks for the target. Exact where the score is additive.
    `g + 1` forward passes for a window of one.

    Args:
        window: how many neighbouring elements are taken away at once.
        stride: how far the window moves.

    Example:
        >>> from hf_interpreto.demo import load_demo
        >>> model, tokenizer = load_demo("classifier")
        >>> (output,) = Occlusion(model, tokenizer)("I was delighted by the news.")
        >>> output.top(1)[0][0]
        'delighted'
    """

    window: int = 1
    stride: int = 1

    citation = (
        "@inproceedings{zeiler2014visualizing, title={Visualizing and Understanding Convolutional Networks}, "
        "author={Zeiler, Matthew D. and Fergus, Rob}, booktitle={ECCV}, year={2014}}"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.stride <= self.window:
            raise ValueError(f"stride={self.stride}, window={self.window}: expected 1 <= stride <= window.")

    def masks(self, g: int) -> Tensor:
        """The whole input, then one row for each window."""
        width = min(self.window, g)
        starts = list(range(0, g - width + 1, self.stride))
        if starts[-1] + width < g:
            starts.append(g - width)
        keep = torch.ones(len(starts) + 1, g, dtype=torch.bool)
        for row, start in enumerate(starts, 1):
            keep[row, start : start + width] = False
        return keep

    def aggregate(self, scores: Tensor, masks: Tensor) -> Explanation:
        """Drops, averaged over the windows that cover an element."""
        drops = scores[0] - scores[1:]  # (p, t)
        covered = (~masks[1:]).double()  # (p, g)
        return Explanation((drops.T @ covered) / covered.sum(0).clamp_min(1), scores[0])
