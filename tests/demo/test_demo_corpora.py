"""The made-up corpora: the same every time, with cues where they say."""

from __future__ import annotations

from collections import Counter

import pytest

from hf_interpreto.demo.corpus import mark, sentence, unmark
from hf_interpreto.demo.emotions import CUES, EMOTIONS, emotion_texts
from hf_interpreto.demo.stories import STORY_KINDS, stories
from hf_interpreto.demo.translations import translations

MAKERS = {"emotions": emotion_texts, "stories": stories, "translations": translations}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_corpus_is_the_same_for_the_same_seed_and_another_for_another(make):
    assert make(50, seed=3) == make(50, seed=3)
    assert make(50, seed=3) != make(50, seed=4)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_first_samples_do_not_depend_on_how_many_are_made(make):
    assert make(60)[:20] == make(20)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_no_marks_or_empty_slots_are_left_in_any_text(make):
    for sample in make(500):
        for text in (sample.text,) if hasattr(sample, "text") else (sample.source, sample.target):
            assert not set(text) & set("⟦⟧{}")
            assert "  " not in text
            assert text[0].isupper()
            assert text[-1] in ".!?"


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_an_unknown_split_is_refused_by_name(make):
    with pytest.raises(ValueError, match=r"unknown split 'dev'. Known: train, test"):
        make(1, split="dev")


def test_unmark_gives_the_place_of_every_cue():
    text, spans = unmark(sentence(f"{mark('joy')} and {mark('deep sorrow')}."))
    assert text == "Joy and deep sorrow."
    assert [text[begin:end] for begin, end in spans] == ["Joy", "deep sorrow"]


@pytest.mark.parametrize("kind", ["single", "contrast"])
def test_the_marked_cue_of_a_text_belongs_to_its_emotion(kind):
    for sample in emotion_texts(500, kind=kind):
        ((begin, end),) = sample.cues
        assert any(sample.text[begin:end].lower() in cues for cues in CUES[sample.label].values())


def test_no_cue_names_two_emotions():
    emotions_of = Counter(cue for slots in CUES.values() for cue in {cue for cues in slots.values() for cue in cues})
    assert [cue for cue, n in emotions_of.items() if n > 1] == []


def test_texts_without_a_cue_have_no_label():
    assert all(sample.label is None and sample.cues == () for sample in emotion_texts(50, kind="neutral"))


def test_the_emotions_are_balanced():
    counts = Counter(sample.label for sample in emotion_texts(3000))
    assert set(counts) == set(EMOTIONS)
    assert min(counts.values()) > 0.8 * max(counts.values())


def test_an_unknown_kind_of_emotion_text_is_refused_by_name():
    with pytest.raises(ValueError, match=r"unknown kind 'double'. Known: single, contrast, neutral"):
        emotion_texts(1, kind="double")


def test_the_cue_and_the_foil_of_a_story_fit_its_target():
    samples = stories(800)
    assert {sample.kind for sample in samples} == set(STORY_KINDS)
    targets = {kind: {sample.target for sample in samples if sample.kind == kind} for kind in STORY_KINDS}
    by_cue: dict[tuple[str, str], set[str]] = {}
    for sample in samples:
        begin, end = sample.cue
        cue = sample.prompt[begin:end]
        by_cue.setdefault((sample.kind, cue), set()).add(sample.target)
        assert cue.isalpha()
        assert sample.foil != sample.target
        assert sample.foil in targets[sample.kind]
        assert sample.text.startswith(f"{sample.prompt} {sample.target}")
    assert all(len(decided) == 1 for decided in by_cue.values())


def test_a_translation_aligns_each_content_word_with_the_same_english_word_everywhere():
    english_of: dict[str, set[str]] = {}
    for sample in translations(2000):
        source, target = sample.source.rstrip(".").split(), sample.target.rstrip(".").split()
        alignment = dict(sample.alignment)
        assert sorted(alignment) == list(range(len(target)))
        assert sorted(alignment.values()) == list(range(len(source)))
        for word in sample.content:
            english_of.setdefault(target[word].lower(), set()).add(source[alignment[word]].lower())
    assert english_of["chats"] == {"cats"}
    assert english_of["dorment"] == {"sleep"}
    assert english_of["vieille"] == {"old"}
    assert max(map(len, english_of.values())) <= 2


def test_french_puts_colours_behind_the_noun_and_sizes_before_it():
    for sample in translations(1000):
        words = sample.target.rstrip(".").lower().split()
        alignment = dict(sample.alignment)
        if "noir" in words:
            at = words.index("noir")
            assert alignment[at - 1] == alignment[at] + 1
        if "petit" in words:
            at = words.index("petit")
            assert alignment[at + 1] == alignment[at] + 1
