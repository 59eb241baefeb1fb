"""Every architecture that the library promises, at every task: the same numbers as plain calls, in any batch."""

from functools import cache

import pytest
import torch

from hf_interpreto.model_wrapping.requests import Coalitions
from hf_interpreto.testing import TINY_MODELS, tiny_model
from tests.model_wrapping.oracles import (
    asks,
    build,
    coalition_scores,
    examples_of,
    gradients,
    plain_logits,
    point_scores,
    random_keep,
    same_state,
    state_of,
)

CASES = [(name, task) for name, tasks in TINY_MODELS.items() for task in tasks]
TEXTS = ["I didn't like the film; it was not good!", "good", "Café 😀 电影 and the book was slow,"]
TARGETS = {
    "text-classification": [0, 2],
    "token-classification": 1,
    "fill-mask": [40, 41],
    "text-generation": "but he never left.",
}


@cache
def _model(name, task, dtype=torch.float32):
    """Made once: no test changes a model, which the last test here makes sure of."""
    return tiny_model(name, task=task, dtype=dtype)


def _made(name, task, **settings):
    model, tokenizer = _model(name, task)
    texts = [f"{text} {tokenizer.mask_token}" for text in TEXTS] if task == "fill-mask" else TEXTS
    built, engine = build(model, tokenizer, **settings)
    return model, tokenizer, engine, examples_of(built, engine, texts, [TARGETS[task]] * len(texts))


def _expected(model, engine, example):
    logits = plain_logits(model, example)
    return engine.score(logits[None], example.target_ids[None])[0].double()


@pytest.mark.parametrize(("name", "task"), CASES)
def test_the_whole_input_scores_as_by_a_plain_call(name, task):
    model, _, engine, examples = _made(name, task)
    found = engine.run([asks(Coalitions(e, torch.ones(1, len(e.players), dtype=torch.bool))) for e in examples])
    for example, (scores, _) in zip(examples, found, strict=True):
        assert torch.allclose(scores[0], _expected(model, engine, example), atol=1e-4)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_replaced_tokens_score_as_by_a_plain_call_on_the_replaced_ids(name, task):
    model, _, engine, examples = _made(name, task)
    keeps = [random_keep(example, rows=3, seed=i) for i, example in enumerate(examples)]
    found = engine.run([asks(Coalitions(e, k)) for e, k in zip(examples, keeps, strict=True)])
    token = engine.replacement.token_id
    for example, keep, (scores, _) in zip(examples, keeps, found, strict=True):
        for kept, row in zip(example.keep_tokens(keep), scores, strict=True):
            ids = example.ids.clone()
            ids[: example.n_input] = ids[: example.n_input].where(kept, token)
            mask = torch.ones_like(ids)[None, : example.n_encoder or example.n_input]
            logits = plain_logits(model, example, ids, attention_mask=mask)
            if hasattr(model, "score") and task == "text-classification" and model.config.pad_token_id == token:
                continue  # the plain call would look for the last token that is no padding
            expected = engine.score(logits[None], example.target_ids[None])[0].double()
            assert torch.allclose(row, expected, atol=1e-4)


@pytest.mark.parametrize("replacement", ["delete", "attention"])
@pytest.mark.parametrize(("name", "task"), CASES)
def test_no_number_depends_on_what_else_is_in_the_batch(name, task, replacement):
    _, _, engine, examples = _made(name, task, replacement=replacement)
    keeps = [random_keep(example, rows=2, seed=i) for i, example in enumerate(examples)]
    found = engine.run([asks(Coalitions(e, k)) for e, k in zip(examples, keeps, strict=True)])
    _, _, single, _ = _made(name, task, replacement=replacement, batch_size=1)
    for example, keep, (scores, _) in zip(examples, keeps, found, strict=True):
        assert torch.allclose(coalition_scores(single, example, keep), scores, atol=1e-4)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_gradients_predict_what_a_small_step_does(name, task):
    model, tokenizer = _model(name, task, torch.float64)
    text = f"{TEXTS[0]} {tokenizer.mask_token}" if task == "fill-mask" else TEXTS[0]
    built, engine = build(model, tokenizer)
    (example,) = examples_of(built, engine, [text], [TARGETS[task]])
    x = engine.embed(example)
    step = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 1e-4
    before, after = point_scores(engine, example, torch.stack([x - step, x + step]))
    (slope,) = gradients(engine, example, x[None])
    predicted = 2 * torch.einsum("tld,ld->t", slope, step)
    assert slope.abs().sum(dim=(1, 2)).min() > 0
    # Some families normalise in single precision whatever the model's, and some have kinks.
    assert (after - before - predicted).abs().max() < 0.01 * predicted.abs().max()


@pytest.mark.parametrize(("name", "task"), CASES)
def test_model_and_tokenizer_are_bit_identical_afterwards(name, task, request):
    model, tokenizer, engine, (example, *_) = _made(name, task)
    model.train()
    request.addfinalizer(model.eval)
    before, files = state_of(model), tokenizer.backend_tokenizer.to_str()
    settings = (tokenizer.padding_side, tokenizer.pad_token, len(tokenizer), dict(tokenizer.special_tokens_map))
    coalition_scores(engine, example, random_keep(example, rows=2))
    gradients(engine, example, engine.embed(example)[None])
    assert same_state(before, state_of(model))
    assert tokenizer.backend_tokenizer.to_str() == files
    after = (tokenizer.padding_side, tokenizer.pad_token, len(tokenizer), dict(tokenizer.special_tokens_map))
    assert after == settings
