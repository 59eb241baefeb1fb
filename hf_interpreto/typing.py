"""Types shared by all floors."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from hf_interpreto.errors import UnknownNameError

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


Member = TypeVar("Member", bound=StrEnum)


def parse_member(kind: type[Member], value: object, argument: str) -> Member:
    """The member that a user means by the member itself or its value, in any case.

    Raises:
        UnknownNameError: there is none; the message names the argument.
    """
    try:
        return kind(str(getattr(value, "value", value)).lower())
    except ValueError:
        raise UnknownNameError(argument, value, [member.value for member in kind]) from None
