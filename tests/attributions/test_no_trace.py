"""Model and tokenizer are given back as they were: bit for bit, also after an error."""

import pickle
from typing import Any

import pytest
import torch

from hf_interpreto.attributions import Saliency
from hf_interpreto.errors import NonFiniteScoresError
from hf_interpreto.model_wrapping.scores import Score, logit
from hf_interpreto.testing import tiny_model
from tests.attributions.cases import METHODS, small
from tests.attributions.situations import SITUATIONS

methods = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
HOOKS = (
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs", "_state_dict_hooks",
)  # fmt: skip


def state(model: Any, tokenizer: Any) -> dict[str, Any]:
    """Everything about a model and a tokenizer that a user could see change, tensors by value."""
    modules = dict(model.named_modules())
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "tensors": {name: (value.detach().clone(), value.data_ptr()) for name, value in tensors.items()},
        "trainable": {name: value.requires_grad for name, value in model.named_parameters()},
        "gradients": [name for name, value in model.named_parameters() if value.grad is not None],
        "modes": {name: module.training for name, module in modules.items()},
        "hooks": {name: [len(getattr(module, hook)) for hook in HOOKS] for name, module in modules.items()},
        "attributes": {name: sorted(vars(module)) for name, module in modules.items()},
        "config": model.config.to_dict(),
        "generation": model.generation_config.to_dict() if model.can_generate() else None,
        "rows": model.get_input_embeddings().weight.shape,
        "tokenizer": {
            "length": len(tokenizer),
            "backend": tokenizer.backend_tokenizer.to_str(),
            "specials": dict(tokenizer.special_tokens_map),
            "sides": (tokenizer.padding_side, tokenizer.truncation_side),
            "template": tokenizer.chat_template,
            "length limit": tokenizer.model_max_length,
        },
    }


def assert_unchanged(before: dict[str, Any], after: dict[str, Any]) -> None:
    tensors, found = before.pop("tensors"), after.pop("tensors")
    assert before == after
    assert tensors.keys() == found.keys()
    for name, (value, pointer) in tensors.items():
        assert found[name][1] == pointer, name
        assert torch.equal(value.nan_to_num(), found[name][0].nan_to_num()), name


@methods
@pytest.mark.parametrize("name", SITUATIONS)
def test_nothing_changes(method, name):
    situation = SITUATIONS[name]
    model, tokenizer = tiny_model(situation.model, task=situation.task)
    before = state(model, tokenizer)
    small(method, model, tokenizer)(situation.inputs[0], [situation.targets[0]])
    assert_unchanged(before, state(model, tokenizer))


@methods
@pytest.mark.parametrize("name", ["gpt2", "t5", "bert-classifier", "distilbert-mlm"])
def test_nothing_changes_where_the_model_finds_its_own_target(method, name):
    situation = SITUATIONS[name]
    model, tokenizer = tiny_model(situation.model, task=situation.task)
    before = state(model, tokenizer)
    generation = {"max_new_tokens": 2} if situation.task == "text-generation" else {}
    small(method, model, tokenizer)(situation.inputs[0], **generation)
    assert_unchanged(before, state(model, tokenizer))


def failing(calls: int) -> Score:
    """A score that raises after some calls."""
    seen = []

    def score(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        seen.append(1)
        if len(seen) > calls:
            raise ArithmeticError("a score of the user's own went wrong")
        return logit(logits, ids)

    return Score("failing", score)


@methods
@pytest.mark.parametrize("name", ["bert-classifier", "gpt2", "t5"])
@pytest.mark.parametrize("calls", [0, 1])
def test_nothing_changes_after_an_error_in_a_pass(method, name, calls):
    situation = SITUATIONS[name]
    model, tokenizer = tiny_model(situation.model, task=situation.task)
    model.train()
    before = state(model, tokenizer)
    explainer = small(method, model, tokenizer, score=failing(calls), batch_size=1)
    with pytest.raises(ArithmeticError, match="went wrong"):
        explainer(list(situation.inputs), list(situation.targets))
    assert_unchanged(before, state(model, tokenizer))
    assert torch.is_grad_enabled()
    small(method, model, tokenizer)(situation.inputs[0], [situation.targets[0]])  # and it can be used again


@methods
@pytest.mark.parametrize("name", ["bert-classifier", "gpt2"])
def test_nothing_changes_where_the_weights_are_nan(method, name):
    situation = SITUATIONS[name]
    model, tokenizer = tiny_model(situation.model, task=situation.task)
    with torch.no_grad():
        list(model.parameters())[-1].fill_(torch.nan)
    before = state(model, tokenizer)
    with pytest.raises(NonFiniteScoresError, match="are NaN or infinite, so nothing can be explained"):
        small(method, model, tokenizer)(situation.inputs[0], [situation.targets[0]])
    assert_unchanged(before, state(model, tokenizer))


@methods
@pytest.mark.parametrize("name", ["bert-classifier", "gpt2", "t5"])
def test_a_model_in_training_mode_is_explained_without_dropout_and_given_back_in_training_mode(method, name):
    situation = SITUATIONS[name]
    model, tokenizer = tiny_model(situation.model, task=situation.task)
    explainer = small(method, model, tokenizer)
    (expected,) = explainer(situation.inputs[0], [situation.targets[0]])
    model.train()
    frozen = next(module for module in model.modules() if isinstance(module, torch.nn.Dropout))
    frozen.eval()
    (found,) = explainer(situation.inputs[0], [situation.targets[0]])
    assert torch.equal(expected.attributions.nan_to_num(), found.attributions.nan_to_num())
    assert [module for module in model.modules() if not module.training] == [frozen]


def test_parameters_that_the_user_froze_stay_frozen_and_gradients_that_were_there_stay(bert):
    model, tokenizer = tiny_model("bert", task="text-classification")
    parameters = list(model.parameters())
    parameters[0].requires_grad_(False)
    parameters[1].grad = torch.full_like(parameters[1], 7)
    Saliency(model, tokenizer)("A small dog", targets=1)
    assert [parameter.requires_grad for parameter in parameters] == [False] + [True] * (len(parameters) - 1)
    assert bool((parameters[1].grad == 7).all())
    assert all(parameter.grad is None for parameter in parameters[2:])


def test_hooks_of_the_user_stay_and_see_every_pass(bert):
    model, tokenizer = tiny_model("bert", task="text-classification")
    seen = []
    model.register_forward_hook(lambda *_: seen.append(1))
    (output,) = Saliency(model, tokenizer)("A small dog", targets=1)
    assert len(seen) == output.n_forward
    assert len(model._forward_hooks) == 1


@methods
def test_an_explainer_can_be_pickled_and_explains_the_same(method):
    model, tokenizer = tiny_model("bert", task="text-classification")
    explainer = small(method, model, tokenizer)
    (before,) = explainer("A small dog", targets=1)
    (after,) = pickle.loads(pickle.dumps(explainer))("A small dog", targets=1)
    assert torch.equal(before.attributions, after.attributions)
    pickle.loads(pickle.dumps(method(model, tokenizer)))  # also before its first use
