"""Tiny models, tokenizers and models with known answers, for this library's tests and for those of its users."""

from hf_interpreto.testing.ground_truth import linear_text_classifier, pair_game_classifier, shift_copy_lm
from hf_interpreto.testing.tiny_models import TINY_MODELS, tiny_model
from hf_interpreto.testing.tiny_tokenizers import tiny_tokenizer
from hf_interpreto.testing.word_tokenizers import slow_tokenizer, word_tokenizer

__all__ = [
    "TINY_MODELS",
    "linear_text_classifier",
    "pair_game_classifier",
    "shift_copy_lm",
    "slow_tokenizer",
    "tiny_model",
    "tiny_tokenizer",
    "word_tokenizer",
]
