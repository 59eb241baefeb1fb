"""Trains a tokenizer in the style of each model family, on the short text of `corpus`.

A family's style is what attribution code can get wrong: which special tokens surround the text, whether a space
belongs to the token after it, and what happens to characters that were never seen. The same vocabulary comes out in
every process.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from hf_interpreto.testing.corpus import ALL_LINES, ENGLISH_LINES

_BYTE_TOKENS = tuple(f"<0x{byte:02X}>" for byte in range(256))
_QWEN_SPLIT = r"'(?:s|t|re|ve|m|ll|d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+"


def _surround(tokenizer: Tokenizer, before: str | None, after: str | None, joint: str | None = None) -> None:
    """Adds a template post-processor: `before text after`, and for pairs `before a joint b after`."""
    head = f"{before} " if before else ""
    tail = f" {after}" if after else ""
    middle = f" {joint}" if joint else tail
    used = {token for token in (before, after, *(joint or "").split()) if token}
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{head}$A{tail}",
        pair=f"{head}$A{middle} $B:1{tail}" + (":1" if after else ""),
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in sorted(used)],
    )


def wordpiece() -> Tokenizer:
    """Lower-cased WordPiece, `[CLS] text [SEP]` (BERT, DistilBERT, ELECTRA).

    The pieces are counted here because the library's own WordPiece trainer gives another vocabulary in each process:
    every character, the most frequent words, and the most frequent short word endings.
    """
    normalizer, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    words = [word for line in ALL_LINES for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(line))]
    characters = sorted({character for word in words for character in word})
    endings = [word[-length:] for word in words for length in (2, 3) if len(word) > length + 1]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{c}" for c in characters)]
    pieces += [word for word in _most_frequent(Counter(words)) if len(word) > 1][:120]
    pieces += [f"##{ending}" for ending in _most_frequent(Counter(endings))[:50]]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(pieces[:5])
    _surround(tokenizer, "[CLS]", "[SEP]")
    return tokenizer


def _most_frequent(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda piece: (-counts[piece], piece))


def _byte_level_bpe(first: Sequence[str], split: pre_tokenizers.PreTokenizer | None = None) -> Tokenizer:
    """Byte-level BPE with the special tokens `first` at the start of the vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split is None)
    tokenizer.pre_tokenizer = byte_level if split is None else pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=list(first),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(ENGLISH_LINES, trainer)
    return tokenizer


def roberta() -> Tokenizer:
    """`<s> text </s>`, spans without the space before a word (RoBERTa, BART)."""
    tokenizer = _byte_level_bpe(["<s>", "<pad>", "</s>", "<unk>"])
    # The space before a mask is part of the mask, as in the family: "a <mask>" has no lone space token.
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def gpt2() -> Tokenizer:
    """No token around the text; spans take in the space before a word."""
    tokenizer = _byte_level_bpe([])
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def gpt_neox() -> Tokenizer:
    """No token around the text; spans leave out the space before a word."""
    tokenizer = _byte_level_bpe(["<|endoftext|>"])
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return tokenizer


def qwen() -> Tokenizer:
    """No token around the text; digits are tokens of their own; a line break can be part of a piece."""
    split = pre_tokenizers.Split(Regex(_QWEN_SPLIT), behavior="isolated")
    tokenizer = _byte_level_bpe([], split)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def modernbert() -> Tokenizer:
    """`[CLS] text [SEP]` around byte-level pieces whose spans take in the space before."""
    tokenizer = _byte_level_bpe(["[UNK]", "[CLS]", "[SEP]", "[PAD]"])
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens([AddedToken("[MASK]", lstrip=True, special=True)])
    _surround(tokenizer, "[CLS]", "[SEP]")
    return tokenizer


def _sentencepiece_bpe(special: Sequence[str], vocab_size: int = 160) -> Tokenizer:
    """BPE over text whose spaces are `▁`, with one token per byte for characters that were never seen."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    learner.train_from_iterator(ENGLISH_LINES, trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False))
    learned = json.loads(learner.to_str())["model"]
    pieces = sorted(learned["vocab"], key=learned["vocab"].__getitem__)
    tokens = [*special, *_BYTE_TOKENS, "\n", *pieces]
    model = models.BPE(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=[tuple(merge) for merge in learned["merges"]],
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer = Tokenizer(model)
    tokenizer.add_special_tokens(list(special))
    return tokenizer


def llama(legacy: bool = False) -> Tokenizer:
    """`<s> text`; a space is put before the text, by the pre-tokenizer or (legacy files) by the normalizer."""
    tokenizer = _sentencepiece_bpe(["<unk>", "<s>", "</s>"])
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    spaces, one_space = decoders.Replace("▁", " "), decoders.Strip(" ", 1, 0)
    tokenizer.decoder = decoders.Sequence([spaces, decoders.ByteFallback(), decoders.Fuse(), one_space])
    _surround(tokenizer, "<s>", None)
    return tokenizer


def gemma() -> Tokenizer:
    """`<bos> text`; no space is put before the text."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"]
    tokenizer = _sentencepiece_bpe(special)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    spaces = decoders.Replace("▁", " ")
    tokenizer.decoder = decoders.Sequence([spaces, decoders.ByteFallback(), decoders.Fuse()])
    _surround(tokenizer, "<bos>", None)
    return tokenizer


def _unigram(special: Sequence[str], unk: str, normalizer: normalizers.Normalizer) -> Tokenizer:
    """Unigram over text whose spaces are `▁`, with `special` at the start of the vocabulary.

    A piece's score is the log of its share among all pieces of up to six characters. They are counted here because
    the library's own Unigram trainer gives another vocabulary in each process.
    """
    words = [f"▁{word}" for line in ALL_LINES for word in normalizer.normalize_str(line).split()]
    counts = Counter(word[i : i + n] for word in words for n in range(1, 7) for i in range(len(word) - n + 1))
    characters = sorted(piece for piece in counts if len(piece) == 1)
    longer = [piece for piece in _most_frequent(counts) if len(piece) > 1][:240]
    scores = [(piece, math.log(counts[piece] / counts.total())) for piece in (*characters, *longer)]
    model = models.Unigram([*((token, 0.0) for token in special), *scores], unk_id=special.index(unk))
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always", split=True)
    tokenizer.add_special_tokens(list(special))
    return tokenizer


def t5() -> Tokenizer:
    """`text </s>`, with sentinel tokens after the vocabulary."""
    tokenizer = _unigram(["<pad>", "</s>", "<unk>"], "<unk>", normalizers.NFKC())
    tokenizer.add_special_tokens([f"<extra_id_{index}>" for index in range(4)])
    _surround(tokenizer, None, "</s>")
    return tokenizer


def marian() -> Tokenizer:
    """`text </s>`, the same vocabulary for source and target, padding last."""
    tokenizer = _unigram(["</s>", "<unk>"], "<unk>", normalizers.NFKC())
    tokenizer.add_special_tokens(["<pad>"])
    _surround(tokenizer, None, "</s>")
    return tokenizer


def albert() -> Tokenizer:
    """`[CLS] text [SEP]`, lower-cased and without accents."""
    folding = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()])
    tokenizer = _unigram(["<pad>", "<unk>", "[CLS]", "[SEP]"], "<unk>", folding)
    tokenizer.add_special_tokens([AddedToken("[MASK]", lstrip=True, special=True)])
    _surround(tokenizer, "[CLS]", "[SEP]")
    return tokenizer


def deberta_v2() -> Tokenizer:
    """`[CLS] text [SEP]`, cased."""
    normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.NFKC()])
    tokenizer = _unigram(["[PAD]", "[CLS]", "[SEP]", "[UNK]"], "[UNK]", normalizer)
    tokenizer.add_special_tokens(["[MASK]"])
    _surround(tokenizer, "[CLS]", "[SEP]")
    return tokenizer
