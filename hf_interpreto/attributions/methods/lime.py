"""LIME: a linear model of the score around the input."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from hf_interpreto.attributions.base import Explanation
from hf_interpreto.attributions.perturbations import PerturbationExplainer
from hf_interpreto.typing import parse_member


class Distance(StrEnum):
    """How far a perturbed text with `k` of `g` elements kept lies from the whole one, in [0, 1]."""

    COSINE = "cosine"
    """`1 - sqrt(k / g)`: the cosine distance of the two binary vectors."""
    HAMMING = "hamming"
    """`1 - k / g`."""
    EUCLIDEAN = "euclidean"
    """`sqrt(1 - k / g)`."""

    def __call__(self, kept: Tensor, g: int) -> Tensor:
        """Distances of rows that keep `kept` `(p,)` of `g` elements."""
        share = kept.double() / g
        match self:
            case Distance.COSINE:
                return 1 - share.sqrt()
            case Distance.HAMMING:
                return 1 - share
            case _:
                return (1 - share).sqrt()


@dataclass(eq=False, kw_only=True)
class Lime(PerturbationExplainer):
    """Local interpretable model-agnostic explanations (Ribeiro et al., 2016, https://arxiv.org/abs/1602.04938).

    Weighted ridge regression of the score on which elements are kept (1 = kept), with weights
    `sqrt(exp(-(D / width)^2))` of the distance `D` to the whole text; the intercept is not shrunk. In units of the
    score, signed. Exact where the score is additive. `diagnostics["r2"]` says how well the line fits near the input.

    Args:
        n_perturbations: texts to score, the whole one included; None: all `2^g` of them, at most `max(256, 4 g)`.
        perturb_probability: chance of an element to be taken away.
        distance_function: "cosine", "hamming" or "euclidean".
        kernel_width: of the kernel on distances in [0, 1]; 0.25 is the original's 25 on the distance in percent.
        ridge: penalty, relative to the mean variance of the columns.

    Example:
        >>> from hf_interpreto.demo import load_demo
        >>> model, tokenizer = load_demo("classifier")
        >>> (output,) = Lime(model, tokenizer)("I was delighted by the news.")
        >>> output.top(1)[0][0]
        'delighted'
    """

    n_perturbations: int | None = None
    perturb_probability: float = 0.5
    distance_function: Distance | str = Distance.COSINE
    kernel_width: float | None = None
    ridge: float = 1e-5

    citation = (
        "@inproceedings{ribeiro2016why, title={``Why Should I Trust You?'': Explaining the Predictions of Any "
        "Classifier}, author={Ribeiro, Marco Tulio and Singh, Sameer and Guestrin, Carlos}, "
        "booktitle={KDD}, year={2016}}"
    )
    distance_functions = Distance
    joint = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.distance_function = parse_member(Distance, self.distance_function, "distance_function")
        if self.n_perturbations is not None and self.n_perturbations < 2:
            raise ValueError(f"n_perturbations={self.n_perturbations}: expected at least 2.")
        if not 0 < self.perturb_probability < 1:
            raise ValueError(f"perturb_probability={self.perturb_probability}: expected a number between 0 and 1.")

    def masks(self, g: int) -> Tensor:
        """The whole input, then random rows; every subset once where that is no more."""
        n = self.n_perturbations or max(256, 4 * g)
        if g < 20 and 2**g <= n:
            return ~(torch.arange(2**g)[:, None] >> torch.arange(g) & 1).bool()
        keep = torch.rand(n, g, generator=self.generator()) >= self.perturb_probability
        keep[0] = True
        return keep

    def weights(self, masks: Tensor) -> Tensor:
        """Kernel weights `(p,)` of rows; 1 for the whole text."""
        distances = Distance(self.distance_function)(masks.sum(1), masks.shape[1])
        return (-0.5 * (distances / (self.kernel_width or 0.25)).square()).exp()

    def aggregate(self, scores: Tensor, masks: Tensor) -> Explanation:
        """Coefficients of the weighted regression, with their sandwich standard errors and R2."""
        weights = self.weights(masks)[:, None]
        design = masks.double()
        total = weights.sum()
        center, level = (weights * design).sum(0) / total, (weights * scores).sum(0) / total
        x, y = design - center, scores - level
        gram = x.T @ (weights * x)
        gram = gram + self.ridge * gram.diagonal().mean().clamp_min(1e-12) * torch.eye(gram.shape[0]).double()
        inverse = torch.linalg.inv(gram)
        coefficients = inverse @ x.T @ (weights * y)  # (g, t)
        residuals = y - x @ coefficients
        spread = inverse @ x.T  # (g, p)
        variance = spread.square() @ (weights * residuals).square()
        freedom = max(len(masks) - masks.shape[1] - 1, 1) / len(masks)
        explained = (weights * residuals.square()).sum(0) / (weights * y.square()).sum(0).clamp_min(1e-300)
        r2 = torch.where((weights * y.square()).sum(0) > 0, 1 - explained, torch.ones(()).double())
        intercept = level - center @ coefficients
        return Explanation(
            coefficients.T,
            scores[0],
            standard_errors=(variance / freedom).sqrt().T,
            diagnostics={
                "r2": r2,
                "intercept": intercept,
                "local_prediction": intercept + coefficients.sum(0),
                "n_perturbations": len(masks),
                "effective_n": float(math.pow(float(total), 2) / float(weights.square().sum())),
            },
        )
