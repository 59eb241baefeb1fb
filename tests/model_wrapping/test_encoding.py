import warnings

import pytest
import torch
from transformers import BatchEncoding

from hf_interpreto.errors import InvalidInputError, TokenizerError, TruncationWarning
from hf_interpreto.granularity import Granularity, find_elements
from hf_interpreto.model_wrapping.encoding import TextEncoder, is_chat, needs_space
from hf_interpreto.testing import TINY_MODELS, slow_tokenizer, tiny_tokenizer
from hf_interpreto.testing.corpus import ALL_LINES

DECODERS = ["gpt2", "gpt-neox", "llama", "mistral", "qwen2", "gemma2"]
CASED = sorted(set(TINY_MODELS) - {"bert", "distilbert", "electra", "albert"})
PAIRED = ["bert", "roberta", "albert", "deberta-v2", "modernbert"]
TEXTS = [
    *ALL_LINES[::5],
    *ALL_LINES[-8:],
    "I love 😀😀🎉 👨‍👩‍👧 ok",
    "Hello世界abc retation",
    "two  spaces, 3.14 ... café",
]
CHATS = [
    [{"role": "user", "content": "How was the film?"}],
    [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "Hi, bye"},
    ],
    [{"role": "user", "content": "user"}],
    [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "assistant"},
        {"role": "user", "content": "n"},
    ],
    [{"role": "user", "content": "im_start\n\nend_of_turn"}],
]


def _words(encoding):
    return find_elements(Granularity.WORD, encoding.text, encoding.spans, encoding.special, [""] * len(encoding))


# -- texts and pairs -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TINY_MODELS)
def test_a_text_is_encoded_as_its_tokenizer_does_with_the_offsets_it_gives(name):
    tokenizer = tiny_tokenizer(name)
    encode = TextEncoder(tokenizer)
    for text in TEXTS:
        plain = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False)
        found = encode(text)
        assert found.text == text
        assert found.ids.tolist() == plain["input_ids"]
        assert found.special == [bool(flag) for flag in plain["special_tokens_mask"]]
        offsets = [span for span, special in zip(plain["offset_mapping"], found.special, strict=True) if not special]
        assert [s for s, special in zip(found.spans, found.special, strict=True) if not special] == offsets
        assert all(s is None for s, special in zip(found.spans, found.special, strict=True) if special)


@pytest.mark.parametrize("name", PAIRED)
def test_the_spans_of_a_pair_count_over_both_texts_joined_by_a_line_break(name):
    tokenizer = tiny_tokenizer(name)
    first, second = "The film was good.", "It wasn't."
    found = TextEncoder(tokenizer)((first, second))
    assert found.ids.tolist() == tokenizer(first, second)["input_ids"]
    assert found.text == f"{first}\n{second}"
    words = [element.text for element in _words(found)]
    assert words == ["The", "film", "was", "good", ".", "It", "wasn't", "."]
    assert all(found.text[slice(*element.span)] == element.text for element in _words(found))


def test_a_pair_can_be_given_as_a_mapping_and_keeps_its_token_types():
    tokenizer = tiny_tokenizer("bert")
    encode = TextEncoder(tokenizer)
    by_mapping, by_tuple = encode({"text": "a film", "text_pair": "a book"}), encode(("a film", "a book"))
    assert torch.equal(by_mapping.ids, by_tuple.ids)
    types = tokenizer("a film", "a book")["token_type_ids"]
    assert by_mapping.extras["token_type_ids"].tolist() == types
    assert set(types) == {0, 1}


def test_unknown_and_mask_tokens_stand_for_words_and_are_no_special_tokens():
    tokenizer = tiny_tokenizer("bert")
    found = TextEncoder(tokenizer)("the ☃ [MASK] film")
    assert {tokenizer.unk_token_id, tokenizer.mask_token_id} <= set(found.ids.tolist())
    assert found.special == [True, False, False, False, False, True]


def test_special_tokens_typed_in_the_text_are_special_but_keep_their_place():
    found = TextEncoder(tiny_tokenizer("llama"))("the </s> film")
    index = found.ids.tolist().index(tiny_tokenizer("llama").eos_token_id)
    assert found.special[index]
    assert found.text[slice(*found.spans[index])].strip() == "</s>"


@pytest.mark.parametrize("text", ["", "   ", "\n\t ", "\u00a0"])
def test_empty_text_and_white_space_are_refused(text):
    encode = TextEncoder(tiny_tokenizer("bert"))
    with pytest.raises(InvalidInputError, match="got an empty text; there is nothing to explain"):
        encode(text)
    with pytest.raises(InvalidInputError, match="got an empty text"):
        encode((text, text))


def test_one_side_of_a_pair_may_be_empty():
    assert TextEncoder(tiny_tokenizer("bert"))(("", "a film")).text == "\na film"


@pytest.mark.parametrize("item", [3, None, 1.5, ["a", "b"], ("a", "b", "c"), ("a", 1), [{"role": "user"}], object()])
def test_what_is_no_input_is_refused_with_all_that_is_accepted(item):
    with pytest.raises(InvalidInputError, match=r"cannot explain a \w+\. Accepted: a string, a \(text, text_pair\)"):
        TextEncoder(tiny_tokenizer("bert"))(item)


def test_a_mapping_without_ids_or_text_tells_what_it_has():
    with pytest.raises(InvalidInputError, match=r"got a mapping with \['label', 'words'\]; it needs 'input_ids', or"):
        TextEncoder(tiny_tokenizer("bert"))({"words": ["a"], "label": 1})


# -- limits ----------------------------------------------------------------------------------------


def test_a_text_over_the_limit_is_cut_with_a_warning_that_tells_both_lengths():
    tokenizer = tiny_tokenizer("bert")
    text = "good film " * 20
    with pytest.warns(TruncationWarning, match=r"An input of 42 tokens was cut to the 16 that the model can read"):
        found = TextEncoder(tokenizer, 16)(text)
    assert found.ids.tolist() == tokenizer(text, truncation=True, max_length=16)["input_ids"]
    assert found.text == text
    assert [element.text for element in _words(found)] == ["good", "film"] * 7


def test_a_text_of_just_the_limit_is_not_cut():
    tokenizer = tiny_tokenizer("bert")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(TextEncoder(tokenizer, 12)("good film " * 5)) == 12


def test_a_pair_over_the_limit_is_cut_too():
    with pytest.warns(TruncationWarning, match="cut to the 12"):
        found = TextEncoder(tiny_tokenizer("bert"), 12)(("good film " * 10, "bad book " * 10))
    assert len(found) == 12
    assert {element.text for element in _words(found)} == {"good", "film", "bad", "book"}


def test_a_cut_chat_gets_no_second_begin_of_text():
    tokenizer = tiny_tokenizer("gemma2")
    chat = [{"role": "user", "content": "good film " * 20}]
    with pytest.warns(TruncationWarning):
        found = TextEncoder(tokenizer, 24)(chat)
    assert found.ids.tolist().count(tokenizer.bos_token_id) == 1
    assert len(found) == 24


def test_token_ids_over_the_limit_are_refused_and_never_cut():
    encode = TextEncoder(tiny_tokenizer("bert"), 8)
    with pytest.raises(InvalidInputError, match=r"got 9 token ids, and the model reads 8\. Tokenize with trunc"):
        encode({"input_ids": list(range(10, 19))})
    assert len(encode({"input_ids": list(range(10, 18))})) == 8


@pytest.mark.parametrize("settings", [None, (5, 7)])
def test_the_tokenizer_is_the_same_before_and_after_a_cut(settings):
    tokenizer = tiny_tokenizer("bert")
    if settings:
        tokenizer.backend_tokenizer.enable_truncation(max_length=settings[0], stride=1)
        tokenizer.backend_tokenizer.enable_padding(length=settings[1], pad_token="[UNK]")
    before = tokenizer.backend_tokenizer.to_str()
    encode = TextEncoder(tokenizer, 16)
    with pytest.warns(TruncationWarning):
        encode("good film " * 20)
    encode("a film")
    assert tokenizer.backend_tokenizer.to_str() == before


# -- token ids without text ------------------------------------------------------------------------


@pytest.mark.parametrize("name", TINY_MODELS)
def test_ids_without_text_are_kept_as_given_and_their_spans_follow_from_decoding(name):
    tokenizer = tiny_tokenizer(name)
    encode = TextEncoder(tokenizer)
    for text in TEXTS:
        given = encode(text)
        found = encode({"input_ids": given.ids})
        content = [i for i, special in zip(given.ids.tolist(), given.special, strict=True) if not special]
        assert torch.equal(found.ids, given.ids)
        assert found.special == given.special
        assert found.text == tokenizer.decode(content, clean_up_tokenization_spaces=False)
        end, last = 0, None
        for span, special in zip(found.spans, found.special, strict=True):
            assert (span is None) is special
            if span is not None:
                assert span[0] == end or span == last, text
                end, last = span[1], span
        assert end == len(found.text)


@pytest.mark.parametrize("name", CASED)
def test_words_of_decoded_ids_have_the_same_tokens_as_words_of_the_text(name):
    encode = TextEncoder(tiny_tokenizer(name))
    for text in TEXTS:
        given = encode(text)
        assert [e.tokens for e in _words(encode.ids(given.ids))] == [e.tokens for e in _words(given)], text


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("container", [BatchEncoding, dict])
def test_padding_on_either_side_is_left_out(side, container):
    tokenizer = tiny_tokenizer("bert")
    tokenizer.padding_side = side
    padded = tokenizer(["a film", "the film was good"], padding=True, return_tensors="pt")
    row = container({name: value[0] for name, value in padded.items()})
    found = TextEncoder(tokenizer)(row)
    assert found.ids.tolist() == tokenizer("a film")["input_ids"]
    assert len(found.extras["token_type_ids"]) == len(found)


def test_one_row_may_keep_its_batch_dimension_but_several_rows_are_no_single_input():
    tokenizer = tiny_tokenizer("bert")
    encode = TextEncoder(tokenizer)
    row = tokenizer("a film", return_tensors="pt")
    assert encode(row).ids.tolist() == row["input_ids"][0].tolist()
    with pytest.raises(
        InvalidInputError, match=r"input_ids of shape \(2, 3\) for one input; expected \(l,\) or \(1, l\)"
    ):
        encode({"input_ids": torch.tensor([[5, 6, 7], [8, 9, 10]])})


def test_a_row_that_is_all_padding_is_refused():
    with pytest.raises(InvalidInputError, match="no token that counts; nothing to explain"):
        TextEncoder(tiny_tokenizer("bert"))({"input_ids": [0, 0], "attention_mask": [0, 0]})


def test_a_special_token_between_ids_parts_their_texts_by_a_line_break():
    tokenizer = tiny_tokenizer("qwen2")
    ids = tokenizer("a film<|im_end|>a book")["input_ids"]
    assert TextEncoder(tokenizer).ids(ids).text == "a film\na book"


# -- chats -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("name", ["qwen2", "gemma2"])
def test_just_what_the_template_adds_to_a_chat_is_special(name, chat):
    tokenizer = tiny_tokenizer(name)
    found = TextEncoder(tokenizer)(chat)
    rendered = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert found.text == rendered
    assert found.ids.tolist() == tokenizer(rendered, add_special_tokens=False)["input_ids"]
    # The contents are found from the end of each header on, which no content here holds.
    start, expected = 0, set()
    for message in chat:
        role = "model" if name == "gemma2" and message["role"] == "assistant" else message["role"]
        start = rendered.index(role + "\n", start) + len(role) + 1
        expected |= set(range(start, start + len(message["content"])))
        start += len(message["content"])
    for span, special in zip(found.spans, found.special, strict=True):
        assert special is not bool(expected & set(range(*span))), rendered[slice(*span)]


def test_template_tokens_are_attributed_on_request_but_control_tokens_never():
    tokenizer = tiny_tokenizer("qwen2")
    found = TextEncoder(tokenizer, attribute_template=True)(CHATS[0])
    control = [token in tokenizer.all_special_ids for token in found.ids.tolist()]
    assert any(control)
    assert found.special == control


def test_contents_are_still_found_where_a_template_treats_them_by_what_they_say():
    tokenizer = tiny_tokenizer("qwen2")
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m['content'] | upper if m['content'] == 'Hey' else 'Hey you' }}]{% endfor %}"
    )
    found = TextEncoder(tokenizer)([{"role": "user", "content": "you"}])
    shown = [found.text[slice(*s)] for s, special in zip(found.spans, found.special, strict=True) if not special]
    assert "".join(shown).strip() == "you"


def test_a_chat_needs_a_template():
    with pytest.raises(TokenizerError, match="got chat messages, but the tokenizer has no chat template"):
        TextEncoder(tiny_tokenizer("gpt2"))(CHATS[0])


def test_chats_are_told_from_lists_of_texts():
    assert is_chat(CHATS[0])
    assert not is_chat([])
    assert not is_chat(["text"])
    assert not is_chat([{"text": "a"}])


# -- prompt and target -----------------------------------------------------------------------------

JOINTS = [
    ("The film was", "very good", " "),
    ("The film was", " very good", ""),
    ("I love it", "!", ""),
    ("这部电影", "很好看。", ""),
    ("I like cats and", "dogs 😀", " "),
    ("The café", "était fermé", " "),
    ("He said", '"no" twice', " "),
    ("end.", "End", " "),
    ("x", "\n\ny", ""),
    ("a", "b", " "),
]


@pytest.mark.parametrize(("prompt", "target", "gap"), JOINTS)
@pytest.mark.parametrize("name", DECODERS)
def test_prompt_and_target_are_joined_as_running_text_and_the_prompt_keeps_its_tokens(name, prompt, target, gap):
    encode = TextEncoder(tiny_tokenizer(name))
    source = encode(prompt)
    whole, n = encode.continuation(source, target)
    assert n == len(source)
    assert torch.equal(whole.ids[:n], source.ids)
    assert whole.text == prompt + gap + target
    covered = {i for span in whole.spans[n:] for i in range(*span)}
    assert {i for i in range(len(prompt + gap), len(whole.text)) if not whole.text[i].isspace()} <= covered
    assert min(covered) >= len(prompt)


@pytest.mark.parametrize("name", DECODERS)
def test_a_space_typed_at_the_end_of_the_prompt_goes_to_the_target_as_in_running_text(name):
    tokenizer = tiny_tokenizer(name)
    encode = TextEncoder(tokenizer)
    whole, n = encode.continuation(encode("The film was, "), "then good")
    assert whole.text == "The film was, then good"
    assert whole.ids.tolist() == tokenizer("The film was, then good")["input_ids"]
    assert whole.ids[:n].tolist() == tokenizer("The film was,")["input_ids"]


@pytest.mark.parametrize("name", DECODERS)
def test_a_line_break_at_the_end_of_the_prompt_stays_with_the_prompt(name):
    tokenizer = tiny_tokenizer(name)
    encode = TextEncoder(tokenizer)
    prompt = encode("Well\n")
    whole, n = encode.continuation(prompt, "then")
    assert n == len(prompt)
    assert whole.ids.tolist() == tokenizer("Well\nthen")["input_ids"]


@pytest.mark.parametrize("attribute_template", [False, True])
@pytest.mark.parametrize("name", ["qwen2", "gemma2"])
def test_no_template_token_becomes_part_of_an_answer(name, attribute_template):
    encode = TextEncoder(tiny_tokenizer(name), attribute_template=attribute_template)
    prompt = encode(CHATS[0])
    whole, n = encode.continuation(prompt, "Fine.")
    assert n == len(prompt)
    assert whole.text[whole.spans[n][0] :] == "Fine."


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma2"])
def test_a_tokenizer_that_begins_texts_does_not_begin_the_target(name):
    tokenizer = tiny_tokenizer(name)
    encode = TextEncoder(tokenizer)
    whole, n = encode.continuation(encode("The film is"), "a test")
    assert whole.ids.tolist().count(tokenizer.bos_token_id) == 1
    assert whole.ids[0] == tokenizer.bos_token_id
    assert not any(whole.special[n:])


@pytest.mark.parametrize("name", DECODERS)
def test_a_target_that_would_merge_with_the_prompt_is_tokenised_apart(name):
    tokenizer = tiny_tokenizer(name)
    encode = TextEncoder(tokenizer)
    for prompt, target in [("I didn", "'t do it"), ("wai", "-t"), ("3", ".14"), ("...", "...")]:
        source = encode(prompt)
        whole, n = encode.continuation(source, target)
        assert torch.equal(whole.ids[:n], source.ids)
        assert whole.text == prompt + target


@pytest.mark.parametrize("name", DECODERS)
def test_special_tokens_typed_in_a_target_are_special_however_it_is_joined(name):
    tokenizer = tiny_tokenizer(name)
    encode = TextEncoder(tokenizer)
    for prompt in ("The film was", "The end" + tokenizer.eos_token):
        whole, n = encode.continuation(encode(prompt), f"good{tokenizer.eos_token} bad")
        special = [token for token, flag in zip(whole.ids[n:].tolist(), whole.special[n:], strict=True) if flag]
        assert special == [tokenizer.eos_token_id]


@pytest.mark.parametrize("name", DECODERS)
def test_target_ids_are_kept_whatever_they_are_and_spans_go_on_where_the_prompt_ends(name):
    tokenizer = tiny_tokenizer(name)
    encode = TextEncoder(tokenizer)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        prompt = encode(TEXTS[int(torch.randint(len(TEXTS), (1,), generator=generator))])
        target = torch.randint(len(tokenizer), (6,), generator=generator)
        whole, n = encode.extend(prompt, target)
        assert n == len(prompt)
        assert torch.equal(whole.ids, torch.cat([prompt.ids, target]))
        assert whole.text.startswith(prompt.text)
        assert all(len(prompt.text) <= s[0] <= s[1] <= len(whole.text) for s in whole.spans[n:] if s is not None)


@pytest.mark.parametrize("name", DECODERS)
def test_ids_split_anywhere_between_characters_are_written_as_the_whole_text(name):
    encode = TextEncoder(tiny_tokenizer(name))
    for text in ("I love 😀😀🎉 ok", "Le café est fermé, 电影", "retation  two"):
        given = encode(text)
        whole = encode.ids(given.ids)
        for cut in range(given.special.count(True) + 1, len(given)):
            if given.spans[cut] == given.spans[cut - 1]:
                continue
            joined, _ = encode.extend(encode.ids(given.ids[:cut]), given.ids[cut:])
            assert joined.text == whole.text
            assert joined.spans == whole.spans


@pytest.mark.parametrize("name", DECODERS)
def test_a_word_can_be_continued_by_ids(name):
    tokenizer = tiny_tokenizer(name)
    encode = TextEncoder(tokenizer)
    prompt, other = encode("we re"), encode("xtation")
    middle = [i for i, span in zip(other.ids.tolist(), other.spans, strict=True) if span and span[0] >= 1]
    whole, n = encode.extend(prompt, middle)
    assert whole.text == "we retation"
    assert whole.ids[n:].tolist() == middle


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("word", "next", True),
        ("word ", "next", False),
        ("word", " next", False),
        ("word", ", next", False),
        ("word,", "next", True),
        ("word", '"quoted"', True),
        ("word", "(aside)", True),
        ("word", "5", True),
        ("didn", "'t do it", False),
        ("they", "’RE", False),
        ("word", "'tis", True),
        ("电影", "很好", False),
        ("word", "很好", False),
        ("", "next", False),
        ("word", "", False),
    ],
)
def test_a_space_is_put_between_words_typed_apart_only_where_both_scripts_have_them(before, after, expected):
    assert needs_space(before, after) is expected


# -- slow tokenizers -------------------------------------------------------------------------------


def test_a_slow_tokenizer_knows_spans_only_where_it_writes_the_text_back():
    tokenizer = slow_tokenizer()
    encode = TextEncoder(tokenizer)
    same, other = encode("the film was good"), encode("The film was good")
    assert [same.text[slice(*span)].strip() for span in same.spans if span] == ["the", "film", "was", "good"]
    assert other.text == "The film was good"
    assert other.spans == [None] * 6
    assert other.special == [True, False, False, False, False, True]
    assert torch.equal(same.ids, other.ids)


def test_a_slow_tokenizer_joins_prompt_and_target_by_their_ids():
    tokenizer = slow_tokenizer()
    encode = TextEncoder(tokenizer, add_special_tokens=False)
    whole, n = encode.continuation(encode("the film"), "was good")
    assert n == 2
    assert whole.ids.tolist() == tokenizer("the film was good", add_special_tokens=False)["input_ids"]
