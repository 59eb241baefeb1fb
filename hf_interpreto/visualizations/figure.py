"""Attributions as images, drawn with matplotlib's object interface: neither pyplot nor its global state is touched."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from hf_interpreto.visualizations.colors import LIGHT, VISIBLE_WEIGHT, Palette, gradient, to_hex
from hf_interpreto.visualizations.layout import (
    ClassNames,
    Piece,
    PieceKind,
    chosen_rows,
    generated_pieces,
    is_one_sided,
    number,
    row_scales,
    scores_of,
    shorten,
    source_pieces,
    target_labels,
)
from hf_interpreto.visualizations.page import write_atomically

if TYPE_CHECKING:
    from matplotlib.text import Text

    from hf_interpreto.attributions.output import AttributionOutput

# All lengths are in points, so that the picture does not depend on the resolution.
WIDTH = 560.0
MARGIN = 18.0
FONT_SIZE = 12.0
LINE = 23.0
HEADING = 21.0
ROW_GAP = 12.0
LEGEND = 30.0
MAXIMUM_HEIGHT = 6000.0
# Text is measured this much larger than it is drawn, for widths to be finer than whole pixels.
FINENESS = 8
_MUTED = "#59626e"
_FALLBACKS = ("DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans", "Noto Sans Arabic", "Noto Emoji")
_MISSING = "\u25a1"


@dataclass(frozen=True)
class _Word:
    text: str
    left: float
    width: float
    line: int
    element: int | None


def to_png(
    output: AttributionOutput,
    path: str | os.PathLike[str] | None = None,
    target: int | None = None,
    dpi: int = 150,
    *,
    classes_names: ClassNames | None = None,
) -> bytes | Path:
    """Draws the text once per target, coloured by its scores, with a colour bar.

    Args:
        output: the attributions.
        path: file to write; None to get the bytes.
        target: the row to draw; None for all, as many as fit.
        dpi: pixels per inch.
        classes_names: names of the class ids: a list or tuple indexed by id, or a dict.

    Returns:
        The bytes of the PNG, or the path.

    Raises:
        IndexError: if there is no such row.
        ValueError: if ``classes_names`` lacks a class.
        OSError: if the file cannot be written.
    """
    return _write(_draw(output, target, classes_names), "png", path, dpi)


def to_svg(
    output: AttributionOutput,
    path: str | os.PathLike[str] | None = None,
    target: int | None = None,
    *,
    classes_names: ClassNames | None = None,
) -> str | Path:
    """Draws the same as `to_png`, as SVG with letters as outlines, so that it looks alike everywhere.

    Raises:
        IndexError: if there is no such row.
        ValueError: if ``classes_names`` lacks a class.
        OSError: if the file cannot be written.
    """
    drawn = _write(_draw(output, target, classes_names), "svg", path, 72)
    return drawn.decode("utf-8") if isinstance(drawn, bytes) else drawn


def _write(figure: Figure, kind: str, path: str | os.PathLike[str] | None, dpi: int) -> bytes | Path:
    stream = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(stream, format=kind, dpi=dpi, metadata=metadata)
    content = stream.getvalue()
    return content if path is None else write_atomically(Path(path), content)


def _draw(output: AttributionOutput, target: int | None, classes_names: ClassNames | None) -> Figure:
    scores, labels = scores_of(output), target_labels(output, classes_names)
    scales = row_scales(scores, True)
    rows = chosen_rows(output, target)
    words = list(_words(output, _Ruler(Figure(figsize=(WIDTH / 72, 1), dpi=72 * FINENESS))))
    block = HEADING + (1 + max((word.line for word in words), default=0)) * LINE + ROW_GAP
    shown = rows[: max(1, int((MAXIMUM_HEIGHT - 2 * MARGIN - LEGEND) // block))]
    note = HEADING if len(shown) < len(rows) else 0.0
    height = min(2 * MARGIN + LEGEND + len(shown) * block + note, MAXIMUM_HEIGHT)
    figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72, facecolor=to_hex(LIGHT.background))
    top = height - MARGIN
    for row in shown:
        _heading(figure, labels[row], f"f(x) = {number(float(output.target_scores[row]))}", top)
        for word in words:
            base = top - HEADING - (word.line + 0.7) * LINE
            _word(figure, word, scores[row], scales[row], (MARGIN + word.left, base))
        top -= block
    if note:
        _text(figure, f"{len(rows) - len(shown)} more targets are not drawn", (MARGIN, top - 12), color=_MUTED)
    _legend(figure, str(output.score), scales[shown[0]] if len(shown) == 1 else None, is_one_sided(scores))
    return figure


def _words(output: AttributionOutput, measure: _Ruler) -> Iterator[_Word]:
    """Breaks the text into lines; positions are in points from the left margin."""
    generated = generated_pieces(output)
    pieces = source_pieces(output)
    if generated:
        pieces = [*pieces, Piece("\n", None, PieceKind.GAP), *generated]
    room, left, line = WIDTH - 2 * MARGIN, 0.0, 0
    parts = ((part, piece.element) for piece in pieces for part in re.split(r"(\n| +)", piece.text) if part)
    for part, element in parts:
        if part == "\n":
            left, line = 0.0, line + 1
            continue
        for fitting in _fit(_drawable(part), measure):
            width = measure(fitting)
            if left + width > room and left > 0:
                left, line = 0.0, line + 1
                if not fitting.strip():
                    continue
            yield _Word(fitting, left, width, line, element)
            left += width


class _Ruler:
    """Measures text in points, remembering what it has measured."""

    def __init__(self, figure: Figure) -> None:
        self._probe = _text(figure, "", (0, 0), color="#000000")
        self._renderer = FigureCanvasAgg(figure).get_renderer()
        self._known: dict[str, float] = {}

    def __call__(self, text: str) -> float:
        if text not in self._known:
            # Blanks at the end do not count for a text's extent, so that it is measured between two strokes.
            self._known[text] = self._width(f"|{text}|") - self._width("||")
        return self._known[text]

    def _width(self, text: str) -> float:
        self._probe.set_text(text)
        return float(self._probe.get_window_extent(self._renderer).width) / FINENESS


def _fit(text: str, measure: _Ruler) -> Iterator[str]:
    """Cuts what is wider than a line, such as text that is written without spaces."""
    room = WIDTH - 2 * MARGIN
    if measure(text) <= room:
        yield text
        return
    start, width = 0, 0.0
    for position, character in enumerate(text):
        width += measure(character)
        if width > room:
            yield text[start:position]
            start, width = position, measure(character)
    yield text[start:]


def _word(figure: Figure, word: _Word, scores: np.ndarray, scale: float, left_and_base: tuple[float, float]) -> None:
    left, base = left_and_base
    color = to_hex(LIGHT.text)
    if word.element is not None:
        weight = float(scores[word.element]) / scale
        missing = np.isnan(weight)
        color = _MUTED if missing else color
        fill = None if missing else to_hex(Palette().color(weight))
        if fill is not None and abs(weight) >= VISIBLE_WEIGHT:
            _box(figure, (left - 1, base - 5), (word.width + 2, 17), fill)
            if weight < 0:
                _line(figure, left, base - 3, word.width)
        if missing:
            _box(figure, (left - 1, base - 5), (word.width + 2, 17), "none", hatch="////")
    _text(figure, word.text, (left, base), color=color)


def _box(
    figure: Figure, corner: tuple[float, float], size: tuple[float, float], fill: str, hatch: str | None = None
) -> None:
    across, up = _in_figure(figure, *corner)
    width, height = _in_figure(figure, *size)
    figure.add_artist(
        Rectangle((across, up), width, height, facecolor=fill, edgecolor="#d9dde3", linewidth=0, hatch=hatch, zorder=0)
    )


def _line(figure: Figure, left: float, base: float, width: float) -> None:
    start, level = _in_figure(figure, left, base)
    stop, _ = _in_figure(figure, left + width, base)
    figure.add_artist(Line2D([start, stop], [level, level], color=to_hex(LIGHT.text), linewidth=0.8, linestyle=":"))


def _text(
    figure: Figure, text: str, place: tuple[float, float], *, color: str, size: float = FONT_SIZE, bold: bool = False
) -> Text:
    across, up = _in_figure(figure, *place)
    font = FontProperties(family=_families(), size=size, weight="bold" if bold else "normal")
    # A dollar sign in the text must not start a formula.
    return figure.text(across, up, _drawable(text), color=color, fontproperties=font, parse_math=False)


def _in_figure(figure: Figure, across: float, up: float) -> tuple[float, float]:
    width, height = figure.get_size_inches()
    return across / 72 / width, up / 72 / height


def _heading(figure: Figure, label: str, value: str, top: float) -> None:
    name = shorten(" ".join(label.split()) or repr(label), 48)
    heading = _text(figure, name, (MARGIN, top - 13), color=to_hex(LIGHT.text), bold=True)
    extent = heading.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    _text(figure, value, (extent.x1 + 8, top - 13), color=_MUTED, size=10)


def _legend(figure: Figure, score: str, scale: float | None, one_sided: bool) -> None:
    """Draws the colour bar; several rows have their own scales, so that only its ends are named."""
    width, height, left, base = 150.0, 8.0, MARGIN, MARGIN + 12
    colors = gradient(Palette(), LIGHT, 60, one_sided)
    for step, color in enumerate(colors):
        _box(figure, (left + step * width / 60, base), (width / 60 + 0.3, height), to_hex(color))
    low = "no effect" if one_sided else f"lowers {score}"
    high = "strong effect" if one_sided else f"raises {score}"
    if scale is not None:
        low, high = ("0" if one_sided else number(-scale)), number(scale, signed=True)
    _text(figure, low, (left, base - 12), color=_MUTED, size=8.5)
    _text(figure, high, (left + width, base - 12), color=_MUTED, size=8.5).set_horizontalalignment("right")


@cache
def _families() -> list[str]:
    installed = set(font_manager.get_font_names())
    return [family for family in _FALLBACKS if family in installed]


@cache
def _characters() -> frozenset[int]:
    """Returns the code points that some installed family can draw."""
    paths = (font_manager.findfont(family, fallback_to_default=False) for family in _families())
    return frozenset(code for path in paths for code in FT2Font(path).get_charmap())


def _drawable(text: str) -> str:
    """Returns the text with what no font can draw replaced by a box; matplotlib would warn about each."""
    return "".join(
        character if ord(character) in _characters() and character.isprintable() else _MISSING for character in text
    )
