"""The inputs that a concept is most active on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from hf_interpreto.concepts.interpretations.base import ConceptIndices, ConceptInterpretation
from hf_interpreto.concepts.interpretations.candidates import top


@dataclass(eq=False, kw_only=True)
class TopKInputs(ConceptInterpretation):
    """The `k` distinct texts that a concept is most active on.

    They are tokens, words, sentences or samples of inputs, distinct words read alone, or the vocabulary. A text that
    occurs several times counts once, with its highest activation. Rows are streamed: beside the activations given,
    `concept_encoding_batch_size` rows of concepts and `k` are in memory.

    Args:
        k: texts per concept at most.

    Example:
        >>> TopKInputs(concept_explainer=explainer, k=2).interpret(inputs=["I feel great", "so sad"])  # doctest: +SKIP
        {0: {'great': 4.1, 'feel': 1.3}, 1: {'sad': 3.8}}
    """

    k: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k < 1:
            raise ValueError(f"k={self.k} must be at least 1.")

    def interpret(
        self,
        concepts_indices: ConceptIndices = "all",
        inputs: Sequence[str] | None = None,
        latent_activations: Tensor | Mapping[str, Tensor] | None = None,
        concepts_activations: Tensor | None = None,
    ) -> dict[int, dict[str, float]]:
        """For each concept its texts and their activations, highest first; arguments as in the base class.

        A concept has fewer than `k` texts where there are fewer, or where it is not active (0) on more; a concept that
        is active on none has an empty dict.
        """
        concepts = self._concepts(concepts_indices)
        candidates = self._candidates(inputs, latent_activations, concepts_activations)
        texts, ids = candidates.distinct()
        stream = candidates.stream(ids, concepts, self.concept_encoding_batch_size)
        values, owners = top(stream, self.k, len(concepts))
        return {
            concept: _named(texts, values[:, column].tolist(), owners[:, column].tolist())
            for column, concept in enumerate(concepts)
        }


def _named(texts: Sequence[str], values: Sequence[float], owners: Sequence[int]) -> dict[str, float]:
    named: dict[str, float] = {}
    for value, owner in zip(values, owners, strict=True):
        if value == 0:
            break
        named[texts[owner]] = value
    return named
