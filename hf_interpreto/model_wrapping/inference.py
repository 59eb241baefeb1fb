"""The engine: runs the passes that methods ask for, together for many inputs, each once, in any batching the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hf_interpreto.errors import NonFiniteScoresError
from hf_interpreto.model_wrapping.batching import Batcher, Cost, Part
from hf_interpreto.model_wrapping.examples import Example
from hf_interpreto.model_wrapping.forward import Batch, Forward
from hf_interpreto.model_wrapping.replacement import Replacement
from hf_interpreto.model_wrapping.requests import (
    Coalitions,
    Gradients,
    GradientSums,
    Passes,
    PointScores,
    Program,
    Request,
)
from hf_interpreto.model_wrapping.rows import RowBuilder, split_towers
from hf_interpreto.model_wrapping.scores import Score
from hf_interpreto.typing import ModelTask


class Engine:
    """Answers requests.

    Args:
        forward: the model.
        score: what is explained.
        replacement: how removed elements are replaced.
        batch_size: rows per pass, or "auto".
        independent_labels: whether each class is a yes or no of its own (multi-label), so that its competitor in
            probabilities is 0 and not the other classes.
        pad_id: fills rows up; it is never attended to.
    """

    def __init__(
        self,
        forward: Forward,
        score: Score,
        replacement: Replacement,
        batch_size: int | str = "auto",
        *,
        independent_labels: bool = False,
        pad_id: int = 0,
    ) -> None:
        self.forward = forward
        self.score = score
        self.replacement = replacement
        self.batch_size = batch_size
        self.independent_labels = independent_labels
        self.rows = RowBuilder(forward, pad_id)
        self.batcher = Batcher(batch_size, forward.device)

    @contextmanager
    def session(self) -> Iterator[None]:
        """The model is borrowed for a while and given back as it was."""
        with self.forward.session():
            yield

    def run(self, programs: Sequence[Program]) -> list[tuple[Any, Passes]]:
        """Drive programs to their ends, answering in the same passes what they ask at the same time."""
        results: list[Any] = [None] * len(programs)
        passes = [Passes() for _ in programs]
        pending: dict[int, Request] = {}
        answers: dict[int, Any] = dict.fromkeys(range(len(programs)))
        with self.session():
            while answers:
                for index, answer in answers.items():
                    try:
                        pending[index] = programs[index].send(answer)
                    except StopIteration as stop:
                        results[index] = stop.value
                answers = self._answer(pending, passes)
                pending = {}
        return list(zip(results, passes, strict=True))

    def logits(self, examples: Sequence[Example]) -> list[Tensor]:
        """Logits `(t, v)` of untouched inputs at their positions."""
        found: list[Tensor] = [torch.empty(0)] * len(examples)

        def execute(parts: list[Part]) -> None:
            chosen = [examples[part.request] for part in parts]
            rows = [torch.ones(1, example.n_input, dtype=torch.bool) for example in chosen]
            with torch.inference_mode():
                values = self.forward(self.rows.token_batch(chosen, rows)).values
            for part, example, value in zip(parts, chosen, values, strict=True):
                found[part.request] = value[: len(example.positions)].cpu()

        with self.session():
            self.batcher.run([self._cost(example, 1) for example in examples], execute)
        return [value.clone() for value in found]

    def embed(self, example: Example) -> Tensor:
        """Embeddings `(l, d)` of the tokens that the model reads, both towers' one after the other."""
        return self.rows.embed(example)

    def embed_replaced(self, example: Example, replacement: Replacement) -> Tensor:
        """Embeddings `(l, d)` where every player is replaced: the baseline of gradient methods."""
        return self.rows.embed_replaced(example, replacement)

    # -- answering -------------------------------------------------------------------------------------------------

    def _answer(self, pending: dict[int, Request], passes: list[Passes]) -> dict[int, Any]:
        answers: dict[int, Any] = {}
        kinds: tuple[tuple[type, Any], ...] = (
            (Coalitions, self._coalitions),
            (PointScores, self._point_scores),
            (Gradients, self._gradients),
        )
        for kind, answer in kinds:
            indices = [index for index, request in pending.items() if isinstance(request, kind)]
            if indices:
                found = answer([pending[index] for index in indices], [passes[index] for index in indices])
                answers.update(zip(indices, found, strict=True))
        return answers

    def _coalitions(self, requests: list[Coalitions], passes: list[Passes]) -> list[Tensor]:
        # Equal for the model means equal in the tokens that it reads: a generated text's last token is not among them.
        tokens = [request.example.keep_tokens(request.keep) for request in requests]
        distinct, inverse = zip(*(_unique_rows(rows) for rows in tokens), strict=True)
        found = [
            torch.empty(len(rows), len(request.example.positions), dtype=torch.float64)
            for rows, request in zip(distinct, requests, strict=True)
        ]
        todo = [
            self._reuse_reference(request.example, rows, out)
            for request, rows, out in zip(requests, distinct, found, strict=True)
        ]
        draws = self.replacement.draws

        def execute(parts: list[Part]) -> None:
            chosen = [todo[part.request][part.start : part.stop] for part in parts]
            rows = [
                distinct[p.request][index].repeat_interleave(draws, 0) for p, index in zip(parts, chosen, strict=True)
            ]
            with torch.inference_mode():
                batch = self.rows.token_batch([requests[p.request].example for p in parts], rows, self.replacement)
                scores = self._score(self.forward(batch).values, batch.target_ids).cpu().double()
            for part, index, score in zip(parts, chosen, scores.split([len(row) for row in rows]), strict=True):
                t = found[part.request].shape[1]
                found[part.request][index] = score[:, :t].unflatten(0, (-1, draws)).mean(1)
                passes[part.request].forward += len(score)

        self.batcher.run(
            [self._cost(r.example, len(rows), draws) for rows, r in zip(todo, requests, strict=True)], execute
        )
        answers = [values[rows] for values, rows in zip(found, inverse, strict=True)]
        for request, answer in zip(requests, answers, strict=True):
            _check_finite(answer, request.example)
        return answers

    def _point_scores(self, requests: list[PointScores], passes: list[Passes]) -> list[Tensor]:
        found = [torch.empty(r.count, len(r.example.positions), dtype=torch.float64) for r in requests]

        def execute(parts: list[Part]) -> None:
            with torch.inference_mode():
                batch, _ = self._point_batch(requests, parts)
                scores = self._score(self.forward(batch).values, batch.target_ids).cpu().double()
            for part, score in zip(parts, scores.split([len(part) for part in parts]), strict=True):
                found[part.request][part.start : part.stop] = score[:, : found[part.request].shape[1]]
                passes[part.request].forward += len(part)

        self.batcher.run([self._cost(r.example, r.count) for r in requests], execute)
        for request, answer in zip(requests, found, strict=True):
            _check_finite(answer, request.example)
        return found

    def _gradients(self, requests: list[Gradients], passes: list[Passes]) -> list[GradientSums]:
        sums: dict[int, GradientSums] = {}

        def execute(parts: list[Part]) -> None:
            with torch.enable_grad():
                batch, leaves = self._point_batch(requests, parts)
                for leaf in leaves:
                    leaf.requires_grad_()
                logits = self.forward(batch)
                scores = self._score(logits.values, batch.target_ids)
                gradients = list(_gradients(scores, logits.hidden, leaves))
            sizes = [len(part) for part in parts]
            split = [[gradient.split(sizes) for gradient in towers] for towers in gradients]
            # All is measured before any of it is added up: a batch that runs out of memory on the way is tried again.
            measured = [
                _measured(requests[part.request], part, [[tower[k] for tower in towers] for towers in split])
                for k, part in enumerate(parts)
            ]
            for part, values, table in zip(parts, measured, scores.detach().split(sizes), strict=True):
                t = len(values)
                _accumulate(sums, part, requests[part.request], values, table[:, :t])
                passes[part.request].forward += len(part)
                passes[part.request].backward += len(part) * t

        costs = [self._cost(r.example, r.count) for r in requests]
        self.batcher.run(costs, execute)
        answers = [sums[index] for index in range(len(requests))]
        for request, answer in zip(requests, answers, strict=True):
            _check_finite(answer.scores, request.example)
        return answers

    def _cost(self, example: Example, rows: int, draws: int = 1) -> Cost:
        vocabulary = 0
        if self.forward.task in (ModelTask.TEXT_GENERATION, ModelTask.FILL_MASK):
            vocabulary = int(self.forward.model.config.get_text_config().vocab_size)
        return Cost(rows, example.n_input * draws, len(example.positions) * vocabulary * draws, draws)

    def _point_batch(
        self, requests: Sequence[PointScores | Gradients], parts: list[Part]
    ) -> tuple[Batch, list[Tensor]]:
        examples = [requests[part.request].example for part in parts]
        with torch.no_grad():
            points = [requests[part.request].at(torch.arange(part.start, part.stop)) for part in parts]
        return self.rows.point_batch(examples, points)

    def _score(self, logits: Tensor, target_ids: Tensor) -> Tensor:
        target_ids = target_ids.to(logits.device)
        if self.independent_labels:
            chosen = logits.gather(-1, target_ids[..., None])
            logits, target_ids = torch.cat([torch.zeros_like(chosen), chosen], -1), torch.ones_like(target_ids)
        return self.score(logits, target_ids)

    def reference_scores(self, example: Example) -> Tensor | None:
        """Scores `(t,)` of the untouched input from a prediction already made; None where there was none."""
        if example.logits is None:
            return None
        return self._score(example.logits[None], example.target_ids[None])[0].double()

    def _reuse_reference(self, example: Example, keep: Tensor, out: Tensor) -> Tensor:
        """Fill the rows that keep everything from a prediction already made; the indices of the others."""
        whole = keep.all(1)
        reference = self.reference_scores(example) if bool(whole.any()) else None
        if reference is None:
            return torch.arange(len(keep))
        out[whole] = reference
        return (~whole).nonzero()[:, 0]


def _gradients(scores: Tensor, hidden: Tensor | None, leaves: list[Tensor]) -> Iterator[list[Tensor]]:
    """For each target, the gradients of its score with respect to the leaves.

    Each position's score depends on its own row of what the vocabulary head reads, so one backward through the head
    serves all targets, and only the stack below is run once a target.
    """
    t = scores.shape[1]
    above = None
    if hidden is not None and t > 1:
        (above,) = torch.autograd.grad(scores.sum(), hidden, retain_graph=True)
    for k in range(t):
        last = k == t - 1
        if above is None or hidden is None:
            grads = torch.autograd.grad(scores[:, k].sum(), leaves, retain_graph=not last, allow_unused=True)
        else:
            row = torch.zeros_like(above)
            row[:, k] = above[:, k]
            grads = torch.autograd.grad([hidden], leaves, [row], retain_graph=not last, allow_unused=True)
        yield [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(grads, leaves, strict=True)]


def _measured(request: Gradients, part: Part, gradients: list[list[Tensor]]) -> Tensor:
    """What a request makes of its gradients, given for each target and tower: `(t, b, ...)`."""
    lengths = [len(ids) for ids in split_towers(request.example, request.example.ids)]
    index = torch.arange(part.start, part.stop)
    whole = [
        torch.cat([tower[:, :n] for tower, n in zip(towers, lengths, strict=True)], 1)
        for towers in gradients[: len(request.example.positions)]
    ]
    return torch.stack([request.measure(gradient, index) for gradient in whole])


def _accumulate(
    sums: dict[int, GradientSums], part: Part, request: Gradients, measured: Tensor, scores: Tensor
) -> None:
    if part.request not in sums:
        empty = torch.zeros(measured.shape[0], *measured.shape[2:], dtype=torch.float64)
        table = torch.empty(request.count, scores.shape[1], dtype=torch.float64)
        sums[part.request] = GradientSums(empty, empty.clone(), table)
    total = sums[part.request]
    values = measured.cpu().double()
    weights = request.weights[part.start : part.stop].double()
    total.first += torch.einsum("p,tp...->t...", weights, values)
    total.second += torch.einsum("p,tp...->t...", weights, values.square())
    total.scores[part.start : part.stop] = scores.cpu().double()


def _unique_rows(keep: Tensor) -> tuple[Tensor, Tensor]:
    """Distinct rows and, for each row, which of them it is."""
    packed = np.packbits(keep.numpy(), axis=1)
    _, first, inverse = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return keep[torch.from_numpy(first)], torch.from_numpy(inverse.reshape(-1))


def _check_finite(scores: Tensor, example: Example) -> None:
    if not bool(scores.isfinite().all()):
        raise NonFiniteScoresError(
            f"the model's scores for {example.text[:60]!r} are NaN or infinite, so nothing can be explained. Try a "
            "wider dtype (dtype=torch.float32), another attn_implementation, or another replacement."
        )
