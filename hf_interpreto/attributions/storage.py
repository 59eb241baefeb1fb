"""Results on disk: numbers as JSON holds them, files that are there whole or not at all."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def write_atomically(path: str | os.PathLike[str], text: str) -> Path:
    """Write a text file that is there whole or not at all."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def to_lists(values: Tensor | None) -> Any:
    """Numbers as JSON can hold them; what is not finite becomes None."""
    if values is None:
        return None
    if values.ndim == 1:
        return [value if math.isfinite(value) else None for value in values.tolist()]
    return [to_lists(row) for row in values]


def to_tensor(values: Any) -> Tensor | None:
    """The inverse of `to_lists`; None becomes NaN."""
    if values is None:
        return None
    if not isinstance(values, list):
        raise TypeError("expected a list of numbers")
    if values and isinstance(values[0], list):
        return torch.stack([row for value in values if (row := to_tensor(value)) is not None])
    return torch.tensor([math.nan if value is None else float(value) for value in values])
