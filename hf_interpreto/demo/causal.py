"""The demo causal language model: a small Llama that ends very short stories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from hf_interpreto.demo.stories import Story, stories
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

VOCABULARY_SIZE = 900
MAX_LENGTH = 256
END, MASK = "<|endoftext|>", "<|mask|>"
CARD = """---
license: mit
language: en
pipeline_tag: text-generation
---
# Demo causal language model

A Llama of 3 layers and width 96 that ends very short stories. In each of them one word, said earlier, decides a later
one (a job decides the place of work, a country the language, ...; see `hf_interpreto/demo/stories.py`), so it shows
whether an explanation finds that word. It is made for demonstrations and tests, not for real texts. `<|mask|>` stands
for a hidden word; the model has seen it in training.
Made again by `python -m hf_interpreto.demo.train --only causal`; its measured quality is in `metrics.json`.
"""
_TARGET_WEIGHT = 4.0


def build_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Trains a byte-level BPE tokenizer, which can spell any text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        # The mask takes the space before it, as the words do that it stands for.
        special_tokens=[AddedToken(END, special=True), AddedToken(MASK, special=True, lstrip=True)],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_LENGTH,
        model_input_names=["input_ids", "attention_mask"],
        bos_token=END,
        eos_token=END,
        unk_token=END,
        pad_token=END,
        mask_token=AddedToken(MASK, special=True, lstrip=True),
        clean_up_tokenization_spaces=False,
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Makes the untrained model."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=192,
        max_position_embeddings=MAX_LENGTH,
        tie_word_embeddings=True,
        attention_dropout=0.05,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=False,
        max_new_tokens=24,
    )
    return model


def encode_story(tokenizer: PreTrainedTokenizerFast, story: Story) -> tuple[Encoded, Tensor]:
    """Tokenises a whole story; also tells which of its tokens spell the decided word: (l,) bool."""
    begin = len(story.prompt) + 1
    row = encode(tokenizer, story.text, [story.cue])
    is_target = encode(tokenizer, story.text, [(begin, begin + len(story.target))]).is_cue
    return row, is_target


def hide_some(row: Encoded, is_target: Tensor, replacement: int, generator: torch.Generator) -> Tensor:
    """Hides words before the decided one at random, so that masked texts are nothing new to the model: ids (l,)."""
    rate = 0.0 if uniform(generator) < 0.4 else 0.9 * uniform(generator)
    before = torch.arange(len(row.ids)) < int(is_target.int().argmax())
    hidden = random_words(row.words, rate, generator) & ~row.is_cue
    if uniform(generator) < 0.15:
        hidden |= row.is_cue
    return torch.where(hidden & before, torch.tensor(replacement), row.ids)


def story_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Averages the loss of the next token, with more weight on the decided words."""
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].transpose(1, 2), labels[:, 1:], ignore_index=IGNORED, reduction="none"
    )
    weights = weights[:, 1:] * (labels[:, 1:] != IGNORED)
    return (losses * weights).sum() / weights.sum()


def train_causal(folder: Path, seed: int, log: Callable[[str], None], steps: int = 1600) -> dict[str, float]:
    """Trains, saves and measures the causal language model.

    Args:
        folder: Where to write it.
        seed: Seed of the weights and of the order of the data.
        log: Takes lines on the progress.
        steps: Number of training steps of 64 stories.

    Returns:
        The measured quality; see `measure_causal`.
    """
    samples = stories(16000)
    tokenizer = build_tokenizer([sample.text for sample in samples])
    rows = [encode_story(tokenizer, sample) for sample in samples]
    end = torch.tensor([tokenizer.eos_token_id])
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_model(tokenizer)

        def loss_of_step(step: int) -> Tensor:
            del step
            chosen = [rows[i] for i in torch.randint(len(rows), (64,), generator=generator).tolist()]
            replacement = tokenizer.eos_token_id if uniform(generator) < 0.15 else tokenizer.mask_token_id
            # Some batches begin with the token that other tokenizers put before every text.
            start = end if uniform(generator) < 0.2 else end[:0]
            ids = [
                torch.cat([start, hide_some(row, is_target, replacement, generator), end]) for row, is_target in chosen
            ]
            labels = [torch.cat([start, row.ids, end]) for row, _ in chosen]
            weights = [
                torch.cat([start * 0, 1 + (_TARGET_WEIGHT - 1) * is_target, end * 0 + 1]) for _, is_target in chosen
            ]
            mask = pad([torch.ones_like(row) for row in ids], 0)
            logits = model(input_ids=pad(ids, tokenizer.pad_token_id), attention_mask=mask).logits
            return story_loss(logits, pad(labels, IGNORED), pad(weights, 0))

        fit(model, loss_of_step, steps, learning_rate=3e-3, weight_decay=0.05, log=log)
    save_model(model, tokenizer, folder, CARD)
    return measure_causal(folder)


@torch.no_grad()
def measure_causal(folder: Path, n: int = 600) -> dict[str, float]:
    """Measures the saved model on held-out combinations.

    Returns:
        `accuracy` (share of the stories whose decided word is the likeliest one), the same for each kind, and
        `cue_first` (share in which masking the cue lowers the log-probability of the decided word more than masking
        any other word of the prompt).
    """
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    correct: dict[str, list[bool]] = {}
    first = []
    for story in stories(n, split="test"):
        row, is_target = encode_story(tokenizer, story)
        n_words = len(story.prompt.split())
        hidden = [hide_word(row, word, tokenizer.mask_token_id) for word in range(n_words)]
        log_probabilities = model(input_ids=torch.stack([row.ids, *hidden])).logits.log_softmax(-1)[:, :-1]
        target, at_target = row.ids[1:][is_target[1:]], is_target[1:]
        hit = bool((log_probabilities[0, at_target].argmax(-1) == target).all())
        scores = log_probabilities[1:, at_target].gather(-1, target.expand(n_words, -1)[..., None]).sum((1, 2))
        correct.setdefault(story.kind, []).append(hit)
        first.append(bool(row.is_cue[row.words == int(scores.argmin())].any()))
    by_kind = {f"accuracy_{kind}": sum(hits) / len(hits) for kind, hits in sorted(correct.items())}
    return {"accuracy": sum(map(sum, correct.values())) / n, **by_kind, "cue_first": sum(first) / n}
