"""KernelSHAP: Shapley values by a weighted regression whose solution adds up exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from math import comb

import numpy as np
import torch
from scipy.special import gammaln
from torch import Tensor

from hf_interpreto.attributions.base import Explanation
from hf_interpreto.attributions.perturbations import PerturbationExplainer, by_influence
from hf_interpreto.model_wrapping.examples import Example
from hf_interpreto.model_wrapping.requests import Coalitions, Program

_DEFAULT_BUDGET = 2048
_FIRST_ROUND = 128


@dataclass(eq=False, kw_only=True)
class KernelShap(PerturbationExplainer):
    r"""Shapley values (Lundberg & Lee, 2017, https://arxiv.org/abs/1705.07874), sampled as Covert & Lee (2021) advise.

    `min_phi sum_S w(|S|) (v(S) - v(0) - sum_{i in S} phi_i)^2` subject to `sum phi = v(all) - v(0)`, with
    `w(k) = (g - 1) / (C(g, k) k (g - k))`. The sizes of coalitions that the budget can hold whole are enumerated, the
    others are drawn in pairs (a coalition and its complement). All coalitions are run, and the values exact, where
    `2^g - 2` fits the budget. In units of the score, signed; the sum is exact at any budget.

    Args:
        n_perturbations: coalitions to score at most, beside the empty and the whole one; None: 2048, or fewer as soon
            as `precision` is reached.
        precision: stop when every standard error is below this share of the largest score; None never stops early. It
            only acts where `n_perturbations` is None or it is given itself.

    Example:
        >>> from hf_interpreto.demo import load_demo
        >>> model, tokenizer = load_demo("classifier")
        >>> (output,) = KernelShap(model, tokenizer)("I was delighted by the news.")
        >>> output.top(1)[0][0]
        'delighted'
    """

    n_perturbations: int | None = None
    precision: float | None = None

    citation = (
        "@inproceedings{lundberg2017unified, title={A Unified Approach to Interpreting Model Predictions}, "
        "author={Lundberg, Scott M. and Lee, Su-In}, booktitle={NeurIPS}, year={2017}}"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_perturbations is not None and self.n_perturbations < 2:
            raise ValueError(f"n_perturbations={self.n_perturbations}: expected at least 2.")

    def attribute(self, example: Example) -> Program:
        """Rounds of coalitions, each twice as large as all before, until the scores are precise enough."""
        g = len(example.players)
        design = _Design(g, self._budget, self.generator(), self._first_round(g))
        masks, scores = torch.empty(0, design.g, dtype=torch.bool), torch.empty(0)
        for added in design.rounds():
            new = yield Coalitions(example, added)
            masks = torch.cat([masks, added])
            scores = torch.cat([scores.reshape(-1, new.shape[1]), new])
            found = by_influence(example, scores, masks, _Estimator(design.weights(), design.pairs()))
            if self._precise(found):
                break
        found.diagnostics["n_perturbations"] = len(masks) - 2
        found.diagnostics["exact"] = design.exhausted
        return found

    @property
    def _budget(self) -> int:
        return self.n_perturbations or _DEFAULT_BUDGET

    def _first_round(self, g: int) -> int:
        """Draws before the first look at the errors, which need twice as many pairs as there are unknowns."""
        return self._budget if self._stop is None else max(_FIRST_ROUND, 4 * g)

    @property
    def _stop(self) -> float | None:
        return 0.05 if self.precision is None and self.n_perturbations is None else self.precision

    def _precise(self, found: Explanation) -> bool:
        if self._stop is None or found.standard_errors is None:
            return False
        largest = found.attributions.abs().amax(1)
        return bool((found.standard_errors.amax(1) <= self._stop * largest).all())

    def masks(self, g: int) -> Tensor:
        """The design of a whole budget in one go."""
        design = _Design(g, self._budget, self.generator(), self._budget)
        return torch.cat(list(design.rounds()))

    def aggregate(self, scores: Tensor, masks: Tensor) -> Explanation:
        """The constrained regression, every coalition weighted by the Shapley kernel of its size."""
        sizes = masks.sum(1)
        weights = shapley_kernel(masks.shape[1])[sizes]
        return _Estimator(weights, torch.arange(len(masks)))(scores, masks)


def shapley_kernel(g: int) -> Tensor:
    """`w(k)` for k = 0..g, `(g + 1,)` float64; 0 at both ends, whose coalitions are constraints."""
    k = np.arange(1, g)
    log_binomial = gammaln(g + 1) - gammaln(k + 1) - gammaln(g - k + 1)
    weights = np.zeros(g + 1)
    weights[1:g] = np.exp(np.log(g - 1) - log_binomial - np.log(k) - np.log(g - k)) if g > 1 else 0
    return torch.from_numpy(weights)


@dataclass(eq=False)
class _Design:
    """Which coalitions are run, in rounds, and how much each one counts."""

    g: int
    budget: int
    generator: torch.Generator
    first_round: int
    keys: dict[bytes, int] = field(default_factory=dict)  # sampled coalition -> row
    counts: list[float] = field(default_factory=list)  # of every row, 0 for the two ends
    sampled: list[bool] = field(default_factory=list)
    pair_of: list[int] = field(default_factory=list)
    exhausted: bool = False

    def rounds(self) -> Iterator[Tensor]:
        """New coalitions `(p, g)` of each round; the first starts with the empty and the whole one."""
        sizes, left = self._enumerable()
        rows = [torch.zeros(1, self.g, dtype=torch.bool), torch.ones(1, self.g, dtype=torch.bool)]
        self._record(2, 0.0, sampled=False)
        kernel = shapley_kernel(self.g)
        for size in sizes:
            found = _subsets(self.g, size)
            rows.append(found)
            self._record(len(found), float(kernel[size]), sampled=False)
        self.rest = [k for k in range(1, self.g) if k not in sizes]
        self.exhausted = not self.rest
        taken, wanted = 0, self.first_round
        while self.rest and left > 1:
            new = self._sample(min(left, wanted))
            if not len(new):
                break
            yield torch.cat([*rows, new])
            left -= len(new)
            taken += len(new)
            rows, wanted = [], taken
        if rows:
            yield torch.cat(rows)

    def weights(self) -> Tensor:
        """`(p,)`: the kernel for enumerated coalitions; for sampled ones their counts, scaled to the kernel's mass."""
        weights = torch.tensor(self.counts, dtype=torch.float64)
        sampled = torch.tensor(self.sampled)
        if bool(sampled.any()):
            mass = sum(self._mass(k) for k in self.rest)
            weights[sampled] *= mass / weights[sampled].sum()
        return weights

    def pairs(self) -> Tensor:
        """`(p,)` which draw each row belongs to; -1 for rows that were not drawn."""
        return torch.tensor(self.pair_of)

    def _mass(self, size: int) -> float:
        return (self.g - 1) / (size * (self.g - size))

    def _enumerable(self) -> tuple[list[int], int]:
        """Sizes run whole: all, if they fit; else from the outside in, while their share of the budget does."""
        left = self.budget
        if self.g < 24 and 2**self.g - 2 <= left:
            return list(range(1, self.g)), 0
        sizes: list[int] = []
        for size in range(1, self.g // 2 + 1):
            pair = sorted({size, self.g - size})
            number = len(pair) * comb(self.g, size)
            rest = sum(self._mass(k) for k in range(size, self.g - size + 1))
            if number > left * sum(self._mass(k) for k in pair) / rest:
                break
            sizes += pair
            left -= number
        return sizes, left

    def _sample(self, n: int) -> Tensor:
        """New coalitions in pairs; one drawn again counts more and is not run again."""
        mass = torch.tensor([self._mass(k) for k in self.rest], dtype=torch.float64)
        new: list[Tensor] = []
        for _ in range(20):
            missing = n - len(new)
            if missing < 2:
                break
            drawn = torch.multinomial(mass, missing // 2, replacement=True, generator=self.generator)
            sizes = torch.tensor(self.rest)[drawn]
            order = torch.rand(len(sizes), self.g, generator=self.generator).argsort(1).argsort(1)
            for row in order < sizes[:, None]:
                self._draw(row, new)
        return torch.stack(new) if new else torch.empty(0, self.g, dtype=torch.bool)

    def _draw(self, row: Tensor, new: list[Tensor]) -> None:
        key, twin = row.numpy().tobytes(), (~row).numpy().tobytes()
        if key in self.keys:
            for known in (key, twin):
                self.counts[self.keys[known]] += 1
            return
        pair = len(self.counts)
        for kept, name in ((row, key), (~row, twin)):
            self.keys[name] = len(self.counts)
            self._record(1, 1.0, sampled=True, pair=pair)
            new.append(kept)

    def _record(self, n: int, count: float, *, sampled: bool, pair: int = -1) -> None:
        self.counts += [count] * n
        self.sampled += [sampled] * n
        self.pair_of += [pair] * n


@dataclass(eq=False)
class _Estimator:
    """The regression, for rows with given weights and pairs of draws."""

    weights: Tensor
    pairs: Tensor

    def __call__(self, scores: Tensor, masks: Tensor) -> Explanation:
        m = masks.shape[1]
        empty, whole = scores[0], scores[1]
        delta = whole - empty
        if m == 1:
            phi, errors = delta[:, None], torch.zeros(len(delta), 1, dtype=torch.float64)
        else:
            phi, errors = self._solve(scores - empty, masks.double(), delta)
        return Explanation(phi, whole, empty, is_complete=True, standard_errors=errors)

    def _solve(self, values: Tensor, design: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
        """The last element is eliminated by the constraint, so that the sum is exact."""
        last = design[:, -1:]
        z = design[:, :-1] - last
        y = values - last * delta
        weighted = self.weights[:, None] * z
        gram = weighted.T @ z
        gram = gram + 1e-10 * gram.diagonal().mean().clamp_min(1e-300) * torch.eye(len(gram)).double()
        inverse = torch.linalg.pinv(gram, hermitian=True)
        beta = inverse @ (weighted.T @ y)  # (m - 1, t)
        phi = torch.cat([beta, (delta - beta.sum(0))[None]])
        residuals = y - z @ beta
        return phi.T, self._standard_errors(weighted, residuals, inverse).T

    def _standard_errors(self, weighted: Tensor, residuals: Tensor, inverse: Tensor) -> Tensor:
        """Sandwich over the pairs that were drawn; what was enumerated has no sampling error.

        NaN where there are too few pairs to tell: a regression that meets every row leaves no residuals.
        """
        t = residuals.shape[1]
        drawn = self.pairs >= 0
        if not bool(drawn.any()):
            return torch.zeros(len(inverse) + 1, t, dtype=torch.float64)
        _, index = self.pairs[drawn].unique(return_inverse=True)
        n = int(index.max()) + 1
        if n < 2 or n + int((~drawn).sum()) // 2 - 1 <= len(inverse):
            return torch.full((len(inverse) + 1, t), torch.nan, dtype=torch.float64)
        influence = (weighted[drawn] @ inverse)[:, :, None] * residuals[drawn][:, None, :]  # (p, m - 1, t)
        influence = torch.cat([influence, -influence.sum(1, keepdim=True)], dim=1)
        pairs = torch.zeros(n, *influence.shape[1:], dtype=torch.float64).index_add_(0, index, influence)
        freedom = max(n - len(inverse), 1) / n
        return (pairs - pairs.mean(0)).square().sum(0).div(freedom).sqrt()


def _subsets(g: int, size: int) -> Tensor:
    """All subsets of a size, `(C(g, size), g)` bool."""
    chosen = torch.tensor(list(combinations(range(g), size)), dtype=torch.long)
    return torch.zeros(len(chosen), g, dtype=torch.bool).scatter_(1, chosen, True)
