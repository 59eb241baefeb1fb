"""The distinct words of a corpus."""

from collections import Counter

import nltk
import pytest

from hf_interpreto.concepts.interpretations import extract_ngrams

TEXTS = ["I feel GREAT, the feelings!", "My feeling was great. Cats and a cat", "ladies; lady bus gas"]


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.setattr(nltk, "download", lambda *_, **__: pytest.fail("a download"))


def test_words_are_in_lower_case_without_punctuation_the_most_frequent_first():
    found = extract_ngrams(TEXTS)
    assert found[0] == "great"
    assert found[1:4] == ["i", "feel", "the"]
    assert not {",", "!", ".", ";"} & set(found)


def test_rare_words_are_left_out_and_counts_are_returned():
    assert extract_ngrams(TEXTS, count_min_threshold=2, return_counts=True) == Counter({"great": 2})


def test_plurals_become_singulars_that_the_texts_have():
    counts = extract_ngrams(TEXTS, lemmatize=True, return_counts=True)
    assert (counts["feeling"], counts["cat"], counts["lady"]) == (2, 2, 2)
    assert {"was", "bus", "gas"} <= set(counts)
    assert not {"feelings", "cats", "ladies", "wa", "bu"} & set(counts)


def test_words_to_ignore_count_in_any_case_and_in_sequences():
    found = extract_ngrams(["the Cat sat"], n=2, words_to_ignore=["CAT"])
    assert found == ["the", "sat"]


def test_sequences_stay_within_a_sentence_and_between_marks():
    assert set(extract_ngrams(["a b. c, d e f"], n=2)) == {"a", "b", "c", "d", "e", "f", "a b", "d e", "e f"}


@pytest.mark.parametrize("name", ["n", "count_min_threshold"])
def test_numbers_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}=0"):
        extract_ngrams(TEXTS, **{name: 0})


def test_other_scripts_are_words_too():
    assert set(extract_ngrams(["Привет мир", "مرحبا"])) == {"привет", "мир", "مرحبا"}


def test_wordnet_is_used_where_its_data_is_installed(monkeypatch):
    class Lemmatizer:
        def lemmatize(self, word):
            return {"mice": "mouse"}.get(word, word)

    monkeypatch.setattr(nltk.data, "find", lambda place: place)
    monkeypatch.setattr(nltk.stem, "WordNetLemmatizer", Lemmatizer)
    assert extract_ngrams(["Mice!"], lemmatize=True) == ["mouse"]
