"""Where words and sentences lie in a text: rules on characters, in any script, with no tokenizer and no downloads."""

from __future__ import annotations

import itertools

import regex

from hf_interpreto.typing import Span

# Scripts written without spaces: here a word is one character, and the tokens decide which ones stay together.
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]\p{M}*"
_LETTER = rf"(?:(?!{_UNSPACED})[\p{{L}}\p{{N}}\p{{M}}_])"
_WORD = regex.compile(
    rf"{_UNSPACED}"
    r"|\p{N}+(?:[.,:]\p{N}+)+"  # 3.14  1,000  12:30
    rf"|{_LETTER}+(?:['’\-]{_LETTER}+)*"  # didn't  well-known
    r"|(?!\s)(\X)\1*"  # punctuation and symbols; "..." and "!!" stay whole
)
_SENTENCE_END = regex.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？｡]+[」』”）]*|\n\s*\n")
_PART_END = regex.compile(r"[.!?…,;:]+[\"'”’)\]]*(?=\s)|[。！？｡、，；：]+[」』”）]*|\n\s*\n")
_ABBREVIATION = regex.compile(
    r"(?:^|[\s(\"'])(?:Mr|Mrs|Ms|[ap]\.m|Dr|Prof|St|Sr|Jr|vs|etc|e\.g|i\.e|cf|al|No|Inc|Ltd|Co|Mt|Gen|Col|Sgt|Rev|Hon|Fig|\p{Lu})\.$"
)


def word_spans(text: str) -> list[Span]:
    """Spans of the words and punctuation marks of `text`, in order, without white space."""
    return [match.span() for match in _WORD.finditer(text)]


def sentence_spans(text: str) -> list[Span]:
    """Spans of the sentences of `text`, trimmed of white space; "Mr." and initials do not end one."""
    return _split(text, _SENTENCE_END)


def part_sentence_spans(text: str) -> list[Span]:
    """Spans of the parts of sentences: as `sentence_spans`, and also cut after a comma, colon or semicolon."""
    return _split(text, _PART_END)


def is_spaced(character: str) -> bool:
    """Whether words of this character's script are set apart by spaces."""
    return regex.match(_UNSPACED, character) is None


def trim(text: str, span: Span) -> Span:
    """`span` without white space at either end; unchanged where it holds nothing else."""
    start, end = span
    piece = text[start:end]
    stripped = piece.strip()
    if not stripped:
        return span
    start += len(piece) - len(piece.lstrip())
    return start, start + len(stripped)


def _split(text: str, ending: regex.Pattern[str]) -> list[Span]:
    ends = [
        match.end()
        for match in ending.finditer(text)
        if not (match.group().rstrip("\"'”’)]") == "." and _ABBREVIATION.search(text[: match.start() + 1]))
    ]
    bounds = [0, *ends, len(text)]
    spans = [trim(text, span) for span in itertools.pairwise(bounds)]
    return [(start, end) for start, end in spans if text[start:end].strip()]
