"""Whether dictionaries that should be the same are."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from hf_interpreto.concepts.dictionary import ConceptDictionary
from hf_interpreto.concepts.explainer import ConceptExplainer
from hf_interpreto.errors import InvalidInputError


class Stability:
    """Mean cosine of matched concepts, over all pairs of dictionaries; 1 is best.

    The concepts of two dictionaries are matched one to one so that the sum of cosines is largest (Hungarian method);
    the larger dictionary's remainder is left out. Where both are free of sign (PCA, ICA, SVD), magnitudes count.

    Args:
        dictionaries: two or more: explainers, dictionaries, or directions `(c, d)`; fitted with different seeds or on
            different data.

    Raises:
        InvalidInputError: fewer than two, or of different widths.
    """

    def __init__(self, *dictionaries: ConceptExplainer | ConceptDictionary | Tensor) -> None:
        if len(dictionaries) < 2:
            raise InvalidInputError(f"dictionaries: {len(dictionaries)}, but stability compares two or more.")
        self.directions = [_directions(given) for given in dictionaries]
        self.sign_free = all(_is_sign_free(given) for given in dictionaries)
        if len({directions.shape[1] for directions in self.directions}) > 1:
            widths = ", ".join(str(directions.shape[1]) for directions in self.directions)
            raise InvalidInputError(f"dictionaries: of different widths ({widths}), which cannot be compared.")

    def compute(self) -> float:
        """From -1 to 1."""
        pairs = list(combinations(self.directions, 2))
        return sum(_matched_cosine(first, second, self.sign_free) for first, second in pairs) / len(pairs)


def _directions(given: ConceptExplainer | ConceptDictionary | Tensor) -> Tensor:
    if isinstance(given, ConceptExplainer):
        given = given.get_dictionary()
    elif isinstance(given, ConceptDictionary):
        given = given.dictionary
    return torch.nn.functional.normalize(given.detach().cpu().double(), dim=1)


def _is_sign_free(given: ConceptExplainer | ConceptDictionary | Tensor) -> bool:
    if isinstance(given, ConceptExplainer):
        given = given.concept_model
    return isinstance(given, ConceptDictionary) and given.sign_free


def _matched_cosine(first: Tensor, second: Tensor, sign_free: bool) -> float:
    from scipy.optimize import linear_sum_assignment

    cosines = first @ second.T
    cosines = cosines.abs() if sign_free else cosines
    rows, columns = linear_sum_assignment(cosines.numpy(), maximize=True)
    return float(cosines[rows, columns].mean())
