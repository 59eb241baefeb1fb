"""Gradients of the output with respect to concepts: equal to autograd through a model split by hand."""

import pytest
import torch

from hf_interpreto import concepts
from hf_interpreto.concepts.importance import ConceptEdit
from hf_interpreto.errors import InvalidTargetError
from hf_interpreto.granularity import Element, GranularityAggregationStrategy
from hf_interpreto.model_wrapping.split_model import ModelWithSplitPoints
from tests.concepts.conftest import TEXTS

METHODS = [
    concepts.SemiNMFConcepts,
    concepts.ConvexNMFConcepts,
    concepts.PCAConcepts,
    concepts.SVDConcepts,
    concepts.ICAConcepts,
    concepts.KMeansConcepts,
]


def _bert_from_layer_0(model, hidden):
    hidden = model.bert.encoder.layer[1](hidden)
    hidden = hidden[0] if isinstance(hidden, tuple) else hidden
    return model.classifier(model.bert.pooler(hidden))[0]  # (classes,)


def _gpt2_from_layer_0(model, hidden):
    hidden = model.transformer.h[1](hidden)
    hidden = hidden[0] if isinstance(hidden, tuple) else hidden
    return model.lm_head(model.transformer.ln_f(hidden))[0].amax(-1)  # (positions,)


REST = {"bert": _bert_from_layer_0, "gpt2": _gpt2_from_layer_0}


def _by_hand(split, dictionary, text):
    """Gradients `(t, l, c)` and codes of all tokens of one text, through the model's own modules."""
    model = split.model
    kind = model.config.model_type
    ids = split.tokenizer(text, return_tensors="pt").input_ids
    with torch.no_grad():
        hidden = model.base_model(ids, output_hidden_states=True).hidden_states[1]
    codes = dictionary.encode(hidden).requires_grad_()
    rebuilt = dictionary.decode(codes)
    outputs = REST[kind](model, rebuilt + (hidden - rebuilt).detach())
    torch.testing.assert_close(
        outputs, model(ids).logits[0] if kind == "bert" else model(ids).logits[0].amax(-1), atol=1e-4, rtol=1e-4
    )
    gradients = [torch.autograd.grad(output, codes, retain_graph=True)[0][0] for output in outputs]
    return torch.stack(gradients), codes.detach()[0]


@pytest.mark.parametrize("method", METHODS)
def test_gradients_equal_autograd_through_a_model_split_by_hand(split, method):
    explainer = method(split, nb_concepts=4).fit(split.get_activations(TEXTS))
    found = explainer.concept_output_gradient(
        TEXTS, activation_granularity="all_tokens", concepts_x_gradients=False, normalization=False
    )
    for gradients, text in zip(found, TEXTS, strict=True):
        expected, _ = _by_hand(split, explainer.concept_model, text)
        torch.testing.assert_close(gradients, expected, atol=1e-5, rtol=1e-3)
        assert gradients.abs().max() > 1e-4


@pytest.mark.parametrize("normalization", [True, False])
def test_gradients_are_multiplied_by_codes_and_normalized_over_elements_and_concepts(split, normalization):
    explainer = concepts.PCAConcepts(split, nb_concepts=4).fit(split.get_activations(TEXTS))
    found = explainer.concept_output_gradient(TEXTS, activation_granularity="all_tokens", normalization=normalization)
    for values, text in zip(found, TEXTS, strict=True):
        gradients, codes = _by_hand(split, explainer.concept_model, text)
        expected = gradients * codes
        if normalization:
            expected = expected / expected.abs().sum((1, 2), keepdim=True)
        torch.testing.assert_close(values, expected, atol=1e-5, rtol=1e-3)


def test_for_a_classifier_targets_are_classes(split_bert, explainer):
    everything = explainer.concept_output_gradient(TEXTS)
    some = explainer.concept_output_gradient(TEXTS, targets=[2, 0])
    one = explainer.concept_output_gradient(TEXTS, targets=1)
    tokens = split_bert.element_tokens(TEXTS)
    for values, chosen, single, elements in zip(everything, some, one, tokens, strict=True):
        assert values.shape == (3, len(elements), 6)
        torch.testing.assert_close(chosen, values[[2, 0]])
        torch.testing.assert_close(single, values[[1]])


def test_for_a_language_model_targets_are_positions_of_each_input_without_padding(split_gpt2):
    explainer = concepts.PCAConcepts(split_gpt2, nb_concepts=4).fit(split_gpt2.get_activations(TEXTS))
    everything = explainer.concept_output_gradient(TEXTS, batch_size=4)
    last = explainer.concept_output_gradient(TEXTS, targets=[-1, 0], batch_size=4)
    for values, ends, text in zip(everything, last, TEXTS, strict=True):
        length = len(split_gpt2.tokenizer(text).input_ids)
        assert values.shape == (length, length, 4)
        torch.testing.assert_close(ends, values[[-1, 0]])
        later = torch.ones(length, length).triu(1).bool()
        assert (values[later] == 0).all()  # what comes later bears on nothing earlier


@pytest.mark.parametrize("granularity", ["all_tokens", "word", "cls_token", "sample"])
def test_batches_change_nothing(split, granularity):
    if granularity == "cls_token" and split.model.config.model_type == "gpt2":
        granularity = "sentence"
    explainer = concepts.PCAConcepts(split, nb_concepts=4).fit(split.get_activations(TEXTS))
    alone, together = (
        explainer.concept_output_gradient(TEXTS, activation_granularity=granularity, batch_size=size)
        for size in (1, 4)
    )
    for first, second in zip(alone, together, strict=True):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-3)


def test_an_element_of_several_tokens_moves_them_all_by_what_its_concepts_add(split_bert):
    explainer = concepts.PCAConcepts(split_bert, nb_concepts=4).fit(split_bert.get_activations(TEXTS))
    options = {"concepts_x_gradients": False, "normalization": False}
    tokens = explainer.concept_output_gradient(TEXTS, activation_granularity="all_tokens", **options)
    for strategy, share in (("mean", 1), ("sum", None)):
        words = explainer.concept_output_gradient(
            TEXTS, activation_granularity="word", aggregation_strategy=strategy, **options
        )
        elements = split_bert.element_tokens(TEXTS, "word")
        assert max(len(element.tokens) for found in elements for element in found) > 1
        for by_word, by_token, found in zip(words, tokens, elements, strict=True):
            parts = [by_token[:, list(e.tokens)].sum(1) * (share or 1 / len(e.tokens)) for e in found]
            torch.testing.assert_close(by_word, torch.stack(parts, 1), atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("strategy", list(GranularityAggregationStrategy))
def test_the_edit_changes_no_value_and_its_change_pools_to_what_the_concepts_add(strategy):
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(2, 5, 8, generator=generator)
    dictionary = concepts.Neurons(8)
    elements = [[Element("ab", (1, 2, 3)), Element("c", (4,))], [Element("d", (0, 1))]]
    edit = ConceptEdit(dictionary, elements, strategy)
    edited = edit(hidden)
    assert torch.equal(edited, hidden)
    pooled = [strategy.aggregate(hidden[0, 1:4], 0), hidden[0, 4], strategy.aggregate(hidden[1, :2], 0)]
    torch.testing.assert_close(edit.codes, torch.stack(pooled))
    # The pooled value of the element moves one for one with its own code.
    value = strategy.aggregate(edited[0, 1:4], 0)
    (gradient,) = torch.autograd.grad(value.sum(), edit.codes)
    torch.testing.assert_close(gradient, torch.tensor([1.0, 0, 0])[:, None].expand(3, 8))


def test_the_model_is_left_as_it_was(split_bert, explainer):
    model = split_bert.model
    hooks = [list(module._forward_hooks) for module in model.modules()]  # transformers keeps some of its own
    model.train()
    try:
        with torch.no_grad():
            explainer.concept_output_gradient(TEXTS)
        assert all(module.training for module in model.modules())
        assert all(p.requires_grad and p.grad is None for p in model.parameters())
        assert [list(module._forward_hooks) for module in model.modules()] == hooks
    finally:
        model.eval()


def test_a_single_text_gives_a_list_of_one(explainer):
    (values,) = explainer.concept_output_gradient(TEXTS[0])
    torch.testing.assert_close(values, explainer.concept_output_gradient(TEXTS)[0], atol=1e-5, rtol=1e-3)


def test_the_seed_notebook_s_reduction_gives_classes_by_concepts(split_bert):
    granularity = ModelWithSplitPoints.activation_granularities.CLS_TOKEN
    activations = split_bert.get_activations(TEXTS * 3, granularity, include_predicted_classes=True)
    explainer = concepts.SemiNMFConcepts(split_bert, nb_concepts=4)
    explainer.fit({name: values[:8] for name, values in activations.items()})
    gradients = explainer.concept_output_gradient(inputs=TEXTS, activation_granularity=granularity, batch_size=32)
    assert torch.stack(gradients).abs().squeeze().mean(0).shape == (3, 4)


@pytest.mark.parametrize("target", [3, -1, [0, 7], []])
def test_a_class_that_there_is_not_is_refused(explainer, target):
    with pytest.raises(InvalidTargetError, match="targets"):
        explainer.concept_output_gradient(TEXTS, targets=target)


def test_a_position_that_a_short_input_has_not_is_refused(split_gpt2):
    explainer = concepts.PCAConcepts(split_gpt2, nb_concepts=4).fit(split_gpt2.get_activations(TEXTS))
    longest = max(len(split_gpt2.tokenizer(text).input_ids) for text in TEXTS)
    with pytest.raises(InvalidTargetError, match="position"):
        explainer.concept_output_gradient(TEXTS, targets=longest - 1)
