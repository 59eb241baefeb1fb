"""How `pipeline("explain-...", model="a name")` loads its model: the head of the task, and no other.

A checkpoint of another head would be loaded with random weights in place of the missing ones, and its explanations
would look like any others.
"""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from hf_interpreto.typing import ModelTask


class _Head:
    """Loads as `load_model` does; `pipeline` hands `code_revision` on only where the class is an auto class too."""

    task: ClassVar[ModelTask]

    @classmethod
    def from_pretrained(cls, name: Any, **kwargs: Any) -> Any:
        """The model with the head of this task.

        Raises:
            TaskMismatchError: the checkpoint holds another head.
        """
        from hf_interpreto.model_wrapping.loading import load_model

        return load_model(name, cls.task, **kwargs)


class _Classifier(_Head, AutoModelForSequenceClassification):  # type: ignore[misc]
    task = ModelTask.TEXT_CLASSIFICATION


class _Generator(_Head, AutoModelForCausalLM):  # type: ignore[misc]
    """Encoder-decoders too, where the config says so."""

    task = ModelTask.TEXT_GENERATION


class _Tagger(_Head, AutoModelForTokenClassification):  # type: ignore[misc]
    task = ModelTask.TOKEN_CLASSIFICATION


class _MaskedLM(_Head, AutoModelForMaskedLM):  # type: ignore[misc]
    task = ModelTask.FILL_MASK


HEADS: dict[str, type] = {f"explain-{head.task.value}": head for head in (_Classifier, _Generator, _Tagger, _MaskedLM)}
