"""Targets as users write them: class ids, label names, tensors, texts, token ids, one or several for each input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hf_interpreto.errors import InvalidTargetError, UnknownNameError


def per_input(targets: Any, n_inputs: int | None) -> Iterable[Any]:
    """One target entry for each input.

    A single target (None, a number, a text) goes to every input. With one input, a flat list is its several targets.

    Args:
        targets: what the user gave.
        n_inputs: how many inputs there are; None where that is not known yet.

    Raises:
        InvalidTargetError: the number of targets is not that of the inputs.
    """
    if isinstance(targets, (np.ndarray, np.generic)):
        targets = targets.tolist()
    if targets is None or isinstance(targets, (int, str)):
        return repeat(targets)
    if isinstance(targets, Tensor):
        targets = _rows(targets, n_inputs)
    if isinstance(targets, Mapping) or hasattr(targets, "input_ids"):
        targets = _encoded(targets)
    if not isinstance(targets, Iterable):
        raise InvalidTargetError(
            f"targets: got a {type(targets).__name__}, {targets!r}; expected ids, names or texts, or a list or "
            "tensor of them."
        )
    if n_inputs is None or not isinstance(targets, Sequence):
        return chain(targets, repeat(_MISSING))
    if len(targets) == n_inputs:
        return targets
    if n_inputs == 1 and targets and not isinstance(targets[0], (list, Tensor)):
        return [list(targets)]
    raise InvalidTargetError(
        f"targets: got {len(targets)} for {n_inputs} inputs. Give None, one target for all, or a list with one entry "
        "(which may be a list of several targets) for each input."
    )


class _Missing:
    """Stands where a lazy list of targets has run out."""


_MISSING = _Missing()


def check_present(entry: Any) -> None:
    """Raise `InvalidTargetError` where a lazy list of targets ran out before the inputs did."""
    if isinstance(entry, _Missing):
        raise InvalidTargetError("targets: there are fewer targets than inputs.")


def class_ids(entry: Any, label2id: Mapping[str, int], num_labels: int) -> list[int]:
    """Class ids of one input's targets.

    Args:
        entry: an id, a label name, a tensor, or a list of these.
        label2id: the model's names.
        num_labels: how many classes it has.

    Raises:
        InvalidTargetError: an id out of range, or something that is neither id nor name.
        UnknownNameError: a name that is no label.
    """
    check_present(entry)
    if isinstance(entry, np.ndarray):
        entry = entry.tolist()
    if isinstance(entry, Tensor):
        if entry.is_floating_point() or entry.dtype == torch.bool:
            raise InvalidTargetError(f"targets: expected integer class ids, got a tensor of {entry.dtype}.")
        entry = entry.reshape(-1).tolist()
    entries = list(entry) if isinstance(entry, (list, tuple)) else [entry]
    if not entries:
        raise InvalidTargetError("targets: an empty list explains nothing; pass None for the model's prediction.")
    return [_class_id(value, label2id, num_labels) for value in entries]


def _class_id(value: Any, label2id: Mapping[str, int], num_labels: int) -> int:
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, str):
        if value not in label2id:
            raise UnknownNameError("target label", value, label2id)
        return int(label2id[value])
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InvalidTargetError(f"targets: expected class ids or label names, got {value!r}.")
    index = int(value)
    if not 0 <= index < num_labels:
        raise InvalidTargetError(
            f"targets: class id {index} is out of range; the model has {num_labels} classes (0 to {num_labels - 1})."
        )
    return index


def _encoded(targets: Any) -> list[Tensor]:
    if "input_ids" not in targets:
        raise InvalidTargetError(f"targets: got a mapping with {sorted(map(str, targets))}; it needs 'input_ids'.")
    ids = torch.as_tensor(targets["input_ids"])
    return list(ids.reshape(-1, ids.shape[-1]))


def _rows(targets: Tensor, n_inputs: int | None) -> list[Tensor]:
    if targets.ndim == 0:
        return [targets[None]] * (n_inputs or 1)
    if targets.ndim == 1 and n_inputs == 1:
        return [targets]
    if targets.ndim > 2:
        raise InvalidTargetError(f"targets: expected a tensor (n,) or (n, t), got shape {tuple(targets.shape)}.")
    return list(targets)
