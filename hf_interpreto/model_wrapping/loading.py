"""From a model, or its name, to the task that explains it."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from hf_interpreto.errors import TaskMismatchError
from hf_interpreto.model_wrapping.classification import SequenceClassification
from hf_interpreto.model_wrapping.generation import CausalGeneration, Seq2SeqGeneration
from hf_interpreto.model_wrapping.masked_lm import MaskedLM
from hf_interpreto.model_wrapping.tasks import Task, TaskOptions, detect_task, unwrap
from hf_interpreto.model_wrapping.token_classification import TokenClassification
from hf_interpreto.typing import ModelTask

_TASKS: dict[ModelTask, type[Task]] = {
    ModelTask.TEXT_CLASSIFICATION: SequenceClassification,
    ModelTask.TOKEN_CLASSIFICATION: TokenClassification,
    ModelTask.FILL_MASK: MaskedLM,
}


def make_task(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, options: TaskOptions, expected: ModelTask | None = None
) -> Task:
    """The task of a loaded model.

    Raises:
        TaskMismatchError: the model has no head that can be explained, or not the one that is expected.
    """
    kind = detect_task(model)
    inner = unwrap(model)
    if expected is not None and kind is not expected:
        raise TaskMismatchError(
            f"model: {type(inner).__name__} does {kind.value}, and this call explains {expected.value}. Use the "
            f"'explain-{kind.value}' pipeline for it, or load a model with another head."
        )
    if kind is ModelTask.TEXT_GENERATION:
        return (Seq2SeqGeneration if inner.config.is_encoder_decoder else CausalGeneration)(inner, tokenizer, options)
    return _TASKS[kind](inner, tokenizer, options)


def load_model(name: str, task: ModelTask | str | None = None, **kwargs: Any) -> PreTrainedModel:
    """Load a model with the head that its config names, or that `task` needs.

    Args:
        name: Hub id or folder.
        task: which head; None reads it from the config's `architectures`.
        **kwargs: for `from_pretrained`: revision, dtype, device_map, token, trust_remote_code, ...

    Raises:
        TaskMismatchError: the config names no head that can be explained.
    """
    from transformers import AutoConfig

    passed = ("revision", "token", "trust_remote_code", "cache_dir", "local_files_only", "subfolder")
    shared = {key: value for key, value in kwargs.items() if key in passed}
    config = AutoConfig.from_pretrained(name, **shared)
    architecture = (config.architectures or [""])[0]
    heads = {
        "ForSequenceClassification": AutoModelForSequenceClassification,
        "ForTokenClassification": AutoModelForTokenClassification,
        "ForMaskedLM": AutoModelForMaskedLM,
        "ForCausalLM": AutoModelForCausalLM,
        "LMHeadModel": AutoModelForCausalLM,
    }
    if task is not None:
        by_task = {
            ModelTask.TEXT_CLASSIFICATION: AutoModelForSequenceClassification,
            ModelTask.TOKEN_CLASSIFICATION: AutoModelForTokenClassification,
            ModelTask.FILL_MASK: AutoModelForMaskedLM,
            ModelTask.TEXT_GENERATION: AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM,
        }
        return by_task[ModelTask(task)].from_pretrained(name, **kwargs)
    for suffix, auto in heads.items():
        if architecture.endswith(suffix):
            return auto.from_pretrained(name, **kwargs)
    if config.is_encoder_decoder:
        return AutoModelForSeq2SeqLM.from_pretrained(name, **kwargs)
    raise TaskMismatchError(
        f"model: the config of {name!r} names {architecture or 'no architecture'!r}, which has no head that can be "
        "explained. Say which with task=, or load the model yourself."
    )


def load_tokenizer(name: str, **kwargs: Any) -> PreTrainedTokenizerBase:
    """`AutoTokenizer.from_pretrained`."""
    return AutoTokenizer.from_pretrained(name, **kwargs)
