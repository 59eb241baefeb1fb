"""Texts that may stand for a concept, and how active concepts are on them: a stream that never holds all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Candidates:
    """Rows of activations and the text that each is about.

    Args:
        texts: of each row; equal ones are one candidate, as active as the most active of its rows.
        values: (n, d) activations of the model, or (n, c) of the concepts.
        encode: from a batch of `values` to (b, c) activations of concepts.
    """

    texts: Sequence[str]
    values: Tensor
    encode: Callable[[Tensor], Tensor]

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.values):
            raise ValueError(
                f"{len(self.texts)} texts of elements do not fit {len(self.values)} rows of activations. Give the "
                "inputs and the granularity that the activations were taken with."
            )

    def distinct(self) -> tuple[list[str], Tensor]:
        """The distinct texts in order of appearance, and (n,) which of them each row has."""
        places: dict[str, int] = {}
        ids = torch.tensor([places.setdefault(text, len(places)) for text in self.texts], dtype=torch.long)
        return list(places), ids

    def stream(self, ids: Tensor, concepts: Sequence[int], batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields (u,) ids of distinct texts and (u, len(concepts)) their activations; every text comes once.

        Rows are read in the order of their texts, so that all rows of a text stand together and only the last text of
        a batch may go on in the next.

        Raises:
            ValueError: activations of concepts are NaN or infinite.
        """
        columns = torch.as_tensor(concepts, dtype=torch.long)
        held: tuple[Tensor, Tensor] | None = None
        for rows in torch.argsort(ids, stable=True).split(batch_size):
            with torch.no_grad():
                codes = self.encode(self.values[rows.to(self.values.device)])[:, columns].float().cpu()
            if not codes.isfinite().all():
                raise ValueError(
                    "activations of concepts are NaN or infinite, so that no input can be ranked by them."
                )
            owners = ids[rows]
            if held is not None:
                owners, codes = torch.cat([held[0], owners]), torch.cat([held[1], codes])
            found, place = owners.unique_consecutive(return_inverse=True)
            best = codes.new_full((len(found), codes.shape[1]), -torch.inf)
            best.scatter_reduce_(0, place[:, None].expand_as(codes), codes, "amax")
            held = found[-1:], best[-1:]
            yield found[:-1], best[:-1]
        if held is not None:
            yield held


def top(stream: Iterator[tuple[Tensor, Tensor]], k: int, n_concepts: int) -> tuple[Tensor, Tensor]:
    """The (min(k, u), c) highest activations, sorted down each column, and the ids of their texts."""
    values = torch.empty(0, n_concepts)
    ids = torch.empty(0, n_concepts, dtype=torch.long)
    for found, codes in stream:
        pool = torch.cat([values, codes])
        owners = torch.cat([ids, found[:, None].expand_as(codes)])
        values, places = pool.topk(min(k, len(pool)), dim=0)
        ids = owners.gather(0, places)
    return values, ids


def active(stream: Iterator[tuple[Tensor, Tensor]], n_concepts: int) -> list[tuple[Tensor, Tensor]]:
    """For each concept the activations above 0, highest first, and the ids of their texts.

    Only what is above 0 is held, so that memory follows how many texts a concept is active on.
    """
    columns, values, ids = [], [], []
    for found, codes in stream:
        place, column = (codes > 0).nonzero(as_tuple=True)
        columns.append(column.int())
        values.append(codes[place, column])
        ids.append(found[place].int())
    column, value, owner = (torch.cat(parts) if parts else torch.empty(0) for parts in (columns, values, ids))
    order = value.argsort(descending=True, stable=True)
    order = order[column[order].argsort(stable=True)]
    sizes = torch.bincount(column.long(), minlength=n_concepts).tolist()
    return list(zip(value[order].split(sizes), owner[order].long().split(sizes), strict=True))
