"""On the models that ship with the package, the planted cue words come first."""

import pytest
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification, AutoTokenizer

from hf_interpreto.attributions import AttributionOutput, InputxGradient
from hf_interpreto.demo import (
    CAUSAL_EXAMPLE,
    CLASSIFIER_CONTRAST_EXAMPLE,
    CLASSIFIER_EXAMPLE,
    SEQ2SEQ_EXAMPLE,
    demo_model_path,
)
from tests.attributions.cases import METHODS

methods = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def loaded(name, auto):
    path = demo_model_path(name)
    return auto.from_pretrained(path), AutoTokenizer.from_pretrained(path)


@pytest.fixture(scope="module")
def classifier():
    return loaded("classifier", AutoModelForSequenceClassification)


@pytest.fixture(scope="module")
def causal():
    return loaded("causal", AutoModelForCausalLM)


@pytest.fixture(scope="module")
def seq2seq():
    return loaded("seq2seq", AutoModelForSeq2SeqLM)


def best(output: AttributionOutput, row: int) -> str:
    """The word of the input that speaks most for the target."""
    return output.elements[int(output.attributions[row, : output.n_source].argmax())]


@methods
@pytest.mark.parametrize("example", [CLASSIFIER_EXAMPLE, CLASSIFIER_CONTRAST_EXAMPLE], ids=["one", "contrast"])
def test_the_cue_comes_first_for_the_predicted_class(classifier, method, example):
    (output,) = method(*classifier)(example.text)
    assert output.labels == [example.output]
    assert best(output, 0) == example.cues[example.output]


@methods
def test_the_cue_comes_first_for_a_generated_word(causal, method):
    (output,) = method(*causal)(CAUSAL_EXAMPLE.text, CAUSAL_EXAMPLE.output)
    for word, cue in CAUSAL_EXAMPLE.cues.items():
        assert best(output, output.labels.index(word)) == cue


@methods
def test_the_cue_comes_first_for_a_translated_word(seq2seq, method):
    (output,) = method(*seq2seq, attribute_target=False)(SEQ2SEQ_EXAMPLE.text, SEQ2SEQ_EXAMPLE.output)
    cues = {word: cue for word, cue in SEQ2SEQ_EXAMPLE.cues.items() if word != "dans"}  # its noun decides it too
    found = {word: best(output, output.labels.index(word)) for word in cues}
    missed = {word: got for word, got in found.items() if got != cues[word]}
    assert len(missed) <= (method is InputxGradient), missed  # a gradient at one point, of a saturated log-probability
