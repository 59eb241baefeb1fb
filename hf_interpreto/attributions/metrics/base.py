"""What faithfulness metrics share: elements taken or put back in the order of their scores, and a random control."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, overload

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hf_interpreto.attributions.output import AttributionOutput
from hf_interpreto.errors import InvalidInputError, TaskMismatchError
from hf_interpreto.model_wrapping.examples import Example, pool_targets
from hf_interpreto.model_wrapping.inference import Engine
from hf_interpreto.model_wrapping.loading import make_task
from hf_interpreto.model_wrapping.replacement import Replacement, get_replacement
from hf_interpreto.model_wrapping.requests import Coalitions, Program
from hf_interpreto.model_wrapping.scores import Score, get_score
from hf_interpreto.model_wrapping.tasks import Task, TaskOptions


@dataclass(eq=False)
class MetricDetails(Sequence[list[Tensor]]):
    """Scores behind a metric; `details[sample][target]` is the curve `(p,)` over the metric's steps.

    Attributes:
        curves: as above.
        values: the metric for each target of each sample.
        random_values: the same for random orders, their mean over `n_random` draws; empty without a control.
        value: the mean over targets, then samples.
        random_value: that of random orders; None without a control.
        higher_is_better: which way the metric points.
    """

    curves: list[list[Tensor]]
    values: list[list[float]]
    random_values: list[list[float]]
    value: float
    random_value: float | None
    higher_is_better: bool

    @property
    def beats_random(self) -> bool | None:
        """Whether the order is better than random ones; None without a control."""
        if self.random_value is None:
            return None
        return (self.value > self.random_value) == self.higher_is_better and self.value != self.random_value

    def __len__(self) -> int:
        return len(self.curves)

    @overload
    def __getitem__(self, index: int) -> list[Tensor]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[Tensor]]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self.curves[index]


@dataclass(eq=False)
class FaithfulnessMetric(ABC):
    """Base of metrics that perturb the input in the order of the scores.

    Call `evaluate(attributions)`; only elements that can be attributed to a target are perturbed for it. Highest
    scores come first, signed; ties are broken at random.

    Args:
        model: the model that was explained (or another, to see whether the explanation carries over).
        tokenizer: its tokenizer.
        batch_size: rows per pass, or "auto".
        device: where to move the model first; None leaves it where it is.
        score: what is followed: "probability" unless said otherwise. Where the model is sure, "logit" or "log_odds"
            tell more.
        replacement: what stands for an element that is taken away. Another one than the method used is the fairer
            test.
        n_random: random orders for the control; 0 for none.
        by_magnitude: order by absolute score.
        seed: of random orders and ties.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    _: KW_ONLY
    batch_size: int | str = "auto"
    device: torch.device | str | None = None
    score: Score | str = "probability"
    replacement: Replacement | str | int = "auto"
    n_random: int = 8
    by_magnitude: bool = False
    seed: int = 0

    higher_is_better: ClassVar[bool]

    def __post_init__(self) -> None:
        if self.device is not None:
            self.model.to(self.device)  # type: ignore[arg-type]
        if self.n_random < 0:
            raise ValueError(f"n_random={self.n_random}: expected 0 or more.")
        _ = self.engine

    @abstractmethod
    def steps(self, m: int) -> list[int]:
        """How many of `m` elements are in the perturbed part at each step."""

    @abstractmethod
    def keep(self, chosen: Tensor) -> Tensor:
        """From whether each element is in the perturbed part, `(p, m)` bool, to whether it is kept."""

    @abstractmethod
    def measure(self, curve: Tensor, m: int) -> float:
        """The metric of one curve `(p,)` over the steps for `m` elements."""

    def __call__(self, attributions: AttributionOutput | Iterable[AttributionOutput]) -> tuple[float, MetricDetails]:
        """The same as `evaluate`."""
        return self.evaluate(attributions)

    def evaluate(self, attributions: AttributionOutput | Iterable[AttributionOutput]) -> tuple[float, MetricDetails]:
        """The metric, averaged over the targets of each output and then over outputs, and what it is made of.

        Raises:
            InvalidInputError: there is nothing to evaluate.
            TaskMismatchError: the outputs come from another kind of model.
        """
        outputs = [attributions] if isinstance(attributions, AttributionOutput) else list(attributions)
        if not outputs:
            raise InvalidInputError("attributions: got none; there is nothing to evaluate.")
        for output in outputs:
            if output.task is not self._task.kind:
                raise TaskMismatchError(
                    f"attributions: they explain {output.task.value}, and the model does {self._task.kind.value}."
                )
        found = [result for result, _ in self.engine.run([self._program(output) for output in outputs])]
        curves = [[own for own, _ in rows] for rows in found]
        sizes = [[int(row.sum()) for row in output.example.attributable] for output in outputs]
        values = [
            [self.measure(c, m) for c, m in zip(row, ms, strict=True)] for row, ms in zip(curves, sizes, strict=True)
        ]
        controls = [
            [_mean([self.measure(c, m) for c in random]) for (_, random), m in zip(rows, ms, strict=True)]
            for rows, ms in zip(found, sizes, strict=True)
        ] if self.n_random else []  # fmt: skip
        value = _mean([_mean(row) for row in values])
        control = _mean([_mean(row) for row in controls]) if controls else None
        return value, MetricDetails(curves, values, controls, value, control, self.higher_is_better)

    @cached_property
    def _task(self) -> Task:
        return make_task(self.model, self.tokenizer, TaskOptions())

    @cached_property
    def engine(self) -> Engine:
        """What runs the model."""
        replacement = get_replacement(self.replacement, self.tokenizer, self.seed)
        return self._task.engine(get_score(self.score), replacement, self.batch_size)

    def _program(self, output: AttributionOutput) -> Program:
        """All curves of one output in one request: for each target its own order, then random ones."""
        example = replace(output.example, logits=None)
        generator = torch.Generator().manual_seed(self.seed)
        blocks = [self._rows(output.attributions[row], example, row, generator) for row in range(len(example.rows))]
        scores = yield Coalitions(example, torch.cat(blocks))
        pooled = pool_targets(scores.T, example.groups, additive=self.engine.score.additive)
        parts = pooled.split([len(block) for block in blocks], dim=1)
        found = []
        for row, part in enumerate(parts):
            own, *random = part[row].reshape(1 + self.n_random, -1)
            found.append((own, random))
        return found

    def _rows(self, scores: Tensor, example: Example, row: int, generator: torch.Generator) -> Tensor:
        """`(orders x steps, players)` kept players for one target."""
        players = torch.tensor(example.players)
        valid = example.attributable[row][players]
        values = scores[players][valid].double()
        values = values.abs() if self.by_magnitude else values
        m = len(values)
        shuffled = torch.randperm(m, generator=generator)
        ranked = shuffled[values[shuffled].argsort(descending=True, stable=True)]
        orders = [ranked, *(torch.randperm(m, generator=generator) for _ in range(self.n_random))]
        steps = torch.tensor(self.steps(m))
        keep = torch.ones(len(orders), len(steps), len(players), dtype=torch.bool)
        for index, order in enumerate(orders):
            rank = order.argsort()
            keep[index][:, valid] = self.keep(rank[None] < steps[:, None])
        return keep.flatten(0, 1)


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values)) if values else float("nan")
