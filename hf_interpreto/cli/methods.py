"""`hf-interpreto methods`: which methods there are, and what they can be told."""

from __future__ import annotations

import argparse
import re
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import Field

    from rich.console import Console
    from rich.table import Table

    from hf_interpreto.attributions import AttributionExplainer


_KINDS = {
    "gradient": "Gradient methods: backward passes through the model",
    "perturbation": "Perturbation methods: forward passes alone, so any model will do",
    "other": "Other methods",
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "methods",
        help="list the methods and their hyper-parameters",
        description="List the attribution methods and their hyper-parameters, or tell all about some of them.",
    )
    parser.add_argument("name", nargs="*", help="a method, in any spelling; its whole description is shown")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the tables, or the descriptions of the methods that are named."""
    from rich.console import Console

    from hf_interpreto.attributions import find_method, list_methods

    console = Console(highlight=False)
    chosen = [find_method(name) for name in options.name]
    for method in chosen:
        _describe(method, console)
    if not chosen:
        methods = list_methods()
        for kind in sorted({kind_of(method) for method in methods.values()}):
            members = {name: method for name, method in sorted(methods.items()) if kind_of(method) == kind}
            console.print(_table(kind, members))
            console.print()
        console.print("All about some of them: hf-interpreto methods NAME ...", style="dim")


def _table(kind: str, methods: dict[str, type[AttributionExplainer]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(title=_KINDS[kind], title_justify="left", title_style="bold", box=SIMPLE_HEAD, show_edge=False)
    table.add_column("method", no_wrap=True)
    table.add_column("hyper-parameters and defaults", ratio=1)
    table.add_column("paper", max_width=28)
    for name, method in methods.items():
        called = Text.assemble((name, "bold"), "\n", (method.__name__, "dim"))
        own = ", ".join(_shown(item) for item in hyper_parameters_of(method)) or "-"
        table.add_row(called, Text(own), Text(paper_of(method)), end_section=True)
    return table


def _describe(method: type[AttributionExplainer], console: Console) -> None:
    from rich.padding import Padding
    from rich.rule import Rule
    from rich.text import Text

    from hf_interpreto.attributions import method_name

    console.print(Rule(Text(f"{method_name(method)} · {method.__name__} · {kind_of(method)}"), align="left"))
    for paragraph in _description(method):
        console.print(Text(paragraph))
        console.print()
    told = argument_texts(method)
    for item in [*hyper_parameters_of(method), *_common()]:
        console.print(Text(_shown(item), style="bold"))
        console.print(Padding(Text(told.get(item.name, "")), (0, 0, 0, 4)))
    if method.citation:
        console.print()
        console.print(Text(method.citation, style="dim"))
    console.print()


def _description(method: type[AttributionExplainer]) -> list[str]:
    """The paragraphs of the docstring before its sections, each on one line."""
    text = re.split(r"\n(?:Args|Attributes|Example|Examples|Raises|Returns):\n", cleandoc(method.__doc__ or ""))[0]
    return [" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n")]


def argument_texts(method: type[AttributionExplainer]) -> dict[str, str]:
    """What the docstrings of a method and its bases say of each argument."""
    told: dict[str, str] = {}
    for cls in reversed(method.__mro__):
        section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)*)", cleandoc(cls.__doc__ or ""), re.MULTILINE)
        for entry in re.split(r"\n(?= {4}\w)", section[1].rstrip()) if section else ():
            name, _, text = entry.strip().partition(":")
            told[name] = " ".join(text.split())
    return told


def kind_of(method: type[AttributionExplainer]) -> str:
    """What a method needs of the model."""
    from hf_interpreto.attributions import GradientExplainer, PerturbationExplainer

    if issubclass(method, GradientExplainer):
        return "gradient"
    return "perturbation" if issubclass(method, PerturbationExplainer) else "other"


def paper_of(method: type[AttributionExplainer]) -> str:
    """The first paper that the docstring names, with its link, or the citation's title."""
    text = " ".join((method.__doc__ or "").split())
    found = re.search(r"\(([^()]*?\d{4}[a-z]?),? (https?://[^\s)]+)\)", text)
    if found:
        return f"{found[1].rstrip(',')}\n{found[2].removeprefix('https://')}"
    title = re.search(r"title=\{(.+?)\}", method.citation)
    return title[1] if title else "-"


def hyper_parameters_of(method: type[AttributionExplainer]) -> list[Field[Any]]:
    """The fields that a method has beside those of all methods."""
    from dataclasses import fields

    from hf_interpreto.attributions import AttributionExplainer

    shared = {item.name for item in fields(AttributionExplainer)}
    return [item for item in fields(method) if item.init and item.name not in shared]


def _common() -> list[Field[Any]]:
    from dataclasses import fields

    from hf_interpreto.attributions import AttributionExplainer

    return [
        item
        for item in fields(AttributionExplainer)
        if item.init and item.name not in ("model", "tokenizer", "device")
    ]


def _shown(item: Field[Any]) -> str:
    from dataclasses import MISSING

    if item.default is not MISSING:
        value = getattr(item.default, "value", item.default)
        return f"{item.name}={value}"
    return f"{item.name}={{}}" if item.default_factory is not MISSING else item.name
