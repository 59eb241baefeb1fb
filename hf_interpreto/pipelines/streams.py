"""One result an input, in the shape of the inputs: one, a list, or an iterator that reads as it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from hf_interpreto.attributions import AttributionOutput
from hf_interpreto.errors import InvalidInputError
from hf_interpreto.model_wrapping.inputs import as_inputs
from hf_interpreto.model_wrapping.targets import per_input
from hf_interpreto.typing import ModelTask

Result = AttributionOutput | list[AttributionOutput]
"""Of one input: a list where an input of a generator has several target texts."""

Explain = Callable[[list[Any], list[Any]], list[AttributionOutput]]
"""From inputs and as many targets to outputs in the same order."""

WINDOW = 64  # inputs that are explained together


def explain_inputs(
    explain: Explain, model_inputs: Any, targets: Any, task: ModelTask
) -> Result | list[Result] | Iterator[Result]:
    """Explain windows of inputs, so that the passes of many inputs share batches.

    Returns:
        One result for one input; a list for a list; for generators and datasets an iterator, which reads a window of
        inputs when its first result is asked for.

    Raises:
        InvalidInputError: the inputs are of a kind that is not accepted, or there are none.
    """
    model_inputs = _unwrapped(model_inputs)
    inputs, single = as_inputs(model_inputs)
    if not single and not isinstance(model_inputs, (list, tuple, Mapping)) and not hasattr(model_inputs, "input_ids"):
        return _results(explain, inputs, per_input(targets, None), task)
    items = list(inputs)
    if not items:
        raise InvalidInputError("model_inputs: got an empty list; there is nothing to explain.")
    results = list(_results(explain, items, per_input(targets, len(items)), task))
    return results[0] if single else results


def _results(explain: Explain, inputs: Iterable[Any], targets: Iterable[Any], task: ModelTask) -> Iterator[Result]:
    items, entries = iter(inputs), iter(targets)
    while window := list(islice(items, WINDOW)):
        chosen = list(islice(entries, len(window)))
        outputs = iter(explain(window, chosen))
        for entry in chosen:
            if task is ModelTask.TEXT_GENERATION and _count(entry) > 1:
                yield list(islice(outputs, _count(entry)))
            else:
                yield next(outputs)


def _count(entry: Any) -> int:
    """How many target texts one input of a generator has."""
    if isinstance(entry, Tensor):
        return len(entry) if entry.ndim > 1 else 1
    if isinstance(entry, (list, tuple)) and not all(isinstance(part, int) for part in entry):
        return sum(_count(part) for part in entry)
    return 1


def _unwrapped(model_inputs: Any) -> Any:
    """The messages of a transformers `Chat`; a generator over a dataset that can only be indexed."""
    if hasattr(model_inputs, "messages"):
        return model_inputs.messages
    if isinstance(model_inputs, Dataset) and not hasattr(model_inputs, "__iter__"):
        return (model_inputs[index] for index in range(len(model_inputs)))  # type: ignore[arg-type]
    return model_inputs
