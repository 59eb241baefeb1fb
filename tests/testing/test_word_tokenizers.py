import pytest
import torch

from hf_interpreto.testing import slow_tokenizer, tiny_model, word_tokenizer


def test_a_slow_tokenizer_has_no_spans_and_feeds_the_tiny_bert():
    tokenizer = slow_tokenizer()
    assert not tokenizer.is_fast
    assert "offset_mapping" not in tokenizer("the film was great", return_offsets_mapping=True)
    batch = tokenizer(["The film was great", "a dog"], padding=True, return_tensors="pt")
    assert tokenizer.convert_ids_to_tokens(batch["input_ids"][0].tolist()) == [
        "[CLS]",
        "the",
        "film",
        "was",
        "great",
        "[SEP]",
    ]
    assert batch["attention_mask"].sum(dim=1).tolist() == [6, 4]
    model, fast = tiny_model("bert")
    assert tokenizer.get_vocab() == fast.get_vocab()
    assert torch.isfinite(model(**batch).logits).all()


def test_words_are_one_token_each_with_their_own_span():
    tokenizer = word_tokenizer(["good", "didn't"])
    encoding = tokenizer("good didn't bad", return_offsets_mapping=True)
    assert tokenizer.convert_ids_to_tokens(encoding["input_ids"]) == ["[CLS]", "good", "didn't", "[UNK]", "[SEP]"]
    assert encoding["offset_mapping"] == [(0, 0), (0, 4), (5, 11), (12, 15), (0, 0)]
    assert tokenizer.decode(encoding["input_ids"][1:3]) == "good didn't"


def test_special_tokens_can_be_left_out():
    tokenizer = word_tokenizer(["a", "b"], mask_token=None, pad_token=None, boundaries=False)
    assert tokenizer.convert_ids_to_tokens(tokenizer("a b").input_ids) == ["a", "b"]
    assert (tokenizer.pad_token, tokenizer.mask_token, tokenizer.cls_token) == (None, None, None)
    assert len(tokenizer) == 3


@pytest.mark.parametrize("words", [["a", "a"], ["a", "[MASK]"], ["a b"], [""]])
def test_words_that_cannot_be_one_token_are_refused(words):
    with pytest.raises(ValueError, match="word"):
        word_tokenizer(words)
