"""One situation of each task, with explicit targets: what the contract tests run every method on."""

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.attributions.cases import tiny


@dataclass(frozen=True)
class Situation:
    """Inputs of different lengths and a target entry for each."""

    model: str
    task: str
    inputs: tuple[Any, ...]
    targets: tuple[Any, ...]

    def load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        return tiny(self.model, self.task)


_TEXTS = ("The film was a great surprise", "I didn't like it", "What a terrible waste of time it was!")
_CLASSES = ([0, 2], [1], [2])
_PROMPTS = ("I felt sad and", "The sea", "My brother was sick, so he")
_ANSWERS = (" afraid then", " was blue and quiet", " went home")
_PAIRS = ([(0, 1), (2, 0)], [(1, 2)], [(3, 1), (0, 0)])
_HOLES = ("The [MASK] was great", "I didn't [MASK] it", "What a [MASK] waste of time")

SITUATIONS: dict[str, Situation] = {
    "bert-classifier": Situation("bert", "text-classification", _TEXTS, _CLASSES),
    "roberta-classifier": Situation("roberta", "text-classification", _TEXTS, _CLASSES),
    "gpt2-classifier": Situation("gpt2", "text-classification", _TEXTS, _CLASSES),
    "bart-classifier": Situation("bart", "text-classification", _TEXTS, _CLASSES),
    "t5-classifier": Situation("t5", "text-classification", _TEXTS, _CLASSES),
    "gpt2": Situation("gpt2", "text-generation", _PROMPTS, _ANSWERS),
    "llama": Situation("llama", "text-generation", _PROMPTS, _ANSWERS),
    "gemma2": Situation("gemma2", "text-generation", _PROMPTS, _ANSWERS),
    "t5": Situation("t5", "text-generation", _PROMPTS, _ANSWERS),
    "bart": Situation("bart", "text-generation", _PROMPTS, _ANSWERS),
    "deberta-tagger": Situation("deberta-v2", "token-classification", _TEXTS, _PAIRS),
    "distilbert-mlm": Situation("distilbert", "fill-mask", _HOLES, ("great", "can", "the")),
}
