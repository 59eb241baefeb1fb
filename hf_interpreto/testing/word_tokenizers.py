"""Tokenizers that know whole words: one fast, for models with known answers, and one slow, without spans."""

from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizer, PreTrainedTokenizerFast

from hf_interpreto.testing.tiny_tokenizers import MODEL_MAX_LENGTH, tiny_tokenizer


def word_tokenizer(
    words: Sequence[str],
    *,
    mask_token: str | None = "[MASK]",
    pad_token: str | None = "[PAD]",
    boundaries: bool = True,
    padding_side: str = "right",
    model_max_length: int = 128,
) -> PreTrainedTokenizerFast:
    """Builds a fast tokenizer with one token per word; text is split at whitespace.

    Ids: the special tokens that are not None, in the order `[PAD] [UNK] [CLS] [SEP] [MASK]`, then `words` in order.

    Args:
        words: The vocabulary, without repeats; other words become `[UNK]`.
        mask_token: None for a tokenizer without a mask.
        pad_token: None for a tokenizer without padding.
        boundaries: Whether text becomes `[CLS] text [SEP]`; language models want False, and have no such tokens.
        padding_side: "right" or "left".
        model_max_length: Longest sequence, in tokens.

    Raises:
        ValueError: If a word is repeated, or has a space in it.

    Example:
        >>> word_tokenizer(["good", "film"]).tokenize("good film")
        ['good', 'film']
    """
    wanted = {
        "pad_token": pad_token,
        "unk_token": "[UNK]",
        "cls_token": "[CLS]" if boundaries else None,
        "sep_token": "[SEP]" if boundaries else None,
        "mask_token": mask_token,
    }
    special = {name: token for name, token in wanted.items() if token is not None}
    tokens = [*special.values(), *words]
    if len(set(tokens)) < len(tokens):
        raise ValueError(f"words must not be repeated, nor be special tokens; got {list(words)}")
    if spaced := [word for word in words if len(word.split()) != 1]:
        raise ValueError(f"a word is one run of characters without spaces; got {spaced}")
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(list(special.values()))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]" if boundaries else "$A",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1" if boundaries else "$A $B:1",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]") if boundaries],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=model_max_length,
        model_input_names=["input_ids", "attention_mask"],
        padding_side=padding_side,
        clean_up_tokenization_spaces=False,
        **special,
    )


class SlowWordTokenizer(PreTrainedTokenizer):
    """A tokenizer written in Python, which therefore knows no character spans: lower-cased words of a vocabulary."""

    def __init__(self, vocab: dict[str, int], **kwargs: Any) -> None:
        self.encoder = dict(vocab)
        self.decoder = {index: token for token, index in vocab.items()}
        super().__init__(special_tokens_pattern="cls_sep", **kwargs)

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return len(self.encoder)

    def get_vocab(self) -> dict[str, int]:
        """Returns the id of every token, added ones included."""
        return self.encoder | self.added_tokens_encoder

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        return text.lower().split()

    def _convert_token_to_id(self, token: str) -> int:
        return self.encoder.get(token, self.encoder["[UNK]"])

    def _convert_id_to_token(self, index: int) -> str:
        return self.decoder[index]


def slow_tokenizer() -> PreTrainedTokenizer:
    """Builds a tokenizer whose `is_fast` is False, with the vocabulary of `tiny_model("bert")`.

    transformers 5 ignores `return_offsets_mapping=True` here: the encoding has no spans, and nothing says so.
    """
    fast = tiny_tokenizer("bert")
    return SlowWordTokenizer(
        vocab=fast.get_vocab(),
        model_max_length=MODEL_MAX_LENGTH,
        clean_up_tokenization_spaces=False,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
