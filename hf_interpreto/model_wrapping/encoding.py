"""Texts, pairs, chats and token ids to ids with the characters that each token covers."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import BatchEncoding, PreTrainedTokenizerBase

from hf_interpreto.errors import InvalidInputError, TokenizerError, TruncationWarning
from hf_interpreto.model_wrapping.chat import content_spans
from hf_interpreto.model_wrapping.decoding import DECODING_CONTEXT, PAIR_SEPARATOR, decode
from hf_interpreto.text import is_spaced
from hf_interpreto.typing import ChatMessage, Span

_CONTRACTION = re.compile(r"['’](?:s|t|re|ve|m|ll|d)\b", re.IGNORECASE)

Chat = list[ChatMessage]
Pair = tuple[str, str]
RawInput = str | Pair | Chat | Mapping[str, Any]


@dataclass(eq=False)
class Encoding:
    """One tokenised text.

    Attributes:
        ids: `(l,)` token ids, never changed on their way to the model.
        text: what the spans refer to; a pair is joined by a line break.
        spans: characters of each token in `text`, None for tokens that stand for none.
        special: tokens added by the tokenizer or a chat template.
        extras: further `(l,)` inputs of the model, such as `token_type_ids`.
    """

    ids: Tensor
    text: str
    spans: list[Span | None]
    special: list[bool]
    extras: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def head(self, n: int) -> Encoding:
        """The first `n` tokens."""
        extras = {name: value[:n] for name, value in self.extras.items()}
        return Encoding(self.ids[:n], self.text, self.spans[:n], self.special[:n], extras)

    def slice(self, start: int, stop: int | None = None) -> Encoding:
        """Tokens `start:stop`, with the same text."""
        part = slice(start, stop)
        return Encoding(self.ids[part], self.text, self.spans[part], self.special[part])


class TextEncoder:
    """Encodes what users hand in; one per explainer, so that limits and special ids are looked up once.

    Args:
        tokenizer: left as it is: padding side, pad token and chat template are read and never set.
        max_length: the most tokens that the model reads; None if there is no limit.
        attribute_template: whether the tokens that a chat template adds are explained too.
        add_special_tokens: as in a tokenizer call.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int | None = None,
        *,
        attribute_template: bool = False,
        add_special_tokens: bool = True,
    ) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.attribute_template = attribute_template
        self.add_special_tokens = add_special_tokens
        names = ("bos", "eos", "pad", "cls", "sep")
        control = {getattr(tokenizer, f"{name}_token_id") for name in names}
        content = {tokenizer.unk_token_id, tokenizer.mask_token_id} - control  # they stand for words
        self.special_ids = set(tokenizer.all_special_ids) - content

    def __call__(self, item: RawInput) -> Encoding:
        """The encoding of one input.

        Raises:
            InvalidInputError: the input is empty, or of a kind that is not accepted.
        """
        if isinstance(item, str):
            return self.text(item)
        if isinstance(item, tuple) and len(item) == 2 and all(isinstance(part, str) for part in item):
            return self.text(*item)
        if is_chat(item):
            return self.chat(list(item))  # type: ignore[arg-type]
        if isinstance(item, Mapping) or hasattr(item, "input_ids"):
            return self._mapping(item)
        raise InvalidInputError(
            f"model_inputs: cannot explain a {type(item).__name__}. Accepted: a string, a (text, text_pair) "
            f"tuple, chat "
            'messages [{"role": ..., "content": ...}], {"text": ..., "text_pair": ...}, a BatchEncoding, or a list, '
            "generator or dataset of these."
        )

    def text(self, text: str, pair: str | None = None, *, special: bool | None = None) -> Encoding:
        """A text, or a pair of texts, as the tokenizer encodes it; cut with a warning at the model's limit."""
        if not text.strip() and not (pair or "").strip():
            raise InvalidInputError("model_inputs: got an empty text; there is nothing to explain.")
        special = self.add_special_tokens if special is None else special
        encoded = self._tokenize(text, pair, special)
        length = len(encoded["input_ids"])
        if self.max_length is not None and length > self.max_length:
            warnings.warn(
                f"An input of {length} tokens was cut to the {self.max_length} that the model can read; the rest "
                f"is not "
                "explained. Split the text to explain all of it.",
                TruncationWarning,
                stacklevel=2,
            )
            encoded = self._tokenize(text, pair, special, self.max_length)
        return self._from_encoded(encoded, text, pair)

    def chat(self, messages: Chat, *, add_generation_prompt: bool = True) -> Encoding:
        """Chat messages through the tokenizer's template; what the template adds counts as special.

        Raises:
            TokenizerError: the tokenizer has no chat template.
        """
        if getattr(self.tokenizer, "chat_template", None) is None:
            raise TokenizerError(
                "model_inputs: got chat messages, but the tokenizer has no chat template. Pass a string, or set "
                "tokenizer.chat_template."
            )
        text = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt
        )
        encoded = self.text(str(text), special=False)
        if self.attribute_template:
            return encoded
        contents = content_spans(self.tokenizer, encoded.text, messages, add_generation_prompt=add_generation_prompt)
        for position, span in enumerate(encoded.spans):
            inside = span is not None and any(start < span[1] and span[0] < end for start, end in contents)
            encoded.special[position] |= not inside
        return encoded

    def ids(self, ids: Sequence[int] | Tensor, extras: dict[str, Tensor] | None = None, context: str = "") -> Encoding:
        """Token ids as given; the text is what they decode to.

        Args:
            ids: `(l,)` token ids.
            extras: further `(l,)` inputs of the model.
            context: text that stands before; spans count from its start.
        """
        tensor = torch.as_tensor(ids, dtype=torch.long).reshape(-1)
        special = [token in self.special_ids for token in tensor.tolist()]
        text, spans = decode(self.tokenizer, tensor.tolist(), special, context)
        return Encoding(tensor, text, spans, special, extras or {})

    def extend(self, prompt: Encoding, ids: Sequence[int] | Tensor) -> tuple[Encoding, int]:
        """Prompt and target ids, as given, as one encoding, and the position of the target's first token."""
        target = torch.as_tensor(ids, dtype=torch.long).reshape(-1)
        begin = max(len(prompt) - DECODING_CONTEXT, 0)
        while begin and prompt.spans[begin] is not None and prompt.spans[begin] == prompt.spans[begin - 1]:
            begin -= 1  # the bytes of one character
        tail = prompt.ids[begin:]  # how a token is written depends on those before it
        both = torch.cat([tail, target])
        special = [token in self.special_ids for token in both.tolist()]
        text, spans = decode(self.tokenizer, both.tolist(), special, "")
        start = max([span[1] for span in spans[: len(tail)] if span is not None], default=0)
        shift = len(prompt.text) - start
        moved = [None if span is None else (span[0] + shift, span[1] + shift) for span in spans[len(tail) :]]
        whole = Encoding(
            torch.cat([prompt.ids, target]),
            prompt.text + text[start:],
            [*prompt.spans, *moved],
            [*prompt.special, *special[len(tail) :]],
        )
        return whole, len(prompt)

    def target(self, text: str) -> Encoding:
        """A text for the decoder of an encoder-decoder, as the tokenizer encodes targets."""
        encoded = self.tokenizer(
            text_target=text, return_offsets_mapping=self.tokenizer.is_fast,
            return_special_tokens_mask=self.tokenizer.is_fast,
        )  # fmt: skip
        return self._from_encoded(encoded, text, None)

    def continuation(self, prompt: Encoding, target: str) -> tuple[Encoding, int]:
        """Prompt and target text as one encoding, and the position of the target's first token.

        The whole is tokenised at once where that leaves the prompt's own tokens as they are (white space at its end
        may move to the target's first token, as in running text); otherwise the two are tokenised apart.
        """
        gap = "" if not needs_space(prompt.text, target) else " "
        text = prompt.text + gap + target
        if self.tokenizer.is_fast and prompt.spans:
            for boundary in dict.fromkeys((len(prompt.text), len(prompt.text.rstrip()) or len(prompt.text))):
                whole = self._joint(prompt, text, boundary)
                if whole is not None:
                    return whole
        encoded = self.tokenizer(gap + target, add_special_tokens=False, return_offsets_mapping=self.tokenizer.is_fast)
        ids = torch.cat([prompt.ids, torch.tensor(encoded["input_ids"], dtype=torch.long)])
        offsets = encoded.get("offset_mapping") or [None] * len(encoded["input_ids"])
        shift = len(prompt.text)
        spans = [None if span is None else (span[0] + shift, span[1] + shift) for span in offsets]
        special = [*prompt.special, *(token in self.special_ids for token in encoded["input_ids"])]
        return Encoding(ids, text, [*prompt.spans, *spans], special), len(prompt)

    def _joint(self, prompt: Encoding, text: str, boundary: int) -> tuple[Encoding, int] | None:
        """The whole text tokenised at once, or None where that changes the prompt's tokens before `boundary`."""
        kept = [i for i, span in enumerate(prompt.spans) if span is None or span[0] < boundary or prompt.special[i]]
        n = len(kept)
        if kept != list(range(n)) or self._has_suffix(prompt):
            return None
        added = any(special and span is None for special, span in zip(prompt.special, prompt.spans, strict=True))
        encoded = self._tokenize(text, None, added)
        whole = self._from_encoded(encoded, text, None)
        starts_clean = all(span is None or span[0] >= boundary for span in whole.spans[n:])
        if not torch.equal(whole.ids[:n], prompt.ids[:n]) or not starts_clean:
            return None
        end = len(whole)
        while end > n and whole.spans[end - 1] is None and whole.special[end - 1]:
            end -= 1  # what the tokenizer adds after a text does not belong after a continuation
        whole.special[:n] = prompt.special[:n]
        return whole.head(end), n

    @staticmethod
    def _has_suffix(prompt: Encoding) -> bool:
        return bool(prompt.spans) and prompt.spans[-1] is None

    def _tokenize(self, text: str, pair: str | None, special: bool, max_length: int | None = None) -> BatchEncoding:
        fast = self.tokenizer.is_fast
        limit: dict[str, Any] = {"truncation": True, "max_length": max_length} if max_length is not None else {}
        with _settings_kept(self.tokenizer):
            return self.tokenizer(
                text,
                pair,
                add_special_tokens=special,
                return_offsets_mapping=fast,
                return_special_tokens_mask=fast,
                verbose=False,
                **limit,
            )

    def _from_encoded(self, encoded: BatchEncoding, text: str, pair: str | None) -> Encoding:
        ids = list(encoded["input_ids"])
        n = len(ids)
        added = encoded.get("special_tokens_mask") or [0] * n
        special = [bool(flag) or token in self.special_ids for flag, token in zip(added, ids, strict=True)]
        spans: list[Span | None] = [None] * n
        if self.tokenizer.is_fast:
            shift = 0 if pair is None else len(text) + len(PAIR_SEPARATOR)
            for position, ((start, end), sequence) in enumerate(
                zip(encoded["offset_mapping"], encoded.sequence_ids(), strict=True)
            ):
                moved = shift if sequence == 1 else 0
                # A marker of word starts may cover no character of its own: it still belongs to the text.
                spans[position] = None if sequence is None else (start + moved, end + moved)
        elif pair is None:
            # A slow tokenizer gives no offsets, but what it writes back tells them where that is the very same text.
            written, found = decode(self.tokenizer, ids, special, "")
            if written.strip() == text.strip():
                text, spans = written, found
        extras = {}
        if "token_type_ids" in encoded:
            extras["token_type_ids"] = torch.tensor(encoded["token_type_ids"], dtype=torch.long)
        whole = text if pair is None else text + PAIR_SEPARATOR + pair
        return Encoding(torch.tensor(ids, dtype=torch.long), whole, spans, special, extras)

    def _mapping(self, item: Any) -> Encoding:
        get = item.get if isinstance(item, Mapping) else lambda name: getattr(item, name, None)
        text = get("text")
        if isinstance(text, str):
            return self.text(text, get("text_pair"))
        ids = get("input_ids")
        if ids is None:
            raise InvalidInputError(
                f"model_inputs: got a mapping with {sorted(item)}; it needs 'input_ids', or 'text' (and 'text_pair')."
            )
        ids = torch.as_tensor(ids, dtype=torch.long)
        if ids.ndim == 2 and len(ids) == 1:
            ids = ids[0]
        if ids.ndim != 1:
            raise InvalidInputError(
                f"model_inputs: got input_ids of shape {tuple(ids.shape)} for one input; expected (l,) or (1, l). "
                "Pass the BatchEncoding itself, or one mapping for each row."
            )
        mask = get("attention_mask")
        kept = torch.ones_like(ids, dtype=torch.bool) if mask is None else torch.as_tensor(mask).reshape(-1).bool()
        types = get("token_type_ids")
        extras = {} if types is None else {"token_type_ids": torch.as_tensor(types).reshape(-1)[kept]}
        if not kept.any():
            raise InvalidInputError(
                "model_inputs: got a BatchEncoding row with no token that counts; nothing to explain."
            )
        if self.max_length is not None and int(kept.sum()) > self.max_length:
            raise InvalidInputError(
                f"model_inputs: got {int(kept.sum())} token ids, and the model reads {self.max_length}. Tokenize with "
                "truncation=True, or split the text."
            )
        return self.ids(ids[kept], extras)


def is_chat(item: object) -> bool:
    """Whether `item` is a list of chat messages."""
    return (
        isinstance(item, list)
        and bool(item)
        and all(isinstance(message, Mapping) and {"role", "content"} <= set(message) for message in item)
    )


def needs_space(before: str, after: str) -> bool:
    """Whether a target typed apart from its prompt needs a space between them: both sides are spaced words."""
    if not before or not after or before[-1].isspace() or after[0].isspace():
        return False
    if before[-1].isalpha() and _CONTRACTION.match(after):
        return False
    return is_spaced(before[-1]) and is_spaced(after[0]) and (after[0].isalnum() or after[0] in "\"'“(")


@contextmanager
def _settings_kept(tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """A fast tokenizer keeps the truncation and padding of its last call; put back what was there."""
    if not tokenizer.is_fast:
        yield
        return
    backend = tokenizer.backend_tokenizer
    truncation, padding = backend.truncation, backend.padding
    try:
        yield
    finally:
        if backend.truncation != truncation:
            backend.enable_truncation(**truncation) if truncation else backend.no_truncation()
        if backend.padding != padding:
            backend.enable_padding(**padding) if padding else backend.no_padding()
