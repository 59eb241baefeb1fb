"""Explain any Hugging Face text model, by its inputs or by its concepts, with the calls people already know.

Importing the package registers the `explain-...` tasks of `transformers.pipeline`. Everything else is loaded when it
is first used, so that the import costs little more than that of transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hf_interpreto.pipelines.registration import register_pipelines

if TYPE_CHECKING:
    from hf_interpreto.attributions import *  # noqa: F403

_HOMES = {
    "hf_interpreto.attributions": (
        "AttributionExplainer",
        "AttributionOutput",
        "GradientExplainer",
        "GradientShap",
        "InferenceModes",
        "InputxGradient",
        "IntegratedGradients",
        "KernelShap",
        "Lime",
        "Occlusion",
        "PerturbationExplainer",
        "Saliency",
        "SmoothGrad",
        "Sobol",
        "SquareGrad",
        "VarGrad",
        "find_method",
        "list_methods",
        "list_step_functions",
        "register_step_function",
    ),
    "hf_interpreto.granularity": (
        "Granularity",
        "GranularityAggregationStrategy",
    ),
    "hf_interpreto.mixins": (
        "ExplainableMixin",
        "ExplainableModelForCausalLM",
        "ExplainableModelForMaskedLM",
        "ExplainableModelForSeq2SeqLM",
        "ExplainableModelForSequenceClassification",
        "ExplainableModelForTokenClassification",
        "make_explainable",
    ),
    "hf_interpreto.pipelines": (
        "ExplainFillMaskPipeline",
        "ExplainTextClassificationPipeline",
        "ExplainTextGenerationPipeline",
        "ExplainTokenClassificationPipeline",
    ),
    "hf_interpreto.model_wrapping.split_model": ("ModelWithSplitPoints",),
    "hf_interpreto.visualizations": (
        "plot_attributions",
        "plot_concepts",
    ),
}
_LAZY = {name: home for home, names in _HOMES.items() for name in names}

__version__ = "0.1.0"
__all__ = [*_LAZY, "__version__", "get_version"]


def get_version() -> str:
    """The version of this library."""
    return __version__


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


register_pipelines()
