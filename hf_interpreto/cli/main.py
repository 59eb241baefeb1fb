"""Entry point of `hf-interpreto`: finds the subcommand and turns errors into exit codes.

Exit codes: 0; 2 for wrong usage and for errors that the library names (message on stderr); 1 for anything else.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from hf_interpreto import __version__, errors
from hf_interpreto.cli import demo, explain, methods

_DESCRIPTION = "Explain what a Hugging Face text model says, by the words of its input."
_EPILOG = """\
examples:
  hf-interpreto demo
  hf-interpreto explain --model MODEL "My brother was nervous, but now he is overjoyed." --html page.html
  hf-interpreto explain --model MODEL --method kernel_shap --set n_perturbations=500 --file reviews.txt --json out.json
  hf-interpreto methods

MODEL is an id on the Hugging Face Hub, or a folder.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = build_parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = partial(_warn, options.command, warnings.showwarning)
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has gone. Python would complain again when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (errors.UnknownArgumentError, ValueError, OSError, ImportError) as error:
        if options.traceback:
            raise
        sys.stderr.write(f"hf-interpreto {options.command}: error: {_message(error)}\n")
        return 2
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands; importing and building it loads neither torch nor transformers."""
    parser = argparse.ArgumentParser(
        prog="hf-interpreto",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hf-interpreto {__version__}")
    parser.add_argument("--traceback", action="store_true", help="show where an error comes from")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in (explain, methods, demo):
        command.add_parser(commands)
    return parser


def _warn(
    command: str,
    otherwise: Callable[..., None],
    message: Warning | str,
    category: type[Warning],
    *where: Any,
    **more: Any,
) -> None:
    """The library's own warnings are for the one who typed the command, who has no use for a line of our code."""
    if category.__module__ == errors.__name__:
        sys.stderr.write(f"hf-interpreto {command}: warning: {message}\n")
    else:
        otherwise(message, category, *where, **more)


def _message(error: Exception) -> str:
    """What the error says; transformers' first paragraph, of the several that it writes."""
    return str(error).strip().split("\n\n")[0] or type(error).__name__
