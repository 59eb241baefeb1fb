import pytest
import torch

from hf_interpreto.attributions import IntegratedGradients
from hf_interpreto.attributions.methods.integrated_gradients import RULES, quadrature
from hf_interpreto.errors import UnknownNameError
from hf_interpreto.testing import pair_game_classifier, tiny_model
from tests.attributions.cases import contributions, counted, tiny, word_ids

TEXT = "She said that nothing in the story was true, but everyone believed her."


def relative_gap(output):
    return float((output.completeness_gap / (output.target_scores - output.baseline_scores)).abs().max())


@pytest.mark.parametrize("rule", ["gauss_legendre", "trapezoid"])
def test_scores_add_up_to_the_difference(bert, rule):
    explainer = IntegratedGradients(*bert, rule=rule, tolerance=None, n_perturbations=200)
    (output,) = explainer(TEXT, targets=[0, 1, 2])
    difference = output.target_scores - output.baseline_scores
    torch.testing.assert_close(output.attributions.sum(1), difference, atol=1e-3, rtol=1e-3)
    assert difference.abs().max() > 0.1


@pytest.mark.parametrize("name", ["distilbert", "roberta", "albert", "electra", "deberta-v2", "modernbert", "llama"])
def test_scores_add_up_on_every_kind_of_classifier(name):
    explainer = IntegratedGradients(*tiny(name, "text-classification"), tolerance=0.005, max_perturbations=1024)
    (output,) = explainer("The sea was blue and quiet", targets=1)
    assert relative_gap(output) < 0.005


@pytest.mark.parametrize("name", ["gpt2", "gpt-neox", "qwen3", "gemma2", "gemma3", "mistral", "t5", "bart", "marian"])
def test_scores_add_up_on_every_kind_of_generator(name):
    explainer = IntegratedGradients(
        *tiny(name, "text-generation"), tolerance=2e-3, max_perturbations=1024, granularity="token"
    )
    (output,) = explainer("The sea was", targets=" blue")
    # A model that scales or shares its embeddings would miss by far.
    assert relative_gap(output) < 0.01


def test_the_ends_are_the_scores_of_the_text_and_of_the_text_without_words(bert):
    model, tokenizer = bert
    (output,) = IntegratedGradients(model, tokenizer)(TEXT, targets=1)
    ids = word_ids(tokenizer, TEXT)
    empty = ids.clone()
    empty[1:-1] = tokenizer.mask_token_id
    with torch.no_grad():
        logits = model(input_ids=torch.stack([ids, empty])).logits[:, 1]
    torch.testing.assert_close(torch.cat([output.target_scores, output.baseline_scores]), logits)


def test_nodes_are_doubled_until_the_gap_is_within_the_tolerance(bert):
    model, tokenizer = bert
    used = []
    for tolerance in (0.5, 1e-2, 1e-4):
        with counted(model) as rows:
            explainer = IntegratedGradients(model, tokenizer, n_perturbations=1, tolerance=tolerance)
            (output,) = explainer(TEXT, targets=1)
        assert relative_gap(output) <= tolerance
        assert output.n_forward == sum(rows)
        used.append(output.diagnostics["n_perturbations"])
    assert used == sorted(used)
    assert used[-1] > used[0]
    assert all(n & (n - 1) == 0 for n in used)


def test_doubling_stops_at_the_most_nodes_allowed(bert):
    explainer = IntegratedGradients(*bert, n_perturbations=1, tolerance=1e-9, max_perturbations=5)
    (output,) = explainer(TEXT, targets=1)
    assert output.diagnostics["n_perturbations"] == 4
    assert output.n_backward == 1 + 2 + 4
    assert relative_gap(output) > 1e-9


def test_n_nodes_and_twice_as_many_give_the_same(bert):
    few, many = (
        IntegratedGradients(*bert, n_perturbations=n, tolerance=None)(TEXT, targets=[0, 1])[0].attributions
        for n in (64, 128)
    )
    torch.testing.assert_close(few, many, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_converges_to_the_same(bert, rule):
    reference = IntegratedGradients(*bert, n_perturbations=128, tolerance=None)(TEXT, targets=1)[0].attributions
    found = IntegratedGradients(*bert, n_perturbations=512, tolerance=None, rule=rule)(TEXT, targets=1)[0].attributions
    assert float((found - reference).abs().max() / reference.abs().max()) < 0.02


@pytest.mark.parametrize("rule", RULES)
def test_weights_of_a_rule_sum_to_one_and_integrate_what_they_should(rule):
    nodes, weights = quadrature(rule, 8)
    assert float(weights.sum()) == pytest.approx(1)
    assert bool(((nodes >= 0) & (nodes <= 1)).all())
    degree = {"gauss_legendre": 15, "trapezoid": 1, "midpoint": 1, "right": 0}[rule]
    for power in range(degree + 1):
        assert float((weights * nodes**power).sum()) == pytest.approx(1 / (power + 1), abs=1e-12)
    assert float((weights * nodes ** (degree + 1)).sum()) != pytest.approx(1 / (degree + 2), abs=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_a_linear_model_gives_its_weights_with_few_nodes(linear, words, rule):
    explainer = IntegratedGradients(linear, words, rule=rule, n_perturbations=2, tolerance=None, baseline="zero")
    (output,) = explainer("the film was not great", targets=[0, 1, 2])
    expected = contributions(linear, words, "the film was not great").T
    torch.testing.assert_close(output.attributions, expected, atol=1e-5, rtol=1e-4)


def test_on_a_game_of_pairs_the_scores_are_shapley_values(words):
    model = pair_game_classifier(words, {"great": 2.0}, {("not", "great"): -3.0, ("film", "the"): 1.0})
    (output,) = IntegratedGradients(model, words)("the film was not great", targets=1)
    expected = model.shapley_values(word_ids(words, "the film was not great"))[1:-1, 1]
    torch.testing.assert_close(output.attributions[0], expected, atol=1e-5, rtol=1e-4)


def test_two_networks_that_compute_the_same_are_explained_the_same():
    model, tokenizer = tiny_model("bert", task="text-classification")
    (before,) = IntegratedGradients(model, tokenizer, n_perturbations=32, tolerance=None)(TEXT, targets=1)
    order = torch.randperm(48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for layer in model.bert.encoder.layer:  # hidden units in another order, scaled weights of the head
            dense, out = layer.intermediate.dense, layer.output.dense
            dense.weight.copy_(dense.weight[order])
            dense.bias.copy_(dense.bias[order])
            out.weight.copy_(out.weight[:, order])
    (after,) = IntegratedGradients(model, tokenizer, n_perturbations=32, tolerance=None)(TEXT, targets=1)
    torch.testing.assert_close(before.attributions, after.attributions, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("baseline", ["mask", "unk", "pad", "zero", "mean", "token:7", 0.25, "resample"])
def test_every_baseline_is_where_the_path_starts(bert, baseline):
    model, tokenizer = bert
    explainer = IntegratedGradients(model, tokenizer, baseline=baseline, granularity="token", n_perturbations=64)
    (output,) = explainer("The sea was blue", targets=1)
    ids = word_ids(tokenizer, "The sea was blue")
    table = model.get_input_embeddings().weight.detach()
    embeddings = table[ids].clone()
    value = {
        "zero": torch.zeros(32),
        "mean": table.mean(0),
        "token:7": table[7],
        0.25: torch.full((32,), 0.25),
    }.get(baseline)
    if value is None and baseline != "resample":
        value = table[getattr(tokenizer, f"{baseline}_token_id")]
    if value is not None:
        embeddings[1:-1] = value
        with torch.no_grad():
            expected = model(inputs_embeds=embeddings[None]).logits[0, 1]
        torch.testing.assert_close(output.baseline_scores[0], expected, atol=1e-5, rtol=1e-4)
    assert relative_gap(output) < 0.01


def test_a_tensor_is_a_baseline_of_its_own_and_must_fit(bert):
    model, tokenizer = bert
    table = model.get_input_embeddings().weight.detach()
    ids = word_ids(tokenizer, "The sea was blue")
    per_token = table[torch.arange(20, 20 + len(ids))]
    explainer = IntegratedGradients(model, tokenizer, baseline=per_token)
    (output,) = explainer("The sea was blue", targets=1)
    mixed = torch.cat([table[ids[:1]], per_token[1:-1], table[ids[-1:]]])
    with torch.no_grad():
        expected = model(inputs_embeds=mixed[None]).logits[0, 1]
    torch.testing.assert_close(output.baseline_scores[0], expected, atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match=r"baseline: got a tensor \(7,\); expected \(32,\) or \(8, 32\) here"):
        IntegratedGradients(model, tokenizer, baseline=torch.zeros(7))("The sea was blue", targets=1)


@pytest.mark.parametrize("baseline", ["delete", "attention"])
def test_a_baseline_that_has_no_embedding_is_refused(bert, baseline):
    with pytest.raises(ValueError, match=f"baseline='{baseline}' gives no embeddings"):
        IntegratedGradients(*bert, baseline=baseline)("The sea was blue", targets=1)


def test_what_does_not_add_up_claims_no_completeness(bert):
    for settings in ({"input_x_gradient": False}, {"reduction": "l2"}, {"granularity_aggregation_strategy": "mean"}):
        (output,) = IntegratedGradients(*bert, n_perturbations=4, **settings)(TEXT, targets=1)
        assert output.completeness_gap is None
        assert output.baseline_scores is not None


def test_wrong_hyper_parameters_are_named(bert):
    with pytest.raises(UnknownNameError, match="unknown rule 'gauss'; did you mean 'gauss_legendre'"):
        IntegratedGradients(*bert, rule="gauss")
    with pytest.raises(ValueError, match="n_perturbations=1: too few for the rule 'trapezoid'"):
        IntegratedGradients(*bert, rule="trapezoid", n_perturbations=1)


def test_gauss_legendre_is_symmetric():
    nodes, weights = quadrature("gauss_legendre", 9)
    assert torch.allclose(nodes + nodes.flip(0), torch.ones_like(nodes))
    assert torch.allclose(weights, weights.flip(0))
