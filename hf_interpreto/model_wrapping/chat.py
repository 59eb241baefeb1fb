"""Which characters of a rendered chat are the messages' own, and which its template's."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from hf_interpreto.typing import ChatMessage, Span

_MARK = "\ue000"  # of private use: no text has it


def content_spans(
    tokenizer: PreTrainedTokenizerBase, rendered: str, messages: list[ChatMessage], *, add_generation_prompt: bool
) -> list[Span]:
    """Where the messages' contents stand in the rendered chat.

    The same chat with marks for contents shows what the template writes between them: a short content ("a", "user")
    may well stand in the template's own words too.

    Args:
        tokenizer: has the template.
        rendered: what it makes of the messages.
        messages: the chat.
        add_generation_prompt: as it was rendered with.
    """
    marks = [f"{_MARK}{index}{_MARK}" for index in range(len(messages))]
    marked = str(
        tokenizer.apply_chat_template(
            [{**message, "content": mark} for message, mark in zip(messages, marks, strict=True)],
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
        )
    )
    spans: list[Span] = []
    cursor = 0
    for message, mark in zip(messages, marks, strict=True):
        written, found, marked = marked.partition(mark)
        start = cursor + len(written)
        content = str(message["content"])
        content = content if rendered.startswith(content, start) else content.strip()
        if not found or not rendered.startswith(content, start):
            return _searched(rendered, messages)
        spans.append((start, start + len(content)))
        cursor = start + len(content)
    return [span for span in spans if span[0] < span[1]]


def _searched(rendered: str, messages: list[ChatMessage]) -> list[Span]:
    """The contents as they are found one after the other, for a template that treats them by what they say."""
    spans = []
    cursor = 0
    for message in messages:
        content = str(message["content"]).strip()
        found = rendered.find(content, cursor)
        if content and found >= 0:
            spans.append((found, found + len(content)))
            cursor = found + len(content)
    return spans
