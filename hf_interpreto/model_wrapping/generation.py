"""Text generation, by decoders and by encoder-decoders: every token of a target text, in one pass."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hf_interpreto.errors import InvalidInputError, InvalidTargetError
from hf_interpreto.granularity import Element, Granularity
from hf_interpreto.model_wrapping.encoding import PAIR_SEPARATOR, Encoding, RawInput
from hf_interpreto.model_wrapping.examples import Example, Target
from hf_interpreto.model_wrapping.inference import Engine
from hf_interpreto.model_wrapping.targets import check_present
from hf_interpreto.model_wrapping.tasks import Task
from hf_interpreto.typing import ModelTask

_NEW_TOKENS = 20  # where neither the user nor the model's generation config says


class TextGeneration(Task):
    """What both kinds share: reading targets, generating them, and the explanation's rows."""

    kind = ModelTask.TEXT_GENERATION
    default_score = "logprob"

    def examples(self, inputs: Sequence[RawInput], targets: Sequence[Any], engine: Engine) -> list[Example]:
        """One example for each target of each input."""
        prompts = [self.encode_source(item) for item in inputs]
        entries = [self._entries(target) for target in targets]
        waiting = [index for index, target in enumerate(targets) if target is None]
        if waiting:
            generated = self._generate([prompts[index] for index in waiting], engine)
            for index, ids in zip(waiting, generated, strict=True):
                entries[index] = [ids]
        return [self.join(prompt, entry) for prompt, found in zip(prompts, entries, strict=True) for entry in found]

    def encode_source(self, item: RawInput) -> Encoding:
        """The input's tokens."""
        return self.encode(item)

    @abstractmethod
    def join(self, source: Encoding, target: str | Tensor) -> Example:
        """Source and target as one example."""

    @abstractmethod
    def generated(self, output: Tensor, source: Encoding) -> Tensor:
        """The new token ids in a row that `model.generate` returned."""

    def _entries(self, target: Any) -> list[str | Tensor]:
        """The targets of one input, texts or token ids; none yet where the model is to write them."""
        check_present(target)
        if target is None:
            return []
        if isinstance(target, str):
            return [self._text(target)]
        if isinstance(target, int) and not isinstance(target, bool):
            return [self._ids(torch.tensor([target]))]
        if isinstance(target, Tensor):
            return list(self._ids(target).reshape(-1, target.shape[-1]) if target.ndim else self._ids(target)[None])
        if isinstance(target, (list, tuple)) and target:
            if all(isinstance(token, int) and not isinstance(token, bool) for token in target):
                return [self._ids(torch.tensor(target))]
            return [entry for part in target for entry in self._entries(part)]
        raise InvalidTargetError(
            f"targets: expected the text or token ids of a continuation, or a list of them, got {target!r}."
        )

    def _text(self, target: str) -> str:
        if not target.strip():
            raise InvalidTargetError(f"targets: the text {target!r} has no tokens; there is nothing to explain.")
        return target

    def _ids(self, target: Tensor) -> Tensor:
        if target.numel() == 0 or target.is_floating_point():
            raise InvalidTargetError(
                f"targets: expected token ids, got a tensor {tuple(target.shape)} of {target.dtype}."
            )
        size = int(self.model.config.get_text_config().vocab_size)
        if int(target.min()) < 0 or int(target.max()) >= size:
            raise InvalidTargetError(f"targets: token ids go from 0 to {size - 1}, got up to {int(target.max())}.")
        return target.long().cpu()

    def _generate(self, prompts: list[Encoding], engine: Engine) -> list[Tensor]:
        """Greedy unless the user asks for sampling; prompts of one length together, so that none is padded."""
        groups: dict[int, list[int]] = defaultdict(list)
        for index, prompt in enumerate(prompts):
            groups[len(prompt)].append(index)
        found: list[Tensor] = [torch.empty(0)] * len(prompts)
        arguments = self._generation_arguments()
        rows = engine.batch_size if isinstance(engine.batch_size, int) else 32
        generate: Any = self.model.generate
        with engine.session(), torch.no_grad():
            for members in groups.values():
                for start in range(0, len(members), rows):
                    chunk = members[start : start + rows]
                    ids = torch.stack([prompts[index].ids for index in chunk]).to(self.forward.device)
                    output = generate(input_ids=ids, attention_mask=torch.ones_like(ids), **arguments)
                    for index, row in zip(chunk, output.cpu(), strict=True):
                        found[index] = self._until_end(self.generated(row, prompts[index]))
        return found

    def _generation_arguments(self) -> dict[str, Any]:
        given = dict(self.options.generation_args)
        if given.get("num_return_sequences", 1) != 1:
            raise ValueError(
                f"num_return_sequences={given['num_return_sequences']}: one text is explained for each input. "
                "Generate them yourself, and pass the texts as targets."
            )
        if "generation_config" in given:
            return given  # which is to be used alone
        given["return_dict_in_generate"] = False
        config = self.model.generation_config
        if not given.get("do_sample", False):
            given = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None, **given}
        if not {"max_new_tokens", "max_length"} & set(given) and config.max_new_tokens is None:
            given["max_new_tokens"] = _NEW_TOKENS
        if config.pad_token_id is None and "pad_token_id" not in given:
            pad = self.tokenizer.pad_token_id
            given["pad_token_id"] = self.tokenizer.eos_token_id if pad is None else pad
        return given

    def _until_end(self, ids: Tensor) -> Tensor:
        ends = self.model.generation_config.eos_token_id
        ends = [ends] if isinstance(ends, int) else list(ends or [])
        stop = next((i for i, token in enumerate(ids.tolist()) if token in ends), len(ids))
        keeps_end = self.options.granularity is Granularity.ALL_TOKENS
        ids = ids[: stop + keeps_end]
        if len(ids) == 0:
            raise InvalidTargetError(
                "targets: the model generated nothing but the end of the text. Pass targets, or other generation_args."
            )
        return ids

    def target_elements(self, answer: Encoding) -> list[Element]:
        """The elements of a target's tokens."""
        try:
            return self.elements(answer)
        except InvalidInputError:
            raise InvalidTargetError(
                f"targets: {answer.text[:60]!r} has nothing to explain at granularity="
                f"{self.options.granularity.value!r}; it holds only special tokens."
            ) from None

    def _finish(self, ids: Tensor, source: list[Element], target: list[Element], text: str, **where: Any) -> Example:
        """The example whose rows are the target's elements."""
        if not target:
            raise InvalidTargetError(f"targets: {text[where['source_length'] :]!r} has no tokens; nothing to explain.")
        if not self.options.attribute_target:
            target = [Element(e.text, e.tokens, e.span, frozen=True) for e in target]
        positions = [token for element in target for token in element.tokens]
        rank = {token: index for index, token in enumerate(positions)}
        rows = []
        for index, element in enumerate(target, len(source)):
            token_ids = ids[list(element.tokens)].tolist()
            rows.append(Target(element.text, token_ids[0] if len(token_ids) == 1 else tuple(token_ids), index))
        return Example(
            ids=ids,
            elements=[*source, *target],
            positions=torch.tensor(positions),
            target_ids=ids[positions],
            rows=rows,
            groups=[[rank[token] for token in element.tokens] for element in target],
            text=text,
            n_source=len(source),
            shifted=True,
            **where,
        )


class CausalGeneration(TextGeneration):
    """A decoder continues its prompt. A target typed as text is joined to it by a space where words need one."""

    truncates = False

    def encode_source(self, item: RawInput) -> Encoding:
        """The prompt's tokens, without an end of text."""
        prompt = self.encode(item)
        if not isinstance(item, (str, tuple)):
            return prompt  # ids stay as given, and a chat ends as its template does
        if prompt.special[-1] and prompt.spans[-1] is None and int(prompt.ids[-1]) == self.tokenizer.eos_token_id:
            prompt = prompt.head(len(prompt) - 1) if len(prompt) > 1 else prompt
        return prompt

    def join(self, source: Encoding, target: str | Tensor) -> Example:
        """Prompt and continuation on one token axis."""
        if isinstance(target, str):
            whole, n = self.encode.continuation(source, target)
        else:
            whole, n = self.encode.extend(source, target)
        if self.max_length is not None and len(whole) - 1 > self.max_length:
            raise InvalidInputError(
                f"model_inputs: prompt and target have {len(whole)} tokens together, and the model reads "
                f"{self.max_length}. Shorten the prompt."
            )
        if n >= len(whole):
            raise InvalidTargetError(f"targets: the text {target!r} has no tokens; there is nothing to explain.")
        boundary = min((span[0] for span in whole.spans[n:] if span is not None), default=len(source.text))
        prompt = Encoding(whole.ids[:n], whole.text[:boundary], _cut(whole.spans[:n], boundary), whole.special[:n])
        spans = [None if span is None else (span[0] - boundary, span[1] - boundary) for span in whole.spans[n:]]
        answer = Encoding(whole.ids[n:], whole.text[boundary:], spans, whole.special[n:])
        target_elements = [element.shifted(n, boundary) for element in self.target_elements(answer)]
        return self._finish(whole.ids, self.elements(prompt), target_elements, whole.text, source_length=boundary)

    def generated(self, output: Tensor, source: Encoding) -> Tensor:
        """What follows the prompt."""
        return output[len(source) :]


class Seq2SeqGeneration(TextGeneration):
    """An encoder reads the input, a decoder writes the target."""

    def join(self, source: Encoding, target: str | Tensor) -> Example:
        """Encoder tokens, the decoder's start token and the target on one token axis."""
        if isinstance(target, Tensor) and len(target) > 1 and int(target[0]) == self._start_id():
            target = target[1:]  # as `generate` returns it
        answer = self.encode.target(target) if isinstance(target, str) else self.encode.ids(target)
        if self.options.granularity is not Granularity.ALL_TOKENS:
            kept = [i for i, special in enumerate(answer.special) if not special]
            answer = answer.slice(0, kept[-1] + 1 if kept else 0)
        if len(answer) == 0:
            raise InvalidTargetError(f"targets: {target!r} has no tokens; there is nothing to explain.")
        if self.max_length is not None and len(answer) > self.max_length:
            raise InvalidTargetError(
                f"targets: got a text of {len(answer)} tokens, and the model writes {self.max_length}. Shorten it."
            )
        start = torch.tensor([self._start_id()])
        offset = len(source.text) + len(PAIR_SEPARATOR)
        target_elements = [element.shifted(len(source) + 1, offset) for element in self.target_elements(answer)]
        return self._finish(
            torch.cat([source.ids, start, answer.ids]),
            self.elements(source),
            target_elements,
            source.text + PAIR_SEPARATOR + answer.text,
            source_length=len(source.text),
            n_encoder=len(source),
            extras=self.extras(source),
        )

    def generated(self, output: Tensor, source: Encoding) -> Tensor:
        """What follows the decoder's start token."""
        return output[1:]

    def _start_id(self) -> int:
        for config in (self.model.generation_config, self.model.config):
            start = getattr(config, "decoder_start_token_id", None)
            if start is not None:
                return int(start[0] if isinstance(start, list) else start)
        raise InvalidInputError("model: its config has no decoder_start_token_id, so no target can be scored.")


def _cut(spans: Sequence[tuple[int, int] | None], end: int) -> list[tuple[int, int] | None]:
    return [None if span is None else (min(span[0], end), min(span[1], end)) for span in spans]
