"""The parts that the three demo trainings share: word tables, masking, the loop, saving."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from hf_interpreto.demo.corpus import Span

IGNORED = -100


@dataclass(frozen=True)
class Encoded:
    """One tokenised text.

    Attributes:
        ids: Token ids, (l,).
        words: Number of the word that each token belongs to, -1 for special tokens, (l,).
        is_cue: Whether the token lies in a cue, (l,).
    """

    ids: Tensor
    words: Tensor
    is_cue: Tensor


def encode(tokenizer: PreTrainedTokenizerFast, text: str, cues: Sequence[Span] = ()) -> Encoded:
    """Tokenises a text; words are what single spaces separate, so that whole words can be masked."""
    encoding = tokenizer(text, return_offsets_mapping=True)
    # A space belongs to the word after it, as in the tokens of byte-level tokenizers.
    word_at = list(accumulate(map(str.isspace, text)))
    words, is_cue = [], []
    for begin, end in encoding["offset_mapping"]:
        words.append(word_at[end - 1] if end > begin else -1)
        is_cue.append(any(begin < cue_end and end > cue_begin for cue_begin, cue_end in cues))
    return Encoded(torch.tensor(encoding["input_ids"]), torch.tensor(words), torch.tensor(is_cue))


def pad(rows: Sequence[Tensor], value: int) -> Tensor:
    """Stacks rows of different lengths, filled up on the right with `value`: (n, l)."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)


def random_words(words: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Picks each word with probability `rate`; all tokens of a picked word are true: (l,) bool."""
    n_words = int(words.max()) + 1
    picked = torch.rand(n_words, generator=generator) < rate
    return picked[words.clamp(min=0)] & (words >= 0)


def uniform(generator: torch.Generator) -> float:
    """Draws a number from [0, 1)."""
    return float(torch.rand((), generator=generator))


def fit(
    model: PreTrainedModel,
    loss_of_step: Callable[[int], Tensor],
    steps: int,
    *,
    learning_rate: float,
    weight_decay: float = 0.01,
    log: Callable[[str], None],
) -> None:
    """Trains in place with AdamW, a short warm-up and a cosine decay of the learning rate to zero.

    Args:
        model: Model to train; it is left in evaluation mode.
        loss_of_step: Makes the batch of a step and gives its loss.
        steps: Number of steps.
        learning_rate: Highest learning rate.
        weight_decay: Weight decay.
        log: Takes a line on the progress ten times.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay)
    warmup = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 0.05, total_iters=warmup),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps - warmup),
        ],
        milestones=[warmup],
    )
    model.train()
    for step in range(steps):
        loss = loss_of_step(step)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % max(1, steps // 10) == 0:
            log(f"  step {step + 1}/{steps}: loss {loss.item():.3f}")
    model.eval()


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path, card: str) -> None:
    """Writes a model in half precision that loads in single precision, its tokenizer and its card.

    The weights are rounded to float16 to halve the size; the configuration says float32, which is what
    `from_pretrained` then converts them to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(folder)
    model.float()
    tokenizer.save_pretrained(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["dtype"] = "float32"
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")


def hide_word(encoded: Encoded, word: int, token_id: int) -> Tensor:
    """Gives the ids with every token of one word replaced: (l,)."""
    return torch.where(encoded.words == word, torch.tensor(token_id), encoded.ids)
