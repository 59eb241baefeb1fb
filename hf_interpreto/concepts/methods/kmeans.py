"""Clusters of activations."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from hf_interpreto.concepts.dictionary import ConceptDictionary
from hf_interpreto.concepts.explainer import ConceptExplainer

_WIDTHS = 24  # temperatures that are tried, each half the one before
_SAMPLE = 20_000  # rows on which they are tried


@dataclass(eq=False, repr=False)
class KMeans(ConceptDictionary):
    """Cluster centres as concepts; codes are memberships.

    `z_c = softmax_c(-|x - centre_c|^2 / (2 s))`: positive, of sum 1, the largest at the nearest centre; `decode` is
    the mean of the centres under them. The temperature `s` is the one that reconstructs the fitted activations best,
    down to where memberships are 0 or 1, so that no hard assignment does better. Centres are those of scikit-learn's
    `KMeans`.

    Args:
        max_iter: of Lloyd's algorithm.

    Attributes:
        temperature: `s`, in squared units of the activations.
    """

    max_iter: int = 300
    temperature: Tensor = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.register_buffer("temperature", torch.ones(()))

    def _fit(self, rows: Tensor) -> None:
        from sklearn.cluster import KMeans as SklearnKMeans

        solver = SklearnKMeans(self.nb_concepts, n_init="auto", max_iter=self.max_iter, random_state=self.seed)
        found = solver.fit(rows.cpu().numpy())
        self.dictionary = torch.tensor(found.cluster_centers_, dtype=torch.float32, device=rows.device)
        self.temperature = self._best_temperature(rows[:: -(-len(rows) // _SAMPLE)])

    def _best_temperature(self, rows: Tensor) -> Tensor:
        distances = self._distances(rows)
        widest = distances.mean().clamp_min(torch.finfo(torch.float32).tiny * 2.0**_WIDTHS)
        tried = [widest * 0.5**k for k in range(_WIDTHS)]
        errors = [float((rows - _memberships(distances, s) @ self.dictionary).square().sum()) for s in tried]
        return tried[errors.index(min(errors))]

    def _distances(self, rows: Tensor) -> Tensor:
        return torch.cdist(rows, self.dictionary, compute_mode="donot_use_mm_for_euclid_dist").square()

    def _encode(self, rows: Tensor) -> Tensor:
        return _memberships(self._distances(rows), self.temperature)


def _memberships(distances: Tensor, temperature: Tensor) -> Tensor:
    return (-distances / (2 * temperature)).softmax(-1)


class KMeansConcepts(ConceptExplainer):
    """Clusters as concepts; see `KMeans`."""

    dictionary_class = KMeans
