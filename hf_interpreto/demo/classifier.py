"""The demo classifier: a small BERT that names the emotion of a text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from hf_interpreto.demo.corpus import CORPUS_SEED
from hf_interpreto.demo.emotions import EMOTIONS, EmotionText, emotion_texts
from hf_interpreto.demo.training import Encoded, encode, fit, hide_word, pad, random_words, save_model, uniform

VOCABULARY_SIZE = 1200
MAX_LENGTH = 128
CARD = """---
license: mit
language: en
pipeline_tag: text-classification
---
# Demo classifier

A BERT of 2 layers and width 96 that names one of six emotions (sadness, joy, love, anger, fear, surprise). It is
trained on sentences made from templates (`hf_interpreto/demo/emotions.py`), in which the words that carry the emotion
are known, so it shows whether an explanation finds them. It is made for demonstrations and tests, not for real texts.
Made again by `python -m hf_interpreto.demo.train --only classifier`; its measured quality is in `metrics.json`.
"""
_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# What replaces a hidden word in training: mostly the mask, at times the other tokens that baselines are made of.
_REPLACEMENTS = ("[MASK]", "[MASK]", "[MASK]", "[MASK]", "[MASK]", "[MASK]", "[UNK]", "[PAD]")


def _vocabulary(texts: list[str]) -> dict[str, int]:
    """Learns the word pieces."""
    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.normalizer = normalizers.BertNormalizer(lowercase=True)
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY_SIZE,
        # Without a fixed number, letters within a word get one in the order of a hash table, another in every run,
        # and pieces that are equally frequent are then merged in another order.
        special_tokens=[*_SPECIALS, *(f"##{letter}" for letter in letters)],
        initial_alphabet=letters,
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    return learner.get_vocab()


def build_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Trains an uncased WordPiece tokenizer that falls back to letters, and to [UNK] for foreign scripts."""
    tokenizer = Tokenizer(models.WordPiece(_vocabulary(texts), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    # The special tokens come first in the vocabulary, in this order.
    begin, end = (("[CLS]", _SPECIALS.index("[CLS]")), ("[SEP]", _SPECIALS.index("[SEP]")))
    tokenizer.post_processor = processors.BertProcessing(end, begin)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_LENGTH,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> BertForSequenceClassification:
    """Makes the untrained model."""
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=192,
        max_position_embeddings=MAX_LENGTH,
        pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(EMOTIONS)),
        label2id={label: index for index, label in enumerate(EMOTIONS)},
    )
    return BertForSequenceClassification(config)


def soft_label(label: str | None) -> Tensor:
    """Gives the target distribution: nearly one-hot, or uniform where nothing tells the emotion. (c,)."""
    n = len(EMOTIONS)
    if label is None:
        return torch.full((n,), 1 / n)
    target = torch.full((n,), 0.01)
    target[EMOTIONS.index(label)] = 1 - 0.01 * (n - 1)
    return target


def hide_some(
    sample: EmotionText, encoded: Encoded, replacement: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Hides words at random, so that masked texts are nothing new to the model.

    Words beside the cue keep the label; without its cue a text has the uniform label.

    Returns:
        Token ids (l,) and target distribution (c,).
    """
    rate = 0.0 if uniform(generator) < 0.3 else uniform(generator)
    if sample.kind == "contrast":
        # Which of the two cues counts is told by the words between them.
        rate *= 0.15
    hidden = random_words(encoded.words, rate, generator) & ~encoded.is_cue
    label = sample.label
    if uniform(generator) < 0.25:
        hidden |= encoded.is_cue
        label = None
    return torch.where(hidden, torch.tensor(replacement), encoded.ids), soft_label(label)


def train_classifier(folder: Path, seed: int, log: Callable[[str], None], steps: int = 2200) -> dict[str, float]:
    """Trains, saves and measures the classifier.

    Args:
        folder: Where to write it.
        seed: Seed of the weights and of the order of the data.
        log: Takes lines on the progress.
        steps: Number of training steps of 64 texts.

    Returns:
        The measured quality; see `measure_classifier`.
    """
    samples = emotion_texts(14000) + emotion_texts(10000, kind="contrast") + emotion_texts(2000, kind="neutral")
    tokenizer = build_tokenizer([sample.text for sample in samples])
    rows = [encode(tokenizer, sample.text, sample.cues) for sample in samples]
    replacements = [tokenizer.get_vocab()[token] for token in _REPLACEMENTS]
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_model(tokenizer)

        def loss_of_step(step: int) -> Tensor:
            del step
            chosen = torch.randint(len(rows), (64,), generator=generator).tolist()
            replacement = replacements[int(uniform(generator) * len(replacements))]
            ids, targets = zip(*(hide_some(samples[i], rows[i], replacement, generator) for i in chosen), strict=True)
            mask = pad([torch.ones_like(row) for row in ids], 0)
            batch = pad(ids, tokenizer.pad_token_id)
            # Texts begin at any place, so that all positions are trained.
            shift = int(uniform(generator) * (MAX_LENGTH - batch.shape[1])) if uniform(generator) < 0.3 else 0
            positions = torch.arange(batch.shape[1])[None] + shift
            logits = model(input_ids=batch, attention_mask=mask, position_ids=positions).logits
            return torch.nn.functional.cross_entropy(logits, torch.stack(targets))

        fit(model, loss_of_step, steps, learning_rate=2e-3, weight_decay=0.01, log=log)
    save_model(model, tokenizer, folder, CARD)
    return measure_classifier(folder)


@torch.no_grad()
def measure_classifier(folder: Path, n: int = 600) -> dict[str, float]:
    """Measures the saved classifier on held-out combinations.

    Returns:
        `accuracy` on texts with one cue, `accuracy_contrast` on texts with two, `highest_probability_without_cue` (the
        mean over texts whose cue is masked; 1/6 is ideal), and `cue_first` (share of the texts with one cue in which
        masking a word of the cue lowers the predicted logit more than masking any other word).
    """
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    correct: dict[str, list[bool]] = {"single": [], "contrast": []}
    first, without = [], []
    for kind in ("single", "contrast"):
        for sample in emotion_texts(n, split="test", kind=kind, seed=CORPUS_SEED):
            row = encode(tokenizer, sample.text, sample.cues)
            hidden = [hide_word(row, word, tokenizer.mask_token_id) for word in range(int(row.words.max()) + 1)]
            no_cue = torch.where(row.is_cue, torch.tensor(tokenizer.mask_token_id), row.ids)
            logits = model(input_ids=torch.stack([row.ids, no_cue, *hidden])).logits
            predicted = int(logits[0].argmax())
            correct[kind].append(model.config.id2label[predicted] == sample.label)
            if kind == "single":
                strongest = int(logits[2:, predicted].argmin())
                first.append(bool(row.is_cue[row.words == strongest].any()))
                without.append(float(logits[1].softmax(-1).max()))
    return {
        "accuracy": sum(correct["single"]) / n,
        "accuracy_contrast": sum(correct["contrast"]) / n,
        "highest_probability_without_cue": round(sum(without) / n, 4),
        "cue_first": sum(first) / n,
    }
