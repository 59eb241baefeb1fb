"""One attribution as a section of a page.

A classification shows one chip per class; a generation or a tagging lets the reader point at the generated or tagged
elements. Either choice recolours the text by the scores of that target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_interpreto.visualizations.colors import VISIBLE_WEIGHT, Palette, parse_color
from hf_interpreto.visualizations.layout import (
    ClassNames,
    Normalize,
    Piece,
    errors_of,
    generated_pieces,
    is_one_sided,
    model_title,
    number,
    robust_maximum,
    row_scales,
    scores_of,
    shorten,
    source_pieces,
    target_labels,
    value_name,
)
from hf_interpreto.visualizations.page import clean, embed_json, fragment_id, render

if TYPE_CHECKING:
    from hf_interpreto.attributions.output import AttributionOutput

# From here on the text gets its own scroll bar, so that chips and legend stay in sight.
LONG_TEXT_ELEMENTS = 400
# The page prints three digits; more would only make it heavier.
SIGNIFICANT_DIGITS = 5
LONGEST_SETTING = 120
_CHIPS_TITLES = {"text-classification": "Classes", "fill-mask": "Candidates", "token-classification": "Tags"}
_GLYPHS = {"\n": "↵", "\r": "↵", "\t": "⇥"}


@dataclass(frozen=True)
class SectionStyle:
    """How a section looks.

    Args:
        palette: ends of the colour scale.
        normalize: what the scores are divided by, see `layout.row_scales`.
        default_colormap: colour of a dot on the chip of each target, by target id.
        onclick_colormap: colour of the chosen target, and of the one under the pointer.
        highlight_border: draw a coloured border around elements and a fainter background.
        margin_right: space after elements whose place in the text is unknown, a CSS length.

    Raises:
        ValueError: if a colour is not written as ``"#rrggbb"`` or ``"#rgb"``.
    """

    palette: Palette = field(default_factory=Palette)
    normalize: Normalize = True
    default_colormap: Mapping[int, str] | None = None
    onclick_colormap: Sequence[str] | None = None
    highlight_border: bool = False
    margin_right: str = "0.2em"

    def __post_init__(self) -> None:
        for color in (self.default_colormap or {}).values():
            parse_color(color, "default_colormap")
        for color in self.onclick_colormap or ():
            parse_color(color, "onclick_colormap")

    def css(self) -> str:
        """Returns the declarations for the root of a section; nothing where the defaults hold."""
        rules = f"--hfi-gap:{self.margin_right};"
        if self.palette != Palette():
            rules += self.palette.css()
        names = ("--hfi-accent", "--hfi-hover")
        return rules + "".join(
            f"{name}:{color};" for name, color in zip(names, self.onclick_colormap or (), strict=False)
        )


def attribution_section(
    output: AttributionOutput,
    classes_names: ClassNames | None = None,
    *,
    style: SectionStyle | None = None,
    uid: str | None = None,
) -> str:
    """Returns the HTML of one output, without style and script: a section for `Page`.

    Args:
        output: the attributions.
        classes_names: names of the class ids: a list or tuple indexed by id, or a dict.
        style: how the section looks.
        uid: id of the root element, unique in its page; None for one that no other section of this process has. (Where
            a notebook shows several pages, the script renames ids that are taken.)

    Raises:
        ValueError: if ``classes_names`` lacks a class, or the output has no target.
    """
    if not output.targets:
        raise ValueError("attribution_output has no targets, so there is nothing to show.")
    style = style or SectionStyle()
    scores, labels = scores_of(output), target_labels(output, classes_names)
    scales = row_scales(scores, style.normalize)
    chips = _needs_chips(output)
    first = _first_row(output)
    data = embed_json(_data(output, scores, labels, scales, first))
    return render(
        "attribution.html.j2",
        uid=uid or fragment_id(data),
        style=style.css(),
        bordered=style.highlight_border,
        long=len(output.elements) > LONG_TEXT_ELEMENTS,
        one_sided=is_one_sided(scores),
        has_missing=bool(np.isnan(scores).any()),
        has_matrix=len(labels) > 1,
        can_share=len(labels) > 1 and style.normalize in (True, "row"),
        first=first,
        chips=_chips(output, labels, style) if chips else [],
        chips_title=_CHIPS_TITLES.get(value_name(output.task), "Targets"),
        sides=_sides(output, labels, scores[first], scales[first]),
        facts=_facts(output, labels, scales, first),
        data=data,
        **_provenance(output),
    )


def _needs_chips(output: AttributionOutput) -> bool:
    """Says whether targets cannot be chosen in the text: classes, or several targets at one element."""
    places = [target.element for target in output.targets]
    return None in places or len(set(places)) < len(places)


def _first_row(output: AttributionOutput) -> int:
    """The row that opens the view: the class of the highest score, or the unit that owes most to one element."""
    scores = output.target_scores.detach().cpu().double().numpy()
    if not _needs_chips(output):
        effects = output.attributions.detach().cpu().abs().nan_to_num()
        return int(effects.amax(dim=1).argmax()) if effects.numel() else 0
    return 0 if np.isnan(scores).all() else int(np.nanargmax(scores))


def _data(
    output: AttributionOutput, scores: np.ndarray, labels: list[str], scales: list[float], first: int
) -> dict[str, Any]:
    errors = errors_of(output)
    return {
        "scores": _rows(scores),
        "errors": None if errors is None else _rows(errors),
        "elements": [clean(element) for element in output.elements],
        "source": output.n_source,
        "targets": [
            {
                "label": clean(label),
                "element": target.element,
                "score": _entry(output.target_scores, row),
                "baseline": _entry(output.baseline_scores, row),
                "gap": _entry(output.completeness_gap, row),
            }
            for row, (label, target) in enumerate(zip(labels, output.targets, strict=True))
        ],
        "tags": value_name(output.task) == "token-classification",
        "scales": [_short(scale) for scale in scales],
        "shared": _short(robust_maximum(scores)),
        "first": first,
    }


def _rows(values: np.ndarray) -> list[list[float | None]]:
    return [[_short(value) for value in row] for row in values.tolist()]


def _short(value: float) -> float | None:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if np.isfinite(value) else None


def _entry(values: Any, row: int) -> float | None:
    return None if values is None else _short(float(values[row]))


def _chips(output: AttributionOutput, labels: list[str], style: SectionStyle) -> list[dict[str, Any]]:
    colors = style.default_colormap or {}
    return [
        {
            "row": row,
            "label": clean(label),
            "score": number(_entry(output.target_scores, row)),
            "color": None if isinstance(target.id, tuple) else colors.get(target.id),
        }
        for row, (label, target) in enumerate(zip(labels, output.targets, strict=True))
    ]


def _sides(output: AttributionOutput, labels: list[str], row: np.ndarray, scale: float) -> list[dict[str, Any]]:
    targets = {} if _needs_chips(output) else {target.element: row for row, target in enumerate(output.targets)}
    tagged = value_name(output.task) == "token-classification" and bool(targets)

    def describe(piece: Piece) -> dict[str, Any]:
        target = targets.get(piece.element)
        return {
            "text": clean(piece.text),
            "element": piece.element,
            "kind": piece.kind.value,
            "row": target,
            "tag": clean(labels[target]) if tagged and target is not None and labels[target] != "O" else None,
            "glyph": _glyph(piece),
            **_paint(piece, row, scale),
        }

    hint = "point at an element to see what led to it; click to keep it" if targets else None
    generated = [describe(piece) for piece in generated_pieces(output)]
    source = [describe(piece) for piece in source_pieces(output)]
    sides = [{"title": "Input", "hint": None if generated else hint, "pieces": source}]
    return [*sides, {"title": "Output", "hint": hint, "pieces": generated}] if generated else sides


def _paint(piece: Piece, row: np.ndarray, scale: float) -> dict[str, str]:
    """Returns sign and strength, so that the page has colours before its script runs, or without it."""
    if piece.element is None:
        return {}
    weight = float(row[piece.element]) / scale
    if np.isnan(weight):
        return {"sign": "nan", "weight": "0"}
    sign = "zero" if abs(weight) < VISIBLE_WEIGHT else "pos" if weight > 0 else "neg"
    return {"sign": sign, "weight": f"{min(abs(weight), 1.0):.3f}"}


def _glyph(piece: Piece) -> str | None:
    if piece.element is None or not piece.text or piece.text.strip():
        return None
    return _GLYPHS.get(piece.text[0], "␣")


def _facts(output: AttributionOutput, labels: list[str], scales: list[float], row: int) -> dict[str, str | None]:
    def entry(values: Any) -> str | None:
        return None if values is None else number(_entry(values, row))

    return {
        "label": clean(labels[row]),
        "score": entry(output.target_scores),
        "baseline": entry(output.baseline_scores),
        "gap": entry(output.completeness_gap),
        "low": number(-scales[row]),
        "high": number(scales[row], signed=True),
    }


def _provenance(output: AttributionOutput) -> dict[str, Any]:
    numbers = {**output.settings, **output.diagnostics}
    return {
        "method": clean(output.method),
        "model": clean(model_title(output)),
        "score": clean(str(output.score)),
        "passes": f"{output.n_forward} forward, {output.n_backward} backward",
        "settings": [
            ("granularity", value_name(output.granularity)),
            *((clean(str(name)), clean(_setting(value))) for name, value in numbers.items() if name != "granularity"),
        ],
    }


def _setting(value: Any) -> str:
    if isinstance(value, list | tuple):
        value = ", ".join(_setting(entry) for entry in value)
    return number(value) if isinstance(value, float) else shorten(str(value), LONGEST_SETTING)
