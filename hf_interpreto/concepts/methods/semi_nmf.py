"""Matrix factorisation with non-negative codes and free directions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hf_interpreto.concepts.explainer import ConceptExplainer
from hf_interpreto.concepts.methods.factorization import Factorization


@dataclass(eq=False, repr=False)
class SemiNMF(Factorization):
    """`A ~ Z D` with `Z >= 0` and `D` of any sign (Ding et al., 2010): for activations that may be negative.

    Codes by HALS, directions in closed form, `D = (Z^T Z)^+ Z^T A`. Starts from rows that point in different
    directions.
    """

    def _update_directions(self, directions: Tensor, code_gram: Tensor, product: Tensor) -> Tensor:
        return (torch.linalg.pinv(code_gram.double(), hermitian=True) @ product.double()).to(directions)


class SemiNMFConcepts(ConceptExplainer):
    """Directions with non-negative codes as concepts; see `SemiNMF`."""

    dictionary_class = SemiNMF
