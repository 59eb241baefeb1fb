"""`import hf_interpreto` makes transformers know the tasks, in either order of imports, and loads nothing for it."""

import subprocess
import sys

import pytest

TASKS = (
    "explain-text-classification",
    "explain-text-generation",
    "explain-token-classification",
    "explain-fill-mask",
)


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_neither_torch_nor_transformers() -> None:
    loaded = python(
        "import sys, hf_interpreto; print([n for n in ('torch', 'transformers', 'numpy') if n in sys.modules])"
    )
    assert loaded.strip() == "[]"


@pytest.mark.parametrize(
    "imports",
    [
        "import hf_interpreto\nfrom transformers import pipelines",
        "from transformers import pipelines\nimport hf_interpreto",
        "import transformers, hf_interpreto\nfrom transformers import pipelines",
        "import hf_interpreto, transformers.pipelines as pipelines",
    ],
)
def test_the_tasks_are_known_in_every_order_of_imports(imports: str) -> None:
    code = f"""
{imports}
import sys
print(sorted(t for t in pipelines.get_supported_tasks() if t.startswith("explain-")))
print("hf_interpreto.attributions" in sys.modules)
print([type(f).__name__ for f in sys.meta_path if type(f).__module__.startswith("hf_interpreto")])
print(pipelines.__spec__.loader is pipelines.__loader__, type(pipelines.__loader__).__name__)
"""
    tasks, engine_loaded, finders, loader = python(code).splitlines()
    assert tasks == str(sorted(TASKS))
    assert engine_loaded == "False"  # the methods are imported when a pipeline is made
    assert finders == "[]"
    assert loader == "True SourceFileLoader"


def test_registering_twice_waits_once() -> None:
    code = """
import sys, hf_interpreto
from hf_interpreto.pipelines.registration import register_pipelines
register_pipelines()
print(sum(type(f).__module__.startswith("hf_interpreto") for f in sys.meta_path))
"""
    assert python(code).strip() == "1"
