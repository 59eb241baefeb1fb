"""Attribution methods by name: whatever concrete subclass there is, the library's and the user's."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from hf_interpreto.attributions.base import AttributionExplainer
from hf_interpreto.errors import UnknownNameError


def _concrete(cls: type[AttributionExplainer]) -> Iterator[type[AttributionExplainer]]:
    for child in cls.__subclasses__():
        if not inspect.isabstract(child):
            yield child
        yield from _concrete(child)


def list_methods() -> dict[str, type[AttributionExplainer]]:
    """All concrete methods, the library's and those defined in user code, by name."""
    return {method_name(cls): cls for cls in _concrete(AttributionExplainer)}  # type: ignore[type-abstract]


def method_name(cls: type[AttributionExplainer]) -> str:
    """`KernelShap` -> "kernel_shap"."""
    name = cls.__name__.replace("InputxGradient", "InputXGradient")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def find_method(method: str | type[AttributionExplainer]) -> type[AttributionExplainer]:
    """A method by name, in any spelling ("kernel_shap", "KernelShap", "kernelshap"), or the class itself.

    Raises:
        UnknownNameError: no method has this name.
    """
    if isinstance(method, type):
        if issubclass(method, AttributionExplainer) and not inspect.isabstract(method):
            return method
        raise UnknownNameError("attribution method", method.__name__, list_methods())
    known: dict[str, Any] = list_methods()
    wanted = re.sub(r"[^a-z0-9]", "", str(method).lower())
    for name, cls in known.items():
        if name.replace("_", "") == wanted:
            return cls
    raise UnknownNameError("attribution method", method, known)
