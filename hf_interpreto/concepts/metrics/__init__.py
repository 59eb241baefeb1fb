"""How good a dictionary is: does it reconstruct, is it sparse, does it come out the same again."""

from hf_interpreto.concepts.metrics.base import ConceptMetric
from hf_interpreto.concepts.metrics.distribution import FID, FrechetDistance
from hf_interpreto.concepts.metrics.reconstruction import (
    MSE,
    ExplainedVariance,
    MeanEuclideanDistance,
    ReconstructionError,
)
from hf_interpreto.concepts.metrics.sparsity import Sparsity, SparsityRatio
from hf_interpreto.concepts.metrics.stability import Stability

__all__ = [
    "FID",
    "MSE",
    "ConceptMetric",
    "ExplainedVariance",
    "FrechetDistance",
    "MeanEuclideanDistance",
    "ReconstructionError",
    "Sparsity",
    "SparsityRatio",
    "Stability",
]
