"""Keeps one process per library alive for a case, and lets them run in turn, never two at a time."""

import json
import os
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.cases import INTERPRETO, INTERPRETO_64, Case
from tests.benchmarks.environments import REPOSITORY, python_of

ENVIRONMENT_OF = {INTERPRETO_64: INTERPRETO}


class Worker:
    """A process that serves one case; everything it prints beside its answers goes to `log`."""

    def __init__(self, case: Case, log: Path) -> None:
        self.case = case
        self.log = log
        self.answers: list[dict[str, float]] = []
        self.base_mib = 0.0
        self.error: str | None = None
        python = python_of(ENVIRONMENT_OF.get(case.library, case.library))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY), "HF_HUB_OFFLINE": "1"}
        with log.open("w") as stderr:
            self.process = subprocess.Popen(
                [str(python), "-m", "tests.benchmarks.worker", json.dumps(case.to_dict())],
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        ready = self._receive()
        if ready is not None:
            self.base_mib = ready["base_mib"]

    def measure(self) -> None:
        """One timed run, unless the process has failed before."""
        if self.error is None and self.process.stdin is not None:
            self.process.stdin.write("run\n")
            self.process.stdin.flush()
            answer = self._receive()
            if answer is not None:
                self.answers.append(answer)

    def close(self) -> dict[str, object]:
        """Ends the process and sums up its runs."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()
        result: dict[str, object] = {**self.case.to_dict(), "error": self.error, "base_mib": self.base_mib}
        del result["folder"]
        if self.answers:
            for key in ("cpu_s", "wall_s"):
                result[key] = statistics.median(answer[key] for answer in self.answers)
                result[f"{key}_runs"] = [answer[key] for answer in self.answers]
            for key in ("peak_mib", "sequences", "tokens"):
                result[key] = max(answer[key] for answer in self.answers)
        return result

    def _receive(self) -> dict[str, float] | None:
        line = self.process.stdout.readline() if self.process.stdout is not None else ""
        if line:
            return json.loads(line)
        self.process.wait()
        lines = [text for text in self.log.read_text().splitlines() if text.strip()]
        self.error = lines[-1] if lines else f"exit status {self.process.returncode}"
        return None


def measure(cases: Sequence[Case], repeats: int, logs: Path, patience: float) -> list[dict[str, object]]:
    """Runs the cases in turn, `repeats` times each: A B C A B C, so that a change of load meets them all.

    Args:
        cases: Cases to compare, all of one model and method.
        repeats: Timed runs of each.
        logs: Folder for what the processes print.
        patience: A process whose first run took more CPU seconds than this is not run again.

    Returns:
        One record per case: medians (`cpu_s`, `wall_s`), all runs, memory and passes; or `error`.
    """
    logs.mkdir(parents=True, exist_ok=True)
    workers = [Worker(case, logs / f"{case.model}-{case.method}-{case.library}.log") for case in cases]
    for _ in range(repeats):
        for worker in workers:
            if not worker.answers or worker.answers[0]["cpu_s"] <= patience:
                worker.measure()
    return [worker.close() for worker in workers]
