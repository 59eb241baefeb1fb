"""The inputs that a concept is most active on."""

import pytest
import torch

from hf_interpreto.concepts.interpretations import TopKInputs
from hf_interpreto.concepts.methods.semi_nmf import SemiNMFConcepts
from hf_interpreto.errors import InvalidInputError, UnknownNameError
from hf_interpreto.model_wrapping.split_model import ModelWithSplitPoints
from tests.concepts.interpretations.fakes import POINT, FakeExplainer, letters

TEXTS = ["a banana here", "see the tea", "banana"]


def interpret(texts=TEXTS, indices="all", features=letters, n_concepts=3, **options):
    explainer = FakeExplainer(features, n_concepts)
    return TopKInputs(concept_explainer=explainer, **options).interpret(indices, texts)


def test_words_come_by_activation_once_each_and_end_where_the_concept_is_not_active():
    found = interpret(k=5)
    assert found[0] == {"banana": 3.0, "a": 1.0, "tea": 1.0}
    assert next(iter(found[0])) == "banana"
    assert found[1] == {"here": 2.0, "see": 2.0, "the": 1.0, "tea": 1.0}


def test_a_concept_that_is_never_active_has_an_empty_dict():
    assert interpret()[2] == {}


def test_k_may_exceed_the_inputs():
    assert set(interpret(["abc"], k=50)[0]) == {"abc"}


def test_concepts_are_given_by_index_list_or_tensor():
    assert list(interpret(indices=1)) == [1]
    assert list(interpret(indices=[2, 0])) == [2, 0]
    assert list(interpret(indices=torch.tensor([1, 0]))) == [1, 0]


@pytest.mark.parametrize("indices", [3, [-1], "some"])
def test_indices_that_are_not_there_are_refused(indices):
    with pytest.raises(ValueError, match="concepts_indices"):
        interpret(indices=indices)


def test_negative_activations_are_ranked_too():
    found = interpret(["x yy zzz"], features=lambda text: [-float(len(text))], n_concepts=1, k=2)
    assert found[0] == {"x": -1.0, "yy": -2.0}


def _oracle(texts, values, k):
    best = {}
    for text, value in zip(texts, values.tolist(), strict=True):
        best[text] = max(best.get(text, -torch.inf), value)
    ranked = sorted(best.items(), key=lambda pair: -pair[1])[:k]
    return {text: value for text, value in ranked if value}


@pytest.mark.parametrize("batch_size", [1, 2, 7, 1000])
def test_any_batch_size_gives_what_the_dense_matrix_gives(batch_size):
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(300, 4, generator=generator)
    texts = [f"t{int(number)}" for number in torch.randint(0, 60, (300,), generator=generator)]
    explainer = FakeExplainer(letters, 4)
    method = TopKInputs(
        concept_explainer=explainer, k=7, activation_granularity="sample", concept_encoding_batch_size=batch_size
    )
    found = method.interpret(inputs=texts, latent_activations=codes)
    assert max(explainer.batches) == min(batch_size, 300)
    for concept in range(4):
        assert found[concept] == _oracle(texts, codes[:, concept], 7)
        assert list(found[concept]) == list(_oracle(texts, codes[:, concept], 7))


def test_activations_of_the_model_of_concepts_or_none_give_the_same():
    explainer = FakeExplainer(letters, 3)
    method = TopKInputs(concept_explainer=explainer)
    activations = explainer.model_with_split_points.get_activations(TEXTS, "word", aggregation_strategy="mean")
    expected = method.interpret(inputs=TEXTS)
    assert method.interpret(inputs=TEXTS, latent_activations=activations) == expected
    assert method.interpret(inputs=TEXTS, latent_activations=dict(activations)) == expected
    assert method.interpret(inputs=TEXTS, latent_activations=activations[POINT]) == expected
    assert method.interpret(inputs=TEXTS, concepts_activations=activations[POINT]) == expected
    assert method.interpret(latent_activations=activations) == expected


def test_rows_that_do_not_fit_the_inputs_are_refused():
    method = TopKInputs(concept_explainer=FakeExplainer(letters, 3))
    with pytest.raises(ValueError, match="7 texts of elements do not fit 5 rows"):
        method.interpret(inputs=TEXTS, latent_activations=torch.ones(5, 3))
    with pytest.raises(ValueError, match=r"expected \(n, 3\)"):
        method.interpret(inputs=TEXTS, concepts_activations=torch.ones(7, 4))
    with pytest.raises(ValueError, match=r"has no 'layer.1', only 'other'"):
        method.interpret(inputs=TEXTS, latent_activations={"other": torch.ones(7, 3)})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_activations_that_are_no_numbers_are_refused(value):
    with pytest.raises(ValueError, match="NaN or infinite"):
        interpret(features=lambda text: [value], n_concepts=1)


def test_no_inputs_are_refused():
    method = TopKInputs(concept_explainer=FakeExplainer(letters, 3))
    for given in ({}, {"inputs": []}, {"inputs": [3]}, {"latent_activations": torch.ones(2, 3)}):
        with pytest.raises(InvalidInputError, match="inputs"):
            method.interpret(**given)


def test_unique_words_are_read_alone():
    explainer = FakeExplainer(letters, 3)
    method = TopKInputs(
        concept_explainer=explainer,
        activation_granularity="cls_token",
        use_unique_words=True,
        unique_words_kwargs={"count_min_threshold": 2},
    )
    assert method.interpret(inputs=[*TEXTS, "tea"])[0] == {"banana": 3.0, "tea": 1.0}
    assert explainer.model_with_split_points.read == ["banana", "tea"]


def test_a_number_of_unique_words_is_the_length_of_sequences():
    method = TopKInputs(
        concept_explainer=FakeExplainer(letters, 3), activation_granularity="sample", use_unique_words=2, k=1
    )
    assert method.interpret(0, ["a banana."]) == {0: {"a banana": 4.0}}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k=0"),
        ({"concept_encoding_batch_size": 0}, "concept_encoding_batch_size=0"),
        ({"activation_granularity": "all_tokens"}, "special tokens"),
        ({"activation_granularity": "token", "use_unique_words": True}, "'cls_token' or 'sample', not 'token'"),
        ({"activation_granularity": "cls_token", "use_unique_words": True, "use_vocab": True}, "choose one"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_runs(options, message):
    with pytest.raises(ValueError, match=message):
        TopKInputs(concept_explainer=FakeExplainer(letters, 3), **options)


def test_an_unknown_granularity_is_named():
    with pytest.raises(UnknownNameError, match="did you mean 'word'"):
        TopKInputs(concept_explainer=FakeExplainer(letters, 3), activation_granularity="words")


def test_activations_of_inputs_do_not_go_with_other_texts():
    method = TopKInputs(
        concept_explainer=FakeExplainer(letters, 3), activation_granularity="sample", use_unique_words=True
    )
    with pytest.raises(ValueError, match="leave the activations out"):
        method.interpret(inputs=TEXTS, latent_activations=torch.ones(7, 3))
    with pytest.raises(InvalidInputError, match="takes the words of the inputs"):
        method.interpret()


@pytest.fixture(scope="module")
def fitted(bert):
    model, tokenizer = bert
    splits = ModelWithSplitPoints(model, split_points=[-1], tokenizer=tokenizer)
    activations = splits.get_activations(["the film was great", "what a slow and dull film", "warm music"], "token")
    return SemiNMFConcepts(splits, nb_concepts=3).fit(activations)


@pytest.mark.parametrize("granularity", ["cls_token", "token"])
def test_the_vocabulary_is_read_entry_by_entry_by_its_own_ids(fitted, granularity):
    splits = fitted.model_with_split_points
    tokenizer = splits.tokenizer
    method = TopKInputs(concept_explainer=fitted, use_vocab=True, k=10**6, activation_granularity=granularity)
    found = method.interpret(0)[0]
    ids = [index for index in tokenizer.get_vocab().values() if index not in tokenizer.all_special_ids]
    index = max(ids)
    row = [tokenizer.cls_token_id, index, tokenizer.sep_token_id]
    with torch.no_grad():
        hidden = splits.model(torch.tensor([row]), output_hidden_states=True).hidden_states[-1][0]
    code = fitted.encode_activations(hidden[[0 if granularity == "cls_token" else 1]])[0, 0].item()
    text = tokenizer.decode([index])
    assert found.get(text, 0.0) == pytest.approx(code, abs=1e-4)
    assert not set(found) & set(tokenizer.all_special_tokens)


@pytest.mark.parametrize("granularity", ["cls_token", "token", "word", "sentence", "sample"])
def test_every_granularity_of_a_model_gives_its_own_texts(fitted, granularity):
    texts = ["The film was great. The music was slow!", "warm"]
    found = TopKInputs(concept_explainer=fitted, k=50, activation_granularity=granularity).interpret(inputs=texts)
    assert list(found) == [0, 1, 2]
    elements = fitted.model_with_split_points.element_tokens(texts, granularity)
    known = {element.text for sample in elements for element in sample}
    assert set().union(*found.values()) <= known
    assert any(found.values())
