"""The distinct words, or word sequences, of a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Literal, overload

from hf_interpreto.text import sentence_spans, word_spans

# Endings of English plurals and of their singulars, the longest first.
_PLURALS = (
    ("ches", "ch"),
    ("shes", "sh"),
    ("sses", "ss"),
    ("men", "man"),
    ("ies", "y"),
    ("ves", "f"),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("s", ""),
)


@overload
def extract_ngrams(
    inputs: Iterable[str],
    n: int = 1,
    count_min_threshold: int = 1,
    return_counts: Literal[False] = False,
    lemmatize: bool = False,
    words_to_ignore: Collection[str] | None = None,
) -> list[str]: ...


@overload
def extract_ngrams(
    inputs: Iterable[str],
    n: int = 1,
    count_min_threshold: int = 1,
    *,
    return_counts: Literal[True],
    lemmatize: bool = False,
    words_to_ignore: Collection[str] | None = None,
) -> Counter[str]: ...


def extract_ngrams(
    inputs: Iterable[str],
    n: int = 1,
    count_min_threshold: int = 1,
    return_counts: bool = False,
    lemmatize: bool = False,
    words_to_ignore: Collection[str] | None = None,
) -> list[str] | Counter[str]:
    """The distinct words of texts, in lower case, and their sequences of up to `n` words; nothing is downloaded.

    A sequence lies within one sentence and has no punctuation mark in it; its words are joined by one blank.

    Args:
        inputs: the texts.
        n: words of the longest sequence.
        count_min_threshold: how often a sequence must occur.
        return_counts: return how often each sequence occurs.
        lemmatize: turn English plurals into singulars: by NLTK's WordNet where its data is installed, else by rules
            on endings, which only change a word whose singular stands in the texts too ("feelings" beside "feeling",
            never "was").
        words_to_ignore: words, in any case; a sequence that has one of them is left out.

    Returns:
        The sequences, the most frequent first, those of equal counts in order of appearance; or their counts.

    Raises:
        ValueError: `n` or `count_min_threshold` is below 1.

    Example:
        >>> extract_ngrams(["A cat sees cats.", "The cat sleeps."], lemmatize=True, count_min_threshold=2)
        ['cat']
    """
    for name, value in (("n", n), ("count_min_threshold", count_min_threshold)):
        if value < 1:
            raise ValueError(f"{name}={value} must be at least 1.")
    runs = [run for text in inputs for run in _runs(text)]
    if lemmatize:
        singular = _singular({word for run in runs for word in run})
        runs = [[singular(word) for word in run] for run in runs]
    ignored = {word.lower() for word in words_to_ignore or ()}
    counts = Counter(
        " ".join(run[start : start + length])
        for run in runs
        for length in range(1, n + 1)
        for start in range(len(run) - length + 1)
        if ignored.isdisjoint(run[start : start + length])
    )
    frequent = Counter({gram: count for gram, count in counts.most_common() if count >= count_min_threshold})
    return frequent if return_counts else list(frequent)


def _runs(text: str) -> list[list[str]]:
    """The words of a text in lower case, parted where a sentence ends or a punctuation mark stands."""
    runs: list[list[str]] = []
    for first, last in sentence_spans(text):
        sentence = text[first:last].lower()
        runs.append([])
        for start, end in word_spans(sentence):
            word = sentence[start:end]
            if any(character.isalnum() for character in word):
                runs[-1].append(word)
            else:
                runs.append([])
    return [run for run in runs if run]


def _singular(known: Collection[str]) -> Callable[[str], str]:
    """How plurals become singulars: by WordNet, else by rules that need the singular to be known."""
    import nltk

    for place in ("corpora/wordnet", "corpora/wordnet.zip"):
        try:
            nltk.data.find(place)
        except LookupError:
            continue
        return nltk.stem.WordNetLemmatizer().lemmatize
    return lambda word: _by_rules(word, known)


def _by_rules(word: str, known: Collection[str]) -> str:
    for ending, replacement in _PLURALS:
        if word.endswith(ending):
            singular = word.removesuffix(ending) + replacement
            if len(singular) > 2 and singular in known:
                return singular
    return word
