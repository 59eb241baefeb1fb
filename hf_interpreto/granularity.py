"""What is explained as one element: a token, a word, a sentence; and how token scores become element scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from torch import Tensor

from hf_interpreto.errors import TokenizerError
from hf_interpreto.text import part_sentence_spans, sentence_spans, trim, word_spans
from hf_interpreto.typing import Span, parse_member


class Granularity(StrEnum):
    """The unit of an explanation.

    `ALL_TOKENS` counts special tokens too; every other granularity leaves them out and never perturbs them.
    """

    ALL_TOKENS = "all_tokens"
    TOKEN = "token"
    WORD = "word"
    SENTENCE = "sentence"
    PART_SENTENCE = "part_sentence"
    DEFAULT = "all_tokens"

    @classmethod
    def parse(cls, value: Granularity | str) -> Granularity:
        """The member named `value`, in any case; `UnknownNameError` otherwise."""
        return parse_member(cls, value, "granularity")


class GranularityAggregationStrategy(StrEnum):
    """How the scores of several tokens become the score of their element."""

    MEAN = "mean"
    MAX = "max"
    MIN = "min"
    SUM = "sum"
    SIGNED_MAX = "signed_max"
    FIRST = "first"
    LAST = "last"

    @classmethod
    def parse(cls, value: GranularityAggregationStrategy | str) -> GranularityAggregationStrategy:
        """The member named `value`, in any case; `UnknownNameError` otherwise."""
        return parse_member(cls, value, "pooling")

    @property
    def is_linear(self) -> bool:
        """Whether pooling a sum of scores equals summing the pooled scores."""
        return self not in (type(self).MAX, type(self).MIN, type(self).SIGNED_MAX)

    def aggregate(self, scores: Tensor, dim: int = -1) -> Tensor:
        """`scores` (..., k, ...) pooled over `dim`; `signed_max` keeps the value whose magnitude is largest."""
        match self:
            case GranularityAggregationStrategy.MEAN:
                return scores.mean(dim)
            case GranularityAggregationStrategy.SUM:
                return scores.sum(dim)
            case GranularityAggregationStrategy.MAX:
                return scores.amax(dim)
            case GranularityAggregationStrategy.MIN:
                return scores.amin(dim)
            case GranularityAggregationStrategy.SIGNED_MAX:
                return scores.gather(dim, scores.abs().argmax(dim, keepdim=True)).squeeze(dim)
            case GranularityAggregationStrategy.FIRST:
                return scores.select(dim, 0)
            case _:
                return scores.select(dim, -1)


@dataclass(frozen=True)
class Element:
    """One unit of an explanation.

    Attributes:
        text: exactly as in the input.
        tokens: positions of its tokens in the example.
        span: its characters in the example's text; None where a slow tokenizer gives no offsets.
        frozen: shown but never perturbed nor scored.
    """

    text: str
    tokens: tuple[int, ...]
    span: Span | None = None
    frozen: bool = False

    def shifted(self, tokens: int, characters: int) -> Element:
        """The same element where `tokens` tokens and `characters` characters stand before it."""
        span = None if self.span is None else (self.span[0] + characters, self.span[1] + characters)
        return replace(self, tokens=tuple(token + tokens for token in self.tokens), span=span)


_UNITS: dict[Granularity, Callable[[str], list[Span]]] = {
    Granularity.WORD: word_spans,
    Granularity.SENTENCE: sentence_spans,
    Granularity.PART_SENTENCE: part_sentence_spans,
}


def find_elements(
    granularity: Granularity, text: str, spans: Sequence[Span | None], special: Sequence[bool], tokens: Sequence[str]
) -> list[Element]:
    """The elements of one tokenised text, in order.

    A unit of the text (word, sentence) is never cut inside a token: units that share a token become one element. A
    token of white space joins what follows it.

    Args:
        granularity: the unit.
        text: what was tokenised.
        spans: the characters of each token; None for tokens that stand for no text.
        special: whether each token is special (added by the tokenizer or a template).
        tokens: the tokens as strings, shown where they have no text of their own.

    Raises:
        TokenizerError: words or sentences are asked for and the tokenizer gave no offsets.
    """
    if granularity not in _UNITS:
        return _token_elements(granularity, text, spans, special, tokens)
    if any(span is None and not is_special for span, is_special in zip(spans, special, strict=True)):
        raise TokenizerError(
            f"granularity={granularity.value!r} needs to know which characters each token covers, and a slow "
            f"tokenizer "
            "cannot tell. Load the fast one (AutoTokenizer.from_pretrained(..., use_fast=True)), or use "
            "granularity='token'."
        )
    return _merged_elements(text, _UNITS[granularity](text), spans, special)


def _token_elements(
    granularity: Granularity, text: str, spans: Sequence[Span | None], special: Sequence[bool], tokens: Sequence[str]
) -> list[Element]:
    elements: list[Element] = []
    covered = 0
    for position, span in enumerate(spans):
        if special[position] and granularity is not Granularity.ALL_TOKENS:
            continue
        if span is None:
            elements.append(Element(tokens[position], (position,)))
            continue
        start, end = trim(text, span)
        # The bytes of one character may be several tokens with one span: only the first shows the character.
        fresh = start < end and start >= covered
        covered = max(covered, end)
        elements.append(
            Element(text[start:end], (position,), (start, end))
            if fresh
            else Element(tokens[position], (position,), (end, end))
        )
    return elements


def _merged_elements(
    text: str, units: list[Span], spans: Sequence[Span | None], special: Sequence[bool]
) -> list[Element]:
    groups: list[tuple[int, int, list[int]]] = []  # first unit, last unit, tokens
    waiting: list[int] = []  # tokens of white space
    unit = 0
    for position, span in enumerate(spans):
        if special[position] or span is None:
            continue
        start, end = span
        while unit < len(units) and units[unit][1] <= start:
            unit += 1
        last = unit
        while last < len(units) and units[last][0] < end:
            last += 1
        if last == unit:
            waiting.append(position)
        elif groups and unit <= groups[-1][1]:
            first, previous_last, members = groups.pop()
            groups.append((first, max(previous_last, last - 1), [*members, *waiting, position]))
            waiting = []
        else:
            groups.append((unit, last - 1, [*waiting, position]))
            waiting = []
    if waiting and groups:
        groups[-1][2].extend(waiting)
    return [
        Element(text[units[first][0] : units[last][1]], tuple(members), (units[first][0], units[last][1]))
        for first, last, members in groups
    ]


def pool(scores: Tensor, elements: Sequence[Element], strategy: GranularityAggregationStrategy) -> Tensor:
    """Token scores `(..., l)` to element scores `(..., g)`; tokens beyond `l` (which no model reads) count as 0."""
    missing = 1 + max(element.tokens[-1] for element in elements) - scores.shape[-1]
    scores = torch.nn.functional.pad(scores, (0, max(missing, 0)))
    if all(len(element.tokens) == 1 for element in elements):
        return scores[..., [element.tokens[0] for element in elements]]
    if strategy.is_linear:
        return scores @ pooling_matrix(elements, scores.shape[-1], strategy).to(scores)
    return torch.stack([strategy.aggregate(scores[..., list(element.tokens)]) for element in elements], dim=-1)


def pooling_matrix(elements: Sequence[Element], n_tokens: int, strategy: GranularityAggregationStrategy) -> Tensor:
    """`(l, g)` matrix of a linear pooling; tokens beyond `l` (which no model reads) count as 0."""
    height = max(n_tokens, 1 + max(element.tokens[-1] for element in elements))
    matrix = torch.zeros(height, len(elements), dtype=torch.float64)
    for column, element in enumerate(elements):
        match strategy:
            case GranularityAggregationStrategy.FIRST:
                matrix[element.tokens[0], column] = 1
            case GranularityAggregationStrategy.LAST:
                matrix[element.tokens[-1], column] = 1
            case GranularityAggregationStrategy.MEAN:
                matrix[list(element.tokens), column] = 1 / len(element.tokens)
            case _:
                matrix[list(element.tokens), column] = 1
    return matrix[:n_tokens]
