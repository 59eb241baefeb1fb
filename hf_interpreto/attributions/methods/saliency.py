"""Saliency: how fast the score changes with each embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hf_interpreto.attributions.gradients import GradientExplainer, Origin, Points, single_point
from hf_interpreto.granularity import GranularityAggregationStrategy
from hf_interpreto.model_wrapping.examples import Example
from hf_interpreto.model_wrapping.requests import Program


@dataclass(eq=False, kw_only=True)
class Saliency(GradientExplainer):
    """Norm of the gradient (Simonyan et al., 2013, https://arxiv.org/abs/1312.6034).

    `|| df / dx_i ||`, L2 over the embedding's width unless `reduction` says otherwise, averaged over an element's
    tokens. Unsigned: how sensitive the score is to the element, not what it says. One forward and one backward pass.

    Example:
        >>> from hf_interpreto.demo import load_demo
        >>> model, tokenizer = load_demo("classifier")
        >>> (output,) = Saliency(model, tokenizer)("I was delighted by the news.")
        >>> bool((output.attributions >= 0).all())
        True
    """

    default_pooling: ClassVar[GranularityAggregationStrategy] = GranularityAggregationStrategy.MEAN
    default_baseline: ClassVar[str] = "zero"

    citation = (
        "@article{simonyan2013deep, title={Deep Inside Convolutional Networks: Visualising Image "
        "Classification Models "
        "and Saliency Maps}, author={Simonyan, Karen and Vedaldi, Andrea and Zisserman, Andrew}, "
        "journal={arXiv:1312.6034}, year={2013}}"
    )

    def points(self, origin: Origin) -> Points:
        """The input itself."""
        return single_point(origin.x)

    def attribute(self, example: Example) -> Program:
        """The one pass also gives the score."""
        origin = self.origin(example)
        points = self.points(origin)
        sums = yield self.request(example, origin, points)
        return self.explanation(example, sums, points, (sums.scores[0], None))
