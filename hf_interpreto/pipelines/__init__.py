"""The `explain-...` tasks of `transformers.pipeline`. Importing this package loads neither torch nor transformers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_interpreto.pipelines.base import ExplainPipeline
    from hf_interpreto.pipelines.fill_mask import ExplainFillMaskPipeline
    from hf_interpreto.pipelines.text_classification import ExplainTextClassificationPipeline
    from hf_interpreto.pipelines.text_generation import ExplainTextGenerationPipeline
    from hf_interpreto.pipelines.token_classification import ExplainTokenClassificationPipeline

_PLACES = {
    "ExplainFillMaskPipeline": "fill_mask",
    "ExplainPipeline": "base",
    "ExplainTextClassificationPipeline": "text_classification",
    "ExplainTextGenerationPipeline": "text_generation",
    "ExplainTokenClassificationPipeline": "token_classification",
}

__all__ = [
    "ExplainFillMaskPipeline",
    "ExplainPipeline",
    "ExplainTextClassificationPipeline",
    "ExplainTextGenerationPipeline",
    "ExplainTokenClassificationPipeline",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
