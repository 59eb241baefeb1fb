"""One process, one case: loads the model, warms up, then answers each line on stdin with one timed run.

Messages are JSON objects, one a line, on the process's own stdout; what the libraries print goes to stderr.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from tests.benchmarks.cases import CAPTUM, FLOOR, INTERPRETO, INTERPRETO_64, OURS, Case

MEBI = 2**20


class PassCounter:
    """Counts the sequences and tokens that enter the first layer of the model's stack."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.sequences = 0
        self.tokens = 0
        stack = model.base_model
        first = stack.encoder.layer[0] if hasattr(stack, "encoder") else stack.h[0]
        first.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: torch.nn.Module, args: tuple, kwargs: dict) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        self.sequences += hidden.shape[0]
        self.tokens += hidden.shape[0] * hidden.shape[1]

    def reset(self) -> None:
        """Starts again from zero."""
        self.sequences = self.tokens = 0


def load(case: Case) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The saved model, in float32 and evaluation mode, and its tokenizer."""
    auto = AutoModelForCausalLM if case.generation else AutoModelForSequenceClassification
    model = auto.from_pretrained(case.folder, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(case.folder)


def prepare(case: Case, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Callable[[int], None]:
    """The function that explains the first n sentences with the library of the case."""
    if case.library == OURS:
        from tests.benchmarks import ours

        return ours.prepare(case, model, tokenizer)
    if case.library == FLOOR:
        from tests.benchmarks import floor

        return floor.prepare(case, model, tokenizer)
    from tests.benchmarks import peers

    preparations = {
        INTERPRETO: peers.prepare_interpreto,
        INTERPRETO_64: peers.prepare_interpreto,
        CAPTUM: peers.prepare_captum,
    }
    return preparations[case.library](case, model, tokenizer)


def memory(field: str) -> float:
    """Resident memory in MiB: `VmRSS` now, `VmHWM` at its highest (elsewhere than on Linux both are the highest)."""
    status = Path("/proc/self/status")
    if not status.is_file():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEBI
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def forget_peak() -> None:
    """Sets the highest memory back to the present one, so that loading the model does not hide the runs."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        print("the peak of memory includes loading the model", file=sys.stderr)


def main() -> None:
    """Serves one case, given as JSON in the first argument, until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    case = Case(**json.loads(sys.argv[1]))
    model, tokenizer = load(case)
    counter = PassCounter(model)
    # A long text warms up with itself: nothing shorter touches the same memory.
    run = prepare(case, model, tokenizer)
    if not case.long:
        run(1)
    base = memory("VmRSS")
    forget_peak()
    send(answers, {"ready": True, "base_mib": base})
    for _ in sys.stdin:
        counter.reset()
        cpu, wall = time.process_time(), time.perf_counter()
        run(case.n_sentences)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        passes = {"sequences": counter.sequences, "tokens": counter.tokens}
        send(answers, {"cpu_s": cpu, "wall_s": wall, "peak_mib": memory("VmHWM"), **passes})


def send(answers: TextIO, message: dict[str, object]) -> None:
    """Writes one message."""
    print(json.dumps(message), file=answers, flush=True)


if __name__ == "__main__":
    main()
