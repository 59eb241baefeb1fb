import torch

from hf_interpreto.attributions import Saliency, SmoothGrad, SquareGrad, VarGrad
from hf_interpreto.testing import pair_game_classifier

TEXT = "the film was not great"
TOKENS = {"granularity": "token"}  # squares of a word's tokens do not pool as their roots do


def test_without_noise_it_is_saliency_squared(bert):
    (square,) = SquareGrad(*bert, noise_std=0.0, **TOKENS)(TEXT, targets=[0, 1])
    (saliency,) = Saliency(*bert, **TOKENS)(TEXT, targets=[0, 1])
    torch.testing.assert_close(square.attributions, saliency.attributions.square(), atol=1e-6, rtol=1e-5)


def test_on_a_linear_model_it_is_saliency_squared_whatever_the_noise(linear, words):
    (square,) = SquareGrad(linear, words, noise_std=3.0)(TEXT, targets=[0, 1])
    (saliency,) = Saliency(linear, words)(TEXT, targets=[0, 1])
    torch.testing.assert_close(square.attributions, saliency.attributions.square())


def test_it_is_the_squared_mean_plus_the_variance(bert):
    n = 6
    settings = {"n_perturbations": n, "noise_std": 0.7, "seed": 3, **TOKENS}
    square, smooth, variance = (
        method(*bert, **settings)(TEXT, targets=[0, 2])[0].attributions for method in (SquareGrad, SmoothGrad, VarGrad)
    )
    torch.testing.assert_close(square, smooth.square() + (n - 1) / n * variance, atol=1e-5, rtol=1e-4)


def test_on_a_quadratic_model_the_moment_is_known(words):
    # The gradient is linear in the noise: E ||g||^2 = ||g(x)||^2 + sigma^2 * (words - 1) * ||V||^2.
    model = pair_game_classifier(words, {"great": 1.0}, {("not", "great"): -2.0, ("film", "the"): 1.0})
    (found,) = SquareGrad(model, words, n_perturbations=2000, noise_std=1.0)(TEXT, targets=1)
    (saliency,) = Saliency(model, words)(TEXT, targets=1)
    embeddings = model.embed_tokens(words(TEXT, return_tensors="pt").input_ids[0])
    variance = embeddings.std().square() * 4 * model.pair_weights.square().sum()
    expected = saliency.attributions.square() + variance.detach()
    torch.testing.assert_close(found.attributions, expected, atol=0, rtol=0.05)
