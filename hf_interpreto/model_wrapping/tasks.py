"""Which task a model does, and what every task has in common: inputs and targets to examples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto import modeling_auto

from hf_interpreto.errors import InvalidInputError, TaskMismatchError
from hf_interpreto.granularity import Element, Granularity, find_elements
from hf_interpreto.model_wrapping.encoding import Encoding, RawInput, TextEncoder
from hf_interpreto.model_wrapping.examples import Example
from hf_interpreto.model_wrapping.forward import Forward
from hf_interpreto.model_wrapping.inference import Engine
from hf_interpreto.model_wrapping.replacement import Replacement
from hf_interpreto.model_wrapping.scores import Score
from hf_interpreto.typing import ModelTask

_MAPPINGS = {
    "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES": ModelTask.TEXT_CLASSIFICATION,
    "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES": ModelTask.TOKEN_CLASSIFICATION,
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES": ModelTask.TEXT_GENERATION,
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES": ModelTask.TEXT_GENERATION,
    "MODEL_FOR_MASKED_LM_MAPPING_NAMES": ModelTask.FILL_MASK,
}
_SUFFIXES = {
    "ForSequenceClassification": ModelTask.TEXT_CLASSIFICATION,
    "ForTokenClassification": ModelTask.TOKEN_CLASSIFICATION,
    "ForCausalLM": ModelTask.TEXT_GENERATION,
    "LMHeadModel": ModelTask.TEXT_GENERATION,
    "ForConditionalGeneration": ModelTask.TEXT_GENERATION,
    "ForMaskedLM": ModelTask.FILL_MASK,
}


def unwrap(model: nn.Module) -> PreTrainedModel:
    """The transformers model inside what `torch.compile`, PEFT or data parallelism put around it."""
    inner: Any = model
    while True:
        if hasattr(inner, "_orig_mod"):
            inner = inner._orig_mod
        elif hasattr(inner, "get_base_model"):
            inner = inner.get_base_model()
        elif isinstance(inner, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            inner = inner.module
        else:
            return inner


def detect_task(model: nn.Module) -> ModelTask:
    """The task of a model, told from its class and, for classes of one's own, from its ancestors' and its name.

    Raises:
        TaskMismatchError: the model has no head that can be explained.
    """
    model = unwrap(model)
    task = task_of_names([cls.__name__ for cls in type(model).__mro__])
    if task is not None:
        return task
    raise TaskMismatchError(
        f"model: {type(model).__name__} has no head that can be explained. Load it with "
        f"AutoModelForSequenceClassification, "
        "AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForTokenClassification or AutoModelForMaskedLM."
    )


def task_of_names(names: Sequence[str]) -> ModelTask | None:
    """The task of a class by its name or one of its ancestors' names; None if no head is known by them."""
    for mapping, task in _MAPPINGS.items():
        known = _class_names(mapping)
        if any(name in known for name in names):
            return task
    for name in names:
        for suffix, task in _SUFFIXES.items():
            if name.endswith(suffix):
                return task
    return None


def _class_names(mapping: str) -> set[str]:
    values = getattr(modeling_auto, mapping).values()
    return {name for value in values for name in (value if isinstance(value, (tuple, list)) else (value,))}


@dataclass(frozen=True)
class TaskOptions:
    """What users choose about inputs and targets, apart from the method.

    Attributes:
        granularity: the unit that is scored.
        attribute_target: whether outputs generated before a target are scored too, beside the input.
        attribute_template: whether the tokens that a chat template adds are scored.
        generation_args: for `model.generate`, where the target is what the model generates.
    """

    granularity: Granularity = Granularity.WORD
    attribute_target: bool = True
    attribute_template: bool = False
    generation_args: dict[str, Any] = field(default_factory=dict)


class Task(ABC):
    """How one kind of model reads inputs, and which logits its targets are.

    Args:
        model: with a head for this task.
        tokenizer: the model's.
        options: what users choose.
    """

    kind: ClassVar[ModelTask]
    default_score: ClassVar[str] = "logit"
    truncates: ClassVar[bool] = True

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, options: TaskOptions) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.options = options
        self.forward = Forward(model, self.kind)
        self.max_length = _max_length(model, tokenizer)
        self.encode = TextEncoder(
            tokenizer,
            self.max_length if self.truncates else None,
            attribute_template=options.attribute_template,
        )

    @property
    def independent_labels(self) -> bool:
        """Whether each class is a yes or no of its own."""
        return False

    def check_score(self, score: Score) -> None:  # noqa: B027 -- most tasks take any score
        """Raise `ValueError` where a score says nothing about this model's logits."""

    def engine(self, score: Score, replacement: Replacement, batch_size: int | str = "auto") -> Engine:
        """What runs this model.

        Raises:
            ValueError: the score says nothing about this model's logits.
        """
        self.check_score(score)
        pad = self.tokenizer.pad_token_id
        return Engine(
            self.forward,
            score,
            replacement,
            batch_size,
            independent_labels=self.independent_labels,
            pad_id=0 if pad is None else pad,
        )

    @abstractmethod
    def examples(self, inputs: Sequence[RawInput], targets: Sequence[Any], engine: Engine) -> list[Example]:
        """One example for each input; several where an input has several target texts.

        Raises:
            InvalidInputError: an input that cannot be explained.
            InvalidTargetError: a target that does not fit.
        """

    def elements(self, encoding: Encoding) -> list[Element]:
        """The elements of one tokenised text."""
        tokens = [str(token) for token in self.tokenizer.convert_ids_to_tokens(encoding.ids.tolist())]
        found = find_elements(self.options.granularity, encoding.text, encoding.spans, encoding.special, tokens)
        if not found:
            raise InvalidInputError(
                f"model_inputs: {encoding.text[:60]!r} has nothing to explain at granularity="
                f"{self.options.granularity.value!r}; only special tokens are left."
            )
        return found

    def untargeted(self, encoding: Encoding, elements: list[Element], positions: Sequence[int]) -> Example:
        """An example of one input whose logits are read at `positions`; its targets and rows are set later."""
        return Example(
            ids=encoding.ids,
            elements=elements,
            positions=torch.tensor(positions),
            target_ids=torch.zeros(len(positions), dtype=torch.long),
            rows=[],
            groups=[],
            text=encoding.text,
            source_length=len(encoding.text),
            n_source=len(elements),
            extras=self.extras(encoding),
        )

    def extras(self, encoding: Encoding) -> dict[str, Any]:
        """The further inputs that this model reads."""
        return {name: value for name, value in encoding.extras.items() if name in self.forward.accepts}


def _max_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Positions that the model has; None where its positions are relative and have no end."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if positions is None or positions <= 0:
        return None
    return min(int(positions) - _position_offset(model), int(min(tokenizer.model_max_length, 10**9)))


def _position_offset(model: nn.Module) -> int:
    """Positions that RoBERTa and its kin keep for padding."""
    for module in model.modules():
        padding = getattr(module, "padding_idx", None)
        if isinstance(padding, int) and hasattr(module, "create_position_ids_from_input_ids"):
            return padding + 1
    return 0
