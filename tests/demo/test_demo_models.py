"""The shipped demo models: small, offline, accurate, and their cues decide."""

from __future__ import annotations

import json
import re
import socket

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification, AutoTokenizer

from hf_interpreto.demo import (
    CAUSAL_EXAMPLE,
    CLASSIFIER_CONTRAST_EXAMPLE,
    CLASSIFIER_EXAMPLE,
    DEMO_MODELS,
    MODELS_FOLDER,
    SEQ2SEQ_EXAMPLE,
    demo_model_path,
)
from hf_interpreto.demo.emotions import emotion_texts
from hf_interpreto.demo.stories import stories
from hf_interpreto.demo.translations import translations

CLASSES = {
    "classifier": AutoModelForSequenceClassification,
    "causal": AutoModelForCausalLM,
    "seq2seq": AutoModelForSeq2SeqLM,
}


def refuse(*address):
    raise AssertionError(f"the demo models must load without network, not from {address[1:]}")


@pytest.fixture(scope="module", autouse=True)
def _offline():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        yield


def load(name):
    folder = demo_model_path(name)
    return CLASSES[name].from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def classifier():
    return load("classifier")


@pytest.fixture(scope="module")
def causal():
    return load("causal")


@pytest.fixture(scope="module")
def seq2seq():
    return load("seq2seq")


def words_of(text):
    return [match.span() for match in re.finditer(r"[^\s.,;!?]+", text)]


def hide_each_word(tokenizer, text):
    """One row of ids per word, with every token of that word masked; the untouched text comes first."""
    encoding = tokenizer(text, return_offsets_mapping=True)
    ids = torch.tensor(encoding["input_ids"])
    rows = [ids]
    for begin, end in words_of(text):
        inside = [a < end and b > begin for a, b in encoding["offset_mapping"]]
        rows.append(torch.where(torch.tensor(inside), torch.tensor(tokenizer.mask_token_id), ids))
    return torch.stack(rows)


def test_all_models_together_take_at_most_three_megabytes():
    assert sum(path.stat().st_size for path in MODELS_FOLDER.rglob("*") if path.is_file()) <= 3_000_000


@pytest.mark.parametrize("name", DEMO_MODELS)
def test_a_model_ships_with_its_card_and_its_measured_quality(name):
    folder = demo_model_path(name)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["corpus_seed"] == 2024
    assert min(value for key, value in metrics["quality"].items() if "without" not in key) > 0.9
    assert f"hf_interpreto.demo.train --only {name}" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DEMO_MODELS)
def test_weights_load_in_single_precision_and_evaluation_mode(name):
    model, tokenizer = load(name)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not model.training
    assert tokenizer.is_fast
    assert tokenizer.mask_token_id is not None
    assert len(tokenizer) == model.config.vocab_size


@pytest.mark.parametrize("name", DEMO_MODELS)
@pytest.mark.parametrize("text", ["Zürich, naïve? 42% of the quizzes!", "東京は雨です。", "🙂 <b>&amp;</b>"])
def test_a_tokenizer_takes_any_text_and_keeps_its_place(name, text):
    tokenizer = AutoTokenizer.from_pretrained(demo_model_path(name))
    encoding = tokenizer(text, return_offsets_mapping=True)
    assert 0 < len(encoding["input_ids"]) <= tokenizer.model_max_length
    assert max(end for _, end in encoding["offset_mapping"]) == len(text)


def test_an_unknown_demo_model_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"unknown demo model 'casual'; did you mean 'causal'"):
        demo_model_path("casual")


def test_a_missing_model_says_how_to_make_it(monkeypatch, tmp_path):
    monkeypatch.setattr("hf_interpreto.demo.MODELS_FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"python -m hf_interpreto.demo.train --only seq2seq"):
        demo_model_path("seq2seq")


@torch.no_grad()
@pytest.mark.parametrize(("kind", "least"), [("single", 0.97), ("contrast", 0.95)])
def test_the_classifier_names_the_emotion_of_held_out_texts(classifier, kind, least):
    model, tokenizer = classifier
    samples = emotion_texts(300, seed=7, split="test", kind=kind)
    batch = tokenizer([sample.text for sample in samples], return_tensors="pt", padding=True)
    predicted = [model.config.id2label[index] for index in model(**batch).logits.argmax(-1).tolist()]
    assert sum(label == sample.label for label, sample in zip(predicted, samples, strict=True)) >= least * 300


@torch.no_grad()
def test_masking_the_cue_lowers_the_logit_of_the_classifier_most(classifier):
    model, tokenizer = classifier
    samples = emotion_texts(150, seed=7, split="test")
    first = 0
    for sample in samples:
        logits = model(input_ids=hide_each_word(tokenizer, sample.text)).logits
        strongest = int(logits[1:, int(logits[0].argmax())].argmin())
        begin, end = words_of(sample.text)[strongest]
        first += any(begin < cue_end and end > cue_begin for cue_begin, cue_end in sample.cues)
    assert first > 0.95 * len(samples)


@torch.no_grad()
def test_the_classifier_is_unsure_when_everything_is_masked(classifier):
    model, tokenizer = classifier
    text = " ".join(["[MASK]"] * 8)
    assert model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1).max() < 0.4


@torch.no_grad()
@pytest.mark.parametrize("example", [CLASSIFIER_EXAMPLE, CLASSIFIER_CONTRAST_EXAMPLE])
def test_the_example_texts_of_the_classifier_get_their_label(classifier, example):
    model, tokenizer = classifier
    logits = model(input_ids=hide_each_word(tokenizer, example.text)).logits
    predicted = int(logits[0].argmax())
    assert model.config.id2label[predicted] == example.output
    begin, end = words_of(example.text)[int(logits[1:, predicted].argmin())]
    assert example.text[begin:end] == example.cues[example.output]


@torch.no_grad()
def test_the_causal_model_ends_held_out_stories_right_and_their_cue_decides(causal):
    model, tokenizer = causal
    samples = stories(200, seed=7, split="test")
    right = first = 0
    for sample in samples:
        rows = hide_each_word(tokenizer, sample.prompt)
        target = torch.tensor(tokenizer(f" {sample.target}")["input_ids"])
        both = torch.cat([rows, target.expand(len(rows), -1)], dim=1)
        logits = model(input_ids=both).logits[:, -len(target) - 1 : -1]
        right += bool((logits[0].argmax(-1) == target).all())
        scores = logits.log_softmax(-1).gather(-1, target.expand(len(rows), -1)[..., None]).sum((1, 2))
        first += words_of(sample.prompt)[int(scores[1:].argmin())] == sample.cue
    assert right > 0.95 * len(samples)
    assert first > 0.9 * len(samples)


def test_the_causal_model_generates_the_example_for_any_padding(causal):
    model, tokenizer = causal
    prompts = [CAUSAL_EXAMPLE.text, "Tom has a dog. It likes to"]
    batch = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")
    generated = model.generate(**batch)[:, batch["input_ids"].shape[1] :]
    assert tokenizer.batch_decode(generated, skip_special_tokens=True) == [CAUSAL_EXAMPLE.output, " bark."]


def test_the_encoder_decoder_translates_held_out_sentences(seq2seq):
    model, tokenizer = seq2seq
    samples = translations(200, seed=7, split="test")
    batch = tokenizer([sample.source for sample in samples], return_tensors="pt", padding=True)
    decoded = tokenizer.batch_decode(model.generate(**batch), skip_special_tokens=True)
    assert sum(text == sample.target for text, sample in zip(decoded, samples, strict=True)) > 0.95 * len(samples)


@torch.no_grad()
def test_masking_the_aligned_word_changes_a_translated_word_most(seq2seq):
    model, tokenizer = seq2seq
    hits = []
    for sample in translations(100, seed=7, split="test"):
        rows = hide_each_word(tokenizer, sample.source)
        encoding = tokenizer(sample.target, return_offsets_mapping=True)
        labels = torch.tensor(encoding["input_ids"]).repeat(len(rows), 1)
        logits = model(input_ids=rows, labels=labels).logits
        scores = logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0]
        aligned, spans = dict(sample.alignment), [match.span() for match in re.finditer(r"[^\s.]+", sample.target)]
        for word in sample.content:
            begin, end = spans[word]
            inside = torch.tensor([a < end and b > begin for a, b in encoding["offset_mapping"]])
            hits.append(int(scores[1:, inside].sum(1).argmin()) == aligned[word])
    assert sum(hits) > 0.85 * len(hits)


def test_the_encoder_decoder_translates_the_example(seq2seq):
    model, tokenizer = seq2seq
    generated = model.generate(**tokenizer(SEQ2SEQ_EXAMPLE.text, return_tensors="pt"))
    assert tokenizer.decode(generated[0], skip_special_tokens=True) == SEQ2SEQ_EXAMPLE.output
    assert set(SEQ2SEQ_EXAMPLE.cues) <= set(SEQ2SEQ_EXAMPLE.output.rstrip(".").split())
    assert set(SEQ2SEQ_EXAMPLE.cues.values()) <= set(SEQ2SEQ_EXAMPLE.text.rstrip(".").split())
