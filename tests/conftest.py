"""Fixtures for every floor: tiny models and models whose explanation is known."""

import pytest
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hf_interpreto.testing import linear_text_classifier, tiny_model, word_tokenizer

WORDS = ["great", "awful", "not", "film", "the", "was", "music", "dull", "very", "slow", "warm", "plain"]


@pytest.fixture
def words() -> PreTrainedTokenizerBase:
    """A tokenizer with one token for each of `WORDS`."""
    return word_tokenizer(WORDS)


@pytest.fixture
def linear(words: PreTrainedTokenizerBase) -> PreTrainedModel:
    """A bag of words under a linear layer, of three classes."""
    return linear_text_classifier(words, num_labels=3)


@pytest.fixture(scope="session")
def bert() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A tiny random classifier of three classes."""
    return tiny_model("bert", task="text-classification")


@pytest.fixture(scope="session")
def gpt2() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A tiny random causal language model, without a padding token."""
    return tiny_model("gpt2", task="text-generation")


@pytest.fixture(scope="session")
def t5() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A tiny random encoder-decoder."""
    return tiny_model("t5", task="text-generation")
