"""Models under test: two random ones made here once, and the trained one of the kit."""

import json
import os
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from tests.benchmarks.cases import CLASSIFIER, EMOTION, GENERATOR, SENTENCES
from tests.benchmarks.environments import REPOSITORY

LAYERS, WIDTH, HEADS = 4, 256, 4
BERT_VOCABULARY = 30_522
GPT2_VOCABULARY = 50_257
POSITIONS = 2_048
# Small enough that some words of the sentences fall into several pieces, as words do.
PIECES = 400


def folder_of(name: str, made: Path) -> Path | None:
    """Folder with the saved model `name`.

    Args:
        name: One of `MODELS`.
        made: Folder under which the random models are saved, on first use.

    Returns:
        The folder, or None when the model belongs to the kit and the kit is absent.
    """
    if name == EMOTION:
        kit = Path(os.environ.get("HF_INTERPRETO_KIT", REPOSITORY / "../shared/kit"))
        folder = (kit / "models" / EMOTION).resolve()
        return folder if folder.is_dir() else None
    folder = made / name
    if not (folder / "config.json").is_file():
        model, tokenizer = {CLASSIFIER: make_classifier, GENERATOR: make_generator}[name]()
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)
    return folder


def make_classifier() -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """BERT-like, six labels, WordPiece of a few hundred pieces padded to BERT's vocabulary size."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=PIECES, special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=_padded(tokenizer, BERT_VOCABULARY),
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=POSITIONS,
    )
    config = BertConfig(
        vocab_size=BERT_VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=POSITIONS,
        num_labels=6,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BertForSequenceClassification(config).eval(), fast


def make_generator() -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """GPT-2-like, byte-level BPE with one token per word of the sentences, padded to GPT-2's vocabulary size."""
    end = "<|endoftext|>"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=GPT2_VOCABULARY,
        special_tokens=[end],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # The second form teaches the first word of a sentence as it looks inside a text.
    tokenizer.train_from_iterator([*SENTENCES, *(f" {sentence}." for sentence in SENTENCES)], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=_padded(tokenizer, GPT2_VOCABULARY),
        bos_token=end,
        eos_token=end,
        unk_token=end,
        model_max_length=POSITIONS,
    )
    identifier = fast.convert_tokens_to_ids(end)
    config = GPT2Config(
        vocab_size=GPT2_VOCABULARY,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        n_positions=POSITIONS,
        bos_token_id=identifier,
        eos_token_id=identifier,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return GPT2LMHeadModel(config).eval(), fast


def _padded(tokenizer: Tokenizer, size: int) -> Tokenizer:
    """The same tokenizer with entries that no text reaches, so that its length equals the model's vocabulary.

    Without them a library that resizes the embeddings to the tokenizer's length would shrink the vocabulary head, and
    be timed on a smaller model.
    """
    state = json.loads(tokenizer.to_str())
    vocabulary = state["model"]["vocab"]
    for index in range(len(vocabulary), size):
        vocabulary[f"<unused {index}>"] = index
    return Tokenizer.from_str(json.dumps(state))
