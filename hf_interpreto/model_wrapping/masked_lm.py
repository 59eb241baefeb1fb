"""Masked language modelling: the token that stands at a mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hf_interpreto.errors import InvalidInputError, InvalidTargetError, TokenizerError
from hf_interpreto.granularity import Element
from hf_interpreto.model_wrapping.encoding import Encoding, RawInput
from hf_interpreto.model_wrapping.examples import Example, Target
from hf_interpreto.model_wrapping.inference import Engine
from hf_interpreto.model_wrapping.targets import check_present
from hf_interpreto.model_wrapping.tasks import Task
from hf_interpreto.text import trim
from hf_interpreto.typing import ModelTask


class MaskedLM(Task):
    """Targets: None (the model's choice at every mask), words or token ids; with several masks, one for each."""

    kind = ModelTask.FILL_MASK
    default_score = "logprob"

    def examples(self, inputs: Sequence[RawInput], targets: Sequence[Any], engine: Engine) -> list[Example]:
        """One example an input."""
        if self.tokenizer.mask_token_id is None:
            raise TokenizerError("model_inputs: the tokenizer has no mask token, which a masked language model fills.")
        examples = [self._example(self.encode(item)) for item in inputs]
        chosen = [self._choose(t, len(example.positions)) for t, example in zip(targets, examples, strict=True)]
        unknown = [example for example, pairs in zip(examples, chosen, strict=True) if pairs is None]
        for example, logits in zip(unknown, engine.logits(unknown) if unknown else [], strict=True):
            example.logits = logits
        for example, pairs in zip(examples, chosen, strict=True):
            self._set_targets(example, pairs)
        return examples

    def _example(self, encoding: Encoding) -> Example:
        masked = (encoding.ids == self.tokenizer.mask_token_id).nonzero()[:, 0].tolist()
        if not masked:
            raise InvalidInputError(
                f"model_inputs: {encoding.text[:60]!r} holds no {self.tokenizer.mask_token!r} to fill; put one in."
            )
        for position in masked:
            encoding.special[position] = True
        holes = [self._hole(encoding, position) for position in masked]
        elements = sorted([*self.elements(encoding), *holes], key=lambda element: element.tokens[0])
        return self.untargeted(encoding, elements, masked)

    def _hole(self, encoding: Encoding, position: int) -> Element:
        span = encoding.spans[position]
        span = None if span is None else trim(encoding.text, span)  # some masks swallow the space before them
        return Element(str(self.tokenizer.mask_token), (position,), span, frozen=True)

    def _choose(self, target: Any, n_masks: int) -> list[tuple[int, int]] | None:
        """(mask, token id) pairs."""
        check_present(target)
        if target is None:
            return None
        if isinstance(target, Tensor):
            target = target.reshape(-1).tolist()
        entries = list(target) if isinstance(target, (list, tuple)) else [target]
        if n_masks == 1:
            return [(0, self._token(entry)) for entry in entries]
        if len(entries) not in (1, n_masks):
            raise InvalidTargetError(
                f"targets: got {len(entries)} for {n_masks} masks; give one for each, or one for all."
            )
        return [(i, self._token(entries[i % len(entries)])) for i in range(n_masks)]

    def _token(self, entry: Any) -> int:
        if isinstance(entry, str):
            ways = (f" {entry.strip()}", entry) if entry[:1] != "#" else (entry,)
            for way in ways if entry.strip() else ():
                ids = self.tokenizer(way, add_special_tokens=False)["input_ids"]
                if len(ids) == 1 and (ids[0] != self.tokenizer.unk_token_id or entry == self.tokenizer.unk_token):
                    return int(ids[0])
            known = self.tokenizer.get_vocab().get(entry)
            if known is not None:
                return int(known)
            raise InvalidTargetError(f"targets: {entry!r} is not one token of this model, so it cannot fill a mask.")
        if isinstance(entry, bool) or not hasattr(entry, "__index__") or not 0 <= int(entry) < len(self.tokenizer):
            raise InvalidTargetError(f"targets: expected a word or a token id, got {entry!r}.")
        return int(entry)

    def _set_targets(self, example: Example, pairs: list[tuple[int, int]] | None) -> None:
        if pairs is None:
            assert example.logits is not None
            pairs = list(enumerate(example.logits.argmax(-1).tolist()))
        masks = example.positions.tolist()
        owner = {element.tokens[0]: i for i, element in enumerate(example.elements) if element.frozen}
        example.positions = torch.tensor([masks[i] for i, _ in pairs])
        example.target_ids = torch.tensor([token for _, token in pairs])
        example.groups = [[index] for index in range(len(pairs))]
        example.rows = [
            Target(str(self.tokenizer.decode([token])).strip(), token, owner[masks[i]]) for i, token in pairs
        ]
