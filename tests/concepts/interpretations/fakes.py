"""An explainer whose concepts are known: each is a column of activations made from the texts themselves."""

from types import SimpleNamespace

import torch

from hf_interpreto.granularity import Element
from hf_interpreto.model_wrapping.activations import ActivationGranularity, ActivationRows, Activations
from hf_interpreto.text import word_spans

POINT = "layer.1"


class FakeSplits:
    """Reads words; the activation of an element is what `features` makes of its text."""

    def __init__(self, features, tokenizer=None):
        self.features = features
        self.tokenizer = tokenizer
        self.split_points = [POINT]
        self.read = []

    def element_tokens(self, inputs, granularity):
        if granularity in (ActivationGranularity.CLS_TOKEN, ActivationGranularity.SAMPLE):
            return [[Element(text, (0,), (0, len(text)))] for text in inputs]
        return [
            [Element(text[start:end], (place,), (start, end)) for place, (start, end) in enumerate(word_spans(text))]
            for text in inputs
        ]

    def get_activations(self, inputs, granularity, *, aggregation_strategy):
        if not isinstance(inputs, list):
            inputs = [" ".join(self.tokenizer.convert_ids_to_tokens(row)) for row in inputs["input_ids"]]
        self.read.extend(inputs)
        found = self.element_tokens(inputs, granularity)
        samples = torch.tensor([sample for sample, elements in enumerate(found) for _ in elements])
        texts = [element.text for elements in found for element in elements]
        values = torch.tensor([self.features(text) for text in texts], dtype=torch.float32)
        return Activations({POINT: values}, ActivationRows(samples, texts, list(inputs)))


class FakeExplainer:
    """Concepts are the activations themselves."""

    def __init__(self, features, n_concepts, tokenizer=None):
        self.model_with_split_points = FakeSplits(features, tokenizer)
        self.split_point = POINT
        self.concept_model = SimpleNamespace(nb_concepts=n_concepts)
        self.batches = []

    def encode_activations(self, rows):
        self.batches.append(len(rows))
        return rows


def letters(text):
    """Three concepts: how many a's, how many e's, and nothing."""
    return [float(text.count("a")), float(text.count("e")), 0.0]
