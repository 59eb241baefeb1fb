"""What every dictionary of concepts can do: learn from activations, encode them, decode concepts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from hf_interpreto.errors import InvalidInputError, NotFittedError, UnknownNameError

PREDICTIONS = "predictions"
"""The key under which activations carry the predicted classes; no split point."""

ActivationsLike = Tensor | Mapping[str, Tensor]


def activation_rows(activations: ActivationsLike, split_point: str | None = None) -> Tensor:
    """The activations `(n, d)` of one split point, float32 and checked.

    Args:
        activations: `(n, d)`, or a mapping from split points to them, which may hold "predictions" too.
        split_point: which of the mapping; None where it holds only one.

    Raises:
        InvalidInputError: not a floating `(n, d)` tensor, empty, or with NaN or infinite values.
        UnknownNameError: the mapping lacks the split point.
    """
    if isinstance(activations, Mapping):
        activations = _choose(activations, split_point)
    if not isinstance(activations, Tensor):
        raise InvalidInputError(
            f"activations: expected a tensor (n, d) or a mapping from split points to such tensors, got "
            f"{type(activations).__name__}."
        )
    if activations.ndim != 2 or not activations.is_floating_point() or activations.numel() == 0:
        raise InvalidInputError(
            f"activations: expected a floating tensor (n, d) with at least one row, got "
            f"{tuple(activations.shape)} of {activations.dtype}."
        )
    _check_finite(activations)
    return activations.float()


def _choose(activations: Mapping[str, Tensor], split_point: str | None) -> Any:
    known = [name for name in activations if name != PREDICTIONS]
    if split_point is None and len(known) == 1:
        return activations[known[0]]
    if split_point is None:
        raise InvalidInputError(
            f"activations: {len(known)} split points ({', '.join(known) or 'none'}) where one is expected; pass the "
            "tensor of one of them."
        )
    if split_point not in known:
        raise UnknownNameError("split point", split_point, known)
    return activations[split_point]


def _check_finite(activations: Tensor) -> None:
    bad = ~activations.detach().isfinite().all(-1)
    if bool(bad.any()):
        raise InvalidInputError(
            f"activations: NaN or infinite values in {int(bad.sum())} of {bad.numel()} rows, the first at row "
            f"{int(bad.flatten().nonzero()[0])}. Extract them in a wider dtype, or leave these rows out."
        )


@dataclass(eq=False, repr=False)
class ConceptDictionary(nn.Module, ABC):
    """Concepts as directions: `activation ~ sum_c code_c * dictionary_c (+ offset)`.

    What is learnt lies in buffers, so that `state_dict`, `to` and `load_state_dict` (also into a dictionary that has
    not been fitted) work as for any module.

    Args:
        nb_concepts: how many concepts, `c`.
        seed: of everything random in fitting. Encoding and decoding are never random.

    Attributes:
        dictionary: `(c, d)`, the direction of each concept.
        sign_free: whether a concept and its negative are the same finding.
    """

    nb_concepts: int
    _: KW_ONLY
    seed: int = 0
    dictionary: Tensor = field(init=False)

    sign_free: ClassVar[bool] = False

    def __post_init__(self) -> None:
        nn.Module.__init__(self)
        if isinstance(self.nb_concepts, bool) or not isinstance(self.nb_concepts, int) or self.nb_concepts < 1:
            raise ValueError(f"nb_concepts={self.nb_concepts!r}: expected a positive integer.")
        self.register_buffer("dictionary", torch.empty(0, 0))

    @classmethod
    def hyperparameters(cls) -> list[str]:
        """The names of the constructor's arguments."""
        return [item.name for item in fields(cls) if item.init]

    @property
    def is_fitted(self) -> bool:
        """Whether there is something to encode with."""
        return self.dictionary.numel() > 0

    @property
    def width(self) -> int:
        """Size `d` of the activations that it was fitted on."""
        return self.dictionary.shape[1]

    def fit(self, activations: ActivationsLike) -> Self:
        """Learn from activations `(n, d)`, or from a mapping with one split point.

        Raises:
            InvalidInputError: too few rows, a wrong shape, NaN or infinite values, or values that this method cannot
                take.
        """
        rows = activation_rows(activations)
        self._check_size(*rows.shape)
        with torch.no_grad():
            self._fit(rows.to(self.dictionary.device))
        return self

    def encode(self, activations: Tensor) -> Tensor:
        """Activations `(..., d)` to codes `(..., c)`, on the dictionary's device.

        Raises:
            NotFittedError: before `fit`.
            InvalidInputError: another width, NaN or infinite values.
        """
        self._check_fitted()
        if activations.shape[-1] != self.width:
            raise InvalidInputError(
                f"activations: width {activations.shape[-1]}, but this {type(self).__name__} was fitted on width "
                f"{self.width}. Was it fitted at another split point, or on another model?"
            )
        _check_finite(activations)
        return self._encode(activations.to(self.dictionary))

    def decode(self, concepts: Tensor) -> Tensor:
        """Codes `(..., c)` to activations `(..., d)`, on the dictionary's device; differentiable.

        Raises:
            NotFittedError: before `fit`.
            InvalidInputError: another number of concepts.
        """
        self._check_fitted()
        if concepts.shape[-1] != self.nb_concepts:
            raise InvalidInputError(
                f"concepts: {concepts.shape[-1]} in the last dimension, but there are nb_concepts={self.nb_concepts}."
            )
        return self._decode(concepts.to(self.dictionary))

    def forward(self, activations: Tensor) -> Tensor:
        """`decode(encode(activations))`."""
        return self.decode(self.encode(activations))

    def extra_repr(self) -> str:
        """Hyper-parameters, and the width once it is known."""
        shown = [f"{name}={getattr(self, name)!r}" for name in self.hyperparameters()]
        return ", ".join([*shown, f"width={self.width}" if self.is_fitted else "not fitted"])

    @abstractmethod
    def _fit(self, rows: Tensor) -> None:
        """Learn from checked float32 rows `(n, d)` on the dictionary's device, without gradients."""

    @abstractmethod
    def _encode(self, rows: Tensor) -> Tensor:
        """Codes `(..., c)` of rows `(..., d)`."""

    def _decode(self, codes: Tensor) -> Tensor:
        return codes @ self.dictionary

    def _check_size(self, n: int, d: int) -> None:
        if n < self.nb_concepts:
            raise InvalidInputError(
                f"activations: {n} rows are too few to learn nb_concepts={self.nb_concepts}; give more inputs, or ask "
                "for fewer concepts."
            )

    def _check_fitted(self) -> None:
        if not self.is_fitted:
            raise NotFittedError(f"this {type(self).__name__} has not learnt anything yet: call `fit` first.")

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        # Buffers are empty until `fit`, and torch copies only into buffers of the same shape.
        for name, buffer in self._buffers.items():
            saved = state_dict.get(f"{prefix}{name}")
            if buffer is not None and saved is not None and saved.shape != buffer.shape:
                setattr(self, name, buffer.new_empty(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)


@dataclass(eq=False, repr=False)
class LinearDictionary(ConceptDictionary):
    """Codes that are linear in the activation: `z = (x - mean) @ encoder.T`, `x ~ z @ dictionary + mean`.

    Attributes:
        mean: `(d,)`.
        encoder: `(c, d)`.
    """

    mean: Tensor = field(init=False)
    encoder: Tensor = field(init=False)

    sign_free = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.register_buffer("mean", torch.empty(0))
        self.register_buffer("encoder", torch.empty(0, 0))

    def _check_size(self, n: int, d: int) -> None:
        super()._check_size(n, d)
        if self.nb_concepts > d:
            raise InvalidInputError(
                f"nb_concepts={self.nb_concepts}: {type(self).__name__} finds at most one concept per dimension, and "
                f"these activations have {d}."
            )

    def _set(self, mean: Any, encoder: Any, dictionary: Any) -> None:
        """Keep what scikit-learn found, as tensors on this dictionary's device."""
        target = self.dictionary
        self.mean, self.encoder, self.dictionary = (
            torch.tensor(value, dtype=torch.float32, device=target.device) for value in (mean, encoder, dictionary)
        )

    def _encode(self, rows: Tensor) -> Tensor:
        return (rows - self.mean) @ self.encoder.T

    def _decode(self, codes: Tensor) -> Tensor:
        return codes @ self.dictionary + self.mean
