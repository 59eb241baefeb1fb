"""Random models of two layers and width 32, for every architecture that the library promises to explain.

They are as varied as their families: tied and untied heads, absolute, relative and rotary positions, grouped
key-value heads, sliding windows, soft-capped logits, vocabularies padded beyond the tokenizer. Weights are large
enough that every token matters to the output, and small enough that no output is saturated.
"""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.pytorch_utils import Conv1D

from hf_interpreto.testing.tiny_tokenizers import MODEL_MAX_LENGTH, tiny_tokenizer

BIAS_STD = 0.2  # of biases and normalisation weights around their usual values

ProblemType = Literal["regression", "single_label_classification", "multi_label_classification"]

CLASSIFICATION = "text-classification"
GENERATION = "text-generation"
TAGGING = "token-classification"
FILL_MASK = "fill-mask"

_SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": MODEL_MAX_LENGTH,
}
_DECODER_SIZES = {**_SIZES, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128}
_GEMMA_SIZES = {
    **_DECODER_SIZES,
    "sliding_window": 8,
    "layer_types": ["sliding_attention", "full_attention"],
    "query_pre_attn_scalar": 8,
}
_ENCODER_DECODER_SIZES = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 128,
}


@dataclass(frozen=True)
class _Architecture:
    """One model family at tiny size."""

    model_type: str
    tasks: tuple[str, ...]
    settings: Mapping[str, Any]
    vocabulary_padding: int = 0
    embedding_std: float = 0.5
    weight_gain: float = 2.0  # a matrix maps inputs of variance 1 to outputs of this standard deviation


_ENCODER_TASKS = (CLASSIFICATION, TAGGING, FILL_MASK)
_DECODER_TASKS = (GENERATION, CLASSIFICATION, TAGGING)

_ARCHITECTURES: dict[str, _Architecture] = {
    "bert": _Architecture("bert", _ENCODER_TASKS, _SIZES),
    "distilbert": _Architecture(
        "distilbert",
        _ENCODER_TASKS,
        {"dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 4, "max_position_embeddings": MODEL_MAX_LENGTH},
    ),
    # Positions start after the padding id, so that two more rows are needed.
    "roberta": _Architecture(
        "roberta", _ENCODER_TASKS, {**_SIZES, "max_position_embeddings": MODEL_MAX_LENGTH + 2, "type_vocab_size": 1}
    ),
    "albert": _Architecture("albert", _ENCODER_TASKS, {**_SIZES, "embedding_size": 16}),
    "electra": _Architecture("electra", _ENCODER_TASKS, {**_SIZES, "embedding_size": 16}),
    "deberta-v2": _Architecture(
        "deberta-v2",
        _ENCODER_TASKS,
        {
            **_SIZES,
            "relative_attention": True,
            "position_biased_input": False,
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 16,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
        },
        vocabulary_padding=8,
    ),
    "modernbert": _Architecture(
        "modernbert",
        _ENCODER_TASKS,
        {**_SIZES, "local_attention": 8, "layer_types": ["full_attention", "sliding_attention"]},
    ),
    "gpt2": _Architecture(
        "gpt2", _DECODER_TASKS, {"n_embd": 32, "n_inner": 48, "n_layer": 2, "n_head": 4, "n_positions": 128}
    ),
    "gpt-neox": _Architecture("gpt_neox", _DECODER_TASKS, {**_SIZES, "max_position_embeddings": 128}),
    "llama": _Architecture("llama", _DECODER_TASKS, _DECODER_SIZES),
    "qwen2": _Architecture(
        "qwen2", _DECODER_TASKS, {**_DECODER_SIZES, "tie_word_embeddings": True}, vocabulary_padding=16
    ),
    "qwen3": _Architecture("qwen3", _DECODER_TASKS, _DECODER_SIZES),
    # These two multiply embeddings by the square root of the width.
    "gemma2": _Architecture("gemma2", _DECODER_TASKS, _GEMMA_SIZES, embedding_std=0.15),
    "gemma3": _Architecture("gemma3_text", (GENERATION, CLASSIFICATION), _GEMMA_SIZES, embedding_std=0.15),
    "mistral": _Architecture("mistral", _DECODER_TASKS, {**_DECODER_SIZES, "sliding_window": 8}),
    # With larger matrices, cross-attention drowns what the decoder has written, and it writes one token for ever.
    "t5": _Architecture(
        "t5",
        (GENERATION, CLASSIFICATION),
        {
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 48,
            "num_layers": 2,
            "num_heads": 4,
            "relative_attention_num_buckets": 8,
            "relative_attention_max_distance": 32,
        },
        weight_gain=1.0,
    ),
    "bart": _Architecture("bart", (GENERATION, CLASSIFICATION), _ENCODER_DECODER_SIZES, weight_gain=1.2),
    "marian": _Architecture("marian", (GENERATION,), _ENCODER_DECODER_SIZES, embedding_std=0.7, weight_gain=1.0),
}

TINY_MODELS: dict[str, tuple[str, ...]] = {name: spec.tasks for name, spec in _ARCHITECTURES.items()}
"""Every architecture that `tiny_model` builds, with its tasks; the first is the default."""

_AUTO_MODELS = {
    CLASSIFICATION: AutoModelForSequenceClassification,
    TAGGING: AutoModelForTokenClassification,
    FILL_MASK: AutoModelForMaskedLM,
    GENERATION: AutoModelForCausalLM,
}
_ENCODER_DECODERS = ("t5", "bart", "marian")


def tiny_model(
    name: str,
    *,
    task: str | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    num_labels: int = 3,
    problem_type: ProblemType | None = None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Builds a tiny random model with its tokenizer, offline, on the CPU, in evaluation mode.

    Matrices are drawn from N(0, gain² / fan-in), embeddings from N(0, std²), and biases and normalisation weights
    around their usual values. The global random state is left as it was.

    Args:
        name: An architecture of `TINY_MODELS`.
        task: One of the architecture's tasks; its first when None.
        seed: Same seed, same weights.
        dtype: Type of the weights, which are drawn in float32 and rounded.
        num_labels: Number of classes or tags; language models ignore it.
        problem_type: As in a transformers config; tells the losses and scores of a classifier apart.

    Returns:
        The model and a tokenizer of the same vocabulary; the model's embedding has more rows than the tokenizer has
        tokens for "qwen2" and "deberta-v2", as in those families.

    Raises:
        ValueError: If the architecture is unknown, or does not have the task.

    Example:
        >>> model, tokenizer = tiny_model("bert", task="text-classification")
        >>> model(**tokenizer("a great film", return_tensors="pt")).logits.shape
        torch.Size([1, 3])
    """
    if name not in _ARCHITECTURES:
        raise ValueError(f"unknown tiny model {name!r}. Known: {', '.join(TINY_MODELS)}")
    architecture = _ARCHITECTURES[name]
    task = architecture.tasks[0] if task is None else task
    if task not in architecture.tasks:
        raise ValueError(f"the tiny model {name!r} has no task {task!r}. It has: {', '.join(architecture.tasks)}")
    tokenizer = tiny_tokenizer(name)
    config = _tiny_config(architecture, tokenizer)
    if task in (CLASSIFICATION, TAGGING):
        config.num_labels = num_labels
        config.problem_type = problem_type
    auto_model = _AUTO_MODELS[task]
    if task == GENERATION and name in _ENCODER_DECODERS:
        auto_model = AutoModelForSeq2SeqLM
    # Only the CPU's random state is used, and so only that is put back.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        model = auto_model.from_config(config, dtype=dtype)
    _draw_weights(model, architecture, seed)
    return model.eval(), tokenizer


def _tiny_config(architecture: _Architecture, tokenizer: PreTrainedTokenizerFast) -> PreTrainedConfig:
    """Writes the special ids of the tokenizer into a config of the architecture."""
    special = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    if architecture.model_type == "modernbert":
        special |= {"cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id}
    if architecture.model_type in ("t5", "marian"):
        special["decoder_start_token_id"] = tokenizer.pad_token_id
    if architecture.model_type == "bart":
        special["decoder_start_token_id"] = tokenizer.eos_token_id
    if architecture.model_type in ("bart", "marian"):
        special["forced_eos_token_id"] = tokenizer.eos_token_id
    vocab_size = len(tokenizer) + architecture.vocabulary_padding
    settings = copy.deepcopy(dict(architecture.settings))  # a config keeps, and may change, the lists it is given
    return AutoConfig.for_model(architecture.model_type, vocab_size=vocab_size, **special, **settings)


def _draw_weights(model: PreTrainedModel, architecture: _Architecture, seed: int) -> None:
    """Replaces every trainable weight in place; fixed ones, such as sinusoidal positions, stay."""
    generator = torch.Generator().manual_seed(seed)
    drawn: set[int] = set()  # tied weights are met more than once
    with torch.no_grad():
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if id(parameter) not in drawn and parameter.requires_grad:
                    drawn.add(id(parameter))
                    parameter.copy_(_drawn(module, name, parameter.float(), architecture, generator))


def _drawn(
    module: nn.Module, name: str, initial: torch.Tensor, architecture: _Architecture, generator: torch.Generator
) -> torch.Tensor:
    """Draws one weight of a module, of the shape of its `initial` value."""
    noise = torch.randn(initial.shape, generator=generator)
    if isinstance(module, nn.Embedding):
        return noise * architecture.embedding_std
    if initial.ndim >= 2:
        fan_in = initial.shape[0] if isinstance(module, Conv1D) else initial.shape[1]
        return noise * architecture.weight_gain / math.sqrt(fan_in)
    if name != "weight":
        return initial + noise * BIAS_STD
    # A normalisation multiplies by its weight where that starts at one, and by one plus its weight where it starts at
    # zero. Random signs keep the residual stream from lining up with the output embedding it is tied to, which would
    # make every language model repeat its last token.
    signs = torch.randint(0, 2, initial.shape, generator=generator) * 2 - 1
    return signs * (1 + noise * BIAS_STD) + initial - 1
