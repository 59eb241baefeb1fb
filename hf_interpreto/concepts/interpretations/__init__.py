"""What a concept means, in words: the inputs that it is most active on, or a label by a language model."""

from hf_interpreto.concepts.interpretations.llm_labels import (
    LLMLabelError,
    LLMLabels,
    LLMLabelWarning,
)
from hf_interpreto.concepts.interpretations.sampling import SamplingMethod
from hf_interpreto.concepts.interpretations.topk_inputs import TopKInputs
from hf_interpreto.concepts.interpretations.words import extract_ngrams

__all__ = ["LLMLabelError", "LLMLabelWarning", "LLMLabels", "SamplingMethod", "TopKInputs", "extract_ngrams"]
