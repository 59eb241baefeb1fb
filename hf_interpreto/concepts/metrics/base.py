"""What the metrics of one fitted explainer share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from hf_interpreto.concepts.dictionary import ActivationsLike
from hf_interpreto.concepts.explainer import ConceptExplainer

_CHUNK = 8192


class ConceptMetric(ABC):
    """A number about a fitted explainer on activations.

    Args:
        concept_explainer: fitted.
    """

    def __init__(self, concept_explainer: ConceptExplainer) -> None:
        self.concept_explainer = concept_explainer

    def compute(self, activations: ActivationsLike) -> float:
        """The metric on activations `(n, d)`, or on this split point's in a mapping.

        Raises:
            NotFittedError: no concepts have been learnt.
            InvalidInputError: activations of another width, or with NaN or infinite values.
        """
        rows = self.concept_explainer.rows(activations)
        with torch.no_grad():
            return float(self._compute(rows))

    @abstractmethod
    def _compute(self, rows: Tensor) -> float | Tensor:
        """The metric on checked float32 rows `(n, d)`."""

    def _codes(self, rows: Tensor) -> Iterator[Tensor]:
        """Codes of some rows at a time, on the CPU."""
        for chunk in rows.split(_CHUNK):
            yield self.concept_explainer.concept_model.encode(chunk).cpu()

    def _pairs(self, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Some rows at a time and what the concepts make of them, float64 on the CPU."""
        model = self.concept_explainer.concept_model
        for chunk in rows.split(_CHUNK):
            yield chunk.cpu().double(), model.decode(model.encode(chunk)).cpu().double()
