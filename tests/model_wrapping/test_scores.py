import pytest
import torch

from hf_interpreto.errors import UnknownNameError
from hf_interpreto.model_wrapping import scores
from hf_interpreto.model_wrapping.scores import (
    InferenceModes,
    Score,
    get_score,
    list_step_functions,
    register_step_function,
)

LOGITS = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
IDS = torch.randint(6, (3, 4), generator=torch.Generator().manual_seed(1))


def _loop(formula):
    """A formula of (logits (v,), id), applied one by one."""
    return torch.stack(
        [torch.stack([formula(LOGITS[p, t], int(IDS[p, t])) for t in range(4)]) for p in range(3)]
    )  # fmt: skip


def _others(z, y):
    return torch.cat([z[:y], z[y + 1 :]])


FORMULAS = {
    "logit": lambda z, y: z[y],
    "probability": lambda z, y: z[y].exp() / z.exp().sum(),
    "logprob": lambda z, y: (z[y].exp() / z.exp().sum()).log(),
    "log_odds": lambda z, y: (z[y].exp() / _others(z, y).exp().sum()).log(),
    "margin": lambda z, y: z[y] - _others(z, y).max(),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_score_is_its_formula(name):
    assert torch.allclose(get_score(name)(LOGITS, IDS), _loop(FORMULAS[name]), atol=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_score_has_the_gradient_of_its_formula(name):
    points = LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: get_score(name)(z, IDS), (points,))


@pytest.mark.parametrize("name", ["logprob", "log_odds"])
def test_a_sure_or_hopeless_target_has_a_finite_score(name):
    logits = torch.tensor([[[1000.0, 0.0, -1000.0]]])
    for target in range(3):
        assert get_score(name)(logits, torch.tensor([[target]])).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_scored_in_single_precision(dtype):
    logits = LOGITS.to(dtype)
    found = get_score("logprob")(logits, IDS)
    assert found.dtype is torch.float32
    assert torch.allclose(found, get_score("logprob")(logits.float(), IDS))
    assert get_score("logprob")(LOGITS, IDS).dtype is torch.float64


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("logits", "logit"),
        ("softmax", "probability"),
        ("log_softmax", "logprob"),
        ("prob", "probability"),
        ("LOGIT", "logit"),
        ("Softmax", "probability"),
    ],
)
def test_scores_go_by_the_names_of_inference_modes_too(alias, name):
    assert get_score(alias) is get_score(name)


@pytest.mark.parametrize("mode", list(InferenceModes))
def test_an_inference_mode_is_a_function_of_logits_and_a_score(mode):
    transformed = mode(LOGITS)
    assert torch.allclose(get_score(mode)(LOGITS, IDS), transformed.gather(-1, IDS[..., None])[..., 0], atol=1e-12)
    expected = {"logits": LOGITS, "softmax": LOGITS.softmax(-1), "log_softmax": LOGITS.log_softmax(-1)}[mode.value]
    assert torch.equal(transformed, expected)


def test_any_function_of_logits_is_a_score():
    def squared(logits):
        return logits.square()

    score = get_score(squared)
    assert score.name == "squared"
    assert torch.equal(score(LOGITS, IDS), _loop(lambda z, y: z[y] ** 2))
    assert get_score(torch.nn.Sigmoid()).name == "Sigmoid"
    assert get_score(score) is score


def test_just_log_probabilities_add_up_over_the_tokens_of_a_word():
    assert [name for name in FORMULAS if get_score(name).additive] == ["logprob"]


@pytest.mark.parametrize(("given", "near"), [("logits_", "logits"), ("log-odds", "log_odds"), ("proba", "prob")])
def test_an_unknown_score_is_told_with_the_nearest(given, near):
    with pytest.raises(UnknownNameError, match=f"unknown score '{given}'; did you mean '{near}'"):
        get_score(given)


def test_what_is_no_score_is_refused():
    with pytest.raises(UnknownNameError, match=r"unknown score 3\. Known: .*logit"):
        get_score(3)


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(scores, "_SCORES", dict(scores._SCORES))


@pytest.mark.usefixtures("registry")
def test_a_registered_function_is_found_by_its_name_and_listed():
    register_step_function(lambda logits, ids: -logits.sum(-1), "minus_sum", additive=True)
    assert "minus_sum" in list_step_functions()
    assert list_step_functions() == sorted(list_step_functions())
    score = get_score("Minus_Sum")
    assert score.additive
    assert torch.equal(score(LOGITS, IDS), -LOGITS.sum(-1))


@pytest.mark.usefixtures("registry")
def test_a_taken_name_is_refused_unless_it_is_to_be_replaced():
    with pytest.raises(ValueError, match="the score 'logit' exists already; pass overwrite=True to replace it"):
        register_step_function(lambda logits, ids: logits.sum(-1), "logit")
    register_step_function(lambda logits, ids: logits.sum(-1), "logit", overwrite=True)
    assert torch.equal(get_score("logit")(LOGITS, IDS), LOGITS.sum(-1))


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("name", ["softmax", "logits", "prob"])
def test_an_alias_cannot_be_taken_unseen(name):
    with pytest.raises(ValueError, match=f"the score '{name}' exists already"):
        register_step_function(lambda logits, ids: logits.sum(-1), name)


@pytest.mark.usefixtures("registry")
def test_a_registered_name_is_found_whatever_its_case():
    register_step_function(lambda logits, ids: logits.sum(-1), "MyScore")
    assert torch.equal(get_score("MyScore")(LOGITS, IDS), LOGITS.sum(-1))


def test_a_score_tells_its_name_and_is_pure():
    score = Score("one", lambda logits, ids: torch.ones_like(ids))
    before = LOGITS.clone()
    assert score(LOGITS, IDS).shape == (3, 4)
    for name in FORMULAS:
        get_score(name)(LOGITS, IDS)
    assert torch.equal(LOGITS, before)
