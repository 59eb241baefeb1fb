"""What stands for an element that is taken away: another token, nothing, another embedding, tokens at random."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hf_interpreto.errors import TokenizerError, UnknownNameError

REPLACEMENTS = ("auto", "mask", "unk", "pad", "eos", "bos", "delete", "attention", "zero", "mean", "resample")


@dataclass(eq=False)
class PerturbedTokens:
    """Rows of tokens as the model reads them.

    Attributes:
        ids: `(b, l')`.
        attention: `(b, l')` bool, False for padding and for tokens hidden from attention.
        origin: `(b, l')` the position that each token had; None where nothing moved.
        edited: `(b, l')` bool, tokens whose embedding is replaced; None where there are none.
    """

    ids: Tensor
    attention: Tensor
    origin: Tensor | None = None
    edited: Tensor | None = None


@dataclass(frozen=True)
class Replacement(ABC):
    """How removed tokens are replaced; never by changing the model or the tokenizer.

    Attributes:
        anchor_id: a token put first where nothing at all would be left to read.
    """

    anchor_id: int = 0

    draws = 1
    """Rows that the model reads for each coalition; their scores are averaged."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As given in the arguments; part of every result."""

    @abstractmethod
    def apply(self, ids: Tensor, keep: Tensor) -> PerturbedTokens:
        """Rows of `ids` `(l,)`, or `(b, l)`, with the tokens removed that `keep` `(b, l)` does not keep."""

    def led(self, ids: Tensor, keep: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Ids and what is kept of them, so that a causal model reads something up to position `first`."""
        return ids, keep

    def read(self, keep: Tensor, positions: Tensor) -> Tensor:
        """Where to read the logits that stood at `positions` `(t,)`: `(b, t)`."""
        return positions.expand(len(keep), -1)


@dataclass(frozen=True)
class TokenReplacement(Replacement):
    """Another token: mask, unknown, padding (still attended), or any id."""

    token_id: int = 0
    label: str = "token"

    @property
    def name(self) -> str:
        """The token's name."""
        return self.label

    def apply(self, ids: Tensor, keep: Tensor) -> PerturbedTokens:
        """The token in every removed place."""
        return PerturbedTokens(ids.where(keep, self.token_id), torch.ones_like(keep))


@dataclass(frozen=True)
class Deletion(Replacement):
    """The tokens are left out and the others move together."""

    @property
    def name(self) -> str:
        """As given in the arguments."""
        return "delete"

    def apply(self, ids: Tensor, keep: Tensor) -> PerturbedTokens:
        """What is kept, moved together."""
        rows, kept = _anchored(ids, keep, ~keep.any(1), self.anchor_id)
        lengths = kept.sum(1)
        origin = (~kept).int().argsort(dim=1, stable=True)[:, : int(lengths.max())]
        return PerturbedTokens(rows.gather(1, origin), torch.arange(origin.shape[1]) < lengths[:, None], origin)

    def led(self, ids: Tensor, keep: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """The anchor first, where nothing is left before the target: the target would else be read after itself."""
        return _anchored(ids, keep, ~keep[:, : first + 1].any(1), self.anchor_id)

    def read(self, keep: Tensor, positions: Tensor) -> Tensor:
        """Where the last kept token up to each position has gone."""
        return (keep.cumsum(1)[:, positions] - 1).clamp_min(0)


@dataclass(frozen=True)
class AttentionMasking(Replacement):
    """The tokens keep their places, and no other token may attend to them."""

    @property
    def name(self) -> str:
        """As given in the arguments."""
        return "attention"

    def apply(self, ids: Tensor, keep: Tensor) -> PerturbedTokens:
        """The same tokens, hidden."""
        rows, attention = _anchored(ids, keep, ~keep.any(1), self.anchor_id)
        return PerturbedTokens(rows, attention)

    def led(self, ids: Tensor, keep: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """The anchor first, where all before the target is hidden."""
        return _anchored(ids, keep, ~keep[:, : first + 1].any(1), self.anchor_id)

    def read(self, keep: Tensor, positions: Tensor) -> Tensor:
        """The last kept token up to each position."""
        order = torch.arange(keep.shape[1]).expand_as(keep).where(keep, 0)
        return order.cummax(1).values[:, positions]


@dataclass(frozen=True)
class EmbeddingReplacement(Replacement):
    """The embedding is set to zero, or to the mean over the vocabulary."""

    kind: str = "zero"

    @property
    def name(self) -> str:
        """As given in the arguments."""
        return self.kind

    def apply(self, ids: Tensor, keep: Tensor) -> PerturbedTokens:
        """The same tokens; the embeddings change in the model."""
        return PerturbedTokens(ids.expand(len(keep), -1), torch.ones_like(keep), edited=~keep)


@dataclass(frozen=True)
class Resampling(Replacement):
    """Tokens drawn evenly from the vocabulary: the interventional expectation over `draws` fixed backgrounds."""

    candidates: Tensor | None = None
    draws: int = 8
    seed: int = 0

    @property
    def name(self) -> str:
        """As given in the arguments."""
        return "resample"

    def apply(self, ids: Tensor, keep: Tensor) -> PerturbedTokens:
        """Row `j` takes its removed tokens from background `j % draws`, the same for every coalition."""
        assert self.candidates is not None
        generator = torch.Generator().manual_seed(self.seed)
        drawn = torch.randint(len(self.candidates), (self.draws, len(ids)), generator=generator)
        background = self.candidates[drawn].repeat(len(keep) // self.draws, 1)
        return PerturbedTokens(ids.where(keep, background), torch.ones_like(keep))


def _anchored(ids: Tensor, keep: Tensor, bare: Tensor, anchor_id: int) -> tuple[Tensor, Tensor]:
    """A row of ids for each row of `keep`, with the anchor as first token, and kept, where it is `bare` `(b,)`."""
    rows, kept = ids.expand(len(keep), -1).clone(), keep.clone()
    rows[bare, 0] = anchor_id
    kept[bare, 0] = True
    return rows, kept


def get_replacement(
    replacement: Replacement | str | int, tokenizer: PreTrainedTokenizerBase, seed: int = 0
) -> Replacement:
    """The replacement meant by a name or a token id.

    Args:
        replacement: "auto" (mask token, else unknown, else end of text), "mask", "unk", "pad", "eos", "bos",
            "delete", "attention", "zero", "mean", "resample", a token id, or a `Replacement`.
        tokenizer: names the ids; it is not changed.
        seed: for "resample".

    Raises:
        UnknownNameError: no replacement has this name.
        TokenizerError: the tokenizer has no such token.
    """
    if isinstance(replacement, Replacement):
        return replacement
    anchor = _first_id(tokenizer, "bos", "cls", "eos", "pad", "unk")
    anchor = 0 if anchor is None else anchor
    if isinstance(replacement, int) and not isinstance(replacement, bool):
        if not 0 <= replacement < len(tokenizer):
            raise TokenizerError(f"replacement={replacement}: token ids go from 0 to {len(tokenizer) - 1}.")
        return TokenReplacement(anchor, replacement, f"token {replacement}")
    if replacement in ("zero", "mean"):
        return EmbeddingReplacement(anchor, replacement)
    if replacement == "delete":
        return Deletion(anchor)
    if replacement == "attention":
        return AttentionMasking(anchor)
    if replacement == "resample":
        special = set(tokenizer.all_special_ids)
        ids = [index for index in range(len(tokenizer)) if index not in special]
        return Resampling(anchor, torch.tensor(ids), seed=seed)
    if replacement not in REPLACEMENTS:
        raise UnknownNameError("replacement", replacement, REPLACEMENTS)
    return _special_token(replacement, tokenizer, anchor)


def _special_token(name: str, tokenizer: PreTrainedTokenizerBase, anchor: int) -> TokenReplacement:
    names = ("mask", "unk", "eos", "pad", "bos") if name == "auto" else (name,)
    for found in names:
        token_id = getattr(tokenizer, f"{found}_token_id")
        if token_id is not None:
            return TokenReplacement(anchor, token_id, found)
    raise TokenizerError(
        f"replacement={name!r}: the tokenizer has no {' or '.join(names)} token. Use another one of "
        f"{', '.join(REPLACEMENTS[1:])}, or a token id."
    )


def _first_id(tokenizer: PreTrainedTokenizerBase, *names: str) -> int | None:
    ids = (getattr(tokenizer, f"{name}_token_id") for name in names)
    return next((index for index in ids if index is not None), None)
