"""What every view of an attribution shares: pieces of text, scales, labels and numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from hf_interpreto.attributions.output import AttributionOutput

Normalize = bool | Literal["row", "all"]
ClassNames = Sequence[str] | Mapping[int, str]

# One outlier in a hundred must not wash out all other colours.
ROBUST_QUANTILE = 0.99


class PieceKind(StrEnum):
    """How a piece of text came about."""

    GAP = "gap"  # plain text between elements
    ELEMENT = "element"  # the text of an element, at its place
    SPECIAL = "special"  # an element that has no place in the text, such as [CLS]
    SLIVER = "sliver"  # an element whose characters an earlier element already shows (bytes of one character)
    LOOSE = "loose"  # an element of a side whose places are all unknown


@dataclass(frozen=True)
class Piece:
    """A stretch of shown text.

    Args:
        text: what is shown.
        element: index of the element, None for plain text.
        kind: how the piece came about.
    """

    text: str
    element: int | None
    kind: PieceKind


def source_pieces(output: AttributionOutput) -> list[Piece]:
    """Returns the input in reading order; joined, the non-special pieces are exactly ``text[:source_length]``."""
    return _pieces(output, range(output.n_source), 0, output.source_length)


def generated_pieces(output: AttributionOutput) -> list[Piece]:
    """Returns the generated text in reading order, without the blanks that join it to the input."""
    elements = range(output.n_source, len(output.elements))
    if not elements:
        return []
    pieces = _pieces(output, elements, output.source_length, len(output.text))
    return pieces[1:] if pieces[0].element is None and not pieces[0].text.strip() else pieces


def _pieces(output: AttributionOutput, elements: range, start: int, stop: int) -> list[Piece]:
    spans, names, text = output.spans, output.elements, output.text
    if elements and all(spans[element] is None for element in elements):
        return _loose_pieces([(element, names[element]) for element in elements])
    pieces: list[Piece] = []
    cursor = start
    for element in elements:
        span = spans[element]
        if span is None or span[1] <= span[0]:
            pieces.append(Piece(names[element], element, PieceKind.SPECIAL))
            continue
        begin, end = max(cursor, span[0]), span[1]
        if begin > cursor:
            pieces.append(Piece(text[cursor:begin], None, PieceKind.GAP))
        shown = text[begin:end]
        pieces.append(Piece(shown, element, PieceKind.ELEMENT if shown else PieceKind.SLIVER))
        cursor = max(begin, end)
    if cursor < stop:
        pieces.append(Piece(text[cursor:stop], None, PieceKind.GAP))
    return pieces


def _loose_pieces(elements: Iterable[tuple[int, str]]) -> list[Piece]:
    pieces: list[Piece] = []
    for element, text in elements:
        if pieces:
            pieces.append(Piece(" ", None, PieceKind.GAP))
        pieces.append(Piece(text, element, PieceKind.LOOSE))
    return pieces


def scores_of(output: AttributionOutput) -> np.ndarray:
    """Returns the attributions as float64 ``(t, g)``; what is not finite becomes NaN, which no view colours."""
    return _finite(output.attributions)


def errors_of(output: AttributionOutput) -> np.ndarray | None:
    """Returns the standard errors as float64 ``(t, g)``, or None."""
    return None if output.standard_errors is None else _finite(output.standard_errors)


def _finite(values: Tensor) -> np.ndarray:
    array = values.detach().cpu().double().numpy()
    return np.where(np.isfinite(array), array, np.nan)


def robust_maximum(scores: np.ndarray) -> float:
    """Returns the 99 % quantile of ``|scores|`` over what is not NaN: the score that gets full colour.

    Falls back on the maximum where the quantile is 0 (few elements count), and on 1 where all scores are 0.
    """
    sizes = np.abs(scores[~np.isnan(scores)])
    if not sizes.size:
        return 1.0
    return float(np.quantile(sizes, ROBUST_QUANTILE) or sizes.max() or 1.0)


def row_scales(scores: np.ndarray, normalize: Normalize) -> list[float]:
    """Returns the score of full colour for each row.

    Args:
        scores: ``(t, g)``.
        normalize: True or ``"row"``: each row by its own robust maximum; ``"all"``: one scale for all rows;
            False: the scores are taken to lie in [-1, 1].

    Raises:
        ValueError: if ``normalize`` is none of these.
    """
    if normalize is False:
        return [1.0] * len(scores)
    if normalize == "all":
        return [robust_maximum(scores)] * len(scores)
    if normalize is True or normalize == "row":
        return [robust_maximum(row) for row in scores]
    raise ValueError(f"normalize={normalize!r} is unknown; accepted: True, 'row', 'all', False.")


def is_one_sided(scores: np.ndarray) -> bool:
    """Says whether no score is below 0, as for norms of gradients: then only half of the colour scale is used."""
    return not bool((scores[~np.isnan(scores)] < 0).any())


def target_labels(output: AttributionOutput, classes_names: ClassNames | None = None) -> list[str]:
    """Returns the name of each row.

    Args:
        output: the attributions.
        classes_names: names of class ids: a list or tuple indexed by id, or a dict. None: the output's own labels.

    Raises:
        ValueError: if an id has no name, or the rows are not classes.
        TypeError: if ``classes_names`` is none of the accepted types.
    """
    if classes_names is None:
        return [target.label for target in output.targets]
    if isinstance(classes_names, str) or not isinstance(classes_names, Sequence | Mapping):
        raise TypeError(
            f"classes_names must be a list, a tuple or a dict of class names, not {type(classes_names).__name__}."
        )
    if value_name(output.task) == "text-generation":
        raise ValueError(
            "classes_names names classes, but this output explains generated text; leave classes_names out."
        )
    return [_class_name(target.id, classes_names) for target in output.targets]


def _class_name(identifier: int | tuple[int, ...], classes_names: ClassNames) -> str:
    if isinstance(identifier, tuple):
        raise ValueError(f"classes_names names single ids, but this target has several: {identifier}.")
    known = identifier in classes_names if isinstance(classes_names, Mapping) else 0 <= identifier < len(classes_names)
    if not known:
        raise ValueError(
            f"classes_names has no name for class {identifier} ({len(classes_names)} names given). Accepted: a list "
            f"or tuple with at least {identifier + 1} names (the class id is the index), or a dict that has the key "
            f"{identifier}."
        )
    return str(classes_names[identifier])


def chosen_rows(output: AttributionOutput, target: int | None) -> list[int]:
    """Returns the rows to show: all, or one; negative numbers count from the end.

    Raises:
        IndexError: if there is no such row.
    """
    count = len(output.targets)
    if target is None:
        return list(range(count))
    if not -count <= target < count:
        raise IndexError(f"target={target} is not a row; this output has {count} (0 to {count - 1}).")
    return [target % count]


def value_name(value: object) -> str:
    """Returns the value of an enum member, else the text of the value itself."""
    return str(value.value) if isinstance(value, Enum) else str(value)


def number(value: float | None, *, signed: bool = False, missing: str = "—", minus: str = "\u2212") -> str:
    """Writes a number with three significant digits.

    Args:
        value: the number; None or NaN is written as ``missing``.
        signed: write the sign of positive numbers too.
        missing: what stands for no number.
        minus: minus sign.
    """
    if value is None or not math.isfinite(value):
        return missing
    size = abs(value)
    if size == 0:
        return "0"
    if size < 1e-3 or size >= 1e5:
        text = f"{size:.2e}"
    elif size >= 100:
        text = f"{size:.0f}"
    else:
        text = f"{size:#.3g}".rstrip(".")
    return (minus if value < 0 else "+" if signed else "") + text


def model_title(output: AttributionOutput) -> str:
    """Returns the model's name with its revision; of a local folder only the last part, for pages are shared."""
    name = PurePath(output.model_name).name if PurePath(output.model_name).is_absolute() else output.model_name
    return f"{name}@{output.model_revision}" if output.model_revision else name


def shorten(text: str, length: int) -> str:
    """Returns the text, cut to ``length`` characters with an ellipsis if it is longer."""
    return text if len(text) <= length else text[: length - 1] + "…"
