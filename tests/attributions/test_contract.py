"""What every method promises, run on every method and every task."""

import random

import numpy as np
import pytest
import torch

from hf_interpreto.attributions import (
    AttributionOutput,
    InputxGradient,
    IntegratedGradients,
    KernelShap,
    Occlusion,
    Saliency,
    list_methods,
)
from hf_interpreto.testing import tiny_model, tiny_tokenizer
from tests.attributions.cases import BUDGETS, METHODS, counted, small
from tests.attributions.situations import SITUATIONS

methods = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
situations = pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
BERT = SITUATIONS["bert-classifier"]


def same(first: AttributionOutput, second: AttributionOutput, rtol: float = 2e-3) -> None:
    """The same scores, up to what float32 loses when rows are added up in another order."""
    assert first.elements == second.elements
    assert first.labels == second.labels
    scale = float(first.attributions.nan_to_num().abs().max())
    atol = max(rtol * scale, 1e-5)
    torch.testing.assert_close(first.attributions, second.attributions, atol=atol, rtol=0, equal_nan=True)
    torch.testing.assert_close(first.target_scores, second.target_scores, atol=1e-4, rtol=1e-4)


def test_the_eleven_methods_are_listed():
    assert set(METHODS) == {
        "gradient_shap", "input_x_gradient", "integrated_gradients", "kernel_shap", "lime", "occlusion", "saliency",
        "smooth_grad", "sobol", "square_grad", "var_grad",
    }  # fmt: skip
    assert set(BUDGETS) <= set(list_methods().values())


@methods
@situations
def test_alone_together_permuted_or_in_any_batch_an_input_has_the_same_scores(method, situation):
    model, tokenizer = situation.load()
    inputs, targets = list(situation.inputs), list(situation.targets)
    explainer = small(method, model, tokenizer)
    alone = [explainer(text, [target])[0] for text, target in zip(inputs, targets, strict=True)]
    for batch_size in (1, 3, 7, "auto"):
        together = small(method, model, tokenizer, batch_size=batch_size)(inputs, targets)
        for first, second in zip(alone, together, strict=True):
            same(first, second)
    backwards = explainer(inputs[::-1], targets[::-1])[::-1]
    for first, second in zip(alone, backwards, strict=True):
        same(first, second)
        assert (first.n_forward, first.n_backward) == (second.n_forward, second.n_backward)


@methods
@situations
def test_results_fit_their_own_description(method, situation):
    model, tokenizer = situation.load()
    outputs = small(method, model, tokenizer)(list(situation.inputs), list(situation.targets))
    assert len(outputs) == 3
    for output, text in zip(outputs, situation.inputs, strict=True):
        t, g = len(output.targets), len(output.elements)
        assert output.attributions.shape == (t, g)
        assert output.attributions.dtype == torch.float32
        assert output.attributions.device.type == "cpu"
        assert output.text.startswith(text)
        for element, span in zip(output.elements, output.spans, strict=True):
            assert output.text[slice(*span)] == element
        assert output.method == method.__name__
        assert output.task.value == situation.task
        assert output.target_scores.shape == (t,)
        assert output.baseline_scores is None or output.baseline_scores.shape == (t,)
        if output.standard_errors is not None:
            assert torch.equal(output.standard_errors.isnan(), output.attributions.isnan())
        expected = {Occlusion: False, KernelShap: True, IntegratedGradients: True}
        if method in expected:
            assert (output.baseline_scores is not None) is expected[method]


@methods
@pytest.mark.parametrize("name", ["bert-classifier", "gpt2", "t5", "deberta-tagger", "distilbert-mlm"])
def test_passes_are_counted_as_the_model_saw_them(method, name):
    situation = SITUATIONS[name]
    model, tokenizer = situation.load()
    for text, target in zip(situation.inputs, situation.targets, strict=True):
        with counted(model) as rows:
            (output,) = small(method, model, tokenizer)(text, [target])
        assert output.n_forward == sum(rows) > 0


@pytest.mark.parametrize("method", [Occlusion, InputxGradient], ids=["occlusion", "input_x_gradient"])
def test_the_pass_that_finds_the_target_is_counted_too(method):
    model, tokenizer = BERT.load()
    with counted(model) as rows:
        (output,) = method(model, tokenizer)("A small dog ran")
    assert output.n_forward == sum(rows)


@methods
@pytest.mark.parametrize("name", ["bert", "gemma2"])
def test_the_padding_side_of_the_tokenizer_never_changes_a_score(method, name):
    task = "text-classification" if name == "bert" else "text-generation"
    situation = next(s for s in SITUATIONS.values() if (s.model, s.task) == (name, task))
    model, _ = situation.load()
    found = []
    for side in ("left", "right"):
        tokenizer = tiny_tokenizer(name)
        tokenizer.padding_side = side
        explainer = small(method, model, tokenizer)
        texts = explainer(list(situation.inputs), list(situation.targets))
        encoded = tokenizer(list(situation.inputs), padding=True, return_tensors="pt")
        targets = list(situation.targets)
        if task == "text-generation":
            targets = [torch.tensor(ids) for ids in tokenizer(targets, add_special_tokens=False).input_ids]
        rows = explainer(encoded, targets)
        assert tokenizer.padding_side == side
        found.append((texts, rows))
    (texts_left, rows_left), (texts_right, rows_right) = found
    for left, right in zip(texts_left + rows_left, texts_right + rows_right, strict=True):
        same(left, right)
    # A padded batch of ids is explained as its texts are; one text is written back with other words ("didn ' t").
    alike = [
        pair for pair in zip(texts_left, rows_left, strict=True) if len(pair[0].elements) == len(pair[1].elements)
    ]
    assert len(alike) >= 2
    for text, row in alike:
        torch.testing.assert_close(text.attributions, row.attributions, atol=1e-3, rtol=1e-2, equal_nan=True)


@methods
def test_one_seed_gives_one_answer_and_another_seed_another(method):
    model, tokenizer = BERT.load()
    settings = {KernelShap: {"n_perturbations": 16}}.get(method, {})
    first, again, other = (
        small(method, model, tokenizer, seed=seed, **settings)("The film was a great surprise and music", targets=0)[0]
        for seed in (0, 0, 1)
    )
    assert torch.equal(first.attributions, again.attributions)
    deterministic = method in (Occlusion, Saliency, InputxGradient, IntegratedGradients)
    assert torch.equal(first.attributions, other.attributions) is deterministic


@methods
def test_global_random_states_are_neither_read_nor_changed(method):
    situation = SITUATIONS["gpt2"]
    model, tokenizer = situation.load()
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
        found.append(small(method, model, tokenizer)("I felt sad", " and calm")[0].attributions)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert random.getstate() == before[1]
        assert np.array_equal(np.random.get_state()[1], before[2])
    assert torch.equal(found[0].nan_to_num(), found[1].nan_to_num())


@methods
@pytest.mark.parametrize("name", ["bert-classifier", "gpt2", "t5"])
def test_it_works_without_gradients_around_it(method, name):
    situation = SITUATIONS[name]
    model, tokenizer = situation.load()
    explainer = small(method, model, tokenizer)
    (plain,) = explainer(situation.inputs[0], [situation.targets[0]])
    with torch.no_grad():
        (inside,) = explainer(situation.inputs[0], [situation.targets[0]])
        assert not torch.is_grad_enabled()
    assert torch.equal(plain.attributions.nan_to_num(), inside.attributions.nan_to_num())
    assert not inside.attributions.requires_grad


@methods
@pytest.mark.parametrize("name", ["bert-classifier", "llama", "t5"])
def test_half_precision_gives_nearly_the_same_scores(method, name):
    situation = SITUATIONS[name]
    full, tokenizer = situation.load()
    half, _ = tiny_model(situation.model, task=situation.task, dtype=torch.bfloat16)
    arguments = situation.inputs[0], [situation.targets[0]]
    (wide,), (narrow,) = (
        small(method, model, tokenizer, **({"noise_std": 0.5} if "Grad" in method.__name__[-4:] else {}))(*arguments)
        for model in (full, half)
    )
    assert narrow.attributions.dtype == torch.float32
    assert torch.equal(narrow.attributions.isnan(), wide.attributions.isnan())
    valid = ~wide.attributions.isnan()
    both = torch.stack([wide.attributions[valid], narrow.attributions[valid]])
    assert bool(both.isfinite().all())
    assert float(both.corrcoef()[0, 1]) > 0.8


@methods
def test_several_targets_of_one_input_are_explained_as_each_alone(method):
    model, tokenizer = BERT.load()
    explainer = small(method, model, tokenizer)
    (together,) = explainer("I didn't like it", targets=[2, 0, 1])
    for row, label in enumerate([2, 0, 1]):
        same(together[row], explainer("I didn't like it", targets=label)[0])
