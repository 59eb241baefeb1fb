"""Types shared by all floors."""

from __future__ import annotations

from enum import StrEnum

Span = tuple[int, int]
"""First character and the one after the last."""

ChatMessage = dict[str, str]
"""`{"role": ..., "content": ...}`"""


class ModelTask(StrEnum):
    """What a model does with a text; the values are the names that transformers gives its pipelines."""

    TEXT_CLASSIFICATION = "text-classification"
    TEXT_GENERATION = "text-generation"
    TOKEN_CLASSIFICATION = "token-classification"
    FILL_MASK = "fill-mask"

    def __str__(self) -> str:
        return self.value
