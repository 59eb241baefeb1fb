import copy
import threading

import accelerate
import pytest
import torch

from hf_interpreto.errors import NonFiniteScoresError
from hf_interpreto.model_wrapping.requests import Coalitions, Gradients, PointScores
from hf_interpreto.testing import tiny_model
from tests.model_wrapping.oracles import (
    LONG,
    TEXT,
    asks,
    build,
    coalition_scores,
    example_of,
    examples_of,
    gradients,
    plain_logits,
    point_scores,
    random_keep,
    same_state,
    state_of,
)

KINDS = {
    "text-classification": ("bert", [0, 1, 2]),
    "token-classification": ("bert", 1),
    "fill-mask": ("roberta", [40, 41]),
    "text-generation": ("gpt2", "very good indeed"),
}
TEXTS = ["The film was", "He went home early because he was sick, and", "good", "It was slow and dull but"]


def _kind(task, **settings):
    name, target = KINDS[task]
    model, tokenizer = tiny_model(name, task=task, dtype=settings.pop("dtype", torch.float32))
    suffix = f" {tokenizer.mask_token}." if task == "fill-mask" else ""
    built, engine = build(model, tokenizer, **settings)
    return model, engine, examples_of(built, engine, [text + suffix for text in TEXTS], [target] * len(TEXTS))


def _repeated(engine, example, count, measure):
    """The mean of as many equal gradients."""
    x = engine.embed(example)
    weights = torch.full((count,), 1 / count)
    return Gradients(example, count, lambda index: x.expand(len(index), -1, -1), weights, measure)


def _count_rows(model):
    """Numbers of rows of every pass of the model from now on."""
    rows = []
    module = model.get_input_embeddings()
    module.register_forward_hook(lambda m, args, out: rows.append(out.shape[0]))
    return rows


# -- one pass for each thing ---------------------------------------------------------------------------


def test_equal_coalitions_are_run_once():
    model, engine, (example, *_) = _kind("text-classification")
    keep = random_keep(example, rows=3)
    rows = _count_rows(model)
    many = coalition_scores(engine, example, keep[[0, 1, 2, 1, 0, 2, 2]])
    assert sum(rows) == 3
    assert torch.equal(many, coalition_scores(engine, example, keep)[[0, 1, 2, 1, 0, 2, 2]])


def test_passes_are_counted_as_they_are_made():
    model, engine, examples = _kind("text-generation")
    rows = _count_rows(model)
    keeps = [random_keep(example, rows=9, seed=i) for i, example in enumerate(examples)]
    found = engine.run([asks(Coalitions(e, k)) for e, k in zip(examples, keeps, strict=True)])
    distinct = [len(keep.unique(dim=0)) for keep in keeps]
    assert [passes.forward for _, passes in found] == distinct
    assert sum(rows) == sum(distinct)
    assert all(passes.backward == 0 for _, passes in found)


def test_a_gradient_counts_one_backward_pass_for_each_target():
    _, engine, (example, *_) = _kind("text-generation")
    x = engine.embed(example)
    request = Gradients(example, 5, lambda index: x.expand(len(index), -1, -1), torch.ones(5), lambda g, i: g)
    ((_, passes),) = engine.run([asks(request)])
    assert (passes.forward, passes.backward) == (5, 5 * len(example.positions))


@pytest.mark.parametrize("task", ["text-classification", "token-classification", "fill-mask"])
def test_the_logits_of_a_prediction_are_reused_and_never_computed_twice(task):
    name, _ = KINDS[task]
    model, tokenizer = tiny_model(name, task=task)
    built, engine = build(model, tokenizer)
    example = example_of(built, engine, TEXT + (f" {tokenizer.mask_token}" if task == "fill-mask" else ""))
    rows = _count_rows(model)
    keep = random_keep(example, rows=4)
    keep[1:3, 0] = False
    found = coalition_scores(engine, example, keep)
    assert sum(rows) == len(keep.unique(dim=0)) - 1
    logits = plain_logits(model, example)
    fresh = engine.score(logits[None], example.target_ids[None])[0].double()
    assert torch.allclose(found[0], fresh, atol=1e-5)


# -- the same for any batch ------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 5])
@pytest.mark.parametrize("task", KINDS)
def test_scores_and_gradients_never_depend_on_the_batch(task, batch_size):
    _, engine, examples = _kind(task)
    _, other, _ = _kind(task, batch_size=batch_size)
    keeps = [random_keep(example, rows=5, seed=i) for i, example in enumerate(examples)]
    together = other.run([asks(Coalitions(e, k)) for e, k in zip(examples, keeps, strict=True)])
    for example, keep, (scores, _) in zip(examples, keeps, together, strict=True):
        assert torch.allclose(coalition_scores(engine, example, keep), scores, atol=1e-5)
    points = [torch.stack([engine.embed(e), engine.embed(e) * 0.5, engine.embed(e) * 0.1]) for e in examples]

    def request(e, p):
        return Gradients(e, len(p), lambda i: p[i], torch.tensor([1.0, -2.0, 0.5]), lambda g, i: g)

    whole = engine.run([asks(request(e, p)) for e, p in zip(examples, points, strict=True)])
    parts = other.run([asks(request(e, p)) for e, p in zip(examples, points, strict=True)])
    for (first, _), (second, _) in zip(whole, parts, strict=True):
        assert torch.allclose(first.first, second.first, atol=1e-4)
        assert torch.allclose(first.second, second.second, atol=1e-4)
        assert torch.allclose(first.scores, second.scores, atol=1e-5)


def test_a_method_may_ask_again_and_gets_each_answer_in_turn():
    _, engine, (first, second, *_) = _kind("text-classification")

    def program(example):
        empty = yield Coalitions(example, torch.zeros(1, len(example.players), dtype=torch.bool))
        x = engine.embed(example)
        whole = yield PointScores(example, 1, lambda index: x[None])
        return empty, whole

    def silent():
        return "nothing"
        yield

    answers = [answer for answer, _ in engine.run([program(first), silent(), program(second)])]
    assert answers[1] == "nothing"
    for example, (empty, whole) in zip((first, second), answers[::2], strict=True):
        keep = torch.tensor([[False], [True]]).expand(-1, len(example.players))
        expected = coalition_scores(engine, example, keep)
        assert torch.allclose(torch.cat([empty, whole]), expected, atol=1e-5)


# -- gradients -------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", ["logit", "logprob", "probability", "log_odds", "margin"])
@pytest.mark.parametrize("task", KINDS)
def test_gradients_of_all_targets_equal_a_plain_gradient_for_each(task, score):
    model, engine, (_, example, *_) = _kind(task, dtype=torch.float64, score=score)
    x = engine.embed(example)
    assert len(example.positions) > 1
    points = torch.stack([x, x * 0.3])
    found = gradients(engine, example, points)
    scores = point_scores(engine, example, points)
    at = example.positions - int(example.shifted)
    for p, point in enumerate(points):
        leaf = point.clone().requires_grad_()
        logits = model(inputs_embeds=leaf[None]).logits
        logits = logits.expand(len(at), -1) if logits.ndim == 2 else logits[0, at]
        values = engine.score(logits[None], example.target_ids[None])[0]
        assert torch.allclose(scores[p], values.detach(), atol=1e-10)
        for t in range(len(at)):
            (expected,) = torch.autograd.grad(values[t], leaf, retain_graph=True)
            assert torch.allclose(found[p, t], expected, atol=1e-10)


@pytest.mark.parametrize("name", ["t5", "bart", "marian"])
def test_gradients_of_both_towers_equal_plain_ones(name):
    model, tokenizer = tiny_model(name, task="text-generation", dtype=torch.float64)
    task, engine = build(model, tokenizer)
    example = example_of(task, engine, "The film was", "very good indeed")
    x, n = engine.embed(example), example.n_encoder
    (found,) = gradients(engine, example, x[None])
    leaf = x.clone().requires_grad_()
    logits = model(inputs_embeds=leaf[None, :n], decoder_inputs_embeds=leaf[None, n:]).logits[0]
    values = logits[example.positions - n - 1].log_softmax(-1).gather(-1, example.target_ids[:, None])[:, 0]
    for t in range(len(values)):
        (expected,) = torch.autograd.grad(values[t], leaf, retain_graph=True)
        assert torch.allclose(found[t], expected, atol=1e-10)
        assert expected[:n].abs().sum() > 0


def test_gradient_sums_are_weighted_sums_of_measures_and_of_their_squares():
    _, engine, (example, *_) = _kind("text-classification", dtype=torch.float64, batch_size=2)
    x = engine.embed(example)
    points = torch.stack([x * (0.2 * k) for k in range(1, 6)])
    weights = torch.tensor([0.5, -1.0, 2.0, 0.0, 1.5])

    def measure(gradient, index):
        return (gradient * points[index]).sum(-1)

    ((sums, _),) = engine.run([asks(Gradients(example, 5, lambda i: points[i], weights, measure))])
    each = (gradients(engine, example, points) * points[:, None]).sum(-1)
    assert torch.allclose(sums.first, torch.einsum("p,ptl->tl", weights.double(), each), atol=1e-10)
    assert torch.allclose(sums.second, torch.einsum("p,ptl->tl", weights.double(), each**2), atol=1e-10)


@pytest.mark.parametrize("task", KINDS)
def test_a_model_is_bit_identical_after_everything_was_asked_of_it(task):
    model, engine, examples = _kind(task)
    model.train()
    before = state_of(model)
    for example in examples:
        coalition_scores(engine, example, random_keep(example, rows=3))
        gradients(engine, example, engine.embed(example)[None])
    assert same_state(before, state_of(model))


def test_a_model_is_given_back_also_after_an_error():
    model, engine, (example, *_) = _kind("text-classification")
    model.train()
    before = state_of(model)

    def fail(gradient, index):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine.run([asks(Gradients(example, 1, lambda i: engine.embed(example)[None], torch.ones(1), fail))])
    assert same_state(before, state_of(model))


def test_no_gradient_is_left_by_a_caller_who_forbids_them():
    _, engine, (example, *_) = _kind("text-classification")
    with torch.no_grad():
        found = gradients(engine, example, engine.embed(example)[None])
    assert found.abs().sum() > 0
    assert not found.requires_grad


# -- memory ----------------------------------------------------------------------------------------


def test_rows_are_made_in_batches_whatever_the_number_of_perturbations():
    model, engine, (_, example, *_) = _kind("text-classification", batch_size=8)
    rows = _count_rows(model)
    keep = (torch.arange(2**8)[:, None] >> torch.arange(len(example.players)) & 1).bool()
    made = []
    build_rows = engine.rows.token_batch

    def counting(examples, keeps, replacement=None):
        made.append(sum(map(len, keeps)))
        return build_rows(examples, keeps, replacement)

    engine.rows.token_batch = counting
    coalition_scores(engine, example, keep)
    assert max(made) <= 8
    assert max(rows) <= 8
    assert sum(rows) == sum(made) == len(keep.unique(dim=0)) > 100


def test_points_are_made_when_they_are_needed_a_batch_at_a_time():
    _, engine, (example, *_) = _kind("text-classification", batch_size=4)
    x = engine.embed(example)
    asked = []

    def at(index):
        asked.append(len(index))
        return x.expand(len(index), -1, -1)

    weights = torch.full((50,), 1 / 50)
    ((sums, _),) = engine.run([asks(Gradients(example, 50, at, weights, lambda g, i: g.sum(-1)))])
    assert max(asked) <= 4
    assert sum(asked) == 50
    assert torch.allclose(sums.first, gradients(engine, example, x[None])[0].sum(-1), atol=1e-5)


def test_an_automatic_batch_bounds_the_tokens_of_a_pass():
    model, engine, (example, *_) = _kind("text-classification")
    engine.batcher.tokens = 100
    sizes = []
    model.get_input_embeddings().register_forward_hook(lambda m, args, out: sizes.append(out.shape[0] * out.shape[1]))
    coalition_scores(engine, example, random_keep(example, rows=8))
    assert 0 < max(sizes) <= 100


def _runs_out_of_memory(model, above):
    def check(module, args, output):
        if output.shape[0] > above:
            raise torch.OutOfMemoryError("no room")

    model.get_input_embeddings().register_forward_hook(check)


@pytest.mark.parametrize("task", KINDS)
def test_running_out_of_memory_halves_the_batches_and_changes_no_number(task):
    _, engine, examples = _kind(task)
    keeps = [random_keep(example, rows=10, seed=i) for i, example in enumerate(examples)]
    calm = [coalition_scores(engine, e, k) for e, k in zip(examples, keeps, strict=True)]
    slopes = [gradients(engine, e, engine.embed(e)[None]) for e in examples]
    model, short, _ = _kind(task)
    _runs_out_of_memory(model, above=3)
    found = short.run([asks(Coalitions(e, k)) for e, k in zip(examples, keeps, strict=True)])
    for expected, keep, (scores, passes) in zip(calm, keeps, found, strict=True):
        assert torch.allclose(scores, expected, atol=1e-5)
        assert passes.forward == len(keep.unique(dim=0))
    requests = [_repeated(engine, example, 4, lambda g, i: g) for example in examples]
    for expected, (sums, passes) in zip(slopes, short.run([asks(r) for r in requests]), strict=True):
        assert torch.allclose(sums.first, expected[0], atol=1e-4)
        assert passes.forward == 4


def test_running_out_of_memory_while_measuring_counts_no_gradient_twice():
    _, engine, examples = _kind("text-classification")
    expected = [gradients(engine, example, engine.embed(example)[None])[0] for example in examples]
    failures = iter([*[False] * 3, True])  # in the second of the inputs, each of three targets

    def measure(gradient, index):
        if next(failures, False):
            raise torch.OutOfMemoryError("no room")
        return gradient

    requests = [_repeated(engine, example, 2, measure) for example in examples]
    for wanted, (sums, passes) in zip(expected, engine.run([asks(r) for r in requests]), strict=True):
        assert torch.allclose(sums.first, wanted, atol=1e-5)
        assert (passes.forward, passes.backward) == (2, 6)


# -- what stands in for a plain model ----------------------------------------------------------------


def _numbers(model, tokenizer, target):
    task, engine = build(model, tokenizer)
    example = example_of(task, engine, TEXT, target)
    return coalition_scores(engine, example, random_keep(example)), gradients(
        engine, example, engine.embed(example)[None]
    )


@pytest.mark.parametrize(("kind", "target"), [("bert", [0, 1]), ("gpt2", "very good"), ("t5", "very good")])
@pytest.mark.parametrize("spread", ["dispatched", "offloaded"])
def test_models_that_accelerate_has_spread_give_the_same_numbers(kind, target, spread, request):
    model, tokenizer = request.getfixturevalue(kind)
    expected = _numbers(model, tokenizer, target)
    copied = copy.deepcopy(model)
    if spread == "dispatched":
        copied = accelerate.dispatch_model(copied, {"": "cpu"}, force_hooks=True)
    else:
        copied = accelerate.cpu_offload(copied, execution_device=torch.device("cpu"))
    found = _numbers(copied, tokenizer, target)
    for first, second in zip(expected, found, strict=True):
        assert torch.allclose(first, second, atol=1e-5)


@pytest.mark.parametrize(("kind", "target"), [("bert", [0, 1]), ("gpt2", "very good"), ("t5", "very good")])
def test_compiled_models_give_the_same_numbers(kind, target, request):
    model, tokenizer = request.getfixturevalue(kind)
    compiled = torch.compile(model, backend="eager")
    for first, second in zip(_numbers(model, tokenizer, target), _numbers(compiled, tokenizer, target), strict=True):
        assert torch.allclose(first, second, atol=1e-5)


@pytest.mark.parametrize("task", KINDS)
def test_half_precision_models_are_explained_in_their_own_precision(task):
    model, engine, examples = _kind(task, dtype=torch.bfloat16)
    _, reference, _ = _kind(task)
    for example in examples:
        keep = random_keep(example, rows=3)
        scores = coalition_scores(engine, example, keep)
        assert scores.dtype is torch.float64
        assert torch.allclose(scores, coalition_scores(reference, example, keep), atol=0.4)
        slopes = gradients(engine, example, engine.embed(example).float()[None])
        assert slopes.isfinite().all()
        assert slopes.abs().sum() > 0
    assert next(model.parameters()).dtype is torch.bfloat16


def test_two_threads_that_explain_with_one_model_get_the_right_numbers(bert):
    task, engine = build(*bert)
    texts = [TEXT, LONG, "good film", "a very slow and dull book"]
    examples = [example_of(task, engine, text, [0, 1]) for text in texts]

    def explain(example):
        own = build(*bert, batch_size=3, replacement="zero")[1]
        scores = coalition_scores(own, example, random_keep(example))
        return scores, gradients(own, example, own.embed(example)[None])

    expected = [explain(example) for example in examples]
    found = {}

    def work(index):
        for _ in range(5):
            found.setdefault(index, []).append(explain(examples[index]))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(examples))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for index, wanted in enumerate(expected):
        assert len(found[index]) == 5
        for answer in found[index]:
            assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(answer, wanted, strict=True))


@pytest.mark.parametrize("kind", ["coalitions", "points", "gradients"])
def test_scores_that_are_not_finite_are_told_whatever_was_asked(kind):
    _, engine, (example, *_) = _kind("text-classification")
    x = torch.full_like(engine.embed(example), torch.nan)
    with torch.no_grad():
        engine.forward.model.classifier.bias[0] = torch.inf
    ask = {
        "coalitions": lambda: coalition_scores(engine, example, random_keep(example)),
        "points": lambda: point_scores(engine, example, x[None]),
        "gradients": lambda: gradients(engine, example, x[None]),
    }[kind]
    with pytest.raises(NonFiniteScoresError, match=r"the model's scores for 'The film was' are NaN or infinite"):
        ask()
