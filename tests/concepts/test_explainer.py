"""Explainers: a dictionary at a split point, under the names of the seed notebooks."""

import pytest
import torch

from hf_interpreto import concepts
from hf_interpreto.concepts import ConceptExplainer
from hf_interpreto.errors import NotFittedError, SplitPointError, UnknownArgumentError
from hf_interpreto.model_wrapping.split_model import ModelWithSplitPoints
from tests.concepts.conftest import TEXTS

EXPLAINERS = {
    name: value
    for name, value in vars(concepts).items()
    if isinstance(value, type) and issubclass(value, ConceptExplainer) and value is not ConceptExplainer
}


def _new(name, split, **options):
    if name != "NeuronsAsConcepts":
        options["nb_concepts"] = 5
    if name == "NMFConcepts":
        options["force_relu"] = True
    return EXPLAINERS[name](split, **options)


def test_all_seed_names_are_there():
    seeds = "NeuronsAsConcepts NMFConcepts SemiNMFConcepts ConvexNMFConcepts ICAConcepts SVDConcepts PCAConcepts "
    assert set((seeds + "KMeansConcepts").split()) == set(EXPLAINERS)


@pytest.mark.parametrize("name", EXPLAINERS)
def test_an_explainer_learns_from_a_mapping_with_predictions_as_from_its_tensor(name, split_bert):
    activations = split_bert.get_activations(TEXTS, include_predicted_classes=True)
    rows = activations[split_bert.split_points[0]]
    first, second = _new(name, split_bert), _new(name, split_bert)
    if name != "NeuronsAsConcepts":
        assert not first.is_fitted
        first.fit(activations)
        second.fit(rows)
    assert first.is_fitted
    assert torch.equal(first.get_dictionary(), second.get_dictionary())
    codes = first.encode_activations(activations)
    assert torch.equal(codes, second.activations_to_concepts(rows))
    assert codes.shape == (len(rows), first.nb_concepts)
    assert first.decode_concepts(codes).shape == rows.shape
    assert torch.equal(first.concepts_to_activations(codes), first.decode_concepts(codes))


def test_neurons_are_as_many_as_the_split_point_is_wide_and_are_the_activations(split_bert):
    rows = split_bert.get_activations(TEXTS)[split_bert.split_points[0]]
    explainer = concepts.NeuronsAsConcepts(split_bert)
    assert explainer.nb_concepts == rows.shape[1]
    assert torch.equal(explainer.encode_activations(rows), rows)
    assert torch.equal(explainer.get_dictionary(), torch.eye(rows.shape[1]))


def test_of_several_split_points_the_one_that_was_chosen_is_learnt(bert):
    model, tokenizer = bert
    split = ModelWithSplitPoints(model, split_points=[0, 1], tokenizer=tokenizer)
    activations = split.get_activations(TEXTS)
    with pytest.raises(SplitPointError, match="say which one"):
        concepts.PCAConcepts(split, nb_concepts=3)
    chosen = concepts.PCAConcepts(split, nb_concepts=3, split_point=-1).fit(activations)
    assert chosen.split_point == split.split_points[1]
    expected = concepts.PCA(3).fit(activations[split.split_points[1]])
    assert torch.equal(chosen.get_dictionary(), expected.dictionary)
    named = concepts.PCAConcepts(split, nb_concepts=3, split_point=split.split_points[0])
    assert named.split_point == split.split_points[0]


def test_a_split_point_that_the_model_has_not_is_refused(split_bert):
    with pytest.raises(SplitPointError, match="but the model is split at"):
        concepts.PCAConcepts(split_bert, nb_concepts=3, split_point=1)


def test_concepts_are_not_overwritten_unasked(explainer, split_bert):
    activations = split_bert.get_activations(TEXTS)
    with pytest.raises(ValueError, match="overwrite=True"):
        explainer.fit(activations)
    assert explainer.fit(activations, overwrite=True).is_fitted


def test_an_explainer_without_concepts_says_so(split_bert):
    explainer = concepts.SVDConcepts(split_bert, nb_concepts=3)
    for call in (
        explainer.get_dictionary,
        lambda: explainer.encode_activations(torch.zeros(1, 32)),
        lambda: explainer.concept_output_gradient(TEXTS),
    ):
        with pytest.raises(NotFittedError, match="call `fit` first"):
            call()


def test_a_hyper_parameter_that_the_dictionary_has_not_is_refused_with_a_near_name(split_bert):
    with pytest.raises(UnknownArgumentError, match="did you mean 'max_iter'"):
        concepts.NMFConcepts(split_bert, nb_concepts=3, max_iters=3)
    assert concepts.NMFConcepts(split_bert, nb_concepts=3, max_iter=7).concept_model.max_iter == 7


def test_an_explainer_shows_what_it_is(explainer):
    assert repr(explainer).startswith("SemiNMFConcepts(SemiNMF(nb_concepts=6")
    assert explainer.device.type == "cpu"
    assert explainer.to("cpu") is explainer
