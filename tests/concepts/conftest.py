"""Split models for the concept side."""

import pytest

from hf_interpreto import concepts
from hf_interpreto.model_wrapping.split_model import ModelWithSplitPoints

TEXTS = [
    "The film was great, and the music was warm.",
    "It was slow.",
    "Nobody liked the plain, dull story at all!",
    "A warm and very good book. I would read it again.",
]


@pytest.fixture(scope="session")
def split_bert(bert):
    model, tokenizer = bert
    return ModelWithSplitPoints(model, split_points=[0], tokenizer=tokenizer)


@pytest.fixture(scope="session")
def split_gpt2(gpt2):
    model, tokenizer = gpt2
    return ModelWithSplitPoints(model, split_points=[0], tokenizer=tokenizer)


@pytest.fixture(scope="session", params=["split_bert", "split_gpt2"])
def split(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def explainer(split_bert):
    return concepts.SemiNMFConcepts(split_bert, nb_concepts=6).fit(split_bert.get_activations(TEXTS))
