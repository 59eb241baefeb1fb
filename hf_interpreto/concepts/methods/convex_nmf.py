"""Matrix factorisation whose directions are non-negative mixtures of activations."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from hf_interpreto.concepts.explainer import ConceptExplainer
from hf_interpreto.concepts.methods.factorization import Factorization

_STEPS = 20


@dataclass(eq=False, repr=False)
class ConvexNMF(Factorization):
    """`A ~ Z W B` with `Z, W >= 0`, where the rows of `B` are activations (Ding et al., 2010).

    Each direction is a non-negative mixture of activations, of any sign, so a concept stays within what the model
    produces. With up to `n_anchors` activations, `B` is all of them, as in the paper; with more, `B` is the centres
    of as many clusters, which are mixtures of activations themselves. Memory is `n * c + n_anchors^2`, never `n^2`.

    Args:
        n_anchors: rows of `B` at most.

    Attributes:
        weights: `W` `(c, s)` of the last `fit`, for anchors of unit length and directions of unit length.
        anchors: `B` `(s, d)`, of unit length.
    """

    n_anchors: int = 512
    weights: Tensor = field(init=False)
    anchors: Tensor = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_anchors < self.nb_concepts:
            raise ValueError(f"n_anchors={self.n_anchors}: expected at least nb_concepts={self.nb_concepts}.")
        self.register_buffer("weights", torch.empty(0, 0))
        self.register_buffer("anchors", torch.empty(0, 0))

    def _fit(self, rows: Tensor) -> None:
        super()._fit(rows)
        del self._gram, self._curvature
        self.weights = self.weights / (self.weights @ self.anchors).norm(dim=1, keepdim=True).clamp_min(1e-30)

    def _start(self, chunks: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        rows = torch.cat(chunks) if len(chunks) > 1 else chunks[0]
        anchors = rows if len(rows) <= self.n_anchors else _centres(rows, self.n_anchors, self.seed)
        self.anchors = torch.nn.functional.normalize(anchors[anchors.norm(dim=1) > 0], dim=1)
        gram = self.anchors.double() @ self.anchors.double().T
        self._curvature = torch.linalg.eigvalsh(gram)[-1]
        self._gram = gram / self._curvature
        codes, directions = super()._start(chunks)
        similarities = directions @ self.anchors.T
        self.weights = torch.nn.functional.one_hot(similarities.argmax(1), len(self.anchors)).to(rows)
        return codes, self.weights @ self.anchors

    def _update_directions(self, directions: Tensor, code_gram: Tensor, product: Tensor) -> Tensor:
        """Accelerated projected gradient on `W`, for codes of unit scale; the step is kept only if it helps."""
        scales = code_gram.diagonal().double().clamp_min(1e-30).sqrt()[:, None]
        lengths = (self.weights @ self.anchors).double().norm(dim=1, keepdim=True).clamp_min(1e-30)
        target = product.double() @ self.anchors.double().T / (scales * self._curvature)
        start = self.weights.double() / lengths * scales
        weights = _descend(start, code_gram.double() / (scales * scales.T), self._gram, target)
        self.weights = (weights / scales).to(directions)
        return self.weights @ self.anchors


def _descend(start: Tensor, left: Tensor, right: Tensor, target: Tensor) -> Tensor:
    """A smaller `<W, L W R> / 2 - <W, T>` over `W >= 0` (FISTA: Beck and Teboulle, 2009), or `start`.

    `R` has no eigenvalue above 1.
    """

    def objective(weights: Tensor) -> Tensor:
        return 0.5 * (weights * (left @ weights @ right)).sum() - (weights * target).sum()

    curvature = torch.linalg.eigvalsh(left)[-1]
    weights, ahead, momentum = start, start, 1.0
    for _ in range(_STEPS):
        updated = (ahead - (left @ ahead @ right - target) / curvature).clamp_min(0)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = updated + (momentum - 1) / following * (updated - weights)
        weights, momentum = updated, following
    return weights if bool(objective(weights) < objective(start)) else start


def _centres(rows: Tensor, count: int, seed: int) -> Tensor:
    from sklearn.cluster import MiniBatchKMeans

    found = MiniBatchKMeans(count, n_init=1, batch_size=max(1024, 2 * count), random_state=seed).fit(
        rows.cpu().numpy()
    )
    return torch.tensor(found.cluster_centers_).to(rows)


class ConvexNMFConcepts(ConceptExplainer):
    """Mixtures of activations as concepts; see `ConvexNMF`."""

    dictionary_class = ConvexNMF
