from collections import Counter

import pytest
import torch

from hf_interpreto.errors import TokenizerError, UnknownNameError
from hf_interpreto.granularity import (
    Element,
    Granularity,
    GranularityAggregationStrategy,
    find_elements,
    pool,
    pooling_matrix,
)
from hf_interpreto.testing import TINY_MODELS, tiny_tokenizer
from hf_interpreto.testing.corpus import ALL_LINES

STRATEGIES = list(GranularityAggregationStrategy)
UNITS = [Granularity.WORD, Granularity.SENTENCE, Granularity.PART_SENTENCE]
FAMILIES = ["bert", "roberta", "gpt2", "gpt-neox", "qwen2", "modernbert", "llama", "mistral", "gemma2", "t5", "albert"]
TEXTS = [
    *ALL_LINES[::4],
    *ALL_LINES[-8:],
    "I didn't, we're well-known; it's O'Neil's 3.14 1,000 12:30 $24.50!",
    "Wait... what?!?! No!!! -- (ok) Mr. Smith, e.g. url.com",
    "😀😀🎉 👨‍👩‍👧 👍🏽 cafe\u0301",
    "Hello世界abc 123元 Tokyoは コーヒー 안녕하세요 สวัสดี",
    "  lead\n\n two  spaces\tand\u00a0x\u3000y\r\n  ",
    "ﬁne ½ ① 𝕳𝖊 x\u200by \ufeff z İß",
    "<s> [MASK] <|endoftext|> typed",
    "a",
    "。",
]


def _tokenized(tokenizer, text):
    """Spans (None for what the tokenizer adds), special flags and tokens, straight from the tokenizer."""
    encoded = tokenizer(text, return_offsets_mapping=True, verbose=False)
    owners = encoded.sequence_ids()
    spans = [
        None if owner is None else tuple(span) for owner, span in zip(owners, encoded["offset_mapping"], strict=True)
    ]
    return spans, [owner is None for owner in owners], tokenizer.convert_ids_to_tokens(encoded["input_ids"])


@pytest.mark.parametrize("granularity", sorted(set(Granularity), key=str))
@pytest.mark.parametrize("name", TINY_MODELS)
def test_every_token_that_is_not_special_belongs_to_exactly_one_element_in_order(name, granularity):
    tokenizer = tiny_tokenizer(name)
    for text in TEXTS:
        spans, special, tokens = _tokenized(tokenizer, text)
        elements = find_elements(granularity, text, spans, special, tokens)
        owners = Counter(token for element in elements for token in element.tokens)
        wanted = [i for i, added in enumerate(special) if not added or granularity is Granularity.ALL_TOKENS]
        assert owners == Counter(wanted), text
        flat = [token for element in elements for token in element.tokens]
        assert flat == sorted(flat), text


@pytest.mark.parametrize("granularity", sorted(set(Granularity), key=str))
@pytest.mark.parametrize("name", TINY_MODELS)
def test_elements_are_their_exact_text_and_never_overlap(name, granularity):
    tokenizer = tiny_tokenizer(name)
    for text in TEXTS:
        end = 0
        for element in find_elements(granularity, text, *_tokenized(tokenizer, text)):
            if element.span is None:
                assert granularity is Granularity.ALL_TOKENS
                continue
            assert end <= element.span[0] <= element.span[1], text
            end = element.span[1]
            shown = text[slice(*element.span)]
            assert shown == element.text or (granularity not in UNITS and shown == ""), text
            assert shown == shown.strip() or (granularity not in UNITS and shown.isspace()), text


@pytest.mark.parametrize("name", TINY_MODELS)
def test_every_visible_character_stands_in_a_word(name):
    tokenizer = tiny_tokenizer(name)
    for text in TEXTS:
        elements = find_elements(Granularity.WORD, text, *_tokenized(tokenizer, text))
        covered = {index for element in elements for index in range(*element.span)}
        visible = {i for i, character in enumerate(text) if character.isprintable() and not character.isspace()}
        assert visible <= covered, text


def _words(name, text):
    return [element.text for element in find_elements(Granularity.WORD, text, *_tokenized(tiny_tokenizer(name), text))]


@pytest.mark.parametrize("name", FAMILIES)
def test_english_words_are_the_same_for_every_kind_of_tokenizer(name):
    text = "I didn't like the well-known café (it) cost 3.14 ... really?"
    expected = [
        "I",
        "didn't",
        "like",
        "the",
        "well-known",
        "café",
        "(",
        "it",
        ")",
        "cost",
        "3.14",
        "...",
        "really",
        "?",
    ]
    assert _words(name, text) == expected


def test_chinese_words_are_single_characters_for_wordpiece_and_byte_fallback():
    text = "这部电影很好看。"
    assert _words("bert", text) == list(text)
    assert _words("llama", text) == list(text)


def test_units_that_share_a_token_become_one_element():
    spans = [(0, 2), (2, 4), (4, 5)]
    found = find_elements(Granularity.WORD, "电影很好看", spans, [False] * 3, list("abc"))
    assert [element.text for element in found] == ["电影", "很好", "看"]


def test_a_chain_of_tokens_that_straddle_words_is_one_element():
    text = "ab cd ef"
    found = find_elements(Granularity.WORD, text, [(0, 4), (4, 7), (7, 8)], [False] * 3, list("xyz"))
    assert [(element.text, element.tokens) for element in found] == [("ab cd ef", (0, 1, 2))]


def test_a_token_of_white_space_joins_what_follows_it_and_the_last_joins_what_stands_before():
    text = "a \n b "
    spans = [(0, 1), (1, 2), (2, 3), (3, 5), (5, 6)]
    found = find_elements(Granularity.WORD, text, spans, [False] * 5, list("vwxyz"))
    assert [(element.text, element.tokens) for element in found] == [("a", (0,)), ("b", (1, 2, 3, 4))]


def test_the_bytes_of_one_character_are_one_word_and_only_the_first_token_shows_it():
    spans = [(0, 1), (0, 1), (0, 1)]
    (word,) = find_elements(Granularity.WORD, "€", spans, [False] * 3, ["<0xE2>", "<0x82>", "<0xAC>"])
    assert (word.text, word.tokens) == ("€", (0, 1, 2))
    tokens = find_elements(Granularity.TOKEN, "€", spans, [False] * 3, ["<0xE2>", "<0x82>", "<0xAC>"])
    assert [token.text for token in tokens] == ["€", "<0x82>", "<0xAC>"]
    assert [token.span for token in tokens] == [(0, 1), (1, 1), (1, 1)]


def test_special_tokens_are_elements_only_among_all_tokens():
    spans, special, tokens = [None, (0, 2), None], [True, False, True], ["[CLS]", "hi", "[SEP]"]
    everything = find_elements(Granularity.ALL_TOKENS, "hi", spans, special, tokens)
    assert [element.text for element in everything] == ["[CLS]", "hi", "[SEP]"]
    for granularity in (Granularity.TOKEN, *UNITS):
        assert [e.tokens for e in find_elements(granularity, "hi", spans, special, tokens)] == [(1,)]


@pytest.mark.parametrize("granularity", UNITS)
def test_units_of_text_without_offsets_are_refused_with_a_way_out(granularity):
    with pytest.raises(TokenizerError, match=r"slow tokenizer cannot tell.*use_fast=True.*granularity='token'"):
        find_elements(granularity, "hi", [None, None], [True, False], ["[CLS]", "hi"])


def test_tokens_without_offsets_show_as_the_tokenizer_writes_them():
    found = find_elements(Granularity.TOKEN, "hi", [None, None], [True, False], ["[CLS]", "hi"])
    assert found == [Element("hi", (1,))]


@pytest.mark.parametrize("value", ["word", "WORD", "Word", Granularity.WORD])
def test_a_granularity_is_parsed_in_any_case(value):
    assert Granularity.parse(value) is Granularity.WORD


def test_unknown_granularities_and_poolings_are_told_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match="unknown granularity 'words'; did you mean 'word'"):
        Granularity.parse("words")
    with pytest.raises(UnknownNameError, match="unknown granularity 3"):
        Granularity.parse(3)
    with pytest.raises(UnknownNameError, match="unknown pooling 'signedmax'; did you mean 'signed_max'"):
        GranularityAggregationStrategy.parse("signedmax")


def test_the_default_of_the_enumeration_is_all_tokens_and_members_print_as_their_names():
    assert Granularity.DEFAULT is Granularity.ALL_TOKENS
    assert str(Granularity.PART_SENTENCE) == "part_sentence"
    assert str(GranularityAggregationStrategy.SIGNED_MAX) == "signed_max"


def _by_hand(values, strategy):
    match strategy.value:
        case "mean":
            return sum(values) / len(values)
        case "sum":
            return sum(values)
        case "max":
            return max(values)
        case "min":
            return min(values)
        case "signed_max":
            return max(values, key=abs)
        case "first":
            return values[0]
        case _:
            return values[-1]


@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 3, 7)])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_pooling_equals_a_plain_loop(strategy, shape):
    scores = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    elements = [Element("a", (1,)), Element("b", (2, 3, 5)), Element("c", (6,)), Element("d", (0, 4))]
    found = pool(scores, elements, strategy).reshape(-1, 4)
    for row, values in zip(found.tolist(), scores.reshape(-1, 7).tolist(), strict=True):
        assert row == pytest.approx([_by_hand([values[i] for i in e.tokens], strategy) for e in elements], abs=1e-12)


@pytest.mark.parametrize("strategy", [strategy for strategy in STRATEGIES if strategy.is_linear])
def test_linear_pooling_is_its_matrix(strategy):
    scores = torch.randn(3, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    elements = [Element("a", (0, 2)), Element("b", (1, 3, 4)), Element("c", (5,))]
    assert torch.allclose(scores @ pooling_matrix(elements, 6, strategy), pool(scores, elements, strategy), atol=1e-12)


def test_just_max_min_and_signed_max_are_not_linear():
    scores = torch.randn(2, 50, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for strategy in STRATEGIES:
        together = strategy.aggregate(scores.sum(0))
        apart = strategy.aggregate(scores[0]) + strategy.aggregate(scores[1])
        assert torch.allclose(together, apart, atol=1e-12) is strategy.is_linear


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_any_dimension_can_be_pooled(strategy):
    scores = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(3))
    assert torch.equal(strategy.aggregate(scores, dim=1), strategy.aggregate(scores.transpose(1, 2), dim=-1))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_tokens_that_no_model_reads_count_as_zero(strategy):
    scores = torch.tensor([[1.0, -2.0]])
    elements = [Element("a", (0,)), Element("b", (1, 2)), Element("c", (3,))]
    found = pool(scores, elements, strategy)[0].tolist()
    assert found == [1.0, _by_hand([-2.0, 0.0], strategy), 0.0]


def test_an_element_moves_with_what_stands_before_it():
    assert Element("b", (0, 1), (2, 3), frozen=True).shifted(5, 10) == Element("b", (5, 6), (12, 13), frozen=True)
    assert Element("b", (0,)).shifted(5, 10) == Element("b", (5,))
