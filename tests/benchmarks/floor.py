"""The floor: the bare model passes that a method needs at the shared settings, batched as well as can be.

No tokenisation, masking, score or estimate is timed: the inputs are ready. Batches hold sequences of one length only,
from all the sentences together; the batch size is the fastest of several; parameters are frozen; forwards run in
inference mode; the vocabulary head sees only the positions that are asked about; sequences that are equal run once.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from scipy.stats import qmc
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.benchmarks.cases import COALITIONS, DESIGN_ROWS, METHODS, NOISE_SAMPLES, Case

BATCH_SIZES = (4, 8, 16, 32, 64, 128)
# Enough rows to rank the batch sizes, few enough to do so in seconds.
TRIAL_ROWS = {False: 128, True: 64}
TRIALS = 3


class Sentence:
    """Token ids of one input (l,), its last `n_targets` target ids, and the unit of each token (-1: never masked)."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, text: str, target: str | None) -> None:
        encoding = tokenizer(text)
        words = [-1 if word is None else word for word in encoding.word_ids()]
        targets = [] if target is None else tokenizer(target, add_special_tokens=False)["input_ids"]
        # What was generated before a target is explained too, each token a word of its own.
        words += range(max(words) + 1, max(words) + len(targets))
        # The last target is only predicted, never read: the model sees one token less.
        self.ids = torch.tensor([*encoding["input_ids"], *targets][: -1 if targets else None])
        self.words = np.array(words)
        self.targets = torch.tensor(targets)

    def masked(self, kept: np.ndarray, mask_id: int) -> Tensor:
        """Rows of ids (p, l) for rows of kept words (p, g)."""
        token_kept = np.where(self.words < 0, True, kept[:, self.words])
        return torch.where(torch.from_numpy(token_kept), self.ids, mask_id)


def coalitions(method: str, g: int, generator: np.random.Generator) -> np.ndarray:
    """Distinct rows of kept words (p, g), True = kept, the unmasked row first."""
    full = np.ones((1, g), dtype=bool)
    if method == "Occlusion":
        return np.concatenate([full, ~np.eye(g, dtype=bool)])
    if method == "Lime":
        rows = generator.random((COALITIONS, g)) < 0.5
    elif method == "KernelShap":
        sizes = np.arange(1, g)
        odds = 1 / (sizes * (g - sizes))
        drawn = generator.choice(sizes, size=COALITIONS, p=odds / odds.sum())
        rows = generator.random((COALITIONS, g)).argsort(axis=1) < drawn[:, None]
    else:
        design = qmc.Sobol(2 * g, scramble=True, rng=generator).random(DESIGN_ROWS) >= 0.5
        a, b = design[:, :g], design[:, g:]
        mixed = np.where(np.eye(g, dtype=bool)[:, None], b, a)
        rows = np.concatenate([a, b, mixed.reshape(-1, g)])
    rows = rows[(~rows.all(axis=1))]
    return np.concatenate([full, np.unique(rows, axis=0)])


def by_length(rows: Sequence[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """Joins (p, l) ids and their (p, t) targets into one pair per length."""
    groups: dict[int, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for ids, targets in rows:
        groups[ids.shape[1]].append((ids, targets))
    return [(torch.cat([r[0] for r in group]), torch.cat([r[1] for r in group])) for group in groups.values()]


def forwards(model: PreTrainedModel, case: Case) -> Callable[[Tensor, Tensor], None]:
    """One batch of forwards."""
    head = model.get_output_embeddings()

    def run(ids: Tensor, targets: Tensor) -> None:
        with torch.inference_mode():
            if case.generation:
                hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, -targets.shape[1] :]
                # Not `logits_to_keep`: with frozen parameters torch multiplies a sliced batch by the vocabulary
                # matrix one by one, several times slower than the same numbers laid out contiguously.
                head(hidden.contiguous())
            else:
                model(input_ids=ids)

    return run


def backwards(model: PreTrainedModel, case: Case) -> Callable[[Tensor, Tensor], None]:
    """One batch of forwards and of backwards to the embeddings: one for a class, t through the stack for t tokens."""
    embeddings = model.get_input_embeddings()
    head = model.get_output_embeddings()

    def embed(ids: Tensor) -> Tensor:
        with torch.no_grad():
            x = embeddings(ids)
        return x.requires_grad_()

    def run_class(ids: Tensor, targets: Tensor) -> None:
        x = embed(ids)
        logits = model(inputs_embeds=x).logits
        torch.autograd.grad(logits.max(dim=-1).values.sum(), x)

    def run_tokens(ids: Tensor, targets: Tensor) -> None:
        x = embed(ids)
        t = targets.shape[1]
        hidden = model.base_model(inputs_embeds=x, use_cache=False).last_hidden_state[:, -t:]
        leaf = hidden.detach().contiguous().requires_grad_()
        # Positions do not mix in the head: one backward through it serves every target.
        (seeds,) = torch.autograd.grad(head(leaf).gather(-1, targets[..., None]).sum(), leaf)
        for index in range(t):
            torch.autograd.grad(hidden[:, index], x, seeds[:, index], retain_graph=index < t - 1)

    return run_tokens if case.generation else run_class


def prepare(case: Case, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Callable[[int], None]:
    """A function of the number of sentences that runs the bare passes for them."""
    texts, targets = case.texts()
    mask_id = tokenizer.mask_token_id if tokenizer.mask_token_id is not None else tokenizer.eos_token_id
    sentences = [
        Sentence(tokenizer, text, None if targets is None else targets[index]) for index, text in enumerate(texts)
    ]
    model.requires_grad_(False)
    gradient = METHODS[case.method].gradient
    forward = forwards(model, case)
    step = backwards(model, case) if gradient else forward
    generator = np.random.default_rng(0)
    rows = [
        _repeated(sentence, case.method) if gradient else _coalition_rows(sentence, case.method, mask_id, generator)
        for sentence in sentences
    ]
    # With several noisy passes none of them is the clean one that tells the class.
    predicts = gradient and not case.generation and case.method not in ("Saliency", "InputxGradient")
    plain = [_repeated(sentence, "Saliency") for sentence in sentences] if predicts else []
    size = best_batch_size(step, by_length(rows), TRIAL_ROWS[gradient])

    def run(n_sentences: int) -> None:
        for batch in batches(by_length(plain[:n_sentences]), size):
            forward(*batch)
        for batch in batches(by_length(rows[:n_sentences]), size):
            step(*batch)

    return run


def _coalition_rows(
    sentence: Sentence, method: str, mask_id: int, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    ids = sentence.masked(coalitions(method, int(sentence.words.max()) + 1, generator), mask_id)
    return ids, sentence.targets.expand(len(ids), -1)


def _repeated(sentence: Sentence, method: str) -> tuple[Tensor, Tensor]:
    n = 1 if method in ("Saliency", "InputxGradient") else NOISE_SAMPLES
    return sentence.ids.expand(n, -1), sentence.targets.expand(n, -1)


def batches(groups: Sequence[tuple[Tensor, Tensor]], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Cuts each group into pieces of at most `size` rows."""
    for ids, targets in groups:
        yield from zip(ids.split(size), targets.split(size), strict=True)


def best_batch_size(
    step: Callable[[Tensor, Tensor], None], groups: Sequence[tuple[Tensor, Tensor]], trial_rows: int
) -> int:
    """The size of `BATCH_SIZES` that needs the least CPU time on the first `trial_rows` rows, best of `TRIALS`."""
    trial: list[tuple[Tensor, Tensor]] = []
    for ids, targets in groups:
        room = trial_rows - sum(len(taken) for taken, _ in trial)
        trial.extend([(ids[:room], targets[:room])] if room > 0 else [])
    largest = max(len(ids) for ids, _ in trial)
    # Beyond the largest group every size cuts alike.
    sizes = [size for index, size in enumerate(BATCH_SIZES) if index == 0 or BATCH_SIZES[index - 1] < largest]

    def cost(size: int) -> float:
        start = time.process_time()
        for batch in batches(trial, size):
            step(*batch)
        return time.process_time() - start

    for batch in batches(trial, sizes[0]):
        step(*batch)
    costs = dict.fromkeys(sizes, float("inf"))
    for _ in range(TRIALS):
        costs = {size: min(best, cost(size)) for size, best in costs.items()}
    print(f"CPU seconds by batch size: {costs}", file=sys.stderr)
    return min(sizes, key=lambda size: costs[size])
