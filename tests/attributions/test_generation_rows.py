"""Rows of generated elements: what comes later is NaN, and each row is what its own step alone would give."""

import pytest
import torch

from hf_interpreto.attributions import KernelShap, Lime, Sobol
from hf_interpreto.attributions.gradients import NoisyGradientExplainer
from hf_interpreto.testing import shift_copy_lm, word_tokenizer
from tests.attributions.cases import GRADIENT_METHODS, METHODS, small, tiny

methods = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
models = pytest.mark.parametrize("name", ["gpt2", "llama", "gemma3", "t5", "bart"])
PROMPT, ANSWER = "I felt sad", " and calm then"


def exactly(method):
    """Settings that leave no chance in a method."""
    if method is Sobol:
        return {"n_token_perturbations": 2048}
    if method in (KernelShap, Lime):
        return {"n_perturbations": 4096}  # all coalitions
    return {"noise_std": 0.0} if issubclass(method, NoisyGradientExplainer) else {}


@methods
@models
def test_what_is_generated_later_is_nan_and_what_came_before_is_not(method, name):
    model, tokenizer = tiny(name, "text-generation")
    (output,) = small(method, model, tokenizer, granularity="token")(PROMPT, ANSWER)
    t, g = output.attributions.shape
    assert t == g - output.n_source > 2
    missing = output.attributions.isnan()
    assert int(missing.sum()) == t * (t + 1) // 2
    later = torch.ones(t, t).triu().bool()
    assert torch.equal(missing[:, output.n_source :], later)
    assert not bool((output.attributions[:, : output.n_source] == 0).any())


@methods
def test_words_of_one_token_give_the_triangle_too(method):
    tokenizer = word_tokenizer(list("abcdefgh"), boundaries=False)
    model = shift_copy_lm(tokenizer)
    (output,) = small(method, model, tokenizer)("a b c d", " c d e")
    assert output.elements == ["a", "b", "c", "d", "c", "d", "e"]
    assert int(output.attributions.isnan().sum()) == 3 * 4 // 2
    assert output.labels == ["c", "d", "e"]


@methods
@models
def test_each_row_is_what_its_own_step_alone_gives(method, name):
    model, tokenizer = tiny(name, "text-generation")
    explainer = small(method, model, tokenizer, granularity="token", **exactly(method))
    (whole,) = explainer("The sea", ANSWER)
    example = whole.example
    start = int(example.positions[0]) if example.n_encoder is None else example.n_encoder + 1
    for k, position in enumerate(example.positions.tolist(), 1):
        (step,) = explainer("The sea", example.ids[start : position + 1])
        row, expected = whole.attributions[k - 1], step.attributions[-1]
        valid = ~expected.isnan()
        assert int(valid.sum()) == whole.n_source + k - 1
        assert step.target_scores[-1] == pytest.approx(float(whole.target_scores[k - 1]), abs=1e-4)
        scale = max(float(expected[valid].abs().max()), 1e-3)
        tolerance = 0.05 if method is Sobol else 2e-3
        torch.testing.assert_close(row[: len(expected)][valid], expected[valid], atol=tolerance * scale, rtol=0)


@pytest.mark.parametrize("method", GRADIENT_METHODS.values(), ids=GRADIENT_METHODS)
@pytest.mark.parametrize("score", ["logit", "logprob", "probability", "log_odds", "margin"])
def test_all_targets_at_once_are_differentiated_as_one_at_a_time(method, score):
    model, tokenizer = tiny("llama", "text-generation")
    settings = {"granularity": "token", "score": score, **exactly(method)}
    explainer = small(method, model, tokenizer, **settings)
    (whole,) = explainer(PROMPT, ANSWER)
    ids = whole.example.ids[whole.example.positions]
    (first,) = explainer(PROMPT, ids[:1])
    scale = float(first.attributions.nan_to_num().abs().max())
    torch.testing.assert_close(
        whole.attributions[0, : whole.n_source], first.attributions[0, :-1], atol=2e-3 * scale, rtol=0
    )


@methods
@pytest.mark.parametrize("shift", [0, 2, 3])
def test_the_copied_token_comes_first(method, shift):
    tokenizer = word_tokenizer([f"w{index}" for index in range(12)], boundaries=False)
    model = shift_copy_lm(tokenizer, shift=shift, sharpness=6.0)
    prompt = "w3 w7 w1 w9 w5"
    (output,) = small(method, model, tokenizer, n_perturbations=40)(prompt, max_new_tokens=3) if method in (
        KernelShap, Lime
    ) else small(method, model, tokenizer)(prompt, max_new_tokens=3)  # fmt: skip
    for row in range(3):
        position = 5 + row
        source = model.source_of(position)
        assert output.elements[position] == output.elements[source]
        scores = output.attributions[row].nan_to_num().abs()
        assert int(scores.argmax()) == source
        others = torch.arange(len(scores)) != source
        assert float(scores[others].max()) < 0.35 * float(scores[source])


@methods
def test_targets_can_be_left_out_of_what_is_scored(method):
    model, tokenizer = tiny("gpt2", "text-generation")
    (output,) = small(method, model, tokenizer, attribute_target=False)(PROMPT, ANSWER)
    assert bool(output.attributions[:, : output.n_source].isfinite().all())
    assert bool(output.attributions[:, output.n_source :].isnan().all())


@methods
def test_a_generated_target_is_explained_as_the_same_ids_given(method):
    model, tokenizer = tiny("llama", "text-generation")
    explainer = small(method, model, tokenizer)
    (generated,) = explainer(PROMPT, max_new_tokens=4)
    (given,) = explainer(PROMPT, generated.example.ids[generated.example.positions])
    assert generated.elements == given.elements
    torch.testing.assert_close(generated.attributions, given.attributions, equal_nan=True)
