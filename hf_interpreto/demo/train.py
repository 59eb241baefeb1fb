"""Trains the demo models: `python -m hf_interpreto.demo.train [--output DIR] [--only NAME]`."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import transformers

from hf_interpreto.demo import DEMO_MODELS, MODELS_FOLDER
from hf_interpreto.demo.causal import train_causal
from hf_interpreto.demo.classifier import train_classifier
from hf_interpreto.demo.corpus import CORPUS_SEED
from hf_interpreto.demo.seq2seq import train_seq2seq

_TRAIN: dict[str, Callable[[Path, int, Callable[[str], None]], dict[str, float]]] = {
    "classifier": train_classifier,
    "causal": train_causal,
    "seq2seq": train_seq2seq,
}


def _say(line: str) -> None:
    print(line, flush=True)


def train_one(name: str, output: Path, seed: int) -> dict[str, float]:
    """Trains one model into `output / name` and writes what was measured beside it, in `metrics.json`.

    Args:
        name: One of `DEMO_MODELS`.
        output: Folder of the models.
        seed: Seed of the training; the corpus has its own fixed seed.

    Returns:
        The quality on held-out combinations.
    """
    folder = output / name
    started = time.perf_counter()
    _say(f"{name}: training")
    quality = {measure: round(value, 4) for measure, value in _TRAIN[name](folder, seed, _say).items()}
    metrics = {"corpus_seed": CORPUS_SEED, "seed": seed, "quality": quality}
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.iterdir())
    _say(f"{name}: {size / 1e6:.2f} MB in {folder}, after {time.perf_counter() - started:.0f} s")
    for measure, value in quality.items():
        _say(f"  {measure:<32} {value:.4f}")
    return quality


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains the models that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m hf_interpreto.demo.train", description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=MODELS_FOLDER, help="folder of the models (default: the package)"
    )
    parser.add_argument("--only", choices=DEMO_MODELS, help="train this one only")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training (default: 0)")
    options = parser.parse_args(arguments)
    transformers.utils.logging.disable_progress_bar()
    for name in (options.only,) if options.only else DEMO_MODELS:
        train_one(name, options.output, options.seed)


if __name__ == "__main__":
    main()
