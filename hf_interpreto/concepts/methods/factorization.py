"""What the NMF family shares: codes by coordinate descent, and the loop that alternates codes and directions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hf_interpreto.concepts.dictionary import ConceptDictionary
from hf_interpreto.errors import InvalidInputError

_CHUNK = 16384  # rows whose codes are updated together
_SWEEPS = 2  # of each factor in each iteration
_MAX_ENCODE_SWEEPS = 2000
_ENCODE_TOL = 1e-6  # change in a sweep, relative to the row's largest code
_CHECK_EVERY = 10


def hals_sweeps(factor: Tensor, target: Tensor, gram: Tensor, sweeps: int) -> None:
    """Hierarchical alternating least squares (Cichocki and Phan, 2009), in place.

    Each row in turn becomes the exact non-negative minimiser of `|A - X^T Y|^2` with all other rows fixed, so that
    the error never grows.

    Args:
        factor: `X` `(c, b)`, non-negative.
        target: `Y A^T`, `(c, b)`.
        gram: `Y Y^T`, `(c, c)`.
        sweeps: times that every row is visited.
    """
    curvatures = gram.diagonal().tolist()
    for _ in range(sweeps):
        for j, curvature in enumerate(curvatures):
            if curvature > 0:
                factor[j].add_(target[j] - gram[j] @ factor, alpha=1 / curvature).clamp_min_(0)


def non_negative_codes(rows: Tensor, dictionary: Tensor) -> Tensor:
    """Codes `z >= 0` `(n, c)` with the least `|x - z D|^2` for each row of `(n, d)`.

    Coordinate descent from 0, each row until its own codes rest: the answer for a row depends on no other row.
    """
    gram = dictionary @ dictionary.T
    codes = rows.new_zeros(len(rows), len(dictionary))
    for start in range(0, len(rows), _CHUNK):
        target = dictionary @ rows[start : start + _CHUNK].T
        codes[start : start + _CHUNK] = _rest(target, gram).T
    return codes


def _rest(target: Tensor, gram: Tensor) -> Tensor:
    codes = torch.zeros_like(target)
    active = torch.arange(target.shape[1], device=target.device)
    for _ in range(_MAX_ENCODE_SWEEPS // _CHECK_EVERY):
        current, wanted = codes[:, active], target[:, active]
        hals_sweeps(current, wanted, gram, _CHECK_EVERY - 1)
        before = current.clone()
        hals_sweeps(current, wanted, gram, 1)
        codes[:, active] = current
        moving = (current - before).abs().amax(0) > _ENCODE_TOL * current.amax(0)
        active = active[moving]
        if not len(active):
            break
    return codes


def spread_rows(rows: Tensor, count: int, seed: int) -> Tensor:
    """`count` rows that point in different directions: k-means++ seeding on rows of unit length, `(count, d)`."""
    generator = torch.Generator().manual_seed(seed)
    unit = torch.nn.functional.normalize(rows, dim=1)
    chosen = [int(torch.randint(len(rows), (1,), generator=generator))]
    nearest = torch.full((len(rows),), torch.inf, device=rows.device)
    while len(chosen) < count:
        nearest = torch.minimum(nearest, (2 - 2 * unit @ unit[chosen[-1]]).clamp_min(0))
        nearest[chosen[-1]] = 0
        weights = nearest.double().cpu() + 1e-12
        # `multinomial` takes no more than 2^24 categories; a cumulative sum takes any number.
        draw = torch.rand(1, generator=generator, dtype=torch.float64) * weights.sum()
        chosen.append(min(int(torch.searchsorted(weights.cumsum(0), draw)), len(rows) - 1))
    return rows[chosen]


@dataclass(eq=False, repr=False)
class Factorization(ConceptDictionary):
    """`A ~ Z D` with codes `Z >= 0`: update the codes, then the directions, until the error rests.

    Directions have unit length, so codes are in the units of the activations. Encoding solves the non-negative least
    squares problem for each row from 0: it is deterministic and the same in any batch.

    Args:
        max_iter: iterations at most.
        tol: relative decrease of the squared error at which fitting stops.

    Attributes:
        errors: relative squared error `|A - Z D|^2 / |A|^2` after each iteration of the last `fit`.
    """

    max_iter: int = 500
    tol: float = 1e-5
    errors: list[float] = field(init=False, default_factory=list)

    def _encode(self, rows: Tensor) -> Tensor:
        with torch.no_grad():
            codes = non_negative_codes(rows.reshape(-1, rows.shape[-1]), self.dictionary)
        return codes.reshape(*rows.shape[:-1], -1)

    def _fit(self, rows: Tensor) -> None:
        energy = float(torch.linalg.vector_norm(rows, dtype=torch.float64)) ** 2
        if energy == 0:
            raise InvalidInputError("activations: all values are 0, so there is nothing to learn.")
        chunks = list(rows.split(_CHUNK))
        codes, directions = self._start(chunks)
        self.errors = []
        for _ in range(self.max_iter):
            gram = directions @ directions.T
            for z, chunk in zip(codes, chunks, strict=True):
                hals_sweeps(z, directions @ chunk.T, gram, _SWEEPS)
            code_gram = _total([z @ z.T for z in codes])
            product = _total([z @ chunk for z, chunk in zip(codes, chunks, strict=True)])
            directions = self._update_directions(directions, code_gram, product)
            self.errors.append(_error(energy, directions, code_gram, product))
            lengths = directions.norm(dim=1)
            directions = directions / lengths.clamp_min(torch.finfo(rows.dtype).tiny)[:, None]
            for z in codes:
                z.mul_(lengths[:, None])
            if len(self.errors) > 1 and self.errors[-2] - self.errors[-1] <= self.tol * self.errors[-2]:
                break
        self.dictionary = directions

    def _start(self, chunks: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """First codes, `(c, b)` for each chunk of rows `(b, d)`, and first directions `(c, d)`."""
        rows = torch.cat(chunks) if len(chunks) > 1 else chunks[0]
        directions = torch.nn.functional.normalize(spread_rows(rows, self.nb_concepts, self.seed), dim=1)
        return [rows.new_zeros(self.nb_concepts, len(chunk)) for chunk in chunks], directions

    @abstractmethod
    def _update_directions(self, directions: Tensor, code_gram: Tensor, product: Tensor) -> Tensor:
        """Directions `(c, d)` with no larger error, from `Z^T Z` `(c, c)` and `Z^T A` `(c, d)`."""


def _total(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]


def _error(energy: float, directions: Tensor, code_gram: Tensor, product: Tensor) -> float:
    """Relative squared error from sums over rows: `|A|^2 - 2 <D, Z^T A> + <Z^T Z, D D^T>`."""
    d, gram, m = directions.double(), code_gram.double(), product.double()
    return max(0.0, float(energy - 2 * (d * m).sum() + (gram * (d @ d.T)).sum())) / energy
