"""Rows of many requests into batches: by length, to a token budget that shrinks when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

logger = logging.getLogger(__name__)

# Tokens and vocabulary logits that one pass may hold. What leaves a CPU's cache is slower, so its passes are small:
# of 8 to 170 rows of 21 tokens (BERT of 4 x 256, one thread), 32 were fastest, and all together 16 % slower.
_CPU_TOKENS, _CPU_LOGITS = 768, 2**24  # for each thread
_GPU_TOKENS, _GPU_LOGITS = 32768, 2**29


@dataclass(frozen=True)
class Part:
    """Rows `start:stop` of request number `request`."""

    request: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Cost:
    """What one request asks for: its rows, and per row its tokens, vocabulary logits, and sequences for the model."""

    rows: int
    tokens: int
    logits: int = 0
    draws: int = 1


class Batcher:
    """Cuts requests into batches.

    Args:
        batch_size: rows per pass, or "auto" for a budget of tokens.
        device: sets the budget for "auto".
    """

    def __init__(self, batch_size: int | str, device: torch.device) -> None:
        if batch_size != "auto" and (
            not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1
        ):
            raise ValueError(f"batch_size={batch_size!r}: expected 'auto' or a positive integer.")
        self.rows = batch_size if isinstance(batch_size, int) else None
        on_cpu = device.type == "cpu"
        threads = torch.get_num_threads()
        self.tokens = _CPU_TOKENS * threads if on_cpu else _GPU_TOKENS
        self.logits = _CPU_LOGITS * threads if on_cpu else _GPU_LOGITS

    def run(self, costs: Sequence[Cost], execute: Callable[[list[Part]], None]) -> None:
        """Call `execute` on batches until every row of every request has been through it once.

        A batch that does not fit in memory is cut in half and tried again, and later batches stay small.
        """
        for batch in self.batches(costs):
            waiting = [batch]
            while waiting:
                parts = waiting.pop()
                try:
                    execute(parts)
                except torch.OutOfMemoryError:
                    if sum(map(len, parts)) == 1:
                        raise
                    self._shrink(parts)
                    waiting.extend(_halves(parts))

    def batches(self, costs: Sequence[Cost]) -> Iterator[list[Part]]:
        """Parts of like length together, longest first, so that a lack of memory shows at once."""
        order = sorted(range(len(costs)), key=lambda index: (-costs[index].tokens, -costs[index].logits))
        parts: list[Part] = []
        room = 0
        for index in order:
            start = 0
            while start < costs[index].rows:
                if room == 0:
                    if parts:
                        yield parts
                    parts, room = [], self._capacity(costs[index])
                stop = min(costs[index].rows, start + room)
                parts.append(Part(index, start, stop))
                room -= stop - start
                start = stop
        if parts:
            yield parts

    def _capacity(self, cost: Cost) -> int:
        if self.rows is not None:
            return max(1, self.rows // cost.draws)
        return max(1, min(self.tokens // max(cost.tokens, 1), self.logits // max(cost.logits, 1)))

    def _shrink(self, parts: list[Part]) -> None:
        rows = sum(map(len, parts))
        logger.warning("Out of memory with %d rows in a pass; going on with half as many.", rows)
        torch.cuda.empty_cache()
        if self.rows is not None:
            self.rows = max(1, min(self.rows, rows // 2))
        self.tokens = max(1, self.tokens // 2)
        self.logits = max(1, self.logits // 2)


def _halves(parts: list[Part]) -> list[list[Part]]:
    total = sum(map(len, parts))
    first: list[Part] = []
    second: list[Part] = []
    taken = 0
    for part in parts:
        cut = min(len(part), max(0, total // 2 - taken))
        if cut:
            first.append(Part(part.request, part.start, part.start + cut))
        if cut < len(part):
            second.append(Part(part.request, part.start + cut, part.stop))
        taken += len(part)
    return [second, first]
