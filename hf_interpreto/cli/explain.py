"""`hf-interpreto explain`: texts in, tables and files out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from hf_interpreto.cli.options import UsageError, add_method_options, add_model_options, explainer, load, targets_of

if TYPE_CHECKING:
    from hf_interpreto.attributions import AttributionOutput

_STDOUT = "-"
_EPILOG = """\
Texts are the arguments, or else the lines of --file, or else the lines of stdin; empty lines are left out.
Without --method, classifiers and masked language models are explained by integrated gradients, generators and token
classifiers by occlusion. `hf-interpreto methods NAME` tells what a method can be --set to.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "explain",
        help="explain what a model says of texts",
        description="Explain what a model says of texts, as a table in the terminal and in files.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("text", nargs="*", help="what to explain")
    parser.add_argument("-f", "--file", metavar="PATH", help='a text a line; "-" is stdin')
    add_model_options(parser, required=True)
    add_method_options(parser)
    group = parser.add_argument_group("results")
    group.add_argument("--html", metavar="PATH", type=Path, help="one self-contained interactive page")
    group.add_argument("--json", metavar="PATH", help='a list of all results; "-" is stdout, without the tables')
    group.add_argument("--png", metavar="PATH", type=Path, help="a picture; of several texts, one numbered file each")
    group.add_argument("--latex", metavar="PATH", help='coloured text for a paper; "-" is stdout, without the tables')
    group.add_argument("-q", "--quiet", action="store_true", help="no tables")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Explain, print as results come, and write the files."""
    if options.json == _STDOUT and options.latex == _STDOUT:
        raise UsageError("--json - and --latex -: only one of them can go to stdout.")
    texts = _texts(options)
    from rich.console import Console

    console = Console(quiet=options.quiet or _STDOUT in (options.json, options.latex))
    model, tokenizer = load(options)
    targets = targets_of(options.targets, model)
    outputs: list[AttributionOutput] = []
    for output in explainer(options, model, tokenizer).stream(texts, None if targets is None else repeat(targets)):
        if outputs:
            console.print()
        console.print(output)
        outputs.append(output)
    if not outputs:
        raise UsageError("there is no text to explain; all lines were empty.")
    for path in _write(options, outputs):
        console.print(f"[dim]wrote[/] {path}", highlight=False, soft_wrap=True)


def _texts(options: argparse.Namespace) -> Iterable[str]:
    if options.text and options.file:
        raise UsageError("give texts as arguments or --file, not both.")
    if options.text:
        return options.text
    if options.file and options.file != _STDOUT:
        if not Path(options.file).is_file():
            raise UsageError(f"--file {options.file}: there is no such file.")
        return _lines_of(Path(options.file))
    if not options.file and sys.stdin.isatty():
        raise UsageError('there is no text to explain. Give one: hf-interpreto explain --model MODEL "a text"')
    return _lines(sys.stdin)


def _lines_of(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        yield from _lines(file)


def _lines(file: Iterable[str]) -> Iterator[str]:
    for line in file:
        if line.strip():
            yield line.rstrip("\r\n")


def _write(options: argparse.Namespace, outputs: list[AttributionOutput]) -> Iterator[str]:
    """Write what was asked for, and name each file."""
    import json

    if options.html is not None:
        from hf_interpreto.visualizations import attribution_page

        yield _write_text(str(options.html), attribution_page(outputs))
    if options.png is not None:
        options.png.parent.mkdir(parents=True, exist_ok=True)
        for number, output in enumerate(outputs, 1):
            path = options.png
            if len(outputs) > 1:
                path = path.with_stem(f"{path.stem}-{number}")
            output.to_png(path)
            yield str(path)
    if options.latex is not None:
        yield from _text_or_stdout(options.latex, "\n\n".join(output.to_latex() for output in outputs) + "\n")
    if options.json is not None:
        text = json.dumps([output.to_dict() for output in outputs], ensure_ascii=False, allow_nan=False, indent=1)
        yield from _text_or_stdout(options.json, text + "\n")


def _text_or_stdout(path: str, text: str) -> Iterator[str]:
    if path == _STDOUT:
        sys.stdout.write(text)
    else:
        yield _write_text(path, text)


def _write_text(path: str, text: str) -> str:
    from hf_interpreto.attributions.storage import write_atomically

    return str(write_atomically(path, text))
