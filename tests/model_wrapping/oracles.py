"""Model calls written by hand, one row at a time and with nothing shared with the engine."""

import copy

import torch

from hf_interpreto.granularity import Granularity
from hf_interpreto.model_wrapping.inference import Engine
from hf_interpreto.model_wrapping.loading import make_task
from hf_interpreto.model_wrapping.replacement import get_replacement
from hf_interpreto.model_wrapping.requests import Coalitions, Gradients, PointScores
from hf_interpreto.model_wrapping.scores import get_score
from hf_interpreto.model_wrapping.targets import per_input
from hf_interpreto.model_wrapping.tasks import TaskOptions

TEXT = "I didn't like the film; it was good!"
LONG = "The children went out to play in the garden, and they were happy."


def build(model, tokenizer, *, score=None, replacement="auto", batch_size="auto", seed=0, **options):
    """A task and an engine for a model, as an explainer builds them."""
    options["granularity"] = Granularity.parse(options.get("granularity", "word"))
    task = make_task(model, tokenizer, TaskOptions(**options))
    engine = Engine(
        task.forward,
        get_score(task.default_score if score is None else score),
        get_replacement(replacement, tokenizer, seed),
        batch_size,
        independent_labels=task.independent_labels,
        pad_id=tokenizer.pad_token_id or 0,
    )
    return task, engine


def examples_of(task, engine, inputs, targets=None):
    """The examples of a list of inputs."""
    entries = [entry for entry, _ in zip(per_input(targets, len(inputs)), inputs, strict=False)]
    return task.examples(inputs, entries, engine)


def example_of(task, engine, text, target=None):
    """The only example of one input."""
    (example,) = task.examples([text], [target], engine)
    return example


def asks(request):
    """A method that asks once and answers what it is told."""
    answer = yield request
    return answer


def coalition_scores(engine, example, keep):
    """Scores `(p, t)` of coalitions."""
    ((scores, _),) = engine.run([asks(Coalitions(example, keep))])
    return scores


def point_scores(engine, example, points):
    """Scores `(p, t)` at embeddings `(p, l, d)`."""
    ((scores, _),) = engine.run([asks(PointScores(example, len(points), lambda index: points[index]))])
    return scores


def gradients(engine, example, points):
    """Gradients `(p, t, l, d)` at embeddings `(p, l, d)`, one request for each point."""
    requests = [
        Gradients(example, 1, lambda index, row=row: row[None], torch.ones(1), lambda g, index: g) for row in points
    ]
    return torch.stack([sums.first for sums, _ in engine.run([asks(request) for request in requests])])


def random_keep(example, rows=12, seed=0):
    """Random coalitions, the whole and the empty one among them."""
    keep = torch.rand(rows, len(example.players), generator=torch.Generator().manual_seed(seed)) < 0.6
    keep[0], keep[-1] = True, False
    return keep


def plain_logits(model, example, ids=None, **changes):
    """Logits `(t, v)` of one example by a plain call of the model on `ids`, with no batch and no hook."""
    ids = example.ids if ids is None else ids
    n = example.n_encoder
    with torch.no_grad():
        if n is not None:
            rows = {"input_ids": ids[None, :n], "decoder_input_ids": ids[None, n:-1]}
        else:
            rows = {"input_ids": ids[None, : example.n_input]}
        rows |= {name: value[None] for name, value in example.extras.items()}
        logits = model(**(rows | changes)).logits
    if logits.ndim == 2:
        return logits.expand(len(example.positions), -1)
    return logits[0, example.positions - int(example.shifted) - (n or 0)]


def state_of(model):
    """All that a call could leave behind on a model."""
    return (
        {name: value.clone() for name, value in model.state_dict().items()},
        {name: module.training for name, module in model.named_modules()},
        {name: (p.requires_grad, p.grad) for name, p in model.named_parameters()},
        {name: (len(m._forward_hooks), len(m._forward_pre_hooks)) for name, m in model.named_modules()},
        copy.deepcopy(model.config.to_dict()),
    )


def same_state(first, second):
    """Whether two states are bit-identical."""
    return all(torch.equal(value, second[0][name]) for name, value in first[0].items()) and first[1:] == second[1:]
