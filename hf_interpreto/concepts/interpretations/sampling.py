"""Which inputs a language model is shown of a concept."""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor

from hf_interpreto.errors import UnknownNameError

_STRIDE = 1_000_003  # keeps the seeds of neighbouring concepts apart for all seeds below it


class SamplingMethod(StrEnum):
    """How examples are chosen among the inputs that a concept is active on."""

    TOP = "top"  # the most active
    QUANTILE = "quantile"  # as many from each range of activation
    RANDOM = "random"  # any

    @classmethod
    def parse(cls, value: SamplingMethod | str) -> SamplingMethod:
        """The member named `value`, in any case; `UnknownNameError` otherwise."""
        try:
            return cls(str(value).lower())
        except ValueError:
            raise UnknownNameError("sampling method", value, [member.value for member in cls]) from None

    def __str__(self) -> str:
        return self.value


def sample(method: SamplingMethod, size: int, k: int, k_quantile: int, generator: torch.Generator) -> Tensor:
    """Places of up to `k` examples among `size` that are sorted by activation, highest first; ascending.

    By quantile, the examples are cut into `k_quantile` ranges of equal size and each gives `k / k_quantile` at random;
    where that is no whole number, the more active ranges give one more.
    """
    if method is SamplingMethod.TOP or size <= k:
        return torch.arange(min(size, k))
    if method is SamplingMethod.RANDOM:
        return torch.randperm(size, generator=generator)[:k].sort().values
    drawn = []
    for number, places in enumerate(torch.arange(size).tensor_split(k_quantile)):
        share = k // k_quantile + (number < k % k_quantile)
        drawn.append(places[torch.randperm(len(places), generator=generator)[:share]])
    return torch.cat(drawn).sort().values


def generator_of(seed: int, concept: int) -> torch.Generator:
    """The source of random numbers of one concept, the same whichever other concepts are asked for."""
    return torch.Generator().manual_seed(seed * _STRIDE + concept)
