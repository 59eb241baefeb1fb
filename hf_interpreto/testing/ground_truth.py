"""Models whose attributions are known exactly, so that a method's answer can be compared with the truth.

Each is an ordinary `PreTrainedModel`: it takes `input_ids` or `inputs_embeds` with an `attention_mask`, reads its
embeddings through `get_input_embeddings()`, and can be saved and loaded. Special tokens (and with them the mask token,
the usual replacement) have embeddings of zero; they and the padding add nothing to any output.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    DynamicCache,
    GenerationMixin,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.modeling_outputs import CausalLMOutputWithPast, SequenceClassifierOutput


class GroundTruthConfig(PreTrainedConfig):
    """Sizes that the models of this module share, and the `special_ids` that add nothing to an output."""

    model_type = "hf-interpreto-ground-truth"

    vocab_size: int = 16
    hidden_size: int = 16
    special_ids: tuple[int, ...] = ()
    num_hidden_layers: int = 1
    num_attention_heads: int = 1


class LinearTextConfig(GroundTruthConfig):
    """Config of `LinearTextForSequenceClassification`."""

    model_type = "hf-interpreto-linear-text"


class PairGameConfig(GroundTruthConfig):
    """Config of `PairGameForSequenceClassification`."""

    model_type = "hf-interpreto-pair-game"


class ShiftCopyConfig(GroundTruthConfig):
    """Config of `ShiftCopyForCausalLM`: how far back it copies from, and how surely."""

    model_type = "hf-interpreto-shift-copy"

    shift: int = 1
    sharpness: float = 10.0
    use_cache: bool = True


class _GroundTruthModel(PreTrainedModel):
    """An embedding whose special rows are zero, and the rows of a batch that count."""

    config_class = GroundTruthConfig
    base_model_prefix = "model"

    def __init__(self, config: GroundTruthConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)

    def _init_weights(self, module: nn.Module) -> None:
        """Leaves weights to the functions that build the models: they are given, not drawn here."""

    def _counted_embeddings(
        self, input_ids: Tensor | None, inputs_embeds: Tensor | None, attention_mask: Tensor | None
    ) -> Tensor:
        """Returns embeddings (b, l, d), zero at padding and, where ids are given, at special tokens."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        embeddings = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        if attention_mask is not None:
            embeddings = embeddings * attention_mask[:, -embeddings.shape[1] :, None].to(embeddings.dtype)
        if input_ids is not None:
            embeddings = embeddings * self._is_word(input_ids).unsqueeze(-1).to(embeddings.dtype)
        return embeddings

    def _is_word(self, input_ids: Tensor) -> Tensor:
        return ~torch.isin(input_ids, input_ids.new_tensor(self.config.special_ids))


class LinearTextForSequenceClassification(_GroundTruthModel):
    """A bag of words under a linear layer: `logits = sum over words of E[word] Wᵀ + b`.

    The exact attribution of a token, for a baseline of zero and for every method that is right about linear models,
    is `E[token] Wᵀ`: see `contributions`.
    """

    config_class = LinearTextConfig

    def __init__(self, config: LinearTextConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels or 2)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **_: Any,
    ) -> SequenceClassifierOutput:
        """Returns logits (b, num_labels)."""
        words = self._counted_embeddings(input_ids, inputs_embeds, attention_mask)
        return SequenceClassifierOutput(logits=self.classifier(words.sum(dim=1)))

    @torch.no_grad()
    def contributions(self, input_ids: Tensor) -> Tensor:
        """Returns the exact share (l, num_labels) of each token of one sequence (l,) in the logits."""
        words = self.embed_tokens(input_ids) * self._is_word(input_ids).unsqueeze(-1)
        return words @ self.classifier.weight.T


class PairGameForSequenceClassification(_GroundTruthModel):
    """A game of two labels: `v = sum of w[word] + sum over pairs of V[word, word']`, `logits = (-v, v)`.

    The exact Shapley value of a word, for label 1 and absent words replaced by a special token, is
    `w[word] + ½ sum over the other words of V[word, word']`: see `shapley_values`. A model without interactions is one
    without pairs; integrated gradients from zero give the Shapley values too, as `v` has degree two.
    """

    config_class = PairGameConfig

    def __init__(self, config: PairGameConfig) -> None:
        super().__init__(config)
        self.word_weights = nn.Parameter(torch.zeros(config.vocab_size))
        self.pair_weights = nn.Parameter(torch.zeros(config.vocab_size, config.vocab_size))  # symmetric
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **_: Any,
    ) -> SequenceClassifierOutput:
        """Returns logits (b, 2)."""
        words = self._counted_embeddings(input_ids, inputs_embeds, attention_mask)
        bag = words.sum(dim=1)
        with_itself = torch.einsum("bld,de,ble->b", words, self.pair_weights, words)
        pairs = (torch.einsum("bd,de,be->b", bag, self.pair_weights, bag) - with_itself) / 2
        value = bag @ self.word_weights + pairs
        return SequenceClassifierOutput(logits=torch.stack([-value, value], dim=-1))

    @torch.no_grad()
    def shapley_values(self, input_ids: Tensor) -> Tensor:
        """Returns the exact Shapley values (l, 2), one column per label, of the tokens of one sequence (l,)."""
        present = self._is_word(input_ids).to(self.word_weights.dtype)
        pairs = self.pair_weights[input_ids][:, input_ids] * present[:, None] * present[None, :]
        values = self.word_weights[input_ids] * present + (pairs.sum(dim=1) - pairs.diagonal()) / 2
        return torch.stack([-values, values], dim=-1)


class ShiftCopyForCausalLM(_GroundTruthModel, GenerationMixin):
    """A language model that copies: the token after position i is the one at position i - shift.

    `logits[i] = sharpness * one-hot(token at i - shift)`, all zero where there is no such token or it is special. So
    the token at position j depends on position `source_of(j)` only, and the logit of a copied token falls from
    `sharpness` to 0 when its source is replaced. Embeddings are one-hot. The key-value cache holds the embeddings, so
    that cached and uncached passes can be compared.
    """

    config_class = ShiftCopyConfig

    def __init__(self, config: ShiftCopyConfig) -> None:
        super().__init__(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        past_key_values: DynamicCache | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **_: Any,
    ) -> CausalLMOutputWithPast:
        """Returns logits (b, l, v), or only the last `logits_to_keep` positions of them."""
        words = self._counted_embeddings(input_ids, inputs_embeds, attention_mask)
        length = words.shape[1]
        use_cache = self.config.use_cache if use_cache is None else use_cache
        if past_key_values is None and use_cache:
            past_key_values = DynamicCache(config=self.config)
        if past_key_values is not None:
            words = past_key_values.update(words.unsqueeze(1), words.unsqueeze(1), 0)[0].squeeze(1)
        shift = self.config.shift
        sources = nn.functional.pad(words, (0, 0, shift, 0))[:, : words.shape[1]][:, -length:]
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(sources[:, kept])
        return CausalLMOutputWithPast(logits=logits, past_key_values=past_key_values)

    def source_of(self, position: int) -> int:
        """Returns the position whose token the one at `position` copies; below 0 where there is none."""
        return position - 1 - self.config.shift


def linear_text_classifier(
    tokenizer: PreTrainedTokenizerBase, *, num_labels: int = 2, hidden_size: int = 8, seed: int = 0, **config: Any
) -> LinearTextForSequenceClassification:
    """Builds a `LinearTextForSequenceClassification` with standard normal embeddings and weights.

    Args:
        tokenizer: Gives the vocabulary and the special ids.
        num_labels: Number of classes.
        hidden_size: Width of the embeddings.
        seed: Same seed, same weights; the global random state is not touched.
        config: More settings of the config, such as `problem_type` or `id2label`.
    """
    settings = LinearTextConfig(hidden_size=hidden_size, **_shared(tokenizer), **{"num_labels": num_labels, **config})
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        model = LinearTextForSequenceClassification(settings)
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        model.embed_tokens.weight[list(settings.special_ids)] = 0
    return model.eval()


def pair_game_classifier(
    tokenizer: PreTrainedTokenizerBase,
    weights: Mapping[str, float],
    pairs: Mapping[tuple[str, str], float] | None = None,
) -> PairGameForSequenceClassification:
    """Builds a `PairGameForSequenceClassification` with the given worth of words, and of pairs in either order.

    Args:
        tokenizer: Gives the vocabulary and the special ids.
        weights: Worth of a word; 0 for words that are not named.
        pairs: Worth of two words that are both present, on top of their own.

    Raises:
        ValueError: If a word is not one token of the vocabulary.
    """
    settings = PairGameConfig(hidden_size=len(tokenizer), **_shared(tokenizer))  # two labels, as by default
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        model = PairGameForSequenceClassification(settings)
        model.embed_tokens.weight.copy_(_one_hot_words(settings))
        for word, weight in weights.items():
            model.word_weights[_ids_of(tokenizer, [word])] = weight
        for words, weight in (pairs or {}).items():
            first, second = _ids_of(tokenizer, words)
            model.pair_weights[first, second] = model.pair_weights[second, first] = weight
    return model.eval()


def shift_copy_lm(
    tokenizer: PreTrainedTokenizerBase, *, shift: int = 1, sharpness: float = 10.0
) -> ShiftCopyForCausalLM:
    """Builds a `ShiftCopyForCausalLM`; a `shift` of 0 repeats the last token, a higher `sharpness` is surer.

    Give it a tokenizer without boundary tokens, such as `word_tokenizer(words, boundaries=False)`.
    """
    settings = ShiftCopyConfig(hidden_size=len(tokenizer), shift=shift, sharpness=sharpness, **_shared(tokenizer))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        model = ShiftCopyForCausalLM(settings)
        model.embed_tokens.weight.copy_(_one_hot_words(settings))
        model.lm_head.weight.copy_(torch.eye(settings.vocab_size) * sharpness)
    return model.eval()


def _shared(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "special_ids": tuple(sorted(tokenizer.all_special_ids)),
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": False,
    }


def _one_hot_words(config: GroundTruthConfig) -> Tensor:
    rows = torch.eye(config.vocab_size)
    rows[list(config.special_ids)] = 0
    return rows


def _ids_of(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> list[int]:
    vocabulary = tokenizer.get_vocab()
    if unknown := [word for word in words if word not in vocabulary]:
        raise ValueError(f"not tokens of this tokenizer: {unknown}")
    return [vocabulary[word] for word in words]


AutoConfig.register(LinearTextConfig.model_type, LinearTextConfig, exist_ok=True)
AutoConfig.register(PairGameConfig.model_type, PairGameConfig, exist_ok=True)
AutoConfig.register(ShiftCopyConfig.model_type, ShiftCopyConfig, exist_ok=True)
AutoModelForSequenceClassification.register(LinearTextConfig, LinearTextForSequenceClassification, exist_ok=True)
AutoModelForSequenceClassification.register(PairGameConfig, PairGameForSequenceClassification, exist_ok=True)
AutoModelForCausalLM.register(ShiftCopyConfig, ShiftCopyForCausalLM, exist_ok=True)
