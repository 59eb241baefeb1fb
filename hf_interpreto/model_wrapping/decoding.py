"""Token ids to text, with the characters that each token stands for."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from hf_interpreto.typing import Span

PAIR_SEPARATOR = "\n"
DECODING_CONTEXT = 6
"""Tokens before one that can change how it is written: spaces, joined bytes."""


def decode(
    tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], special: Sequence[bool], context: str = ""
) -> tuple[str, list[Span | None]]:
    """What ids are written as, and the span of each; None for special tokens, which are left out.

    The tokens of one character (its bytes) all have its span.

    Args:
        tokenizer: writes them.
        ids: `l` token ids.
        special: `l` flags; special tokens part what stands before and after them by a line break.
        context: text that stands before; spans count from its start.
    """
    text = context
    spans: list[Span | None] = []
    pending: list[int] = []  # tokens that are no whole character yet
    start = 0
    whole: list[int] = []  # where whole characters begin: broken ones would spoil how the next are written
    for position in range(len(ids)):
        if special[position]:
            spans.append(None)
            start = position + 1
            whole = []
            continue
        first = whole[-DECODING_CONTEXT:][0] if whole else start
        before = _written(tokenizer, ids[first : position - len(pending)])
        piece = _written(tokenizer, ids[first : position + 1])[len(before) :]
        if piece.endswith("\ufffd") and len(pending) < 4:
            pending.append(position)
            spans.append((len(text), len(text)))
            continue
        if start == position > 0 and text and not text[-1].isspace():
            text += PAIR_SEPARATOR  # a special token parted the two
        span = (len(text), len(text) + len(piece))
        for waiting in pending:
            spans[waiting] = span
        spans.append(span)
        text += piece
        whole.append(position - len(pending))
        pending = []
    return text, spans


def _written(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))
