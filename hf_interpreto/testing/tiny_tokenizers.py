"""Fast tokenizers of a few hundred tokens, made offline, one for each architecture of `TINY_MODELS`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from hf_interpreto.testing import tokenizer_styles as styles

MODEL_MAX_LENGTH = 64

_QWEN_CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_GEMMA_CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('this model has no system role') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)


@dataclass(frozen=True)
class _Family:
    """How one family's tokenizer is trained and dressed."""

    build: Callable[[], Tokenizer]
    special_tokens: Mapping[str, str]
    token_type_ids: bool = False
    padding_side: str = "right"
    chat_template: str | None = None
    extra_special_tokens: Sequence[str] = field(default_factory=tuple)


def _named(**names: str) -> dict[str, str]:
    return {f"{name}_token": token for name, token in names.items()}


_BRACKETS = _named(pad="[PAD]", unk="[UNK]", cls="[CLS]", sep="[SEP]", mask="[MASK]")
_ANGLES = _named(bos="<s>", eos="</s>", pad="<pad>", unk="<unk>", cls="<s>", sep="</s>", mask="<mask>")
_EXTRA_IDS = tuple(f"<extra_id_{index}>" for index in range(4))
_TURNS = ("<start_of_turn>", "<end_of_turn>")

_BERT = _Family(styles.wordpiece, _BRACKETS, token_type_ids=True)
_ROBERTA = _Family(styles.roberta, _ANGLES)
_QWEN = _Family(
    styles.qwen,
    _named(eos="<|im_end|>", pad="<|endoftext|>"),
    chat_template=_QWEN_CHAT_TEMPLATE,
    extra_special_tokens=("<|im_start|>",),
)
_GEMMA = _Family(
    styles.gemma,
    _named(bos="<bos>", eos="<eos>", pad="<pad>", unk="<unk>", mask="<mask>"),
    padding_side="left",
    chat_template=_GEMMA_CHAT_TEMPLATE,
    extra_special_tokens=_TURNS,
)
_LLAMA_TOKENS = _named(bos="<s>", eos="</s>", unk="<unk>")

_FAMILIES: dict[str, _Family] = {
    "bert": _BERT,
    "distilbert": _Family(styles.wordpiece, _BRACKETS),
    "electra": _BERT,
    "roberta": _ROBERTA,
    "albert": _Family(styles.albert, _BRACKETS | _named(pad="<pad>", unk="<unk>"), token_type_ids=True),
    "deberta-v2": _Family(styles.deberta_v2, _BRACKETS, token_type_ids=True),
    "modernbert": _Family(styles.modernbert, _BRACKETS),
    "gpt2": _Family(styles.gpt2, _named(bos="<|endoftext|>", eos="<|endoftext|>", unk="<|endoftext|>")),
    "gpt-neox": _Family(styles.gpt_neox, _named(bos="<|endoftext|>", eos="<|endoftext|>", unk="<|endoftext|>")),
    "llama": _Family(styles.llama, _LLAMA_TOKENS, padding_side="left"),
    "mistral": _Family(partial(styles.llama, legacy=True), _LLAMA_TOKENS, padding_side="left"),
    "qwen2": _QWEN,
    "qwen3": _QWEN,
    "gemma2": _GEMMA,
    "gemma3": _GEMMA,
    "t5": _Family(styles.t5, _named(eos="</s>", pad="<pad>", unk="<unk>"), extra_special_tokens=_EXTRA_IDS),
    "bart": _ROBERTA,
    "marian": _Family(styles.marian, _named(eos="</s>", pad="<pad>", unk="<unk>")),
}


@cache
def _trained(name: str) -> str:
    """Trains once per process; the JSON text cannot be changed by a caller, a tokenizer could be."""
    return _FAMILIES[name].build().to_str()


def tiny_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """Builds the offline fast tokenizer that belongs to `tiny_model(name)`.

    Args:
        name: An architecture of `TINY_MODELS`.

    Returns:
        A new tokenizer of 300 to 450 tokens, which the caller may change. GPT-2, GPT-NeoX, Llama and Mistral have no
        padding token, as in those families; Qwen and Gemma have a chat template.

    Raises:
        ValueError: If the architecture is unknown.
    """
    if name not in _FAMILIES:
        raise ValueError(f"unknown tiny tokenizer {name!r}. Known: {', '.join(sorted(_FAMILIES))}")
    family = _FAMILIES[name]
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained(name)),
        model_max_length=MODEL_MAX_LENGTH,
        model_input_names=inputs if family.token_type_ids else [inputs[0], inputs[2]],
        padding_side=family.padding_side,
        chat_template=family.chat_template,
        extra_special_tokens=list(family.extra_special_tokens),
        clean_up_tokenization_spaces=False,
        **family.special_tokens,
    )
