"""Concepts as interactive pages: which concepts a class rests on, and where in a text each of them is active."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hf_interpreto.visualizations.colors import Palette, parse_color
from hf_interpreto.visualizations.concept_rows import (
    ConceptRow,
    class_title,
    importance_rows,
    matrix,
    rank,
)
from hf_interpreto.visualizations.layout import ClassNames, number, robust_maximum
from hf_interpreto.visualizations.notebook import Plot, show_page
from hf_interpreto.visualizations.page import Page, clean, embed_json, render
from hf_interpreto.visualizations.section import SectionStyle

SUBTITLES = {
    "global": "How much each concept moves the score of a class.",
    "classes": "How much each concept moves the score of a class, and where in the text it is active.",
    "elements": "Which concepts led to each generated element, and where in the text they are active.",
}
_STYLES = ("base.css", "attribution.css", "concepts.css")
_SCRIPTS = ("concepts.js",)
_DIGITS = 4


def plot_concepts(  # noqa: PLR0913 -- the keyword arguments of the library whose notebooks must run
    *,
    concepts_importances: Any,
    concepts_labels: Sequence[Any] | Mapping[Any, Any],
    sample: Sequence[str] | None = None,
    classes_names: ClassNames | None = None,
    concepts_activations: Any = None,
    top_k: int | None = 10,
    concept_color: str | None = None,
    default_colormap: Mapping[int, str] | None = None,
    onclick_colormap: Sequence[str] | None = None,
    custom_css: str = "",
    save_path: str | os.PathLike[str] | None = None,
) -> Plot:
    """Shows the concepts behind predictions: in a notebook at once, and in a file if a path is given.

    Without `sample`, a click on a class ranks its concepts. With `sample`, pointing at a concept also lights the
    elements that it is active on; and without `classes_names`, a click on a generated element ranks its concepts.

    Args:
        concepts_importances: (classes, concepts), or a dict from class ids to (concepts,). For a generation a row
            stands for a generated element: the rows belong to the last elements of `sample` (a dict's keys say which,
            counted from 0); (targets, elements, concepts) is summed over its elements. Of what
            `concept_output_gradient` gives for a language model, leave out the last row: a token predicts the next.
        concepts_labels: a list by concept, a dict by concept, or a dict from class ids to such dicts. A label is a
            text, several texts, or a dict with texts as keys. Concepts without label are shown by number.
        sample: the elements (tokens, words) of one text.
        classes_names: names of the class ids: a list or tuple indexed by id, or a dict.
        concepts_activations: (elements, concepts) of the sample.
        top_k: concepts per class; None for all.
        concept_color: colour of bars and lit elements, `"#rrggbb"`; None for orange.
        default_colormap: colour of a dot beside each class, by class id.
        onclick_colormap: colour of the chosen class or concept, and of the one under the pointer.
        custom_css: rules added after the package's own.
        save_path: file of the self-contained page.

    Returns:
        The plot, with `html`, `save(path)` and notebook display.

    Raises:
        ValueError: if shapes or names do not fit together, or a colour is malformed.
        OSError: if the file cannot be written.

    Example:
        >>> plot = plot_concepts(concepts_importances=[[0.7, 0.1]], concepts_labels=["joy", ["sad", "low"]])
        >>> "joy" in plot.html
        True
    """
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k={top_k} must be at least 1, or None for all concepts.")
    if concept_color is not None:
        parse_color(concept_color, "concept_color")
    style = SectionStyle(Palette(concept_color), default_colormap=default_colormap, onclick_colormap=onclick_colormap)
    activations = _activations(sample, concepts_activations)
    mode = "global" if sample is None else "elements" if classes_names is None else "classes"
    importances = importance_rows(concepts_importances)
    if sample is not None and mode == "elements":
        importances = _places(importances, len(sample), isinstance(concepts_importances, Mapping))
        titles = {key: sample[key] for key in importances}
    else:
        titles = {key: class_title(key, classes_names, list(importances)) for key in importances}
    rows = [rank(key, titles[key], row, concepts_labels, top_k) for key, row in importances.items()]
    section = _section(rows, mode, [] if sample is None else list(sample), activations, style)
    page = Page(
        "Concepts", [section], subtitle=SUBTITLES[mode], custom_css=custom_css, styles=_STYLES, scripts=_SCRIPTS
    )
    if save_path is not None:
        page.save(save_path)
    return show_page(page)


def _activations(sample: Sequence[str] | None, values: Any) -> np.ndarray | None:
    if (sample is None) != (values is None):
        raise ValueError("sample and concepts_activations belong together: give both, or neither.")
    if sample is None:
        return None
    if isinstance(sample, str) or not sample:
        raise ValueError("sample must be a list of elements (tokens, words), one for each row of the activations.")
    activations = matrix(values, "concepts_activations")
    if activations.ndim != 2 or len(activations) != len(sample):
        raise ValueError(
            f"concepts_activations: expected ({len(sample)}, concepts), one row per element of sample, got "
            f"{tuple(activations.shape)}."
        )
    return np.nan_to_num(activations, nan=0.0, posinf=0.0, neginf=0.0)


def _places(rows: Mapping[Any, np.ndarray], n_elements: int, named: bool) -> dict[int, np.ndarray]:
    """Returns the rows by their element's place in the sample."""
    first = 0 if named else n_elements - len(rows)
    placed = {first + key: row for key, row in rows.items()}
    if any(not 0 <= key < n_elements for key in placed):
        raise ValueError(
            f"concepts_importances: {len(rows)} rows do not fit a sample of {n_elements} elements; each row is about "
            "one of its elements. For a classification, give classes_names."
        )
    return placed


def _section(
    rows: Sequence[ConceptRow], mode: str, sample: Sequence[str], activations: np.ndarray | None, style: SectionStyle
) -> str:
    shown = sorted({concept.index for row in rows for concept in row.concepts})
    if activations is not None and shown and shown[-1] >= activations.shape[1]:
        raise ValueError(
            f"concepts_activations: has {activations.shape[1]} concepts, but concepts_importances has concept "
            f"{shown[-1]}."
        )
    columns = {index: activations[:, index] for index in shown} if activations is not None else {}
    by_place = {row.key: position for position, row in enumerate(rows)} if mode == "elements" else {}
    data = embed_json(
        {
            "elements": [clean(element) for element in sample],
            "activations": {str(index): [_short(value) for value in column] for index, column in columns.items()},
            "scales": {str(index): _short(robust_maximum(column)) for index, column in columns.items()},
        }
    )
    colors = style.default_colormap or {}
    return render(
        "concepts.html.j2",
        uid="hfi-concepts",
        style=style.css(),
        mode=mode,
        chips=[
            {"row": position, "label": clean(row.title), "color": colors.get(row.key)}
            for position, row in enumerate(rows)
            if mode != "elements"
        ],
        elements=[
            {"index": place, "text": clean(element), "row": by_place.get(place)}
            for place, element in enumerate(sample)
        ],
        rows=[_bars(row) for row in rows],
        data=data,
    )


def _bars(row: ConceptRow) -> dict[str, Any]:
    longest = max((abs(concept.importance) for concept in row.concepts), default=0.0) or 1.0
    return {
        "title": clean(row.title),
        "bars": [
            {
                "concept": concept.index,
                "label": clean(concept.label),
                "value": number(concept.importance),
                "sign": "neg" if concept.importance < 0 else "pos",
                "width": f"{abs(concept.importance) / longest:.3f}",
            }
            for concept in row.concepts
        ],
    }


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
