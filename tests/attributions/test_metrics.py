"""Faithfulness metrics against curves worked out by hand, on models whose score is a known sum of words."""

from dataclasses import replace

import pytest
import torch

from hf_interpreto.attributions import Occlusion
from hf_interpreto.attributions.metrics import Comprehensiveness, Deletion, Insertion, Sufficiency
from hf_interpreto.errors import InvalidInputError, TaskMismatchError
from hf_interpreto.testing import pair_game_classifier, tiny_model

TEXT = "the film was not great"
WORTH = {"the": 1.0, "film": 8.0, "was": -2.0, "not": 4.0, "great": 2.0}  # in order: 8 4 2 1 -2, together 13
METRICS = [Insertion, Deletion, Comprehensiveness, Sufficiency]
every_metric = pytest.mark.parametrize("metric", METRICS)


@pytest.fixture
def game(words):
    return pair_game_classifier(words, WORTH)


@pytest.fixture
def outputs(game, words):
    return Occlusion(game, words)(TEXT, targets=1)


def reordered(output, scores):
    return replace(output, attributions=torch.tensor([scores]))


def test_deletion_takes_the_most_important_words_away_first(game, words, outputs):
    value, details = Deletion(game, words, score="logit").evaluate(outputs)
    assert details[0][0].tolist() == pytest.approx([13, 5, 1, -1, -2, 0])
    assert value == pytest.approx((13 / 2 + 5 + 1 - 1 - 2 + 0) / 5)


def test_insertion_puts_the_most_important_words_in_first(game, words, outputs):
    value, details = Insertion(game, words, score="logit").evaluate(outputs)
    assert details[0][0].tolist() == pytest.approx([0, 8, 12, 14, 15, 13])
    assert value == pytest.approx((8 + 12 + 14 + 15 + 13 / 2) / 5)


def test_comprehensiveness_is_the_mean_loss_without_the_rationale(game, words, outputs):
    metric = Comprehensiveness(game, words, score="logit", fractions=(0.2, 0.4, 1.0))
    value, details = metric.evaluate(outputs)
    assert details[0][0].tolist() == pytest.approx([13, 5, 1, 0])
    assert value == pytest.approx((8 + 12 + 13) / 3)


def test_sufficiency_is_the_mean_loss_with_the_rationale_alone(game, words, outputs):
    value, details = Sufficiency(game, words, score="logit", fractions=(0.2, 0.4, 1.0)).evaluate(outputs)
    assert details[0][0].tolist() == pytest.approx([13, 8, 12, 13])
    assert value == pytest.approx((5 + 1 + 0) / 3)


def test_a_rationale_is_never_empty_and_its_length_is_rounded_up(game, words, outputs):
    _, details = Comprehensiveness(game, words, score="logit", fractions=(0.01, 0.3)).evaluate(outputs)
    assert details[0][0].tolist() == pytest.approx([13, 5, 1])  # one word, two words


@every_metric
def test_the_right_order_beats_random_ones_and_its_reverse_does_not(metric, game, words, outputs):
    made = metric(game, words, score="logit")
    value, details = made.evaluate(outputs)
    worst, reverse = made.evaluate(reordered(outputs[0], (-outputs[0].attributions[0]).tolist()))
    assert details.beats_random is True
    assert reverse.beats_random is False
    assert (value > worst) == metric.higher_is_better
    assert min(value, worst) < details.random_value < max(value, worst)


def test_random_orders_have_the_mean_of_all_orders(game, words, outputs):
    _, details = Deletion(game, words, score="logit", n_random=400).evaluate(outputs)
    assert details.random_value == pytest.approx(13 / 2, abs=0.4)  # the curve of a mean order is a straight line


@every_metric
def test_without_a_control_nothing_is_said_of_random_orders(metric, game, words, outputs):
    _, details = metric(game, words, n_random=0).evaluate(outputs)
    assert details.random_value is None
    assert details.beats_random is None


def test_magnitude_can_set_the_order(game, words, outputs):
    _, details = Deletion(game, words, score="logit", by_magnitude=True).evaluate(outputs)
    # 8, 4, then 2 and -2 in either order, then 1
    assert details[0][0].tolist() in ([13, 5, 1, -1, 1, 0], [13, 5, 1, 3, 1, 0])


def test_steps_and_share_can_be_limited(game, words, outputs):
    _, few = Deletion(game, words, score="logit", n_perturbations=2).evaluate(outputs)
    assert few[0][0].tolist() == pytest.approx([13, 1, 0])
    _, part = Deletion(game, words, score="logit", max_percentage_perturbed=0.4).evaluate(outputs)
    assert part[0][0].tolist() == pytest.approx([13, 5, 1])


@every_metric
def test_a_text_of_one_word_is_evaluated(metric, game, words):
    value, details = metric(game, words, score="logit").evaluate(Occlusion(game, words)("film", targets=1))
    assert value == pytest.approx({Insertion: 4, Deletion: 4, Comprehensiveness: 8, Sufficiency: 0}[metric])
    assert len(details[0][0]) >= 2


@every_metric
def test_the_value_is_the_mean_over_targets_then_samples(metric, game, words):
    outputs = Occlusion(game, words)([TEXT, "great film"], targets=[[0, 1], [1]])
    value, details = metric(game, words, score="logit").evaluate(outputs)
    assert [len(row) for row in details.values] == [2, 1]
    assert value == pytest.approx((sum(details.values[0]) / 2 + details.values[1][0]) / 2)


@every_metric
@pytest.mark.parametrize("name", ["gpt2", "t5"])
def test_only_what_can_be_attributed_is_perturbed_for_a_generated_word(metric, name):
    model, tokenizer = tiny_model(name)
    (output,) = Occlusion(model, tokenizer, granularity="token")("The cat sat", targets="on the mat")
    metric_ = metric(model, tokenizer, n_random=0)
    _, details = metric_.evaluate(output)
    sizes = (~output.attributions.isnan()).sum(1).tolist()
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert [len(curve) for curve in details[0]] == [len(metric_.steps(size)) for size in sizes]
    whole = output.target_scores.exp()  # the probability of each word where nothing is taken away
    first = torch.stack([curve[-1 if metric is Insertion else 0] for curve in details[0]])
    torch.testing.assert_close(first.float(), whole, atol=1e-5, rtol=1e-4)


@every_metric
def test_neither_batches_nor_repetition_change_a_value(metric):
    model, tokenizer = tiny_model("bert", task="text-classification")
    outputs = Occlusion(model, tokenizer)(["A small dog ran home.", "The cat"], targets=[0, 1])
    found = [metric(model, tokenizer, batch_size=size).evaluate(outputs) for size in (1, 3, "auto", "auto")]
    for value, details in found[1:]:
        assert value == pytest.approx(found[0][0], abs=1e-6)
        assert details.random_value == pytest.approx(found[0][1].random_value, abs=1e-6)


def test_another_model_is_asked_anew_and_not_the_predictions_kept_from_the_first(words, outputs):
    other = pair_game_classifier(words, {"film": 100.0})
    predicted = Occlusion(pair_game_classifier(words, WORTH), words)(TEXT)
    for found in (outputs, predicted):
        _, details = Deletion(other, words, score="logit").evaluate(found)
        assert abs(float(details[0][0][0])) == pytest.approx(100)


def test_what_cannot_be_evaluated_is_refused_by_name(game, words, outputs):
    with pytest.raises(InvalidInputError, match="attributions: got none"):
        Deletion(game, words).evaluate([])
    model, tokenizer = tiny_model("gpt2")
    with pytest.raises(
        TaskMismatchError, match="they explain text-classification, and the model does text-generation"
    ):
        Deletion(model, tokenizer).evaluate(outputs)
    with pytest.raises(ValueError, match="n_perturbations=0"):
        Deletion(game, words, n_perturbations=0)
    with pytest.raises(ValueError, match=r"max_percentage_perturbed=1\.5"):
        Insertion(game, words, max_percentage_perturbed=1.5)
    with pytest.raises(ValueError, match="fractions"):
        Sufficiency(game, words, fractions=(0.0,))
    with pytest.raises(ValueError, match="n_random=-1"):
        Sufficiency(game, words, n_random=-1)
