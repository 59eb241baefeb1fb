"""What the three made-up corpora share: cue marks, the split into train and test, small text tools.

Every text of the demo corpora is filled in from templates written for this project, so the words that decide the
answer (the cues) are known, and with them the right explanation.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

Span = tuple[int, int]
Split = Literal["train", "test"]
T = TypeVar("T")

CORPUS_SEED = 2024
_OPEN, _CLOSE = "⟦", "⟧"
_TEST_SHARE = 10


def mark(cue: str) -> str:
    """Wraps a cue so that `unmark` finds its place once the template around it is filled in."""
    return f"{_OPEN}{cue}{_CLOSE}"


def unmark(text: str) -> tuple[str, list[Span]]:
    """Takes the marks out of a text.

    Args:
        text: Text with cues wrapped by `mark`.

    Returns:
        The plain text, and the character span of each cue in it, in order.
    """
    plain: list[str] = []
    spans: list[Span] = []
    length = 0
    start = 0
    for character in text:
        if character == _OPEN:
            start = length
        elif character == _CLOSE:
            spans.append((start, length))
        else:
            plain.append(character)
            length += 1
    return "".join(plain), spans


def sentence(text: str) -> str:
    """Puts the first letter in upper case, past the mark of a cue if the text begins with one."""
    first = 1 if text.startswith(_OPEN) else 0
    return text[:first] + text[first : first + 1].upper() + text[first + 1 :]


def article(word: str) -> str:
    """Gives the indefinite article that goes before `word`, which may be marked."""
    return "an" if word.lstrip(_OPEN)[0] in "aeiou" else "a"


def is_held_out(combination: str) -> bool:
    """Tells whether a combination (such as a cue in a template) belongs to the test split: a fixed one in ten."""
    return zlib.crc32(combination.encode()) % _TEST_SHARE == 0


def draw_split(
    draw: Callable[[random.Random], tuple[str, T]], n: int, seed: int, split: Split, accept: Sequence[str] = ()
) -> list[T]:
    """Draws `n` samples whose combinations all lie in one split.

    Args:
        draw: Makes one sample from a generator and names the combination that it stands for.
        n: Number of samples.
        seed: Seed of the generator; the two splits of one seed use different streams.
        split: `"train"` or `"test"`.
        accept: Combinations that may occur in both splits, because they carry no answer.

    Returns:
        The samples, the same ones for the same arguments.

    Raises:
        ValueError: If `split` is neither `"train"` nor `"test"`.
    """
    if split not in ("train", "test"):
        raise ValueError(f"unknown split {split!r}. Known: train, test")
    generator = random.Random(f"{seed}-{split}")
    samples: list[T] = []
    while len(samples) < n:
        combination, sample = draw(generator)
        if combination in accept or is_held_out(combination) == (split == "test"):
            samples.append(sample)
    return samples
