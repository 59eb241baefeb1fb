import pytest
import torch

from hf_interpreto.attributions import VarGrad
from hf_interpreto.testing import pair_game_classifier

TEXT = "the film was not great"


def test_a_linear_model_has_none(linear, words):
    (output,) = VarGrad(linear, words, noise_std=3.0)(TEXT, targets=[0, 1])
    assert output.attributions.abs().max() < 1e-9


def test_without_noise_there_is_none(bert):
    (output,) = VarGrad(*bert, noise_std=0.0)(TEXT, targets=[0, 1])
    assert output.attributions.abs().max() < 1e-9


@pytest.mark.parametrize("n", [2, 2000])
def test_on_a_quadratic_model_the_variance_is_known(words, n):
    model = pair_game_classifier(words, {"great": 1.0}, {("not", "great"): -2.0, ("film", "the"): 1.0})
    embeddings = model.embed_tokens(words(TEXT, return_tensors="pt").input_ids[0])
    expected = float((embeddings.std().square() * 4 * model.pair_weights.square().sum()).detach())
    # With two draws it is unbiased too: the mean over many seeds is the same.
    seeds = range(200 if n == 2 else 1)
    found = torch.stack(
        [
            VarGrad(model, words, n_perturbations=n, noise_std=1.0, seed=s)(TEXT, targets=1)[0].attributions
            for s in seeds
        ]
    )
    torch.testing.assert_close(found.mean(0), torch.full((1, 5), expected), atol=0, rtol=0.15 if n == 2 else 0.08)


def test_it_grows_with_the_square_of_the_noise(words):
    model = pair_game_classifier(words, {}, {("not", "great"): -2.0, ("film", "the"): 1.0})
    one, two = (VarGrad(model, words, noise_std=s)(TEXT, targets=1)[0].attributions for s in (0.5, 1.0))
    torch.testing.assert_close(two, 4 * one, atol=1e-5, rtol=1e-3)


def test_a_transformer_has_some(bert):
    (output,) = VarGrad(*bert, noise_std=0.5)(TEXT, targets=1)
    assert bool((output.attributions > 0).all())


def test_one_draw_has_no_variance(bert):
    with pytest.raises(ValueError, match="n_perturbations=1: a variance needs at least 2"):
        VarGrad(*bert, n_perturbations=1)
