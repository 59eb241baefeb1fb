import pytest
from jinja2 import TemplateError

from hf_interpreto.testing import TINY_MODELS, tiny_tokenizer
from hf_interpreto.testing.tiny_tokenizers import MODEL_MAX_LENGTH

TEXTS = [
    "I didn't like the film; it cost $24.50!",
    '  two  spaces, then "quotes"',
    "El café está cerrado",
    "今天天气不好。我们不去公园。",
    "I love this 😀 so much 🎉",
]
NO_PADDING = {"gpt2", "gpt-neox", "llama", "mistral"}
SURROUNDED = {
    "bert": ("[CLS]", "[SEP]"),
    "roberta": ("<s>", "</s>"),
    "albert": ("[CLS]", "[SEP]"),
    "modernbert": ("[CLS]", "[SEP]"),
    "deberta-v2": ("[CLS]", "[SEP]"),
    "bart": ("<s>", "</s>"),
    "llama": ("<s>", None),
    "mistral": ("<s>", None),
    "gemma2": ("<bos>", None),
    "t5": (None, "</s>"),
    "marian": (None, "</s>"),
    "gpt2": (None, None),
    "gpt-neox": (None, None),
    "qwen2": (None, None),
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", TINY_MODELS)
def test_the_spans_of_the_tokens_cover_every_character_but_spaces(name, text):
    encoding = tiny_tokenizer(name)(text, return_offsets_mapping=True)
    covered = {index for start, end in encoding["offset_mapping"] for index in range(start, end)}
    assert {index for index, character in enumerate(text) if not character.isspace()} <= covered
    starts = [start for start, end in encoding["offset_mapping"] if end > start]
    assert starts == sorted(starts)


@pytest.mark.parametrize("name", TINY_MODELS)
def test_no_character_of_english_text_is_unknown(name):
    tokenizer = tiny_tokenizer(name)
    assert tokenizer.is_fast
    ids = tokenizer(TEXTS[0]).input_ids
    unknown = tokenizer.unk_token_id
    assert unknown not in ids
    assert 250 < len(tokenizer) < 450
    assert tokenizer.model_max_length == MODEL_MAX_LENGTH


@pytest.mark.parametrize("name", sorted(set(TINY_MODELS) - {"bert", "distilbert", "electra", "albert"}))
def test_cased_text_survives_a_round_trip(name):
    tokenizer = tiny_tokenizer(name)
    for text in (TEXTS[0], TEXTS[4]):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        assert tokenizer.decode(ids).strip() == text


@pytest.mark.parametrize(("name", "ends"), SURROUNDED.items())
def test_special_tokens_surround_the_text_as_in_the_family(name, ends):
    tokenizer = tiny_tokenizer(name)
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("a film").input_ids)
    first, last = ends
    special = set(tokenizer.all_special_tokens)
    assert tokens[0] == first if first else tokens[0] not in special
    assert tokens[-1] == last if last else tokens[-1] not in special


@pytest.mark.parametrize("name", TINY_MODELS)
def test_a_padding_token_exists_in_the_families_that_have_one(name):
    tokenizer = tiny_tokenizer(name)
    assert (tokenizer.pad_token is None) == (name in NO_PADDING)


@pytest.mark.parametrize("name", [name for name, tasks in TINY_MODELS.items() if "fill-mask" in tasks])
def test_the_mask_is_one_token_inside_text(name):
    tokenizer = tiny_tokenizer(name)
    ids = tokenizer(f"a {tokenizer.mask_token} film").input_ids
    assert ids.count(tokenizer.mask_token_id) == 1


@pytest.mark.parametrize("name", ["qwen2", "qwen3", "gemma2", "gemma3"])
def test_chat_messages_keep_their_turn_tokens_as_one_token_each(name):
    tokenizer = tiny_tokenizer(name)
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    opening = "<|im_start|>" if name.startswith("qwen") else "<start_of_turn>"
    assert text.count(opening) == 3
    assert ids.count(tokenizer.convert_tokens_to_ids(opening)) == 3
    assert tokenizer.convert_tokens_to_ids(opening) in tokenizer.all_special_ids


def test_gemma_refuses_a_system_message():
    with pytest.raises(TemplateError, match="no system role"):
        tiny_tokenizer("gemma2").apply_chat_template([{"role": "system", "content": "Be brief"}])


def test_a_change_to_one_tokenizer_does_not_reach_the_next():
    tiny_tokenizer("bert").add_tokens(["newtoken"])
    assert "newtoken" not in tiny_tokenizer("bert").get_vocab()


def test_an_unknown_name_is_refused_with_what_is_known():
    with pytest.raises(ValueError, match=r"unknown tiny tokenizer 'brt'.*bert"):
        tiny_tokenizer("brt")
