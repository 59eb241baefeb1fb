"""Trained models on real sentences: what everyone would point at is what the methods point at."""

import pytest
import torch

from hf_interpreto.attributions import (
    GradientShap,
    InputxGradient,
    IntegratedGradients,
    KernelShap,
    Lime,
    Occlusion,
    Saliency,
    SmoothGrad,
    Sobol,
)

EMOTIONS = [
    ("i am furious with my brother", "anger", "furious"),
    ("i was terrified of the dark house", "fear", "terrified"),
    ("i feel so happy today", "joy", "happy"),
    ("i am devastated and cannot stop crying", "sadness", "devastated"),
]


@pytest.mark.parametrize("method", [Occlusion, KernelShap, Lime, Sobol, IntegratedGradients, Saliency, SmoothGrad])
def test_the_word_for_an_emotion_comes_first(load, method):
    outputs = method(*load("emotion-minilm"))([text for text, _, _ in EMOTIONS])
    assert [output.labels for output in outputs] == [[label] for _, label, _ in EMOTIONS]
    found = [output.top(1, by_magnitude=False)[0][0] for output in outputs]
    right = sum(got == cue for got, (_, _, cue) in zip(found, EMOTIONS, strict=True))
    assert right >= 3, found


def test_methods_that_add_up_do_so_on_a_trained_model(load):
    text = "i was terrified of the dark house"
    for method in (IntegratedGradients, KernelShap):
        (output,) = method(*load("emotion-minilm"))(text, targets=["fear", "joy", "anger"])
        difference = output.target_scores - output.baseline_scores
        assert bool((output.completeness_gap.abs() <= 0.011 * difference.abs().clamp_min(1e-3)).all())


def test_methods_agree_with_each_other_on_a_trained_model(load):
    text = "i am furious with my brother because he broke my favourite toy"
    outputs = [
        method(*load("emotion-minilm"))(text, targets="anger")[0].attributions[0]
        for method in (KernelShap, Lime, IntegratedGradients, GradientShap, Occlusion)
    ]
    agreement = torch.stack(outputs).corrcoef()
    assert float(agreement.min()) > 0.4
    assert float(agreement[0, 1]) > 0.9  # two additive surrogates of one game
    assert float(agreement[2, 3]) > 0.95  # one integral, twice


@pytest.mark.parametrize("name", ["stories-gpt2", "stories-llama"])
def test_a_story_goes_on_and_every_word_of_it_is_explained(load, name):
    prompt = "Once upon a time there was a little girl named Lily. Lily had a red"
    outputs = [method(*load(name))(prompt, max_new_tokens=5) for method in (Occlusion, InputxGradient)]
    for (output,) in outputs:
        t = len(output)
        assert output.text.startswith(prompt)
        assert output.text[output.source_length :].strip()
        assert output.labels == output.elements[output.n_source :]
        later = output.attributions[:, output.n_source :].isnan()
        assert torch.equal(later, torch.ones(t, t).triu().bool())
        assert bool(output.attributions[:, : output.n_source].isfinite().all())
    assert outputs[0][0].text == outputs[1][0].text


def test_the_word_before_matters_most_to_the_next_word_of_a_story(load):
    (output,) = Occlusion(*load("stories-gpt2"))("Tom had a big red ball. He put it on the", targets=" table.")
    assert "the" in [word for word, _ in output.top(2, by_magnitude=False)]


def test_shapley_values_of_the_next_word_of_a_story_add_up(load):
    (output,) = KernelShap(*load("stories-gpt2"))("There was a girl named Lily. The girl was", targets=" happy")
    difference = output.target_scores - output.baseline_scores
    assert float(difference.abs().max()) > 0.5
    torch.testing.assert_close(output.attributions.nansum(1), difference, atol=1e-3, rtol=1e-3)


def test_a_translated_word_comes_from_its_word(load):
    (output,) = Occlusion(*load("en-fr-marian"), attribute_target=False)("I have a dog.", targets="J'ai un chien.")
    for french, english in {"J'ai": "I", "un": "a", "chien": "dog"}.items():
        row = output[output.labels.index(french)]
        assert row.elements[int(row.attributions[0, : row.n_source].argmax())] == english


def test_a_translation_is_generated_and_explained_by_gradients_too(load):
    (output,) = IntegratedGradients(*load("en-fr-marian"), tolerance=0.05)("I have a dog.", max_new_tokens=10)
    assert output.text.startswith("I have a dog.\n")
    assert len(output) >= 2
    assert output.n_source == 5


def test_a_name_in_a_sentence_is_tagged_by_itself_and_its_neighbours(load):
    (output,) = Occlusion(*load("ner-minilm"))("Barack Obama visited London yesterday")
    assert [(output.elements[target.element], target.label) for target in output.targets] == [
        ("Barack", "B-person"), ("Obama", "I-person"), ("London", "B-location"),
    ]  # fmt: skip
    assert output["B-location"].top(1)[0][0] == "London"
    assert {word for word, _ in output["I-person"].top(2)} == {"Barack", "Obama"}


def test_a_filled_mask_is_explained_by_what_stands_around_it(load):
    model, tokenizer = load("mlm-bert-tiny")
    (output,) = KernelShap(model, tokenizer)("i feel so [MASK] today")
    hole = output.elements.index("[MASK]")
    assert output.targets[0].element == hole
    assert bool(output.attributions[0, hole].isnan())
    assert output.top(1, by_magnitude=False)[0][0] in ("feel", "so")
    assert float(output.completeness_gap.abs().max()) < 1e-4


def test_a_trained_model_is_explained_the_same_in_any_batch(load):
    texts = [text for text, _, _ in EMOTIONS]
    model, tokenizer = load("emotion-minilm")
    for method in (KernelShap, IntegratedGradients):
        one = method(model, tokenizer, batch_size=5)(texts)
        many = method(model, tokenizer)(texts)
        for first, second in zip(one, many, strict=True):
            torch.testing.assert_close(first.attributions, second.attributions, atol=1e-3, rtol=1e-3)
