"""One forward pass: embeddings replaced by a hook, logits only where they are read, and no trace left on the model."""

from __future__ import annotations

import inspect
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_interpreto.typing import ModelTask

EmbeddingEdit = Callable[[Tensor], Tensor]

_LOCKS: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()


@dataclass(eq=False)
class Stream:
    """What one tower of the model reads: the whole model's input, or the encoder's, or the decoder's.

    Attributes:
        ids: `(b, l)`.
        attention: `(b, l)` bool; padding stands on the right.
        extras: further `(b, l)` inputs.
        edit: from the embeddings `(b, l, d)` to those that the model goes on with.
    """

    ids: Tensor
    attention: Tensor
    extras: dict[str, Tensor] = field(default_factory=dict)
    edit: EmbeddingEdit | None = None


@dataclass(eq=False)
class Batch:
    """Rows for one forward pass.

    Attributes:
        streams: one, or encoder and decoder.
        read: `(b, t)` positions of the last stream whose logits are wanted.
        target_ids: `(b, t)`.
    """

    streams: list[Stream]
    read: Tensor
    target_ids: Tensor


@dataclass(eq=False)
class Logits:
    """Logits `(b, t, v)` where they were asked for, and what the vocabulary head read to make them `(b, t, d)`."""

    values: Tensor
    hidden: Tensor | None = None


class Forward:
    """Runs a model as it is: its dtype, its device map, its quantisation, its attention implementation.

    Args:
        model: any transformers model with a head for `task`.
        task: what its logits are about.
    """

    def __init__(self, model: PreTrainedModel, task: ModelTask) -> None:
        self.model = model
        self.task = task
        names = inspect.signature(model.forward).parameters
        self.accepts = set(names)
        self.is_encoder_decoder = task is ModelTask.TEXT_GENERATION and bool(model.config.is_encoder_decoder)
        self.embedding_modules = self._find_embeddings()
        self.reads_last_token = self._pools_last_token()
        self._means: dict[int, Tensor] = {}

    @property
    def device(self) -> torch.device:
        """Where ids go: the device of the input embedding, whatever the device map."""
        weight = next(self.embedding_modules[0].parameters(), None)
        device = torch.device(getattr(self.model, "device", "cpu")) if weight is None else weight.device
        # Weights that accelerate loads when they are needed are nowhere now; its hooks take inputs from the CPU.
        return torch.device("cpu") if device.type == "meta" else device

    @contextmanager
    def session(self) -> Iterator[None]:
        """One user at a time; evaluation mode, frozen parameters; everything as before afterwards, also on error."""
        with self.lock:
            training = [module for module in self.model.modules() if module.training]
            trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
            self._means.clear()  # the weights may have changed since
            try:
                for module in training:
                    module.training = False
                for parameter in trainable:
                    parameter.requires_grad_(False)
                yield
            finally:
                for parameter in trainable:
                    parameter.requires_grad_(True)
                for module in training:
                    module.training = True

    @property
    def lock(self) -> threading.RLock:
        """One per model: hooks see the passes of every thread."""
        return _LOCKS.setdefault(self.model, threading.RLock())

    def embed(self, ids: Tensor, stream: int = 0) -> Tensor:
        """What the embedding module makes of `ids` `(..., l)`: `(..., l, d)`, scaled where the module scales."""
        module = self.embedding_modules[stream]
        with self.lock, torch.no_grad():  # another thread's pass may have a hook on the module
            return module(ids.to(self.device))

    def mean_embedding(self, stream: int = 0) -> Tensor:
        """Mean over the vocabulary, `(d,)`; computed once a session."""
        if stream not in self._means:
            size = int(self.model.config.get_text_config().vocab_size)
            parts = torch.arange(size).split(8192)
            self._means[stream] = sum((self.embed(part, stream).sum(0) for part in parts), torch.zeros(())) / size
        return self._means[stream]

    def __call__(self, batch: Batch) -> Logits:
        """The logits at `batch.read`."""
        with ExitStack() as stack:
            self._edit_embeddings(batch.streams, stack)
            if self.reads_last_token:
                hidden = self.model.base_model(**self._inputs(batch.streams))[0]
                head: Any = self.model.score
                return Logits(head(_at(hidden, batch.read)))
            if self.task is ModelTask.TEXT_CLASSIFICATION:
                logits = self.model(**self._inputs(batch.streams)).logits
                return Logits(logits[:, None, :].expand(-1, batch.read.shape[1], -1))
            captured = self._read_at_head(batch.read, stack)
            logits = self.model(**self._inputs(batch.streams)).logits
        if len(captured) == 1:
            return Logits(logits, captured[0])
        return Logits(_at(logits, batch.read))

    def _inputs(self, streams: list[Stream]) -> dict[str, Any]:
        device = self.device
        inputs: dict[str, Any] = {}
        for prefix, stream in zip(("", "decoder_"), streams, strict=False):
            inputs[f"{prefix}input_ids"] = stream.ids.to(device)
            # No mask lets attention take its fastest path; ids that look like padding need one all the same.
            pad_id = self.model.config.pad_token_id
            if not bool(stream.attention.all()) or (pad_id is not None and bool((stream.ids == pad_id).any())):
                inputs[f"{prefix}attention_mask"] = stream.attention.long().to(device)
            extras = {name: value.to(device) for name, value in stream.extras.items() if name in self.accepts}
            inputs.update(extras)
        if "use_cache" in self.accepts:
            inputs["use_cache"] = False
        return inputs

    def _edit_embeddings(self, streams: list[Stream], stack: ExitStack) -> None:
        """Hooks on the embedding modules; a module shared by both towers runs for the encoder first."""
        if all(stream.edit is None for stream in streams):
            return
        queues: dict[nn.Module, deque[EmbeddingEdit | None]] = defaultdict(deque)
        for module, stream in zip(self.embedding_modules, streams, strict=False):
            queues[module].append(stream.edit)
        if len(streams) < len(self.embedding_modules):  # a classifier's decoder reads the input too, one place later
            queues[self.embedding_modules[1]].append(_one_later(streams[0].edit))

        def replace(module: nn.Module, _args: Any, output: Tensor) -> Tensor:
            edit = queues[module].popleft() if queues[module] else None
            return output if edit is None else edit(output).to(output.dtype)

        for module in queues:
            stack.callback(module.register_forward_hook(replace).remove)

    def _read_at_head(self, read: Tensor, stack: ExitStack) -> list[Tensor]:
        """Let the vocabulary head see only the positions that are read; the list fills as it runs."""
        head = self.model.get_output_embeddings()
        captured: list[Tensor] = []
        if not isinstance(head, nn.Module):
            return captured

        def narrow(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            captured.append(_at(args[0], read))
            return captured[-1], *args[1:]

        stack.callback(head.register_forward_pre_hook(narrow).remove)
        return captured

    def _find_embeddings(self) -> list[nn.Module]:
        if not self.model.config.is_encoder_decoder:
            return [self.model.get_input_embeddings()]
        return [
            self.model.get_encoder().get_input_embeddings(),
            self.model.get_decoder().get_input_embeddings(),
        ]

    def _pools_last_token(self) -> bool:
        """Whether it is a decoder, which reads the last token and finds it by ids that replacement would change."""
        return (
            self.task is ModelTask.TEXT_CLASSIFICATION
            and isinstance(getattr(self.model, "score", None), nn.Linear)
            and self.model.base_model is not self.model
        )


def _one_later(edit: EmbeddingEdit | None) -> EmbeddingEdit | None:
    """The edit of embeddings that have been moved right by one, behind a start token."""
    if edit is None:
        return None

    def later(output: Tensor) -> Tensor:
        moved = edit(torch.cat([output[:, 1:], output[:, -1:]], dim=1))
        return torch.cat([output[:, :1], moved[:, :-1].to(output.dtype)], dim=1)

    return later


def _at(values: Tensor, read: Tensor) -> Tensor:
    """Rows `(b, l, d)` at positions `(b, t)`: `(b, t, d)`."""
    index = read.to(values.device)[..., None].expand(-1, -1, values.shape[-1])
    return values.gather(1, index)
