"""Fixtures for the engine: one tiny model of each kind, made once."""

import pytest

from hf_interpreto.testing import tiny_model, word_tokenizer

WORDS = ["good", "bad", "film", "book", "the", "a", "was", "is", "not", "very", "it", "and"]


@pytest.fixture(scope="session")
def tagger():
    """A tiny random tagger of four tags."""
    return tiny_model("bert", task="token-classification", num_labels=4)


@pytest.fixture(scope="session")
def filler():
    """A tiny random masked language model."""
    return tiny_model("roberta", task="fill-mask")


@pytest.fixture(scope="session")
def llama():
    """A tiny random decoder whose tokenizer begins texts and pads on the left."""
    return tiny_model("llama", task="text-generation")


@pytest.fixture(scope="session")
def bart():
    """A tiny random encoder-decoder with learned positions."""
    return tiny_model("bart", task="text-generation")


@pytest.fixture(scope="session")
def multi_label():
    """A tiny random classifier of four independent labels."""
    return tiny_model("bert", task="text-classification", num_labels=4, problem_type="multi_label_classification")


@pytest.fixture(scope="session")
def regressor():
    """A tiny random model of one number."""
    return tiny_model("bert", task="text-classification", num_labels=1, problem_type="regression")


@pytest.fixture
def plain_words():
    """A tokenizer of whole words without boundary tokens."""
    return word_tokenizer(WORDS, boundaries=False)
