import pytest

from hf_interpreto.text import is_spaced, part_sentence_spans, sentence_spans, trim, word_spans


def _pieces(spans, text):
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I didn't; they’re O'Neil's", ["I", "didn't", ";", "they’re", "O'Neil's"]),
        ("state-of-the-art, well-known", ["state-of-the-art", ",", "well-known"]),
        ("an e- and a 'quote'", ["an", "e", "-", "and", "a", "'", "quote", "'"]),
        ("3.14 and 1,000 at 12:30 for $24.50!", ["3.14", "and", "1,000", "at", "12:30", "for", "$", "24.50", "!"]),
        ("No. 5.", ["No", ".", "5", "."]),
        ("Wait... what?! No!!! -- (ok)", ["Wait", "...", "what", "?", "!", "No", "!!!", "--", "(", "ok", ")"]),
        ("love 😀😀🎉 👍🏽", ["love", "😀😀", "🎉", "👍🏽"]),
        ("👨‍👩‍👧 home", ["👨‍👩‍👧", "home"]),
        ("café naïve cafe\u0301 Straße", ["café", "naïve", "cafe\u0301", "Straße"]),
        ("这部电影。", ["这", "部", "电", "影", "。"]),
        ("この映画は", ["こ", "の", "映", "画", "は"]),
        ("Hello世界abc 123元", ["Hello", "世", "界", "abc", "123", "元"]),
        ("안녕하세요 세계", ["안녕하세요", "세계"]),
        ("url.com/a_b", ["url", ".", "com", "/", "a_b"]),
        (" \u00a0 x\u3000y\n\tz", ["x", "y", "z"]),
        ("   ", []),
        ("", []),
    ],
)
def test_words_keep_contractions_hyphens_numbers_and_runs_of_punctuation_whole(text, words):
    assert _pieces(word_spans(text), text) == words


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Mr. Smith went. He left.", ["Mr. Smith went.", "He left."]),
        ("See e.g. Dr. Who, cf. that. Yes.", ["See e.g. Dr. Who, cf. that.", "Yes."]),
        ("J. K. Rowling wrote it. End", ["J. K. Rowling wrote it.", "End"]),
        ("Really!?! Yes.", ["Really!?!", "Yes."]),
        ("Wait... what? No", ["Wait...", "what?", "No"]),
        ("See url.com now. Version 1.2.3 is out.", ["See url.com now.", "Version 1.2.3 is out."]),
        ("很好看。我很喜欢！你呢？好", ["很好看。", "我很喜欢！", "你呢？", "好"]),
        ("「行く。」と言った。はい", ["「行く。」", "と言った。", "はい"]),
        ('"Stop." He left. (Really.) Yes', ['"Stop."', "He left.", "(Really.)", "Yes"]),
        ("One\n\nTwo\nthe same", ["One", "Two\nthe same"]),
        ("  lead. trail  ", ["lead.", "trail"]),
        ("no end", ["no end"]),
        (" \n ", []),
    ],
)
def test_sentences_end_at_marks_but_not_at_abbreviations_initials_or_inside_words(text, sentences):
    assert _pieces(sentence_spans(text), text) == sentences


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a; b, c: d.", ["a;", "b,", "c:", "d."]),
        ("It cost 1,000, at 12:30.", ["It cost 1,000,", "at 12:30."]),
        ("天气好，我去、你也去。", ["天气好，", "我去、", "你也去。"]),
        ("Mr. A, go. Now", ["Mr. A,", "go.", "Now"]),
    ],
)
def test_parts_of_sentences_also_end_at_commas_colons_and_semicolons(text, parts):
    assert _pieces(part_sentence_spans(text), text) == parts


@pytest.mark.parametrize("units", [word_spans, sentence_spans, part_sentence_spans])
@pytest.mark.parametrize(
    "text",
    [
        "I didn't, e.g. Mr. X's!?! 很好。 ok 😀",
        "a\u200bb\ufeff c\r\nd",
        "\u0301x ﬁ ½ ٣٫١٤",
        "สวัสดี ชาว",
        "...",
        "x",
    ],
)
def test_units_are_in_order_apart_and_leave_out_nothing_but_white_space(units, text):
    spans = units(text)
    covered = [index for start, end in spans for index in range(start, end)]
    assert covered == sorted(set(covered))
    assert all(start < end and text[start:end] == text[start:end].strip() for start, end in spans)
    assert not "".join(text[i] for i in range(len(text)) if i not in covered).strip()


def test_trim_takes_white_space_off_both_ends_but_leaves_white_space_alone():
    assert trim("a  bc \n d", (1, 7)) == (3, 5)
    assert trim("a  bc", (3, 5)) == (3, 5)
    assert trim("a   b", (1, 4)) == (1, 4)


def test_scripts_without_spaces_are_told_from_those_with():
    assert all(is_spaced(character) for character in "aéЖ1가.")
    assert not any(is_spaced(character) for character in "电このคມ")
