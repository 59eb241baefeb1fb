"""From a method's name and keyword arguments to an explainer: what pipelines, `model.explain` and the CLI share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from hf_interpreto.attributions import AttributionExplainer, find_method
from hf_interpreto.errors import UnknownArgumentError
from hf_interpreto.typing import ModelTask

Method = str | type[AttributionExplainer]

DEFAULT_METHODS: dict[ModelTask, str] = {
    # One target an input: a path of gradients, whose sum is checked.
    ModelTask.TEXT_CLASSIFICATION: "integrated_gradients",
    ModelTask.FILL_MASK: "integrated_gradients",
    # Every word is a target: leaving out each element once serves all of them, where gradients take a pass for each.
    ModelTask.TEXT_GENERATION: "occlusion",
    ModelTask.TOKEN_CLASSIFICATION: "occlusion",
}

_GIVEN = frozenset({"model", "tokenizer", "device"})
_GENERATE_ONLY = frozenset({"generation_config", "logits_processor", "stopping_criteria", "prefix_allowed_tokens_fn"})


def default_method(task: ModelTask, method: Method | None) -> type[AttributionExplainer]:
    """The class of a method, or of the task's default.

    Raises:
        UnknownNameError: no method has this name.
    """
    return find_method(DEFAULT_METHODS[task] if method is None else method)


def hyper_parameters(method: type[AttributionExplainer]) -> frozenset[str]:
    """Names of what a method can be told, apart from the model."""
    return frozenset(item.name for item in fields(method) if item.init) - _GIVEN


@cache
def generation_arguments() -> frozenset[str]:
    """Names of what `model.generate` takes."""
    known = {name for name in vars(GenerationConfig()) if not name.startswith("_")}
    return frozenset((known | _GENERATE_ONLY) - {"transformers_version"})


def check_arguments(
    method: type[AttributionExplainer], task: ModelTask, arguments: Mapping[str, Any], call: str
) -> None:
    """Raise `UnknownArgumentError` for the first argument that the method does not take.

    Args:
        method: the chosen method.
        task: what the model does; generators also take what `model.generate` takes.
        arguments: by name.
        call: what was called, for the message.
    """
    known = hyper_parameters(method)
    others = generation_arguments() if task is ModelTask.TEXT_GENERATION else frozenset()
    for name in arguments:
        if name not in known | others:
            accepted = {"method", "targets", *known} - (set() if others else {"generation_args"})
            raise UnknownArgumentError(name, f"{call} with method {method.__name__}", accepted, others=others)


def make_explainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    method: type[AttributionExplainer],
    arguments: Mapping[str, Any],
) -> AttributionExplainer:
    """An explainer of checked arguments; those for `model.generate` may stand beside the method's own."""
    known = hyper_parameters(method)
    own = {name: value for name, value in arguments.items() if name in known}
    generation = {name: value for name, value in arguments.items() if name not in known}
    config = generation.pop("generation_config", None)
    if config is not None:
        generation = {**config.to_diff_dict(), **generation}
        generation.pop("transformers_version", None)
    if generation:
        own["generation_args"] = {**(own.get("generation_args") or {}), **generation}
    return method(model, tokenizer, **own)
