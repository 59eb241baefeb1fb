"""The script that trains the demo models."""

from __future__ import annotations

import json

import pytest
import torch

from hf_interpreto.demo import causal, classifier, seq2seq, train
from hf_interpreto.demo.emotions import EmotionText
from hf_interpreto.demo.training import Encoded, encode, hide_word, random_words

TRAININGS = {
    "classifier": (classifier, "train_classifier", "measure_classifier", "emotion_texts"),
    "causal": (causal, "train_causal", "measure_causal", "stories"),
    "seq2seq": (seq2seq, "train_seq2seq", "measure_seq2seq", "translations"),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_two_trainings_with_one_seed_write_the_same_bytes_and_leave_global_randomness_alone(
    name, monkeypatch, tmp_path
):
    module, training, measure, corpus = TRAININGS[name]
    make = getattr(module, corpus)
    monkeypatch.setattr(module, corpus, lambda n, **settings: make(n // 40, **settings))
    monkeypatch.setattr(module, measure, lambda folder: {"ran": 1.0})
    state = torch.random.get_rng_state()
    lines: list[str] = []
    for run in ("a", "b"):
        assert getattr(module, training)(tmp_path / run, 5, lines.append, steps=2) == {"ran": 1.0}
    assert torch.equal(torch.random.get_rng_state(), state)
    assert any("loss" in line for line in lines)
    for file in ("model.safetensors", "tokenizer.json", "config.json", "README.md"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_the_command_trains_the_asked_model_only_and_writes_its_metrics(monkeypatch, tmp_path, capsys):
    def pretend(folder, seed, log):
        folder.mkdir(parents=True)
        log("training")
        return {"accuracy": 0.98765 + seed}

    monkeypatch.setitem(train._TRAIN, "causal", pretend)
    train.main(["--output", str(tmp_path), "--only", "causal", "--seed", "0"])
    assert [path.name for path in tmp_path.iterdir()] == ["causal"]
    metrics = json.loads((tmp_path / "causal" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics == {"corpus_seed": 2024, "seed": 0, "quality": {"accuracy": 0.9877}}
    assert "0.9877" in capsys.readouterr().out


@pytest.fixture(scope="module")
def tokenizer():
    return causal.build_tokenizer(["Anna bought a red ball.", "Tom lost the xylophone."])


def test_encoding_numbers_the_words_and_marks_every_token_of_a_cue(tokenizer):
    text = "Tom lost the zqk ball."
    row = encode(tokenizer, text, [(13, 16)])
    tokens = tokenizer.convert_ids_to_tokens(row.ids.tolist())
    words = ["".join(token for token, at in zip(tokens, row.words.tolist(), strict=True) if at == w) for w in range(5)]
    assert [word.lstrip("Ġ") for word in words] == text.split()
    assert row.is_cue.tolist() == (row.words == 3).tolist()
    assert int(row.is_cue.sum()) > 1


def test_hiding_a_word_replaces_all_its_tokens_and_nothing_else():
    row = Encoded(torch.tensor([1, 7, 8, 9, 2]), torch.tensor([-1, 0, 0, 1, -1]), torch.zeros(5, dtype=torch.bool))
    assert hide_word(row, 0, 4).tolist() == [1, 4, 4, 9, 2]
    assert hide_word(row, 1, 4).tolist() == [1, 7, 8, 4, 2]


def test_random_words_are_hidden_whole_and_special_tokens_never():
    words = torch.tensor([-1, 0, 0, 1, 2, 2, 2, -1])
    picked = [random_words(words, 0.5, torch.Generator().manual_seed(seed)) for seed in range(50)]
    assert not any(bool(row[0] or row[-1]) for row in picked)
    assert all(row[1] == row[2] and row[4] == row[5] == row[6] for row in picked)
    assert {tuple(row.tolist()) for row in picked} == {
        (False, a, a, b, c, c, c, False) for a in (False, True) for b in (False, True) for c in (False, True)
    }


def test_a_text_whose_cue_is_hidden_has_the_uniform_label():
    row = Encoded(torch.tensor([1, 7, 8, 2]), torch.tensor([-1, 0, 1, -1]), torch.tensor([False, False, True, False]))
    sample = EmotionText("So sad", "sadness", ((3, 6),), "single")
    labels = set()
    for seed in range(40):
        ids, target = classifier.hide_some(sample, row, 4, torch.Generator().manual_seed(seed))
        labels.add(int(ids[2]) == 4)
        assert (int(ids[2]) == 4) == bool(torch.allclose(target, torch.full((6,), 1 / 6)))
        assert float(target.sum()) == pytest.approx(1)
    assert labels == {True, False}
