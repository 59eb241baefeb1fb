"""What the tests of attribution share: every method at a small budget, models by name, and brute force."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import permutations, product
from math import comb
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hf_interpreto.attributions import (
    AttributionExplainer,
    GradientExplainer,
    GradientShap,
    InputxGradient,
    IntegratedGradients,
    KernelShap,
    Lime,
    Occlusion,
    PerturbationExplainer,
    SmoothGrad,
    Sobol,
    SquareGrad,
    VarGrad,
    list_methods,
)
from hf_interpreto.model_wrapping.scores import Score
from hf_interpreto.testing import tiny_model

METHODS: dict[str, type[AttributionExplainer]] = {
    name: method for name, method in list_methods().items() if method.__module__.startswith("hf_interpreto.")
}
GRADIENT_METHODS = {name: m for name, m in METHODS.items() if issubclass(m, GradientExplainer)}
PERTURBATION_METHODS = {name: m for name, m in METHODS.items() if issubclass(m, PerturbationExplainer)}

BUDGETS: dict[type[AttributionExplainer], dict[str, Any]] = {
    Lime: {"n_perturbations": 40},
    KernelShap: {"n_perturbations": 30},
    Sobol: {"n_token_perturbations": 8},
    IntegratedGradients: {"n_perturbations": 4, "tolerance": None},
    GradientShap: {"n_perturbations": 4},
    SmoothGrad: {"n_perturbations": 3},
    SquareGrad: {"n_perturbations": 3},
    VarGrad: {"n_perturbations": 3},
}
"""Enough to run, few enough to be fast; a method that is not named runs as it comes."""

ADDITIVE = (Occlusion, Lime, KernelShap, InputxGradient, IntegratedGradients, GradientShap)
"""Methods whose scores are the weights of a linear model, in units of the score."""

DIFFERENCE = Score("difference", lambda logits, _: logits[..., 1] - logits[..., 0])
"""A contrast of two classes."""


def small(
    method: type[AttributionExplainer], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, **settings: Any
) -> AttributionExplainer:
    """The method at its small budget."""
    return method(model, tokenizer, **{**BUDGETS.get(method, {}), **settings})


@cache
def tiny(name: str, task: str | None = None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A tiny model that no test changes; those that do make their own."""
    return tiny_model(name, task=task)


@contextmanager
def counted(model: PreTrainedModel) -> Iterator[list[int]]:
    """The number of rows in every call of the model."""
    rows: list[int] = []

    def count(_module: object, _args: object, kwargs: dict[str, Tensor]) -> None:
        rows.append(len(kwargs["input_ids"]))

    hook = model.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield rows
    finally:
        hook.remove()


def masked_scores(model: PreTrainedModel, ids: Tensor, groups: list[list[int]], fill: int, label: int) -> Callable:
    """The game of a classifier: from which groups of tokens are kept to the logit of a class, one row at a time."""

    @cache
    def value(kept: tuple[int, ...]) -> float:
        row = ids.clone()
        for index, tokens in enumerate(groups):
            if index not in kept:
                row[tokens] = fill
        with torch.no_grad():
            return float(model(input_ids=row[None]).logits[0, label].double())

    return value


def brute_force_shapley(value: Callable[[tuple[int, ...]], float], g: int) -> Tensor:
    """Shapley values by their definition: mean marginal contribution over all coalitions, `(g,)`."""
    values = torch.zeros(g, dtype=torch.float64)
    for kept in product((False, True), repeat=g):
        members = tuple(i for i in range(g) if kept[i])
        for i in range(g):
            if not kept[i]:
                weight = 1 / (g * comb(g - 1, len(members)))
                values[i] += weight * (value(tuple(sorted((*members, i)))) - value(members))
    return values


def permutation_shapley(value: Callable[[tuple[int, ...]], float], g: int) -> Tensor:
    """Shapley values by their other definition: mean over all orders; a check of the check."""
    values = torch.zeros(g, dtype=torch.float64)
    orders = list(permutations(range(g)))
    for order in orders:
        for k, i in enumerate(order):
            values[i] += value(tuple(sorted(order[: k + 1]))) - value(tuple(sorted(order[:k])))
    return values / len(orders)


def contributions(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, text: str) -> Tensor:
    """The exact share `(g, num_labels)` of each word of a text in the logits of a linear classifier."""
    ids = tokenizer(text, return_tensors="pt").input_ids[0]
    return model.contributions(ids)[1:-1]


def word_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> Tensor:
    """The ids of a text, special tokens included."""
    return tokenizer(text, return_tensors="pt").input_ids[0]
