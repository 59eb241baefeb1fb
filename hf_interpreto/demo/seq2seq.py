"""The demo encoder-decoder: a small T5 that translates English into French."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
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
from torch import Tensor
from transformers import (
    AutoModelForSeq2SeqLM,
    GenerationConfig,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from hf_interpreto.demo.training import (
    IGNORED,
    Encoded,
    encode,
    fit,
    hide_word,
    pad,
    random_words,
    save_model,
    uniform,
)
from hf_interpreto.demo.translations import Translation, translations

VOCABULARY_SIZE = 1100
MAX_LENGTH = 128
CARD = """---
license: mit
language: [en, fr]
pipeline_tag: translation
---
# Demo encoder-decoder

A T5 of 2 + 2 layers and width 96 that translates simple English sentences into French. The sentences are made from a
small lexicon (`hf_interpreto/demo/translations.py`), so it is known which English word each French word comes from,
and whether an explanation finds it. It is made for demonstrations and tests, not for real texts. `<mask>` stands for a
hidden word; the model has seen it in training.
Made again by `python -m hf_interpreto.demo.train --only seq2seq`; its measured quality is in `metrics.json`.
"""


def build_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Trains a BPE tokenizer, shared by the two languages, that falls back to letters."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Split(Regex(r"[.,;:!?]"), "isolated")]
    )
    tokenizer.decoder = decoders.Metaspace()
    mask = AddedToken("<mask>", special=True, lstrip=True)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=["<pad>", "</s>", "<unk>", mask],
        initial_alphabet=sorted({chr(code) for code in range(33, 127)} | set("▁àâçéèêëîïôùûüœÉÀ")),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", tokenizer.token_to_id("</s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_LENGTH,
        model_input_names=["input_ids", "attention_mask"],
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        mask_token=mask,
        clean_up_tokenization_spaces=False,
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> T5ForConditionalGeneration:
    """Makes the untrained model."""
    special = {
        "decoder_start_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=96,
        d_kv=24,
        d_ff=192,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=4,
        relative_attention_max_distance=32,
        relative_attention_num_buckets=16,
        dropout_rate=0.05,
        **special,
    )
    model = T5ForConditionalGeneration(config)
    model.generation_config = GenerationConfig(do_sample=False, num_beams=1, max_new_tokens=32, **special)
    return model


def hide_some(row: Encoded, replacement: int, generator: torch.Generator) -> Tensor:
    """Hides words of the source at random, so that masked texts are nothing new to the model: ids (l,)."""
    rate = 0.0 if uniform(generator) < 0.5 else 0.8 * uniform(generator)
    hidden = random_words(row.words, rate, generator)
    return torch.where(hidden, torch.tensor(replacement), row.ids)


def train_seq2seq(folder: Path, seed: int, log: Callable[[str], None], steps: int = 2000) -> dict[str, float]:
    """Trains, saves and measures the encoder-decoder.

    Args:
        folder: Where to write it.
        seed: Seed of the weights and of the order of the data.
        log: Takes lines on the progress.
        steps: Number of training steps of 64 sentences.

    Returns:
        The measured quality; see `measure_seq2seq`.
    """
    samples = translations(16000)
    tokenizer = build_tokenizer([text for sample in samples for text in (sample.source, sample.target)])
    sources = [encode(tokenizer, sample.source) for sample in samples]
    targets = [torch.tensor(tokenizer(sample.target)["input_ids"]) for sample in samples]
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_model(tokenizer)

        def loss_of_step(step: int) -> Tensor:
            del step
            chosen = torch.randint(len(sources), (64,), generator=generator).tolist()
            replacement = tokenizer.mask_token_id
            if uniform(generator) < 0.3:
                replacement = tokenizer.unk_token_id if uniform(generator) < 0.5 else tokenizer.pad_token_id
            ids = [hide_some(sources[i], replacement, generator) for i in chosen]
            mask = pad([torch.ones_like(row) for row in ids], 0)
            labels = pad([targets[i] for i in chosen], IGNORED)
            return model(input_ids=pad(ids, tokenizer.pad_token_id), attention_mask=mask, labels=labels).loss

        fit(model, loss_of_step, steps, learning_rate=3e-3, weight_decay=0.01, log=log)
    save_model(model, tokenizer, folder, CARD)
    return measure_seq2seq(folder)


def _aligned_first(
    model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, sample: Translation
) -> list[bool]:
    """Tells for each content word of the target whether masking its source word lowers its log-probability most."""
    source, target = encode(tokenizer, sample.source), encode(tokenizer, sample.target.rstrip("."))
    n_words = len(sample.source.split())
    hidden = [hide_word(source, word, tokenizer.mask_token_id) for word in range(n_words)]
    labels = target.ids.repeat(n_words, 1)
    logits = model(input_ids=torch.stack(hidden), labels=labels).logits
    scores = logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0]
    aligned = dict(sample.alignment)
    return [int(scores[:, target.words == word].sum(1).argmin()) == aligned[word] for word in sample.content]


@torch.no_grad()
def measure_seq2seq(folder: Path, n: int = 600) -> dict[str, float]:
    """Measures the saved model on held-out combinations.

    Returns:
        `exact_match` (share of the sentences translated word for word as in the corpus), and `aligned_first` (share of
        the content words of the translations whose log-probability falls most when their own source word is masked).
    """
    model = AutoModelForSeq2SeqLM.from_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    samples = translations(n, split="test")
    hits = 0
    for start in range(0, n, 50):
        batch = samples[start : start + 50]
        inputs = tokenizer([sample.source for sample in batch], return_tensors="pt", padding=True)
        decoded = tokenizer.batch_decode(model.generate(**inputs), skip_special_tokens=True)
        hits += sum(text == sample.target for text, sample in zip(decoded, batch, strict=True))
    first = [hit for sample in samples for hit in _aligned_first(model, tokenizer, sample)]
    return {"exact_match": hits / n, "aligned_first": sum(first) / len(first)}
