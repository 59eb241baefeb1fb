"""One virtual environment per peer library, made on first use under `tests/benchmarks/.venvs/`."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
VENVS = HERE / ".venvs"

TORCH = "torch==2.13.0"
TRANSFORMERS = "transformers==5.23.0"


@dataclass(frozen=True)
class Environment:
    """What one peer needs.

    Attributes:
        steps: Argument lists of `pip install`, in order. torch comes first, so that nothing pulls in another one.
        check: An import that must work once everything is installed.
    """

    steps: tuple[tuple[str, ...], ...]
    check: str


ENVIRONMENTS: dict[str, Environment] = {
    # Its requirements name bitsandbytes, which attribution never imports and which weighs more than all the rest:
    # hence the package without dependencies, after the ones that its import does touch.
    "interpreto": Environment(
        steps=(
            (TORCH, "numpy<3"),
            (
                TRANSFORMERS,
                "nnsight>=0.7.0,<0.8.0",
                "nltk",
                "jaxtyping<=0.2.36",
                "beartype",
                "scipy",
                "matplotlib",
                "scikit-learn",
                "einops",
            ),
            ("--no-deps", "interpreto==0.5.2"),
        ),
        check="import interpreto",
    ),
    "captum": Environment(
        steps=((TORCH, "numpy<3"), (TRANSFORMERS, "scikit-learn"), ("captum==0.9.0",)),
        check="import captum.attr, sklearn",
    ),
}


def python_of(name: str) -> Path:
    """Interpreter that runs the library `name`; the running one for ours and for the floor.

    Args:
        name: A key of `ENVIRONMENTS`, or anything else for the running interpreter.

    Returns:
        Path of a Python executable whose environment is complete.

    Raises:
        subprocess.CalledProcessError: When the environment cannot be installed; it is then removed.
    """
    if name not in ENVIRONMENTS:
        return Path(sys.executable)
    folder = VENVS / name
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = folder / "complete.txt"
    wanted = repr(ENVIRONMENTS[name])
    if done.is_file() and done.read_text() == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    print(f"first use: installing {name} into {folder.relative_to(REPOSITORY)} (some minutes)", file=sys.stderr)
    try:
        _install(python, folder, ENVIRONMENTS[name])
    except subprocess.CalledProcessError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    done.write_text(wanted)
    return python


def _install(python: Path, folder: Path, environment: Environment) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for step in environment.steps:
        subprocess.run([*pip, *step], check=True)
    subprocess.run([str(python), "-c", environment.check], check=True)
