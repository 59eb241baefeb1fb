"""The plan of the library, kept by reading its source: what may import what, and how large a file may grow."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import hf_interpreto

ROOT = Path(hf_interpreto.__file__).parent
PACKAGE = "hf_interpreto"
FLOORS = {
    "errors": 1,
    "typing": 1,
    "granularity": 1,
    "text": 1,
    "hub": 2,
    "model_wrapping": 3,
    "attributions": 4,
    "concepts": 4,
    "lenses": 4,
    "visualizations": 5,
    "cli": 6,
    "pipelines": 6,
    "mixins": 6,
    "demo": 6,
}
SIBLINGS = {"attributions", "concepts", "lenses"}
TESTING = "testing"
MAX_LINES = 350
IMPORTED_ONCE = ("nnsight", "accelerate", "openai", "nltk")
HEAVY = ("sklearn", "matplotlib", "datasets", "captum", "nnsight", "openai", "nltk", "pandas", "scipy")
# Results show themselves: these methods load the views when they are called, and only then.
LAZY_VIEWS = ROOT / "attributions" / "display.py"

MODULES = sorted(ROOT.rglob("*.py"))


@cache
def _tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def _part(path):
    """The top-level module or package that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _is_type_checking(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _imports(path):
    """(module name, whether it is loaded when a function runs) of every import, type-checking ones left out."""

    def walk(node, lazy):
        for child in ast.iter_child_nodes(node):
            if _is_type_checking(child):
                for other in child.orelse:
                    yield from walk(other, lazy)
            elif isinstance(child, ast.Import):
                yield from ((alias.name, lazy) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                names = [child.module or ""]
                if child.module == PACKAGE:
                    names = [f"{PACKAGE}.{alias.name}" for alias in child.names]
                yield from ((name, lazy) for name in names)
            else:
                yield from walk(child, lazy or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))

    return list(walk(_tree(path), False))


def _own_imports(path):
    found = [(name.split(".")[1], lazy) for name, lazy in _imports(path) if name.startswith(f"{PACKAGE}.")]
    return [(part, lazy) for part, lazy in found if not part.startswith("__")]  # the version is no module


def _id(path):
    return str(path.relative_to(ROOT))


def test_every_part_of_the_library_has_its_floor():
    parts = {_part(path) for path in MODULES} - {"__init__", "__main__"}
    assert parts <= {*FLOORS, TESTING}
    assert {"errors", "model_wrapping", "attributions"} <= parts


@pytest.mark.parametrize("path", [p for p in MODULES if _part(p) in FLOORS], ids=_id)
def test_a_module_imports_only_from_lower_floors_or_its_own_part(path):
    own = FLOORS[_part(path)]
    for part, lazy in _own_imports(path):
        if path == LAZY_VIEWS and lazy and FLOORS.get(part) == 5:
            continue
        assert part in FLOORS, f"imports {part}"
        allowed = FLOORS[part] < own or part == _part(path) or (FLOORS[part] == own and part not in SIBLINGS)
        assert allowed, f"floor {own} imports {part} of floor {FLOORS[part]}"


@pytest.mark.parametrize("path", [p for p in MODULES if _part(p) in SIBLINGS], ids=_id)
def test_attributions_concepts_and_lenses_never_import_each_other(path):
    assert not {part for part, _ in _own_imports(path)} & (SIBLINGS - {_part(path)})


@pytest.mark.parametrize("path", [p for p in MODULES if _part(p) == TESTING], ids=_id)
def test_the_testing_package_needs_no_command_line(path):
    assert "cli" not in {part for part, _ in _own_imports(path)}


def test_the_package_itself_imports_nothing_of_its_own_before_it_is_used():
    eager = [name for name, lazy in _imports(ROOT / "__init__.py") if not lazy and name.startswith(f"{PACKAGE}.")]
    assert all(FLOORS.get(name.split(".")[1]) in (1, 6) for name in eager), eager


@pytest.mark.parametrize("path", MODULES, ids=_id)
def test_a_file_can_be_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("library", IMPORTED_ONCE)
def test_a_large_dependency_is_imported_in_one_place_at_most(library):
    users = [_id(path) for path in MODULES if any(name.split(".")[0] == library for name, _ in _imports(path))]
    assert len(users) <= 1, users


@pytest.mark.parametrize("path", MODULES, ids=_id)
def test_no_file_prints_pickles_or_imports_relatively(path):
    banned = {"pickle", "cPickle", "dill", "cloudpickle", "joblib"}
    assert not banned & {name.split(".")[0] for name, _ in _imports(path)}
    for node in ast.walk(_tree(path)):
        assert not (isinstance(node, ast.ImportFrom) and node.level), "relative import"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called == "torch.load":
                assert "weights_only=True" in ast.unparse(node), "torch.load reads pickles"
            # The training script is a program of its own; everything else speaks through logging.
            assert called != "print" or path == ROOT / "demo" / "train.py"


@pytest.mark.parametrize("path", MODULES, ids=_id)
def test_no_file_catches_everything(path):
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}"
            caught = set(ast.unparse(node.type).strip("()").replace(",", " ").split())
            # Tidying up after any error is fine where the error goes on.
            goes_on = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            assert goes_on or not {"Exception", "BaseException"} & caught, f"line {node.lineno}"


def _loaded_by(code):
    program = f"import sys\n{code}\nsys.stdout.write(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    return {name.split(".")[0] for name in run.stdout.split()}


def test_importing_the_package_loads_no_heavy_library():
    assert not set(HEAVY) & _loaded_by(f"import {PACKAGE}") - _loaded_by("import transformers")


def test_the_reader_of_imports_sees_lazy_and_type_checking_imports(tmp_path):
    file = tmp_path / "module.py"
    file.write_text(
        "from typing import TYPE_CHECKING\nimport os.path\nif TYPE_CHECKING:\n    import numpy\n"
        "from hf_interpreto import text\ndef f():\n    from hf_interpreto.cli import main\n"
    )
    assert _imports(file) == [
        ("typing", False),
        ("os.path", False),
        ("hf_interpreto.text", False),
        ("hf_interpreto.cli", True),
    ]
