"""One input with its targets, ready for any method: ids, elements, and where each target's logits are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from hf_interpreto.granularity import Element


@dataclass(frozen=True)
class Target:
    """One row of an explanation.

    Attributes:
        label: how it is shown: a class name, a generated word.
        id: class id, or token id(s) where the row is about tokens.
        element: index of the element that the row is about (a generated word, a tagged word); None for a class.
    """

    label: str
    id: int | tuple[int, ...]
    element: int | None = None


@dataclass(eq=False)
class Example:
    """One input, tokenised, with its targets.

    An encoder-decoder's two inputs stand one after the other on one token axis. A row of the explanation is one
    target, or several token targets that make up a word (`groups`).

    Attributes:
        ids: `(l,)` token ids of everything shown; the model reads the first `n_input`.
        elements: what the scores are about.
        positions: `(t,)` the logits of token target `i` are those that follow token `positions[i]`'s predecessor for a
            generator (`shifted`), those at `positions[i]` for a tagger, and the only ones for a classifier (-1).
        target_ids: `(t,)` class or token ids.
        rows: the explanation's rows; row `r` pools the token targets `groups[r]`.
        text: what the elements' spans refer to.
        source_length: characters of `text` that are input; the rest is output.
        n_source: elements that are input; the rest are generated.
        n_encoder: tokens that the encoder of an encoder-decoder reads; None for other models.
        extras: further `(l,)` inputs such as `token_type_ids`.
        shifted: whether a target's logits are read one token before it.
        logits: `(t, v)` reference logits where a prediction already made them.
    """

    ids: Tensor
    elements: list[Element]
    positions: Tensor
    target_ids: Tensor
    rows: list[Target]
    groups: list[list[int]]
    text: str
    source_length: int
    n_source: int
    n_encoder: int | None = None
    extras: dict[str, Tensor] = field(default_factory=dict)
    shifted: bool = False
    logits: Tensor | None = None

    @property
    def n_input(self) -> int:
        """Tokens that the model reads: all but the last generated one, which nothing depends on."""
        return len(self.ids) - 1 if self.shifted else len(self.ids)

    @cached_property
    def players(self) -> list[int]:
        """Elements that are perturbed and scored."""
        return [index for index, element in enumerate(self.elements) if not element.frozen]

    @cached_property
    def player_elements(self) -> list[Element]:
        """The elements of `players`, in their order."""
        return [self.elements[index] for index in self.players]

    @cached_property
    def token_players(self) -> Tensor:
        """`(l,)` index among the players of each token; `len(players)` for tokens that are never perturbed."""
        owner = torch.full((len(self.ids),), len(self.players), dtype=torch.long)
        for index, element in enumerate(self.player_elements):
            owner[list(element.tokens)] = index
        return owner

    @cached_property
    def influences(self) -> Tensor:
        """`(t, m)` bool: whether player `m` can influence token target `t`, which later tokens cannot."""
        if not self.shifted:
            return torch.ones(len(self.positions), len(self.players), dtype=torch.bool)
        first = torch.tensor([element.tokens[0] for element in self.player_elements], dtype=torch.long)
        return first[None] < self.positions[:, None]

    @cached_property
    def attributable(self) -> Tensor:
        """`(rows, g)` bool: False for frozen elements and, for a generated row, for itself and what follows it."""
        valid = torch.tensor([not element.frozen for element in self.elements]).repeat(len(self.rows), 1)
        if self.shifted:
            for row, target in enumerate(self.rows):
                if target.element is not None:
                    valid[row, target.element :] = False
        return valid

    def keep_tokens(self, keep: Tensor) -> Tensor:
        """Which players are kept `(p, m)` to which input tokens are kept `(p, n_input)`, both bool."""
        frozen = torch.ones(len(keep), 1, dtype=torch.bool)
        return torch.cat([keep, frozen], dim=1)[:, self.token_players[: self.n_input]]

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold, without the reference logits."""
        return {
            "ids": self.ids.tolist(),
            "elements": [
                {"text": e.text, "tokens": list(e.tokens), "span": e.span and list(e.span), "frozen": e.frozen}
                for e in self.elements
            ],
            "positions": self.positions.tolist(),
            "target_ids": self.target_ids.tolist(),
            "rows": [{"label": r.label, "id": r.id, "element": r.element} for r in self.rows],
            "groups": self.groups,
            "text": self.text,
            "source_length": self.source_length,
            "n_source": self.n_source,
            "n_encoder": self.n_encoder,
            "extras": {name: value.tolist() for name, value in self.extras.items()},
            "shifted": self.shifted,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Example:
        """The inverse of `to_dict`."""
        return cls(
            ids=torch.tensor(data["ids"], dtype=torch.long),
            elements=[
                Element(e["text"], tuple(e["tokens"]), e["span"] and (e["span"][0], e["span"][1]), e["frozen"])
                for e in data["elements"]
            ],
            positions=torch.tensor(data["positions"], dtype=torch.long),
            target_ids=torch.tensor(data["target_ids"], dtype=torch.long),
            rows=[Target(r["label"], _as_id(r["id"]), r["element"]) for r in data["rows"]],
            groups=[list(group) for group in data["groups"]],
            text=data["text"],
            source_length=data["source_length"],
            n_source=data["n_source"],
            n_encoder=data["n_encoder"],
            extras={name: torch.tensor(value, dtype=torch.long) for name, value in data["extras"].items()},
            shifted=data["shifted"],
        )


def pool_targets(scores: Tensor, groups: Sequence[Sequence[int]], *, additive: bool) -> Tensor:
    """Scores of token targets `(t, ...)` to rows `(rows, ...)`: summed where the score adds up, else averaged."""
    if all(len(group) == 1 for group in groups):
        return scores[[group[0] for group in groups]]
    rows = [scores[list(group)] for group in groups]
    return torch.stack([row.sum(0) if additive else row.mean(0) for row in rows])


def _as_id(value: Any) -> int | tuple[int, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else int(value)
