import pytest
import torch

from hf_interpreto.attributions import GradientShap, IntegratedGradients
from hf_interpreto.testing import pair_game_classifier
from tests.attributions.cases import contributions, counted

TEXT = "She said that nothing in the story was true."


def test_a_linear_model_gives_its_weights_in_every_draw(linear, words):
    text = "the film was not great"
    for n in (1, 2, 7):
        (output,) = GradientShap(linear, words, n_perturbations=n, baseline="zero")(text, targets=[0, 1, 2])
        torch.testing.assert_close(output.attributions, contributions(linear, words, text).T, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_the_draws_are_spread_evenly_over_the_path(words, n):
    # On a game of pairs the gradient grows linearly along the path, so the mean draw must be one half.
    model = pair_game_classifier(words, {"great": 1.0}, {("not", "great"): 2.0})
    found = [
        GradientShap(model, words, n_perturbations=n, seed=seed)("not great", targets=1)[0].attributions[0]
        for seed in range(60)
    ]
    atol = 1e-5 if n % 2 == 0 else 0.3 / n  # pairs of draws are exact, the odd one is right on average
    torch.testing.assert_close(torch.stack(found).mean(0), torch.tensor([1.0, 2.0]), atol=atol, rtol=0)


def test_it_converges_to_integrated_gradients(bert):
    exact = IntegratedGradients(*bert, n_perturbations=128, tolerance=None)(TEXT, targets=1)[0].attributions
    errors = [
        float(
            torch.stack(
                [
                    GradientShap(*bert, n_perturbations=n, seed=seed)(TEXT, targets=1)[0].attributions - exact
                    for seed in range(4)
                ]
            ).norm()
        )
        for n in (4, 32, 256)
    ]
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.05 * float(exact.norm())


def test_the_gap_is_within_the_errors(bert):
    (output,) = GradientShap(*bert, n_perturbations=64)(TEXT, targets=[0, 1, 2])
    assert bool((output.standard_errors > 0).all())
    assert bool((output.completeness_gap.abs() <= 3 * output.standard_errors.sum(1)).all())


def test_standard_errors_of_noisy_baselines_are_the_spread_over_seeds(bert):
    outputs = [
        GradientShap(*bert, n_perturbations=32, noise_std=2.0, seed=seed)(TEXT, targets=1)[0] for seed in range(16)
    ]
    spread = torch.stack([output.attributions[0] for output in outputs]).std(0)
    claimed = torch.stack([output.standard_errors[0] for output in outputs]).mean(0)
    assert 0.7 < float((claimed / spread).median()) < 2.0


def test_noise_moves_the_baseline_of_words_only(bert):
    model, tokenizer = bert
    quiet, noisy = (
        GradientShap(model, tokenizer, n_perturbations=8, noise_std=std, granularity="all_tokens", baseline="mask")(
            "[MASK] sea", targets=1
        )[0]
        for std in (0.0, 0.5)
    )
    assert float((quiet.attributions - noisy.attributions).abs().max()) > 0
    assert quiet.attributions[0, 1] == 0  # a mask does not differ from the baseline of masks


def test_it_counts_its_passes(bert):
    model, tokenizer = bert
    with counted(model) as rows:
        (output,) = GradientShap(model, tokenizer, n_perturbations=6)(TEXT, targets=[0, 1])
    assert output.n_forward == sum(rows) == 6 + 2
    assert output.n_backward == 6 * 2


def test_wrong_hyper_parameters_are_named(bert):
    with pytest.raises(ValueError, match=r"n_perturbations=0, noise_std=0\.0: expected at least 1, and at least 0"):
        GradientShap(*bert, n_perturbations=0)
