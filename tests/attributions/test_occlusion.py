import pytest
import torch

from hf_interpreto.attributions import Occlusion
from hf_interpreto.testing import pair_game_classifier
from tests.attributions.cases import contributions, counted, masked_scores, word_ids

TEXT = "the film was not great"


def test_a_linear_model_gives_its_weights(linear, words):
    (output,) = Occlusion(linear, words)(TEXT, targets=[0, 1, 2])
    torch.testing.assert_close(output.attributions, contributions(linear, words, TEXT).T, atol=1e-5, rtol=1e-4)


def test_a_score_is_positive_for_what_speaks_for_the_target_and_negative_for_what_speaks_against(words):
    model = pair_game_classifier(words, {"great": 2.0, "awful": -3.0})
    (output,) = Occlusion(model, words)("great awful film", targets=1)
    assert output.attributions[0].tolist() == pytest.approx([2, -3, 0], abs=1e-6)


def test_interactions_are_counted_as_leave_one_out_counts_them(words):
    model = pair_game_classifier(words, {"great": 2.0}, {("not", "great"): -5.0})
    (output,) = Occlusion(model, words)("not great film", targets=1)
    assert output.attributions[0].tolist() == pytest.approx([-5, -3, 0], abs=1e-6)


def test_words_of_several_tokens_are_taken_away_whole(bert):
    model, tokenizer = bert
    text = "Unbelievable misunderstanding, tomorrow"
    explainer = Occlusion(model, tokenizer)
    (output,) = explainer(text, targets=2)
    groups = [list(element.tokens) for element in output.example.elements]
    assert max(map(len, groups)) > 1
    value = masked_scores(model, word_ids(tokenizer, text), groups, tokenizer.mask_token_id, 2)
    everything = tuple(range(len(groups)))
    drops = [value(everything) - value(tuple(i for i in everything if i != gone)) for gone in everything]
    assert output.attributions[0].tolist() == pytest.approx(drops, abs=1e-5)


@pytest.mark.parametrize(
    ("window", "stride", "means"),
    [
        (2, 1, [3, (3 + 6) / 2, (6 + 12) / 2, (12 + 24) / 2, 24]),
        (2, 2, [3, 3, 12, (12 + 24) / 2, 24]),  # the last window is pulled back to end with the text
        (9, 1, [31] * 5),
    ],
)
def test_windows_share_their_drop_among_what_they_cover(words, window, stride, means):
    weights = dict(zip(TEXT.split(), [1.0, 2.0, 4.0, 8.0, 16.0], strict=True))
    model = pair_game_classifier(words, weights)
    (output,) = Occlusion(model, words, window=window, stride=stride)(TEXT, targets=1)
    assert output.attributions[0].tolist() == pytest.approx(means, abs=1e-5)


def test_a_stride_beyond_the_window_is_refused(bert):
    with pytest.raises(ValueError, match="stride=3, window=2: expected 1 <= stride <= window"):
        Occlusion(*bert, window=2, stride=3)


def test_it_takes_one_pass_more_than_there_are_elements(bert):
    model, tokenizer = bert
    with counted(model) as rows:
        (output,) = Occlusion(model, tokenizer)("A film that was great", targets=0)
    assert output.n_forward == len(output.elements) + 1 == sum(rows)
    assert output.n_backward == 0


def test_a_word_alone_is_the_whole_difference(words):
    model = pair_game_classifier(words, {"great": 2.0})
    (output,) = Occlusion(model, words)("great", targets=1)
    assert output.attributions.tolist() == [[2.0]]
