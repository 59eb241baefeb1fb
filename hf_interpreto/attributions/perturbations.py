"""Methods that take elements away: a design says which, the engine scores them, an estimator reads the scores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from hf_interpreto.attributions.base import AttributionExplainer, Explanation
from hf_interpreto.model_wrapping.examples import Example
from hf_interpreto.model_wrapping.replacement import Replacement
from hf_interpreto.model_wrapping.requests import Coalitions, Program

Aggregate = Callable[[Tensor, Tensor], Explanation]


@dataclass(eq=False, kw_only=True)
class PerturbationExplainer(AttributionExplainer):
    """Base of methods that need only forward passes.

    A method is `masks(g) -> (p, g)`, where True keeps an element, and `aggregate(scores (p, t), masks) ->
    Explanation`.

    Args:
        replacement: what stands for an element that is taken away: "mask", "unk", "pad", "eos", "bos" token or a token
            id; "delete" it; "attention" (hide it); "zero" or "mean" embedding; "resample" it. "auto": the mask token,
            else the unknown token, else the end of text.
    """

    replacement: Replacement | str | int = "auto"

    joint: ClassVar[bool] = False
    """Whether elements are estimated together, so that those that cannot matter must be left out first."""

    @abstractmethod
    def masks(self, g: int) -> Tensor:
        """The design: `(p, g)` bool, True where an element is kept."""

    @abstractmethod
    def aggregate(self, scores: Tensor, masks: Tensor) -> Explanation:
        """The estimator: from scores `(p, t)` of the design `(p, g)` to attributions `(t, g)`; all float64."""

    def attribute(self, example: Example) -> Program:
        """Run the design once and estimate."""
        masks = self.masks(len(example.players))
        scores = yield Coalitions(example, masks)
        if not self.joint:
            return self.aggregate(scores, masks)
        return by_influence(example, scores, masks, self.aggregate)

    def generator(self) -> torch.Generator:
        """Of everything random in this method; the same at every call."""
        return torch.Generator().manual_seed(self.seed)


def by_influence(example: Example, scores: Tensor, masks: Tensor, aggregate: Aggregate) -> Explanation:
    """Estimate targets that the same elements can influence together, on these elements' columns alone.

    A generated token does not depend on what follows it: those elements are no players of its game, and leaving them
    out spares the estimate their noise. Their scores are 0.
    """
    influences = example.influences
    if bool(influences.all()):
        return aggregate(scores, masks)
    t, m = influences.shape
    found: Explanation | None = None
    patterns, members = influences.unique(dim=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        rows = (members == index).nonzero()[:, 0]
        part = aggregate(scores[:, rows], masks[:, pattern])
        found = _empty_like(part, t, m) if found is None else found
        _place(found, part, rows, pattern)
    assert found is not None
    return found


def _empty_like(part: Explanation, t: int, m: int) -> Explanation:
    def table(value: Tensor | None, *shape: int) -> Tensor | None:
        return None if value is None else torch.zeros(*shape, dtype=torch.float64)

    return Explanation(
        attributions=torch.zeros(t, m, dtype=torch.float64),
        target_scores=torch.zeros(t, dtype=torch.float64),
        baseline_scores=table(part.baseline_scores, t),
        is_complete=part.is_complete,
        standard_errors=table(part.standard_errors, t, m),
        diagnostics={
            name: torch.zeros(t, dtype=torch.float64) if isinstance(value, Tensor) else value
            for name, value in part.diagnostics.items()
        },
    )


def _place(found: Explanation, part: Explanation, rows: Tensor, pattern: Tensor) -> None:
    columns = pattern.nonzero()[:, 0]
    found.attributions[rows[:, None], columns] = part.attributions
    found.target_scores[rows] = part.target_scores
    if found.baseline_scores is not None and part.baseline_scores is not None:
        found.baseline_scores[rows] = part.baseline_scores
    if found.standard_errors is not None and part.standard_errors is not None:
        found.standard_errors[rows[:, None], columns] = part.standard_errors
    for name, value in part.diagnostics.items():
        if isinstance(value, Tensor):
            found.diagnostics[name][rows] = value
