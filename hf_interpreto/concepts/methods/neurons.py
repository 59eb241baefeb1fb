"""The model's own neurons as concepts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hf_interpreto.concepts.dictionary import LinearDictionary
from hf_interpreto.concepts.explainer import ConceptExplainer, find_split_point
from hf_interpreto.errors import InvalidInputError

if TYPE_CHECKING:
    from hf_interpreto.model_wrapping.split_model import ModelWithSplitPoints


@dataclass(eq=False, repr=False)
class Neurons(LinearDictionary):
    """Each dimension of the activation is a concept; nothing is learnt."""

    sign_free = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.dictionary = torch.eye(self.nb_concepts)

    def _fit(self, rows: Tensor) -> None:
        """There is nothing to learn."""

    def _check_size(self, n: int, d: int) -> None:
        if d != self.nb_concepts:
            raise InvalidInputError(f"activations: width {d}, but there are nb_concepts={self.nb_concepts} neurons.")

    def _encode(self, rows: Tensor) -> Tensor:
        return rows

    def _decode(self, codes: Tensor) -> Tensor:
        return codes


class NeuronsAsConcepts(ConceptExplainer):
    """Neurons as concepts: as many as the split point is wide, and ready without `fit`.

    Args:
        model_with_split_points: the model, split.
        split_point: which one, where the model has several.
        device: where the dictionary is.
    """

    dictionary_class = Neurons

    def __init__(
        self,
        model_with_split_points: ModelWithSplitPoints,
        *,
        split_point: str | int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        name = find_split_point(model_with_split_points, split_point)
        width = model_with_split_points.latent_shape(name)[-1]
        super().__init__(model_with_split_points, width, split_point=name, device=device)
