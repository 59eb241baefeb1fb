"""A dictionary of concepts at a split point of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor

from hf_interpreto.concepts.dictionary import ActivationsLike, ConceptDictionary, activation_rows
from hf_interpreto.concepts.importance import ConceptGradients
from hf_interpreto.errors import NotFittedError, SplitPointError, UnknownArgumentError
from hf_interpreto.granularity import GranularityAggregationStrategy
from hf_interpreto.model_wrapping.layers import resolve_split_points

if TYPE_CHECKING:
    from hf_interpreto.model_wrapping.split_model import ActivationGranularity, ModelWithSplitPoints


class ConceptExplainer:
    """Learns concepts from the activations at a split point, and says how they bear on the model's output.

    Args:
        model_with_split_points: the model, split.
        nb_concepts: how many concepts.
        split_point: which one, where the model has several: its number or its name.
        device: where the dictionary is.
        hyperparameters: those of the dictionary, by name.

    Attributes:
        model_with_split_points: as given.
        concept_model: the dictionary.
        split_point: full name of the module.

    Raises:
        SplitPointError: the model is not split there.
        UnknownArgumentError: the dictionary has no such hyper-parameter.
    """

    dictionary_class: ClassVar[type[ConceptDictionary]]

    def __init__(
        self,
        model_with_split_points: ModelWithSplitPoints,
        nb_concepts: int,
        *,
        split_point: str | int | None = None,
        device: torch.device | str = "cpu",
        **hyperparameters: Any,
    ) -> None:
        known = [name for name in self.dictionary_class.hyperparameters() if name != "nb_concepts"]
        for name in hyperparameters:
            if name not in known:
                common = ["nb_concepts", "split_point", "device"]
                raise UnknownArgumentError(name, type(self).__name__, [*common, *known])
        self.model_with_split_points = model_with_split_points
        self.split_point = find_split_point(model_with_split_points, split_point)
        self.concept_model = self.dictionary_class(nb_concepts, **hyperparameters).to(device)

    @property
    def nb_concepts(self) -> int:
        """How many concepts."""
        return self.concept_model.nb_concepts

    @property
    def is_fitted(self) -> bool:
        """Whether concepts have been learnt."""
        return self.concept_model.is_fitted

    @property
    def device(self) -> torch.device:
        """Where the dictionary is."""
        return self.concept_model.dictionary.device

    def to(self, device: torch.device | str) -> Self:
        """Move the dictionary."""
        self.concept_model.to(device)
        return self

    def fit(self, activations: ActivationsLike, *, overwrite: bool = False) -> Self:
        """Learn concepts.

        Args:
            activations: `(n, d)`, or what `get_activations` gives, of which this split point is taken.
            overwrite: learn anew where concepts have been learnt already.

        Raises:
            ValueError: concepts have been learnt already.
            InvalidInputError: activations that cannot be learnt from; see the dictionary.
        """
        if self.is_fitted and not overwrite:
            raise ValueError(
                f"this {type(self).__name__} has its concepts already; pass overwrite=True to learn them anew."
            )
        self.concept_model.fit(self.rows(activations))
        return self

    def rows(self, activations: ActivationsLike) -> Tensor:
        """The activations `(n, d)` of this split point, checked."""
        return activation_rows(activations, self.split_point)

    def encode_activations(self, activations: ActivationsLike) -> Tensor:
        """Codes `(n, c)` of activations `(n, d)`, or of this split point's in a mapping."""
        return self.concept_model.encode(self.rows(activations))

    def decode_concepts(self, concepts: Tensor) -> Tensor:
        """Activations `(n, d)` of codes `(n, c)`."""
        return self.concept_model.decode(concepts)

    activations_to_concepts = encode_activations
    concepts_to_activations = decode_concepts

    def get_dictionary(self) -> Tensor:
        """The direction of each concept, `(c, d)`."""
        if not self.is_fitted:
            raise NotFittedError(f"this {type(self).__name__} has no concepts yet: call `fit` first.")
        return self.concept_model.dictionary

    def concept_output_gradient(
        self,
        inputs: Any,
        targets: int | Sequence[int] | Tensor | None = None,
        activation_granularity: ActivationGranularity | str = "token",
        aggregation_strategy: GranularityAggregationStrategy | str = GranularityAggregationStrategy.MEAN,
        concepts_x_gradients: bool = True,
        normalization: bool = True,
        batch_size: int | str | None = None,
    ) -> list[Tensor]:
        """How much each concept of each element bears on each target.

        The activation at the split point is `decode(encode(activation)) + error` with the error held fixed, so the
        output is the model's own and its gradient with respect to the concepts is exact.

        Args:
            inputs: one input or several, as `get_activations` takes them.
            targets: for classifiers, classes. For models with an output at each token, positions of the input,
                counted from the end if negative, without padding; the output is the logit of what is predicted
                there. None: all.
            activation_granularity: what an element is.
            aggregation_strategy: how the activations of an element's tokens become one.
            concepts_x_gradients: times the code, so that a concept which is absent has 0.
            normalization: over the sum of magnitudes, `sum_gc |.| = 1` for each target.
            batch_size: inputs in one pass; None: that of the model.

        Returns:
            For each input `(t, g, c)`, float32 on the CPU, signed.

        Raises:
            NotFittedError: no concepts have been learnt.
            InvalidTargetError: a class or a position that there is not.
        """
        self.get_dictionary()
        gradients = ConceptGradients(
            self.model_with_split_points,
            self.split_point,
            self.concept_model,
            granularity=activation_granularity,
            strategy=GranularityAggregationStrategy.parse(aggregation_strategy),
        )
        found = gradients(inputs, targets, batch_size=batch_size)
        return [_importance(*pair, concepts_x_gradients, normalization) for pair in found]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.concept_model!r}, split_point={self.split_point!r})"


def _importance(gradients: Tensor, codes: Tensor, times_code: bool, normalize: bool) -> Tensor:
    """From gradients `(t, g, c)` and codes `(g, c)`."""
    values = gradients * codes if times_code else gradients
    if normalize:
        total = values.abs().sum((1, 2), keepdim=True)
        values = values / torch.where(total > 0, total, 1)
    return values


def find_split_point(model: ModelWithSplitPoints, wanted: str | int | None) -> str:
    """The full name of one of the model's split points; the only one if none is named.

    Raises:
        SplitPointError: the model is not split there, or at several points and none is named.
    """
    known = model.split_points
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted is None:
        raise SplitPointError(f"split_point: the model is split at {', '.join(known)}; say which one.")
    name = resolve_split_points(model.model, wanted)[0].name
    if name not in known:
        raise SplitPointError(f"split_point: {name!r}, but the model is split at {', '.join(known)}.")
    return name
