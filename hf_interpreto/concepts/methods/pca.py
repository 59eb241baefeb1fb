"""Principal components of activations."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from hf_interpreto.concepts.dictionary import LinearDictionary
from hf_interpreto.concepts.explainer import ConceptExplainer


@dataclass(eq=False, repr=False)
class PCA(LinearDictionary):
    """The directions along which activations vary most: orthonormal, by decreasing variance.

    scikit-learn's `PCA`, whose numbers it gives; codes are signed.

    Args:
        whiten: codes of unit variance.

    Attributes:
        explained_variance_ratio: `(c,)` share of the variance along each concept.
    """

    whiten: bool = False
    explained_variance_ratio: Tensor = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.register_buffer("explained_variance_ratio", torch.empty(0))

    def _fit(self, rows: Tensor) -> None:
        from sklearn.decomposition import PCA as SklearnPCA

        found = SklearnPCA(self.nb_concepts, whiten=self.whiten, random_state=self.seed).fit(rows.cpu().numpy())
        scale = found.explained_variance_[:, None].clip(1e-12) ** 0.5 if self.whiten else 1.0
        self._set(found.mean_, found.components_ / scale, found.components_ * scale)
        self.explained_variance_ratio = torch.tensor(found.explained_variance_ratio_).to(self.mean)


class PCAConcepts(ConceptExplainer):
    """Principal components as concepts; see `PCA`."""

    dictionary_class = PCA
