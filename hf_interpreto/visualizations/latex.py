r"""Attributions for papers: ``\colorbox`` per element, with the ``xcolor`` package."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from hf_interpreto.visualizations.colors import LIGHT, VISIBLE_WEIGHT, Palette, to_hex
from hf_interpreto.visualizations.layout import (
    ClassNames,
    Piece,
    PieceKind,
    chosen_rows,
    generated_pieces,
    number,
    row_scales,
    scores_of,
    source_pieces,
    target_labels,
)

if TYPE_CHECKING:
    from hf_interpreto.attributions.output import AttributionOutput

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    # Straight in every font encoding, and safe where babel makes the character active.
    '"': r"\char34{}",
    # Two hyphens in a row would print as a dash.
    "-": "-{}",
    "\t": " ",
    "\xa0": "~",
}


def to_latex(output: AttributionOutput, target: int | None = None, *, classes_names: ClassNames | None = None) -> str:
    r"""Returns LaTeX that needs ``\usepackage{xcolor}``: one paragraph per target.

    The two colours are defined once, under the names ``hfipositive`` and ``hfinegative``, unless the document already
    has them; scores below 0 are also underlined, so that the text can be read in black and white.

    Args:
        output: the attributions.
        target: the row to write; None for all.
        classes_names: names of the class ids: a list or tuple indexed by id, or a dict.

    Raises:
        IndexError: if there is no such row.
        ValueError: if ``classes_names`` lacks a class.
    """
    scores, labels = scores_of(output), target_labels(output, classes_names)
    scales = row_scales(scores, True)
    palette = Palette()
    lines = [
        "% needs \\usepackage{xcolor}",
        *(
            f"\\providecolor{{{name}}}{{HTML}}{{{to_hex(palette.end(sign, LIGHT))[1:].upper()}}}"
            for name, sign in (("hfipositive", 1), ("hfinegative", -1))
        ),
        r"{\setlength{\fboxsep}{1.5pt}\raggedright",
    ]
    for row in chosen_rows(output, target):
        lines.append(_paragraph(output, labels[row], scores[row], scales[row], row))
    return "\n".join([*lines, "}"]) + "\n"


def escape(text: str) -> str:
    """Returns the text with every character that LaTeX would interpret written so that it prints as itself."""
    kept = "".join(character if character.isprintable() or character in "\t\n" else "\ufffd" for character in text)
    return re.sub("|".join(re.escape(key) for key in _ESCAPES), lambda match: _ESCAPES[match[0]], kept)


def _paragraph(output: AttributionOutput, label: str, scores: np.ndarray, scale: float, row: int) -> str:
    value = number(float(output.target_scores[row]), missing="--", minus="-")
    pieces = source_pieces(output)
    generated = generated_pieces(output)
    if generated:
        pieces = [*pieces, Piece(" ", None, PieceKind.GAP)]
    body = "".join(_piece(piece, scores, scale) for piece in pieces)
    answer = "".join(_piece(piece, scores, scale) for piece in generated)
    if answer:
        body += r"$\rightarrow$ " + answer
    return rf"\noindent\textbf{{{escape(label).strip()}}} \textit{{f}}(\textit{{x}}) = ${value}$\\" + f"\n{body}\\par"


def _piece(piece: Piece, scores: np.ndarray, scale: float) -> str:
    if piece.element is None:
        return _plain_text(piece.text)
    weight = float(scores[piece.element]) / scale
    # A box cannot be broken, so that a sentence gets one box per word, its spaces between them.
    parts = re.split(r"(\s+)", piece.text)
    return "".join(_plain_text(part) if not part.strip() else _box(part, weight) for part in parts if part)


def _plain_text(text: str) -> str:
    """Returns text between boxes; LaTeX would merge blanks in a row, and read an empty line as a paragraph."""
    escaped = escape(text)
    spaced = re.sub(r" {2,}", lambda match: " " + r"\ " * (len(match[0]) - 1), escaped)
    return re.sub(r" *\n\s*", lambda _: "\\hfill\\break\n", spaced)


def _box(text: str, weight: float) -> str:
    content = rf"\strut {escape(text)}"
    if np.isnan(weight):
        return rf"\textcolor{{gray}}{{{escape(text)}}}"
    if abs(weight) < VISIBLE_WEIGHT:
        return escape(text)
    percent = round(100 * min(abs(weight), 1.0))
    if weight > 0:
        return rf"\colorbox{{hfipositive!{percent}}}{{{content}}}"
    return rf"\colorbox{{hfinegative!{percent}}}{{\strut\underline{{{escape(text)}}}}}"
