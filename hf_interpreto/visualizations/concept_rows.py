"""What a page of concepts shows: rows (classes or generated elements) of ranked concepts with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_interpreto.visualizations.layout import ClassNames


@dataclass(frozen=True)
class RankedConcept:
    """One concept of a row.

    Args:
        index: of the concept.
        label: shown name; empty where it has none.
        importance: signed.
    """

    index: int
    label: str
    importance: float


@dataclass(frozen=True)
class ConceptRow:
    """What one class, or one generated element, owes to concepts.

    Args:
        key: class id, or place of the element in the sample.
        title: shown name.
        concepts: the most important ones, by magnitude, highest first.
    """

    key: Any
    title: str
    concepts: tuple[RankedConcept, ...]


def matrix(values: Any, argument: str) -> np.ndarray:
    """Returns a tensor, array or nested list as float64.

    Raises:
        TypeError: if it holds no numbers.
    """
    if hasattr(values, "detach"):
        return values.detach().cpu().double().numpy()
    try:
        if isinstance(values, Sequence) and any(hasattr(row, "detach") for row in values):
            return np.stack([matrix(row, argument) for row in values])
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{argument} must be a tensor, an array or lists of numbers.") from None


def importance_rows(importances: Any) -> dict[Any, np.ndarray]:
    """Returns `(c,)` importances by key.

    Args:
        importances: `(c,)`, `(rows, c)`, `(rows, g, c)` (summed over the elements), or a mapping from keys to `(c,)`;
            the keys of what is no mapping are 0, 1, ...

    Raises:
        ValueError: if the shape is another, or there is no row.
    """
    if isinstance(importances, Mapping):
        rows = {key: matrix(value, "concepts_importances") for key, value in importances.items()}
    else:
        values = matrix(importances, "concepts_importances")
        if values.ndim == 3:
            values = values.sum(1)
        rows = dict(enumerate(values[None] if values.ndim == 1 else values))
    if not rows or any(row.ndim != 1 or not row.size for row in rows.values()):
        shapes = sorted({tuple(row.shape) for row in rows.values()})
        raise ValueError(
            f"concepts_importances: rows of shape {shapes or 'none'} where each must be (concepts,). Accepted: "
            "(classes, concepts), (targets, elements, concepts), or a dict from class ids to (concepts,)."
        )
    return rows


def rank(key: Any, title: str, importances: np.ndarray, labels: Any, top_k: int | None) -> ConceptRow:
    """Returns the row of a class or element; concepts whose importance is NaN are left out."""
    by_size = np.argsort(-np.abs(importances), kind="stable").tolist()
    order = [index for index in by_size if np.isfinite(importances[index])][:top_k]
    names = labels_of(labels, key)
    return ConceptRow(
        key,
        title,
        tuple(RankedConcept(index, label_text(names.get(index)), float(importances[index])) for index in order),
    )


def labels_of(labels: Any, key: Any) -> Mapping[int, Any]:
    """Returns the labels by concept of one class.

    Args:
        labels: a list by concept, a mapping by concept, or a mapping from classes to mappings by concept. A label is
            a text, texts, or a mapping whose keys are texts, as `TopKInputs` returns it.
        key: the class.

    Raises:
        TypeError: if the labels are none of these.
    """
    if isinstance(labels, Mapping):
        inner = [value for value in labels.values() if isinstance(value, Mapping)]
        per_class = any(not isinstance(name, str) for value in inner for name in value)
        return labels.get(key) or {} if per_class else labels
    if isinstance(labels, Sequence) and not isinstance(labels, str):
        return dict(enumerate(labels))
    raise TypeError(f"concepts_labels must be a list or a dict of labels, not {type(labels).__name__}.")


def label_text(label: Any) -> str:
    """Returns the shown text of a label, empty where there is none."""
    if label is None:
        return ""
    return str(label) if isinstance(label, str) else ", ".join(str(part) for part in label)


def class_title(key: Any, names: ClassNames | None, known: Sequence[Any]) -> str:
    """Returns the name of a class.

    Raises:
        ValueError: if `names` has no name for it.
    """
    if names is None:
        return key if isinstance(key, str) else f"class {key}"
    by_key = names if isinstance(names, Mapping) else dict(enumerate(names))
    if key in by_key:
        return str(by_key[key])
    if isinstance(key, str) and key in by_key.values():
        return key
    raise ValueError(
        f"classes_names has no name for {key!r} ({len(by_key)} names given); concepts_importances has "
        f"{len(known)} classes: {', '.join(map(repr, known[:10]))}."
    )
