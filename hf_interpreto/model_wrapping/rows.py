"""Rows that the model reads: perturbed tokens or given embeddings of several examples, filled up to one length."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hf_interpreto.model_wrapping.examples import Example
from hf_interpreto.model_wrapping.forward import Batch, EmbeddingEdit, Forward, Stream
from hf_interpreto.model_wrapping.replacement import PerturbedTokens, Replacement
from hf_interpreto.typing import ModelTask


class RowBuilder:
    """Makes batches for `forward`.

    Args:
        forward: knows the embedding modules.
        pad_id: fills rows up on the right; it is never attended to.
    """

    def __init__(self, forward: Forward, pad_id: int) -> None:
        self.forward = forward
        self.pad_id = pad_id

    def token_batch(
        self, examples: Sequence[Example], keeps: Sequence[Tensor], replacement: Replacement | None = None
    ) -> Batch:
        """For each example the rows of `keep` `(b, n_input)`, with the other tokens replaced."""
        replacement = replacement or _PLAIN
        towers: list[list[PerturbedTokens]] = []
        reads, targets = [], []
        for example, keep in zip(examples, keeps, strict=True):
            ids, kept, read = split_towers(example, example.ids), split_towers(example, keep), read_positions(example)
            if self._reads_inside(example):
                ids[0], kept[0] = replacement.led(ids[0], kept[0], int(read.min()) if example.shifted else 0)
            towers.append([replacement.apply(i, k) for i, k in zip(ids, kept, strict=True)])
            reads.append(replacement.read(kept[-1], read))
            targets.append(example.target_ids.expand(len(keep), -1))
        streams = [self._stream(list(tower), i, replacement) for i, tower in enumerate(zip(*towers, strict=True))]
        first = [tower[0] for tower in towers]
        extras = [_moved(example.extras, tokens) for example, tokens in zip(examples, first, strict=True)]
        names = dict.fromkeys(name for extra in extras for name in extra)
        streams[0].extras = {
            name: _pad([_extra(e, name, t) for e, t in zip(extras, first, strict=True)], 0) for name in names
        }
        return Batch(streams, _pad(reads, 0), _pad(targets, 0))

    def point_batch(self, examples: Sequence[Example], points: Sequence[Tensor]) -> tuple[Batch, list[Tensor]]:
        """Rows given by their embeddings `(b, l, d)`; the ids stay for what else the model reads from them.

        Returns:
            The batch, and for each tower the tensor `(rows, l, d)` that stands for its embeddings.
        """
        full = [torch.ones(len(p), e.n_input, dtype=torch.bool) for p, e in zip(points, examples, strict=True)]
        batch = self.token_batch(examples, full)
        split = [split_towers(e, p.transpose(1, 2)) for e, p in zip(examples, points, strict=True)]
        leaves = [_pad(tower, 0).transpose(1, 2).contiguous() for tower in zip(*split, strict=True)]
        for leaf, stream in zip(leaves, batch.streams, strict=True):
            stream.edit = _constant(leaf)
        return batch, leaves

    def embed(self, example: Example) -> Tensor:
        """Embeddings `(l, d)` of the tokens that the model reads, both towers' one after the other."""
        return torch.cat([self.forward.embed(ids, i) for i, ids in enumerate(split_towers(example, example.ids))])

    def embed_replaced(self, example: Example, replacement: Replacement) -> Tensor:
        """Embeddings `(l, d)` where every player is replaced."""
        keep = example.keep_tokens(torch.zeros(1, len(example.players), dtype=torch.bool))
        rows = []
        towers = zip(split_towers(example, example.ids), split_towers(example, keep), strict=True)
        for index, (ids, kept) in enumerate(towers):
            tokens = replacement.apply(ids, kept.expand(replacement.draws, -1))
            if tokens.origin is not None or not bool(tokens.attention.all()):
                raise ValueError(f"baseline={replacement.name!r} gives no embeddings; use a token, 'zero' or 'mean'.")
            embedded = self.forward.embed(tokens.ids, index)
            if tokens.edited is not None:
                embedded = self._edit(replacement, index, tokens.edited)(embedded)
            rows.append(embedded.mean(0))
        return torch.cat(rows)

    def _reads_inside(self, example: Example) -> bool:
        """Whether logits are read at tokens with nothing but removable ones before them."""
        inside = example.shifted or self.forward.task is ModelTask.TOKEN_CLASSIFICATION
        return inside and example.n_encoder is None

    def _stream(self, tower: list[PerturbedTokens], index: int, replacement: Replacement) -> Stream:
        edited = [tokens.edited for tokens in tower if tokens.edited is not None]
        return Stream(
            _pad([tokens.ids for tokens in tower], self.pad_id),
            _pad([tokens.attention for tokens in tower], 0),
            edit=self._edit(replacement, index, _pad(edited, 0)) if edited else None,
        )

    def _edit(self, replacement: Replacement, stream: int, edited: Tensor) -> EmbeddingEdit:
        fill = self.forward.mean_embedding(stream) if replacement.name == "mean" else torch.zeros(())

        def edit(output: Tensor) -> Tensor:
            return torch.where(edited[..., None].to(output.device), fill.to(output), output)

        return edit


def split_towers(example: Example, values: Tensor) -> list[Tensor]:
    """What each tower reads of values along the token axis (the last)."""
    values = values[..., : example.n_input]
    if example.n_encoder is None:
        return [values]
    return [values[..., : example.n_encoder], values[..., example.n_encoder :]]


def read_positions(example: Example) -> Tensor:
    """`(t,)` where the last tower's logits are read for each target."""
    return example.positions - int(example.shifted) - (example.n_encoder or 0)


class _Plain(Replacement):
    """Rows as they are."""

    @property
    def name(self) -> str:
        return "none"

    def apply(self, ids: Tensor, keep: Tensor) -> PerturbedTokens:
        return PerturbedTokens(ids.expand(len(keep), -1), torch.ones_like(keep))


_PLAIN = _Plain()


def _constant(value: Tensor) -> EmbeddingEdit:
    return lambda output: value.to(output.device)


def _moved(extras: dict[str, Tensor], tokens: PerturbedTokens) -> dict[str, Tensor]:
    n, width = tokens.ids.shape
    if tokens.origin is None:
        return {name: value[:width].expand(n, -1) for name, value in extras.items()}
    return {name: value[tokens.origin] for name, value in extras.items()}


def _extra(extras: dict[str, Tensor], name: str, tokens: PerturbedTokens) -> Tensor:
    """An input that other rows of the batch have: where an example has none, zeros, as the model itself fills in."""
    return extras[name] if name in extras else torch.zeros_like(tokens.ids)


def _pad(rows: Sequence[Tensor], value: int) -> Tensor:
    """Blocks `(b_i, ..., l_i)` to one `(sum b_i, ..., max l_i)`, filled on the right."""
    width = max(row.shape[-1] for row in rows)
    if all(row.shape[-1] == width for row in rows):
        return torch.cat(list(rows))
    return torch.cat([torch.nn.functional.pad(row, (0, width - row.shape[-1]), value=value) for row in rows])
