"""What the README and the docstrings show runs, and the README names every method."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hf_interpreto
from hf_interpreto.attributions import list_methods
from hf_interpreto.attributions.base import AttributionExplainer

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(hf_interpreto.__path__, "hf_interpreto.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("block", BLOCKS, ids=[block.strip().splitlines()[0][:50] for block in BLOCKS])
def test_readme_code_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name: str) -> None:
    module = importlib.import_module(name)
    failures, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert failures == 0


def test_readme_table_names_every_method_of_the_library() -> None:
    table = {tuple(row) for row in re.findall(r"^\| `(\w+)` \| `(\w+)` \|", README, flags=re.MULTILINE)}
    own = {(cls.__name__, name) for name, cls in list_methods().items() if cls.__module__.startswith("hf_interpreto.")}
    assert table == own


@pytest.mark.parametrize(
    "cls", [cls for cls in list_methods().values() if cls.__module__.startswith("hf_interpreto.")]
)
def test_every_method_names_its_paper_and_has_a_citation(cls: type[AttributionExplainer]) -> None:
    assert re.search(r"https://arxiv\.org/abs/\d{4}\.\d{4,5}", cls.__doc__ or "")
    assert re.match(r"@\w+\{\w+, .*year=\{\d{4}\}\}$", cls.citation)


@pytest.mark.slow
@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples_run_as_they_are(example: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", str(example)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
