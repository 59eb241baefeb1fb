"""Methods that differentiate: a set of points in embedding space, and how the gradients there become scores."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

import torch
from torch import Tensor

from hf_interpreto.attributions.base import AttributionExplainer, Explanation
from hf_interpreto.granularity import GranularityAggregationStrategy, pool, pooling_matrix
from hf_interpreto.model_wrapping.examples import Example
from hf_interpreto.model_wrapping.replacement import Replacement, get_replacement
from hf_interpreto.model_wrapping.requests import Gradients, GradientSums, Measure, PointsAt, PointScores, Program
from hf_interpreto.typing import parse_member

Baseline = Tensor | float | int | str | None


class Reduction(StrEnum):
    """How the numbers along the embedding's width become one."""

    SUM = "sum"
    """Signed; what completeness needs."""
    MEAN = "mean"
    L1 = "l1"
    L2 = "l2"
    MAX = "max"
    """The largest magnitude."""

    def __call__(self, values: Tensor) -> Tensor:
        """`(..., d)` to `(...)`."""
        match self:
            case Reduction.SUM:
                return values.sum(-1)
            case Reduction.MEAN:
                return values.mean(-1)
            case Reduction.L1:
                return values.abs().sum(-1)
            case Reduction.L2:
                return torch.linalg.vector_norm(values, dim=-1)
            case _:
                return values.abs().amax(-1)

    @property
    def is_linear(self) -> bool:
        """Whether reducing a sum equals summing what is reduced."""
        return self in (Reduction.SUM, Reduction.MEAN)


@dataclass(eq=False)
class Points:
    """Points in embedding space.

    Attributes:
        count: p.
        at: from indices `(b,)` to points `(b, l, d)`.
        weights: `(p,)` of the sum over points.
        step: from indices to what gradients are multiplied by, `(b, l, d)`; None: the input minus the baseline.
    """

    count: int
    at: PointsAt
    weights: Tensor
    step: PointsAt | None = None


@dataclass(eq=False)
class Moments:
    """Sums over points, `(t, ...)` float64: of weight x value, and of weight x value squared."""

    first: Tensor
    second: Tensor
    count: int


@dataclass(eq=False)
class Origin:
    """Where an example lies in embedding space, both `(l, d)` float32 or wider on the model's device.

    Attributes:
        x: its embeddings.
        baseline: the same with every element that is scored replaced.
        seed: of this example's random points.
    """

    x: Tensor
    baseline: Tensor
    seed: int

    def generator(self) -> torch.Generator:
        """On the CPU, so that every device draws the same."""
        return torch.Generator().manual_seed(self.seed)

    @property
    def delta(self) -> Tensor:
        """`x - baseline`."""
        return self.x - self.baseline


@dataclass(eq=False, kw_only=True)
class GradientExplainer(AttributionExplainer):
    """Base of methods that need backward passes.

    A method is `points(origin)`, the weighted sums of its gradients' first and second moments, and `combine(moments)`.

    Args:
        input_x_gradient: multiply by the embedding (minus the baseline) before the width is reduced.
        reduction: over the embedding's width: "sum", "mean", "l1", "l2", "max". None: the method's own ("sum", signed,
            where scores add up; "l2" for magnitudes).
        baseline: where paths start: "auto" or None (mask, else unknown, else end-of-text token), "mask", "unk", "pad",
            "eos", "bos", "zero", "mean", "resample", a token id as `"token:<id>"`, a number for every coordinate, or a
            tensor `(d,)` or `(l, d)`. Special tokens keep their own embedding.
    """

    input_x_gradient: bool = False
    reduction: Reduction | str | None = None
    baseline: Baseline = None

    default_reduction: ClassVar[Reduction] = Reduction.L2
    default_baseline: ClassVar[str] = "auto"
    is_complete: ClassVar[bool] = False
    """Whether the sum over elements should be f(x) - f(baseline)."""
    is_linear: ClassVar[bool] = True
    """Whether `combine` is the weighted mean, so that what is summed may be reduced first."""
    is_sampled: ClassVar[bool] = False
    """Whether points are random, so that scores have a standard error."""

    def __post_init__(self) -> None:
        if self.reduction is not None:
            self.reduction = parse_member(Reduction, self.reduction, "reduction")
        super().__post_init__()
        if isinstance(self.baseline, str):
            self._baseline_replacement()

    @abstractmethod
    def points(self, origin: Origin) -> Points:
        """Where gradients are taken."""

    def combine(self, moments: Moments) -> Tensor:
        """From moments to scores of the same shape; the weighted mean unless a method says otherwise."""
        return moments.first

    def attribute(self, example: Example) -> Program:
        """One request for gradients; where the method has a baseline, another for the scores at both ends."""
        origin = self.origin(example)
        points = self.points(origin)
        sums = yield self.request(example, origin, points)
        ends = yield from self.ends(example, origin)
        return self.explanation(example, sums, points, ends)

    def origin(self, example: Example) -> Origin:
        """The example's embeddings and baseline."""
        x = _wide(self.engine.embed(example))
        return Origin(x, self._baseline(example, x), self.seed)

    def request(self, example: Example, origin: Origin, points: Points) -> Gradients:
        """The gradients at `points`, measured as this method needs."""
        return Gradients(example, points.count, points.at, points.weights, self._measure(example, origin, points))

    def explanation(
        self, example: Example, sums: GradientSums, points: Points, ends: tuple[Tensor, Tensor | None]
    ) -> Explanation:
        """From sums of gradients to the scores of elements."""
        moments = Moments(sums.first, sums.second, points.count)
        scores = self.combine(moments)
        errors = None
        if self._pools_early:
            if self.is_sampled and points.count > 1:
                errors = (moments.second - moments.first.square()).clamp_min(0).div(points.count - 1).sqrt()
        else:
            scores = scores if self._reduces_early else self._reduction(scores)
            scores = pool(scores, example.player_elements, self.pooling)
        complete = self.is_complete and self.input_x_gradient and self._adds_up
        return Explanation(scores, ends[0], ends[1], is_complete=complete, standard_errors=errors)

    # -- private ---------------------------------------------------------------------------------------------------

    @property
    def _reduction(self) -> Reduction:
        return Reduction(self.default_reduction if self.reduction is None else self.reduction)

    @property
    def _reduces_early(self) -> bool:
        return self.is_linear and self._reduction.is_linear

    @property
    def _pools_early(self) -> bool:
        return self._reduces_early and self.pooling.is_linear

    @property
    def _adds_up(self) -> bool:
        return self._reduction is Reduction.SUM and self.pooling is GranularityAggregationStrategy.SUM

    def _measure(self, example: Example, origin: Origin, points: Points) -> Measure:
        """Reduce as early as the method allows, so that little is kept."""
        matrix = None
        if self._pools_early:
            matrix = pooling_matrix(example.player_elements, len(origin.x), self.pooling).to(origin.x)

        def measure(gradients: Tensor, index: Tensor) -> Tensor:
            values = gradients
            if self.input_x_gradient:
                values = values * (origin.delta if points.step is None else points.step(index))
            if self._reduces_early:
                values = self._reduction(values)
            return values if matrix is None else values @ matrix

        return measure

    def ends(self, example: Example, origin: Origin) -> Program:
        """f(x), and f(baseline) where the scores should add up to the difference: `((t,), (t,) or None)`."""
        reference = self.engine.reference_scores(example)
        wanted = [origin.x] if reference is None else []
        wanted += [origin.baseline] if self.is_complete else []
        if not wanted:
            return reference, None
        points = torch.stack(wanted)
        scores = yield PointScores(example, len(points), lambda index: points[index.to(points.device)])
        return scores[0] if reference is None else reference, scores[-1] if self.is_complete else None

    def _baseline_replacement(self) -> Replacement:
        name: Any = self.default_baseline if self.baseline is None else self.baseline
        if isinstance(name, str) and name.startswith("token:"):
            name = int(name.removeprefix("token:"))
        return get_replacement(name, self.tokenizer, self.seed)

    def _baseline(self, example: Example, x: Tensor) -> Tensor:
        """Elements that are scored take the baseline, everything else keeps its embedding."""
        if self.baseline is None or isinstance(self.baseline, str):
            return _wide(self.engine.embed_replaced(example, self._baseline_replacement()))
        value = torch.as_tensor(self.baseline, dtype=x.dtype, device=x.device)
        if value.ndim and (value.shape[-1] != x.shape[-1] or value.shape not in (x.shape, x.shape[-1:])):
            raise ValueError(
                f"baseline: got a tensor {tuple(value.shape)}; expected ({x.shape[-1]},) or {tuple(x.shape)} here."
            )
        scored = (example.token_players[: example.n_input] < len(example.players)).to(x.device)
        return torch.where(scored[:, None], value, x)


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def single_point(x: Tensor) -> Points:
    """The input itself."""
    return Points(1, lambda index: x.expand(len(index), -1, -1), torch.ones(1))


@dataclass(eq=False, kw_only=True)
class NoisyGradientExplainer(GradientExplainer):
    """Base of methods that average over Gaussian noise around the input.

    Args:
        n_perturbations: noisy inputs.
        noise_std: standard deviation of the noise, in units of that of the input's own embeddings; models' embeddings
            differ in scale by orders of magnitude.
    """

    n_perturbations: int = 32
    noise_std: float = 0.1
    is_sampled: ClassVar[bool] = True

    default_pooling: ClassVar[GranularityAggregationStrategy] = GranularityAggregationStrategy.MEAN

    def __post_init__(self) -> None:
        super().__post_init__()
        check_draws(self.n_perturbations, self.noise_std)

    @abstractmethod
    def combine(self, moments: Moments) -> Tensor:
        """Which moment of the gradients is the score."""

    def points(self, origin: Origin) -> Points:
        """`x + noise`; each point has a seed of its own, so that batches never change it."""
        x = origin.x
        scale = float(self.noise_std * x.std())
        seeds = torch.randint(2**62, (self.n_perturbations,), generator=origin.generator())

        def at(index: Tensor) -> Tensor:
            noise = torch.stack([normal(x.shape, int(seed)) for seed in seeds[index]])
            return x + scale * noise.to(x)

        return Points(self.n_perturbations, at, torch.full((self.n_perturbations,), 1 / self.n_perturbations).double())


def normal(shape: torch.Size, seed: int) -> Tensor:
    """Standard normal numbers of a seed of their own, on the CPU."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def check_draws(n_perturbations: int, noise_std: float) -> None:
    """Raise `ValueError` for a number of draws or a noise that cannot be."""
    if n_perturbations < 1 or noise_std < 0:
        raise ValueError(
            f"n_perturbations={n_perturbations}, noise_std={noise_std}: expected at least 1, and at least 0."
        )
