"""What every interpretation of concepts shares: which texts stand for the rows of activations, and which concepts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from transformers import BatchEncoding, PreTrainedTokenizerBase

from hf_interpreto.concepts.interpretations.candidates import Candidates
from hf_interpreto.concepts.interpretations.words import extract_ngrams
from hf_interpreto.errors import InvalidInputError
from hf_interpreto.granularity import GranularityAggregationStrategy
from hf_interpreto.model_wrapping.activations import ActivationGranularity, Activations

if TYPE_CHECKING:
    from hf_interpreto.concepts.explainer import ConceptExplainer

ConceptIndices = int | Sequence[int] | Tensor | Literal["all"]


@dataclass(eq=False, kw_only=True)
class ConceptInterpretation(ABC):
    """Says in words what concepts mean.

    Args:
        concept_explainer: a fitted explainer.
        activation_granularity: what one row of activations is about.
        aggregation_strategy: how activations of several tokens become one row.
        concept_encoding_batch_size: rows that are encoded at a time; at no time are there more activations of
            concepts in memory than that.
        use_vocab: take the tokenizer's vocabulary instead of inputs, each entry alone (between the tokenizer's special
            tokens, where the granularity is `CLS_TOKEN`).
        use_unique_words: take the distinct words of the inputs, each alone, instead of the inputs; a number is the
            length of the longest sequence of words. For the granularities `CLS_TOKEN` and `SAMPLE`.
        unique_words_kwargs: for `extract_ngrams`: `count_min_threshold`, `lemmatize`, `words_to_ignore`, `n`.
    """

    concept_explainer: ConceptExplainer
    activation_granularity: ActivationGranularity | str = ActivationGranularity.WORD
    aggregation_strategy: GranularityAggregationStrategy | str = GranularityAggregationStrategy.MEAN
    concept_encoding_batch_size: int = 1024
    use_vocab: bool = False
    use_unique_words: bool | int = False
    unique_words_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.activation_granularity = ActivationGranularity.parse(self.activation_granularity)
        self.aggregation_strategy = GranularityAggregationStrategy.parse(self.aggregation_strategy)
        if self.concept_encoding_batch_size < 1:
            raise ValueError(f"concept_encoding_batch_size={self.concept_encoding_batch_size} must be at least 1.")
        if self.activation_granularity is ActivationGranularity.ALL_TOKENS:
            raise ValueError(
                "activation_granularity='all_tokens': special tokens say nothing about a concept; use 'token'."
            )
        if self.use_vocab and self.use_unique_words:
            raise ValueError("use_vocab and use_unique_words both say what to take instead of inputs; choose one.")
        if self.use_unique_words and not self._is_whole:
            raise ValueError(
                "use_unique_words reads each word as a text of its own, so activation_granularity must be 'cls_token' "
                f"or 'sample', not {str(self.activation_granularity)!r}."
            )

    @abstractmethod
    def interpret(
        self,
        concepts_indices: ConceptIndices = "all",
        inputs: Sequence[str] | None = None,
        latent_activations: Tensor | Mapping[str, Tensor] | None = None,
        concepts_activations: Tensor | None = None,
    ) -> dict[int, Any]:
        """The meaning of each concept asked for, by index.

        Args:
            concepts_indices: `"all"`, an index or several.
            inputs: the texts; needed unless `use_vocab`, or `latent_activations` as `get_activations` returned them.
            latent_activations: (n, d) activations of the inputs, or the mapping that has them; None runs the model.
            concepts_activations: (n, c) activations of concepts on the inputs; None encodes `latent_activations`.

        Raises:
            ValueError: an index is out of range, there are no inputs, or activations do not fit the inputs.
        """

    def _concepts(self, indices: ConceptIndices) -> list[int]:
        n_concepts = self.concept_explainer.concept_model.nb_concepts
        if isinstance(indices, str):
            if indices != "all":
                raise ValueError(f"concepts_indices={indices!r} must be 'all', an index or several.")
            return list(range(n_concepts))
        chosen = [int(index) for index in torch.as_tensor(indices).reshape(-1).tolist()]
        wrong = sorted({index for index in chosen if not 0 <= index < n_concepts})
        if wrong:
            raise ValueError(
                f"concepts_indices: {wrong[:10]} are not among the {n_concepts} concepts, counted from 0."
            )
        return list(dict.fromkeys(chosen))

    def _candidates(
        self,
        inputs: Sequence[str] | None,
        latents: Tensor | Mapping[str, Tensor] | None,
        codes: Tensor | None,
        k_context: int = 0,
    ) -> Candidates:
        if self.use_vocab or self.use_unique_words:
            if latents is not None or codes is not None:
                raise ValueError(
                    "latent_activations and concepts_activations are those of inputs, but use_vocab and "
                    "use_unique_words read other texts; leave the activations out."
                )
            texts, readable = self._own_texts(inputs)
            granularity = self.activation_granularity if self._is_whole else ActivationGranularity.SAMPLE
            own = self._latents(readable, granularity)
            return Candidates(texts, self._matrix(own), self._encode)
        if inputs is not None:
            inputs = _checked(inputs)
        if codes is None and latents is None:
            if inputs is None:
                raise InvalidInputError(
                    "inputs: none given. Pass the texts (with or without their activations), or set use_vocab=True."
                )
            latents = self._latents(inputs, self.activation_granularity)
        texts = self._row_texts(inputs, latents, k_context)
        if codes is not None:
            n_concepts = self.concept_explainer.concept_model.nb_concepts
            if codes.ndim != 2 or codes.shape[1] != n_concepts:
                raise ValueError(f"concepts_activations: expected (n, {n_concepts}), got {tuple(codes.shape)}.")
            return Candidates(texts, codes, lambda rows: rows)
        return Candidates(texts, self._matrix(latents), self._encode)

    def _encode(self, rows: Tensor) -> Tensor:
        return self.concept_explainer.encode_activations(rows)

    @property
    def _is_whole(self) -> bool:
        return self.activation_granularity in (ActivationGranularity.CLS_TOKEN, ActivationGranularity.SAMPLE)

    def _latents(self, texts: Any, granularity: ActivationGranularity | str) -> Activations:
        return self.concept_explainer.model_with_split_points.get_activations(
            texts, granularity, aggregation_strategy=self.aggregation_strategy
        )

    def _matrix(self, latents: Any) -> Tensor:
        if isinstance(latents, Tensor):
            return latents
        split_point = self.concept_explainer.split_point
        if split_point not in latents:
            raise ValueError(f"latent_activations: has no {split_point!r}, only {', '.join(map(repr, latents))}.")
        return latents[split_point]

    def _row_texts(self, inputs: Sequence[str] | None, latents: Any, k_context: int) -> list[str]:
        if isinstance(latents, Activations) and not k_context:
            return list(latents.rows.elements)
        if inputs is None:
            raise InvalidInputError(
                "inputs: needed to show what each row of activations is about; only what get_activations returned "
                "knows it by itself, and not its context."
            )
        splits = self.concept_explainer.model_with_split_points
        samples = splits.element_tokens(list(inputs), self.activation_granularity)
        return [
            in_context(text, elements, place, k_context)
            for text, elements in zip(inputs, samples, strict=True)
            for place in range(len(elements))
        ]

    def _own_texts(self, inputs: Sequence[str] | None) -> tuple[list[str], Any]:
        """What stands for concepts instead of the inputs: as shown, and as the model reads it."""
        if self.use_vocab:
            return vocabulary(self.concept_explainer.model_with_split_points.tokenizer)
        if inputs is None:
            raise InvalidInputError("inputs: use_unique_words takes the words of the inputs; pass the texts.")
        options = {"n": int(self.use_unique_words), **self.unique_words_kwargs, "return_counts": False}
        words = extract_ngrams(_checked(inputs), **options)
        if not words:
            raise InvalidInputError(
                f"inputs: no word is left by unique_words_kwargs={dict(self.unique_words_kwargs)}."
            )
        return words, words


def vocabulary(tokenizer: PreTrainedTokenizerBase) -> tuple[list[str], BatchEncoding]:
    """The entries of a tokenizer as texts, and each of them alone between the special tokens that a text stands in.

    Special tokens are no entries. An entry that is no text by itself (a blank, a part of a character) is shown as the
    tokenizer writes it.
    """
    special = set(tokenizer.all_special_ids)
    ids = [index for index in sorted(tokenizer.get_vocab().values()) if index not in special]
    decoded = tokenizer.batch_decode([[index] for index in ids], clean_up_tokenization_spaces=False)
    written = tokenizer.convert_ids_to_tokens(ids)
    texts = [
        text if text.strip() and "\ufffd" not in text else token for text, token in zip(decoded, written, strict=True)
    ]
    around = tokenizer("a")["input_ids"]
    inside = [place for place, index in enumerate(around) if index not in special]
    before, after = (around[: inside[0]], around[inside[-1] + 1 :]) if inside else ([], [])
    return texts, BatchEncoding({"input_ids": [[*before, index, *after] for index in ids]})


def in_context(text: str, elements: Sequence[Any], place: int, k_context: int) -> str:
    """The element at `place`; with context also `k_context` elements on either side, and the element in [[ ]]."""
    own = elements[place]
    if not k_context:
        return own.text
    first, last = elements[max(0, place - k_context)], elements[min(len(elements) - 1, place + k_context)]
    if None in (first.span, own.span, last.span):
        before = [element.text for element in elements[max(0, place - k_context) : place]]
        after = [element.text for element in elements[place + 1 : place + 1 + k_context]]
        return " ".join([*before, f"[[{own.text}]]", *after])
    start, end = own.span
    return f"{text[first.span[0] : start]}[[{text[start:end]}]]{text[end : last.span[1]]}"


def _checked(inputs: Sequence[str]) -> list[str]:
    texts = [inputs] if isinstance(inputs, str) else list(inputs)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise InvalidInputError("inputs: must be texts, at least one.")
    return texts
