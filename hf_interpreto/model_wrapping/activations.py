"""Activations as rows: what one row stands for, where it came from, and how token vectors are pooled to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from hf_interpreto.errors import InvalidInputError, TokenizerError
from hf_interpreto.granularity import Element, Granularity, GranularityAggregationStrategy, find_elements, pool
from hf_interpreto.model_wrapping.classification import classified_position
from hf_interpreto.model_wrapping.encoding import Encoding
from hf_interpreto.model_wrapping.tasks import Task
from hf_interpreto.typing import ModelTask, parse_member

PREDICTIONS = "predictions"


class ActivationGranularity(StrEnum):
    """What one row of activations stands for.

    - `CLS_TOKEN`: a sample, by the token that speaks for it: the tokenizer's CLS token; in decoders with a
      classification head, the last token that is not padding, and in encoder-decoders with one, the last end-of-text
      token, because that is where those models read.
    - `ALL_TOKENS`: a token, special ones among them; never padding.
    - `TOKEN`: a token of the text.
    - `WORD`, `SENTENCE`: the tokens of a word or sentence, aggregated.
    - `SAMPLE`: the tokens of a whole text, without special ones, aggregated.
    """

    CLS_TOKEN = "cls_token"
    ALL_TOKENS = "all_tokens"
    TOKEN = "token"
    WORD = "word"
    SENTENCE = "sentence"
    SAMPLE = "sample"

    @classmethod
    def parse(cls, value: ActivationGranularity | str) -> ActivationGranularity:
        """The member named `value`, in any case; `UnknownNameError` otherwise."""
        return parse_member(cls, value, "activation granularity")


@dataclass(eq=False)
class ActivationRows:
    """Where rows of activations came from.

    Attributes:
        samples: `(n,)` index of each row's input.
        elements: `n` texts: the token, word, sentence or (for `CLS_TOKEN` and `SAMPLE`) text of each row.
        texts: the text of each input.
    """

    samples: Tensor
    elements: list[str]
    texts: list[str]

    def __len__(self) -> int:
        return len(self.elements)


class Activations(dict[str, Tensor]):
    """`{split point: (n, d)}`, float32 on the CPU, and `"predictions": (n,)` where they were asked for.

    Args:
        tensors: by split point, in the order in which the model makes them.
        rows: where the `n` rows came from.
    """

    def __init__(self, tensors: Mapping[str, Tensor], rows: ActivationRows) -> None:
        super().__init__(tensors)
        self.rows = rows


class ElementFinder:
    """Tells the elements of tokenised texts.

    Args:
        task: knows the model and its tokenizer.
        granularity: what one row stands for.

    Raises:
        TokenizerError: `CLS_TOKEN`, and no token of this model speaks for a whole text.
    """

    def __init__(self, task: Task, granularity: ActivationGranularity | str) -> None:
        self.task = task
        self.granularity = ActivationGranularity.parse(granularity)
        if self.granularity is ActivationGranularity.CLS_TOKEN:
            self._whole: Callable[[Encoding], tuple[int, ...]] = self._position_of_class()
        else:
            self._whole = _content

    def __call__(self, encoding: Encoding) -> list[Element]:
        """The elements of one text, at least one.

        Raises:
            InvalidInputError: nothing in the text is an element.
            TokenizerError: words or sentences are asked for and the tokenizer gave no offsets.
        """
        if self.granularity in (ActivationGranularity.CLS_TOKEN, ActivationGranularity.SAMPLE):
            found = [Element(encoding.text, t, (0, len(encoding.text))) for t in [self._whole(encoding)] if t]
        else:
            tokens = self.task.tokenizer.convert_ids_to_tokens(encoding.ids.tolist())
            kind = Granularity(self.granularity.value)
            found = find_elements(kind, encoding.text, encoding.spans, encoding.special, list(map(str, tokens)))
        if not found:
            raise InvalidInputError(
                f"inputs: {encoding.text[:60]!r} has nothing that a row at activation_granularity="
                f"{self.granularity.value!r} could stand for."
            )
        return found

    def _position_of_class(self) -> Callable[[Encoding], tuple[int, ...]]:
        task, tokenizer = self.task, self.task.tokenizer
        if task.forward.reads_last_token:
            return lambda encoding: (classified_position(task.model, encoding),)
        if task.kind is ModelTask.TEXT_CLASSIFICATION and task.model.config.is_encoder_decoder:
            return lambda encoding: tuple(_positions(encoding, tokenizer.eos_token_id)[-1:])
        if tokenizer.cls_token_id is None:
            raise TokenizerError(
                f"activation_granularity='cls_token': {type(tokenizer).__name__} has no CLS token, and "
                f"{type(task.model).__name__} reads no single token for a whole text. Use 'sample' for one row a text."
            )
        return lambda encoding: tuple(_positions(encoding, tokenizer.cls_token_id)[:1])


def pool_rows(
    hidden: Tensor, elements: Sequence[Sequence[Element]], strategy: GranularityAggregationStrategy
) -> Tensor:
    """Vectors of tokens `(b, l, d)` to those of elements `(rows, d)`, sample after sample, in float32.

    Args:
        hidden: padding stands on the right.
        elements: of each of the `b` samples.
        strategy: how an element's tokens become one vector.
    """
    if all(len(element.tokens) == 1 for found in elements for element in found):
        samples = [index for index, found in enumerate(elements) for _ in found]
        tokens = [element.tokens[0] for found in elements for element in found]
        return hidden[samples, tokens].float()
    rows = [pool(values.float().T, found, strategy).T for values, found in zip(hidden, elements, strict=True)]
    return torch.cat(rows)


def _positions(encoding: Encoding, token_id: int | None) -> list[int]:
    return [position for position, token in enumerate(encoding.ids.tolist()) if token == token_id]


def _content(encoding: Encoding) -> tuple[int, ...]:
    return tuple(position for position, special in enumerate(encoding.special) if not special)
