"""What a method asks of the engine. A method is a generator: it yields requests and is sent their answers."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from hf_interpreto.model_wrapping.examples import Example

PointsAt = Callable[[Tensor], Tensor]
"""From indices `(b,)` of points to embeddings `(b, l, d)`, made when they are needed so that few exist at a time."""

Measure = Callable[[Tensor, Tensor], Tensor]
"""From gradients `(b, l, d)` and the indices `(b,)` of their points to what is summed, `(b, ...)`."""


@dataclass(eq=False)
class Coalitions:
    """Scores where only some elements are kept. Answer: `(p, t)` float64.

    Attributes:
        example: whose elements.
        keep: `(p, m)` bool, which players each row keeps; equal rows are run once.
    """

    example: Example
    keep: Tensor


@dataclass(eq=False)
class PointScores:
    """Scores at points of embedding space. Answer: `(p, t)` float64.

    Attributes:
        example: the tokens that the embeddings stand for.
        count: p.
        at: makes the points.
    """

    example: Example
    count: int
    at: PointsAt


@dataclass(eq=False)
class Gradients:
    """Weighted sums over points of what `measure` makes of each gradient. Answer: `GradientSums`.

    Attributes:
        example: the tokens that the embeddings stand for.
        count: p.
        at: makes the points.
        weights: `(p,)`.
        measure: applied to every gradient before it is summed, so that no more than a batch is held.
    """

    example: Example
    count: int
    at: PointsAt
    weights: Tensor
    measure: Measure


@dataclass(eq=False)
class GradientSums:
    """Answer to `Gradients`, float64.

    Attributes:
        first: `(t, ...)` sum of weight x measure.
        second: `(t, ...)` sum of weight x measure squared.
        scores: `(p, t)` score at each point, from the same passes.
    """

    first: Tensor
    second: Tensor
    scores: Tensor


Request = Coalitions | PointScores | Gradients
Program = Generator[Request, Any, Any]


@dataclass
class Passes:
    """Sequences that went through the model for one example."""

    forward: int = 0
    backward: int = 0
