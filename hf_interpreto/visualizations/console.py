"""Attributions in a terminal: coloured text per target and a table of the elements that count most."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.rule import Rule
from rich.style import Style
from rich.table import Table
from rich.text import Text

from hf_interpreto.visualizations.colors import VISIBLE_WEIGHT, Palette, Theme, terminal_theme, to_hex
from hf_interpreto.visualizations.layout import (
    ClassNames,
    Piece,
    PieceKind,
    generated_pieces,
    model_title,
    number,
    row_scales,
    scores_of,
    shorten,
    source_pieces,
    target_labels,
)

if TYPE_CHECKING:
    from hf_interpreto.attributions.output import AttributionOutput

MAXIMUM_ROWS = 20
MAXIMUM_CHARACTERS = 1200
LONGEST_CELL = 32
PLAIN_WIDTH = 100


def console_table(
    output: AttributionOutput, *, classes_names: ClassNames | None = None, top: int = 5, rows: int = MAXIMUM_ROWS
) -> RenderableType:
    """Returns what rich prints for an output: the text once per target, coloured by its scores, and a table.

    Where there are no colours, as in a file, the text is printed once.

    Args:
        output: the attributions.
        classes_names: names of the class ids: a list or tuple indexed by id, or a dict.
        top: how many elements of largest absolute score the table lists per target.
        rows: how many targets are shown; the rest is counted.

    Raises:
        ValueError: if ``classes_names`` lacks a class.
    """
    return _Rendering(output, target_labels(output, classes_names), top, rows)


@dataclass(frozen=True, eq=False)
class _Rendering:
    """Waits for the console, which alone knows whether there are colours."""

    output: AttributionOutput
    labels: list[str]
    top: int
    rows: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        output, labels = self.output, self.labels
        scores = scores_of(output)
        scales = row_scales(scores, True)
        shown = range(min(self.rows, len(labels)))
        theme = terminal_theme()
        yield _title(output)
        if console.color_system is None or console.no_color:
            yield _colored(output, np.zeros(len(output.elements)), 1.0, theme)
        else:
            for row in shown:
                yield _heading(output, labels[row], row)
                yield _colored(output, scores[row], scales[row], theme)
        yield Text()
        yield _top_table(output, scores, labels, shown, self.top)
        if len(labels) > self.rows:
            yield Text(f"... and {len(labels) - self.rows} more targets", style="dim")


def console_text(output: AttributionOutput, width: int = PLAIN_WIDTH) -> str:
    """Returns the same as plain text, without any colour code."""
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as capture:
        console.print(console_table(output))
    return capture.get().rstrip("\n")


def _title(output: AttributionOutput) -> RenderableType:
    title = Text(printable(output.method), style="bold")
    if output.model_name:
        title.append(f" · {printable(model_title(output))}", style="not bold")
    return Rule(title, align="left", style="dim")


def _heading(output: AttributionOutput, label: str, row: int) -> Text:
    heading = Text()
    heading.append(printable(shorten(label, 2 * LONGEST_CELL)), style="bold")
    heading.append(f"  f(x) = {_plain(float(output.target_scores[row]))}", style="dim")
    if output.baseline_scores is not None:
        heading.append(f", f(baseline) = {_plain(float(output.baseline_scores[row]))}", style="dim")
    return heading


def _colored(output: AttributionOutput, scores: np.ndarray, scale: float, theme: Theme) -> Text:
    text = Text(no_wrap=False, overflow="fold")
    generated = generated_pieces(output)
    for piece in source_pieces(output):
        text.append(printable(piece.text), style=_style(piece, scores, scale, theme))
    if generated:
        text.rstrip()
        text.append(" -> ", style="dim")
    for piece in generated:
        text.append(printable(piece.text), style=_style(piece, scores, scale, theme))
    if len(text) > MAXIMUM_CHARACTERS:
        text.truncate(MAXIMUM_CHARACTERS)
        text.append(" ...", style="dim")
    return text


def _style(piece: Piece, scores: np.ndarray, scale: float, theme: Theme) -> Style:
    if piece.element is None or piece.kind is PieceKind.SLIVER:
        return Style()
    weight = float(scores[piece.element]) / scale
    if np.isnan(weight):
        return Style(dim=True)
    if abs(weight) < VISIBLE_WEIGHT:
        return Style()
    background = to_hex(Palette().color(weight, theme))
    return Style(color=to_hex(theme.text), bgcolor=background, underline=weight < 0)


def _top_table(output: AttributionOutput, scores: np.ndarray, labels: list[str], shown: range, top: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
    table.add_column("target", overflow="fold")
    table.add_column("f(x)", justify="right", no_wrap=True)
    table.add_column(f"elements of largest effect on the {printable(str(output.score))}", overflow="fold", ratio=1)
    for row in shown:
        sizes = np.nan_to_num(np.abs(scores[row]), nan=-1.0)
        order = [int(element) for element in np.argsort(-sizes, kind="stable")[:top] if sizes[element] >= 0]
        cells = Text()
        for element in order:
            cells.append(("  " if cells else "") + _cell(output.elements[element]))
            cells.append(f" {_plain(float(scores[row, element]), signed=True)}", style="bold")
        value = Text(_plain(float(output.target_scores[row])))
        table.add_row(Text(_cell(labels[row])), value, cells if order else Text("-"))
    return table


def _cell(text: str) -> str:
    return printable(shorten(text.strip() or repr(text), LONGEST_CELL)).replace("\n", " ")


def printable(text: str) -> str:
    """Returns the text with control characters replaced, so that no text can steer the terminal."""
    return "".join(
        character if character == "\n" or character.isprintable() or character in "\u200c\u200d" else "\ufffd"
        for character in text.replace("\t", " ").replace("\xa0", " ").replace("\u3000", "  ")
    )


def _plain(value: float, *, signed: bool = False) -> str:
    return number(value, signed=signed, missing="-", minus="-")
