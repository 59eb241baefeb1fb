"""From a model, or its name, to the task that explains it."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from hf_interpreto.errors import TaskMismatchError, TokenizerError
from hf_interpreto.model_wrapping.classification import SequenceClassification
from hf_interpreto.model_wrapping.generation import CausalGeneration, Seq2SeqGeneration
from hf_interpreto.model_wrapping.masked_lm import MaskedLM
from hf_interpreto.model_wrapping.tasks import Task, TaskOptions, detect_task, task_of_names, unwrap
from hf_interpreto.model_wrapping.token_classification import TokenClassification
from hf_interpreto.typing import ModelTask

_EMPTY = 256  # an empty tokenizer still has special tokens; T5's has over a hundred
_SPACE = "\u2581"

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
        TaskMismatchError: the config names no head that can be explained, or another than `task` needs.
    """
    config = kwargs.get("config")
    if config is None:
        passed = ("revision", "token", "trust_remote_code", "cache_dir", "local_files_only", "subfolder")
        config = AutoConfig.from_pretrained(name, **{key: value for key, value in kwargs.items() if key in passed})
    head = named_task(config)
    if task is None and head is None and config.is_encoder_decoder:
        task = ModelTask.TEXT_GENERATION
    wanted = head if task is None else ModelTask(task)
    if wanted is None:
        raise TaskMismatchError(
            f"model: the config of {name!r} names {(config.architectures or ['no architecture'])[0]!r}, which has no "
            "head that can be explained. Say which with task=, or load the model yourself."
        )
    if head is not None and head is not wanted:
        raise TaskMismatchError(
            f"model: {name!r} holds a {config.architectures[0]}, which does {head.value}, not {wanted}; another head "
            f"would start from random weights. Use the task {head.value!r}, or a model trained for {wanted}."
        )
    return auto_class(wanted, config).from_pretrained(name, **kwargs)


def auto_class(task: ModelTask, config: PreTrainedConfig) -> Any:
    """The transformers class that loads the head for a task."""
    classes: dict[ModelTask, Any] = {
        ModelTask.TEXT_CLASSIFICATION: AutoModelForSequenceClassification,
        ModelTask.TOKEN_CLASSIFICATION: AutoModelForTokenClassification,
        ModelTask.FILL_MASK: AutoModelForMaskedLM,
        ModelTask.TEXT_GENERATION: AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM,
    }
    return classes[task]


def named_task(config: PreTrainedConfig) -> ModelTask | None:
    """The task of the head that a config's `architectures` names; None where that is no head that can be explained."""
    return task_of_names((config.architectures or [])[:1])


def load_tokenizer(name: str, **kwargs: Any) -> PreTrainedTokenizerBase:
    """`AutoTokenizer.from_pretrained`, which where there are no files may return a tokenizer that knows no words.

    Raises:
        TokenizerError: the tokenizer is empty.
    """
    tokenizer = AutoTokenizer.from_pretrained(name, **kwargs)
    if tokenizer.vocab_size < _EMPTY and not _content(tokenizer):
        raise TokenizerError(f"tokenizer: {name!r} has no tokenizer files. Save the model's tokenizer there too.")
    return tokenizer


def _content(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Tokens that stand for text."""
    known = {*tokenizer.all_special_tokens, *map(str, tokenizer.added_tokens_decoder.values())}
    return {token for token in tokenizer.get_vocab() if token not in known and token != _SPACE}
