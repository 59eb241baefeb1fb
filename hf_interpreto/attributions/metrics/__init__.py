"""How faithful attributions are to the model: curves and areas, beside those of random orders."""

from hf_interpreto.attributions.metrics.base import FaithfulnessMetric, MetricDetails
from hf_interpreto.attributions.metrics.comprehensiveness_sufficiency import Comprehensiveness, Sufficiency
from hf_interpreto.attributions.metrics.insertion_deletion import Deletion, Insertion

__all__ = ["Comprehensiveness", "Deletion", "FaithfulnessMetric", "Insertion", "MetricDetails", "Sufficiency"]
