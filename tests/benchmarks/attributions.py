"""Attribution methods timed beside interpreto, captum and the bare model passes: `make bench`.

`python -m tests.benchmarks.attributions --help` lists the options; README.md says how to read the result.
"""

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers

from tests.benchmarks import report
from tests.benchmarks.cases import LIBRARIES, METHODS, MODELS, OURS, Case
from tests.benchmarks.coordinator import ENVIRONMENT_OF, measure
from tests.benchmarks.environments import python_of
from tests.benchmarks.memory import SETTABLE, memory_cases
from tests.benchmarks.models import folder_of

RESULTS = Path(__file__).parent / "results"


def parser() -> argparse.ArgumentParser:
    """Options of the command line."""
    made = argparse.ArgumentParser(prog="python -m tests.benchmarks.attributions", description=__doc__)
    made.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    made.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    made.add_argument("--libraries", nargs="+", choices=LIBRARIES, help="default: all (--memory: ours)")
    made.add_argument("--repeats", type=int, default=3, help="timed runs per case, of which the median counts")
    made.add_argument(
        "--patience", type=float, default=math.inf, help="CPU seconds of a run beyond which it is not repeated"
    )
    made.add_argument("--quick", action="store_true", help="two sentences and one run: does it work, not how fast")
    made.add_argument("--memory", action="store_true", help="peak memory instead of time")
    made.add_argument("--json", type=Path, help="where to write the records (default: in results/)")
    return made


def machine() -> dict[str, object]:
    """What the numbers depend on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "processor": platform.machine(),
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def case_groups(options: argparse.Namespace) -> list[list[Case]]:
    """Cases to run in turn: each group is compared within itself."""
    folders = {model: folder_of(model, RESULTS / "models") for model in options.models}
    for model in [model for model, folder in folders.items() if folder is None]:
        print(f"{model}: skipped, the kit is absent (set HF_INTERPRETO_KIT to its folder)", file=sys.stderr)
    present = {model: str(folder) for model, folder in folders.items() if folder is not None}
    if options.memory:
        return [[case] for case in memory_cases(present, options.libraries or [OURS])]
    chosen = options.libraries or LIBRARIES
    n = 2 if options.quick else 8
    return [
        [Case(library, model, method, folder, n_sentences=n) for library in LIBRARIES if library in chosen]
        for model, folder in present.items()
        for method in METHODS
        if method in options.methods
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark, prints the table and writes the records.

    Returns:
        0, or 1 when no case gave a number.
    """
    made = parser()
    options = made.parse_args(arguments)
    if options.memory and not set(options.libraries or []) <= set(SETTABLE):
        made.error(f"--memory changes settings, which only {', '.join(SETTABLE)} take here")
    repeats = 1 if options.quick or options.memory else options.repeats
    path = options.json or RESULTS / ("memory.json" if options.memory else "attributions.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    groups = case_groups(options)
    for library in {case.library for group in groups for case in group}:
        # Before the first measurement, so that no installation runs beside one.
        python_of(ENVIRONMENT_OF.get(library, library))
    about, records = machine(), []
    for index, group in enumerate(groups, start=1):
        records += measure(group, repeats, RESULTS / "logs", options.patience)
        # Written after every group: an interrupted run keeps what it has.
        path.write_text(json.dumps({"machine": about, "repeats": repeats, "records": records}, indent=1))
        done = "  ".join(f"{r['library']} {report.number(r.get('cpu_s'), '.3f')}" for r in records[-len(group) :])
        print(f"[{index}/{len(groups)}] {group[0].model} {group[0].method}: {done}", file=sys.stderr, flush=True)
    if options.memory:
        print(report.memory_table(records))
    else:
        print(f"{report.table(records)}\n\n{report.summary(records)}")
    return 0 if any("cpu_s" in record for record in records) else 1


if __name__ == "__main__":
    raise SystemExit(main())
