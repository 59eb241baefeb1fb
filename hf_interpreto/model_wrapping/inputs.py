"""What users hand in, a single input or many in any container, to something to iterate over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from hf_interpreto.errors import InvalidInputError
from hf_interpreto.model_wrapping.encoding import RawInput, is_chat


def as_inputs(model_inputs: Any) -> tuple[Iterable[RawInput], bool]:
    """Inputs to iterate over, and whether there was just one."""
    if isinstance(model_inputs, str) or is_chat(model_inputs) or _is_pair(model_inputs):
        return [model_inputs], True
    if hasattr(model_inputs, "input_ids") or (isinstance(model_inputs, dict) and "input_ids" in model_inputs):
        return _encoded_rows(model_inputs), False
    if isinstance(model_inputs, dict):
        return [model_inputs], True
    if hasattr(model_inputs, "column_names") and hasattr(model_inputs, "features"):
        return _text_column(model_inputs), False
    if isinstance(model_inputs, (list, tuple)):
        rows = [
            row for item in model_inputs for row in (_encoded_rows(item) if hasattr(item, "input_ids") else [item])
        ]
        return rows, False
    if isinstance(model_inputs, Iterable):
        return model_inputs, False
    raise InvalidInputError(
        f"model_inputs: cannot explain a {type(model_inputs).__name__}. Accepted: a string, a (text, "
        f"text_pair) tuple, "
        "chat messages, a BatchEncoding, or a list, generator or dataset of these."
    )


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, str) for part in value)


def _encoded_rows(encoded: Any) -> list[dict[str, Any]]:
    names = ("input_ids", "attention_mask", "token_type_ids")
    found = {name: encoded[name] for name in names if name in encoded}
    if (
        isinstance(found["input_ids"], (list, tuple))
        and found["input_ids"]
        and not isinstance(found["input_ids"][0], int)
    ):
        return [{name: value[i] for name, value in found.items()} for i in range(len(found["input_ids"]))]
    tensors = {name: torch.as_tensor(value) for name, value in found.items()}
    if tensors["input_ids"].ndim == 1:
        return [tensors]
    return [{name: value[i] for name, value in tensors.items()} for i in range(len(tensors["input_ids"]))]


def _text_column(dataset: Any) -> Iterable[str]:
    columns = dataset.column_names  # None where a streamed dataset does not know them before it is read
    if columns is not None and "text" not in columns:
        raise InvalidInputError(
            f"model_inputs: the dataset has no column 'text'; it has {columns}. Pass one of them: "
            f'dataset["{next(iter(columns), "text")}"].'
        )
    return (row["text"] for row in dataset)
