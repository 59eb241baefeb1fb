import pytest
import torch

from hf_interpreto.attributions import Saliency, SmoothGrad
from hf_interpreto.testing import pair_game_classifier
from tests.attributions.cases import counted

TEXT = "the film was not great"


@pytest.mark.parametrize("n", [1, 5])
def test_without_noise_it_is_saliency(bert, n):
    (smooth,) = SmoothGrad(*bert, n_perturbations=n, noise_std=0.0)(TEXT, targets=[0, 1])
    (saliency,) = Saliency(*bert)(TEXT, targets=[0, 1])
    torch.testing.assert_close(smooth.attributions, saliency.attributions, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("n", [1, 7])
def test_on_a_linear_model_it_is_saliency_whatever_the_noise(linear, words, n):
    (smooth,) = SmoothGrad(linear, words, n_perturbations=n, noise_std=3.0)(TEXT, targets=[0, 1])
    (saliency,) = Saliency(linear, words)(TEXT, targets=[0, 1])
    torch.testing.assert_close(smooth.attributions, saliency.attributions)


def test_on_a_quadratic_model_the_mean_gradient_converges_to_the_gradient(words):
    model = pair_game_classifier(words, {"great": 1.0}, {("not", "great"): -2.0, ("film", "the"): 1.0})
    (exact,) = Saliency(model, words, reduction="sum")(TEXT, targets=1)
    errors = [
        float((SmoothGrad(model, words, reduction="sum", n_perturbations=n)(TEXT, targets=1)[0].attributions
               - exact.attributions).norm())
        for n in (4, 1024)
    ]  # fmt: skip
    assert errors[1] < 0.25 * errors[0]


def test_noise_is_in_units_of_the_embeddings(bert, words):
    # A model with embeddings k times as large, and a head k times as small, sees the same noise.
    plain = pair_game_classifier(words, {"great": 1.0}, {("not", "great"): -2.0})
    scaled = pair_game_classifier(words, {"great": 1.0}, {("not", "great"): -2.0})
    with torch.no_grad():
        scaled.embed_tokens.weight.mul_(8)
        scaled.word_weights.div_(8)
        scaled.pair_weights.div_(64)
    (first,), (second,) = (SmoothGrad(m, words, noise_std=0.5)(TEXT, targets=1) for m in (plain, scaled))
    torch.testing.assert_close(first.attributions, second.attributions * 8, atol=1e-5, rtol=1e-4)


def test_noise_changes_the_scores_of_a_transformer(bert):
    (smooth,) = SmoothGrad(*bert, noise_std=0.5)(TEXT, targets=1)
    (saliency,) = Saliency(*bert)(TEXT, targets=1)
    assert float((smooth.attributions - saliency.attributions).abs().max()) > 1e-4


def test_it_counts_its_passes(bert):
    model, tokenizer = bert
    with counted(model) as rows:
        (output,) = SmoothGrad(model, tokenizer, n_perturbations=4)(TEXT, targets=[0, 1])
    assert (output.n_forward, output.n_backward) == (sum(rows), 8) == (5, 8)


@pytest.mark.parametrize(("n", "std"), [(0, 0.1), (4, -1.0)])
def test_wrong_hyper_parameters_are_named(bert, n, std):
    with pytest.raises(ValueError, match=f"n_perturbations={n}, noise_std={std}: expected at least 1, and at least 0"):
        SmoothGrad(*bert, n_perturbations=n, noise_std=std)
