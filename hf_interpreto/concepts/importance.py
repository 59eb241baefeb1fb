"""How the model's output moves with the concepts at a split point: exact gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hf_interpreto.concepts.dictionary import ConceptDictionary
from hf_interpreto.errors import InvalidTargetError
from hf_interpreto.granularity import Element, GranularityAggregationStrategy
from hf_interpreto.model_wrapping.activations import ActivationGranularity
from hf_interpreto.model_wrapping.batching import Batcher, Cost, Part
from hf_interpreto.model_wrapping.inputs import as_inputs
from hf_interpreto.typing import ModelTask

if TYPE_CHECKING:
    from hf_interpreto.model_wrapping.split_model import ModelWithSplitPoints

Targets = int | Sequence[int] | Tensor | None


@dataclass(eq=False)
class ConceptEdit:
    """Makes the activations `(b, l, d)` at a split point a function of their concepts, and leaves their values as is.

    An element's activation `a` is pooled from its tokens and encoded; then `decode(codes) - a` is the error that is
    held fixed. What the concepts add to `a` goes to the element's tokens as the smallest change that pools to it: to
    all alike for a mean, shared out for a sum, to the token that holds the maximum for a maximum.

    Attributes:
        codes: `(g, c)` of all elements of the batch, in order; the leaf of the graph, once it has been called.
    """

    dictionary: ConceptDictionary
    elements: Sequence[Sequence[Element]]
    strategy: GranularityAggregationStrategy
    codes: Tensor | None = field(default=None, init=False)

    def __call__(self, activations: Tensor) -> Tensor:
        """The same values, with `codes` in their graph."""
        flat = [(row, element) for row, elements in enumerate(self.elements) for element in elements]
        sizes = [len(element.tokens) for _, element in flat]
        rows = torch.tensor([row for row, element in flat for _ in element.tokens], dtype=torch.long)
        columns = torch.tensor([token for _, element in flat for token in element.tokens], dtype=torch.long)
        owner = torch.repeat_interleave(torch.arange(len(flat)), torch.tensor(sizes, dtype=torch.long))
        rows, columns, owner = (index.to(activations.device) for index in (rows, columns, owner))

        tokens = activations.detach()[rows, columns].float()
        weights = _pooling_weights(tokens, sizes, self.strategy)
        pooled = _sum_by(owner, weights * tokens, len(flat))
        norms = _sum_by(owner, weights.square(), len(flat))
        self.codes = self.dictionary.encode(pooled).detach().requires_grad_()
        decoded = self.dictionary.decode(self.codes).to(activations.device)
        added = ((decoded - decoded.detach()) / norms)[owner] * weights
        return activations.index_put((rows, columns), added.to(activations.dtype), accumulate=True)


def _pooling_weights(tokens: Tensor, sizes: list[int], strategy: GranularityAggregationStrategy) -> Tensor:
    """How much each token counts for its element in each dimension, `(tokens, d)`."""
    weights = torch.ones_like(tokens)
    if not tokens.numel() or (max(sizes) == 1):
        return weights
    for weight, values in zip(weights.split(sizes), tokens.split(sizes), strict=True):
        match strategy:
            case GranularityAggregationStrategy.MEAN:
                weight.fill_(1 / len(values))
            case GranularityAggregationStrategy.SUM:
                pass
            case _:
                weight.copy_(_selection(values, strategy))
    return weights


def _selection(values: Tensor, strategy: GranularityAggregationStrategy) -> Tensor:
    """1 where a token's value is the one that is kept, else 0, `(k, d)`."""
    match strategy:
        case GranularityAggregationStrategy.FIRST:
            kept = torch.zeros_like(values[0], dtype=torch.long)
        case GranularityAggregationStrategy.LAST:
            kept = torch.full_like(values[0], len(values) - 1, dtype=torch.long)
        case GranularityAggregationStrategy.MAX:
            kept = values.argmax(0)
        case GranularityAggregationStrategy.MIN:
            kept = values.argmin(0)
        case _:
            kept = values.abs().argmax(0)
    return torch.zeros_like(values).scatter_(0, kept[None], 1)


def _sum_by(owner: Tensor, values: Tensor, count: int) -> Tensor:
    return values.new_zeros(count, values.shape[1]).index_add_(0, owner, values)


@dataclass(eq=False)
class ConceptGradients:
    """Gradients of outputs with respect to the concepts of each element.

    Args:
        model: the split model.
        split_point: where the concepts are.
        dictionary: fitted there.
        granularity: what an element is.
        strategy: how the activations of an element's tokens become one.
    """

    model: ModelWithSplitPoints
    split_point: str
    dictionary: ConceptDictionary
    granularity: ActivationGranularity | str
    strategy: GranularityAggregationStrategy

    def __call__(self, inputs: Any, targets: Targets, *, batch_size: int | str | None) -> list[tuple[Tensor, Tensor]]:
        """For each input, gradients `(t, g, c)` and codes `(g, c)`."""
        inputs = list(as_inputs(inputs)[0])
        elements = self.model.element_tokens(inputs, self.granularity)
        lengths = [len(found) for found in self.model.element_tokens(inputs, ActivationGranularity.ALL_TOKENS)]
        answers: dict[int, tuple[Tensor, Tensor]] = {}

        def execute(parts: list[Part]) -> None:
            chosen = [part.request for part in parts]
            found = self._batch(
                [inputs[k] for k in chosen], [elements[k] for k in chosen], [lengths[k] for k in chosen], targets
            )
            answers.update(zip(chosen, found, strict=True))

        batcher = Batcher(self.model.batch_size if batch_size is None else batch_size, self.model.forward.device)
        batcher.run([Cost(1, length) for length in lengths], execute)
        return [answers[k] for k in range(len(inputs))]

    def _batch(
        self, inputs: list[Any], elements: list[list[Element]], lengths: list[int], targets: Targets
    ) -> list[tuple[Tensor, Tensor]]:
        edit = ConceptEdit(self.dictionary, elements, self.strategy)
        with torch.enable_grad():
            logits = self.model.run_with_edit(inputs, self.split_point, edit)
            if self.model.task.kind is ModelTask.TEXT_CLASSIFICATION:
                outputs = list(logits[:, 0][:, _checked(targets, logits.shape[-1], "class")])
            else:
                outputs = _at_positions(logits.amax(-1), lengths, targets)
            codes = edit.codes
            assert codes is not None  # the split point was run
            gradients = _gradients(outputs, codes)
        sizes = [len(found) for found in elements]
        table = gradients.split(sizes, dim=1)
        split_codes = codes.detach().float().cpu().split(sizes)
        return [(values[: len(rows)], own) for values, rows, own in zip(table, outputs, split_codes, strict=True)]


def _gradients(outputs: Sequence[Tensor], codes: Tensor) -> Tensor:
    """Gradients `(t, g, c)` of each input's outputs `(t,)` with respect to the codes of all; 0 where it has fewer."""
    t = max(map(len, outputs))
    gradients = []
    for k in range(t):
        # Each input's outputs depend on its own concepts alone, so one backward serves the whole batch.
        score = torch.stack([values[k] for values in outputs if k < len(values)]).sum()
        (gradient,) = torch.autograd.grad(score, codes, retain_graph=k + 1 < t)
        gradients.append(gradient.float().cpu())
    return torch.stack(gradients)


def _at_positions(outputs: Tensor, lengths: Sequence[int], targets: Targets) -> list[Tensor]:
    """Outputs `(b, l)` at the positions that are wanted of each input, `(t,)`."""
    return [values[_checked(targets, length, "position")] for values, length in zip(outputs, lengths, strict=True)]


def _checked(targets: Targets, size: int, kind: str) -> list[int]:
    if targets is None:
        return list(range(size))
    wanted = torch.as_tensor(targets).reshape(-1).tolist()
    lowest = -size if kind == "position" else 0
    for target in wanted:
        if not isinstance(target, int) or not lowest <= target < size:
            raise InvalidTargetError(f"targets: {kind} {target!r}, but there are {size} ({lowest} to {size - 1}).")
    if not wanted:
        raise InvalidTargetError("targets: empty; pass None for all.")
    return [target % size for target in wanted]
