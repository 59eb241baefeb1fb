"""Input x gradient: the score's linear part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hf_interpreto.attributions.gradients import Reduction
from hf_interpreto.attributions.methods.saliency import Saliency
from hf_interpreto.granularity import GranularityAggregationStrategy


@dataclass(eq=False, kw_only=True)
class InputxGradient(Saliency):
    """Gradient times embedding (Shrikumar et al., 2016, https://arxiv.org/abs/1605.01713).

    `sum_d (x_i - x'_i)_d (df / dx_i)_d`, with a zero baseline x' unless `baseline` says otherwise; summed over an
    element's tokens. In units of the score, signed; exact where the score is linear in the embeddings. One forward and
    one backward pass.

    Example:
        >>> from hf_interpreto.demo import load_demo
        >>> model, tokenizer = load_demo("classifier")
        >>> (output,) = InputxGradient(model, tokenizer)("I was delighted by the news.", targets="joy")
        >>> output.n_forward, output.n_backward
        (1, 1)
    """

    input_x_gradient: bool = True

    default_reduction: ClassVar[Reduction] = Reduction.SUM
    default_pooling: ClassVar[GranularityAggregationStrategy] = GranularityAggregationStrategy.SUM

    citation = (
        "@article{shrikumar2016not, title={Not Just a Black Box: Learning Important Features Through Propagating "
        "Activation Differences}, author={Shrikumar, Avanti and Greenside, Peyton and Shcherbina, Anna and Kundaje, "
        "Anshul}, journal={arXiv:1605.01713}, year={2016}}"
    )
