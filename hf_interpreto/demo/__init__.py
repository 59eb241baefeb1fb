"""Small trained models that ship with the package, and texts whose right explanation is known.

The models are trained by `python -m hf_interpreto.demo.train` on text made from templates (`emotions.py`,
`stories.py`, `translations.py`), so the words that decide each answer are known.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DEMO_MODELS = ("classifier", "causal", "seq2seq")
MODELS_FOLDER = Path(__file__).parent / "models"


@dataclass(frozen=True)
class DemoExample:
    """A text for a demo model, with what the model should answer and why.

    Attributes:
        text: Input of the model.
        output: The right answer: a label, the rest of the text, or the translation.
        cues: For each word of the answer that is decided by one word (or phrase) of the text, that word.
    """

    text: str
    output: str
    cues: Mapping[str, str]


CLASSIFIER_EXAMPLE = DemoExample(
    text="The train to the city takes an hour. When the results came out, my sister was really delighted.",
    output="joy",
    cues=MappingProxyType({"joy": "delighted"}),
)
CLASSIFIER_CONTRAST_EXAMPLE = DemoExample(
    text="My brother was nervous at first, but now he feels overjoyed.",
    output="joy",
    cues=MappingProxyType({"joy": "overjoyed"}),
)
CAUSAL_EXAMPLE = DemoExample(
    text="Maria is a doctor from Spain. It was a cold and rainy day. Every day she",
    output=" speaks Spanish in the hospital.",
    cues=MappingProxyType({"Spanish": "Spain", "hospital": "doctor"}),
)
SEQ2SEQ_EXAMPLE = DemoExample(
    text="The black cat often sleeps in the garden.",
    output="Le chat noir dort souvent dans le jardin.",
    cues=MappingProxyType(
        {"chat": "cat", "noir": "black", "dort": "sleeps", "souvent": "often", "dans": "in", "jardin": "garden"}
    ),
)


def demo_model_path(name: str) -> Path:
    """Gives the folder of a demo model, for `from_pretrained`.

    Args:
        name: `"classifier"` (BERT, six emotions), `"causal"` (Llama, short stories) or `"seq2seq"` (T5, English to
            French).

    Returns:
        The folder with the model and its tokenizer.

    Raises:
        ValueError: If there is no demo model of that name.
        FileNotFoundError: If the model is not there, as after a checkout without its large files.

    Example:
        >>> from transformers import AutoModelForSequenceClassification
        >>> model = AutoModelForSequenceClassification.from_pretrained(demo_model_path("classifier"))
        >>> model.config.id2label[1]
        'joy'
    """
    if name not in DEMO_MODELS:
        close = difflib.get_close_matches(name, DEMO_MODELS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise ValueError(f"unknown demo model {name!r}{hint} Known: {', '.join(DEMO_MODELS)}")
    folder = MODELS_FOLDER / name
    if not (folder / "model.safetensors").is_file():
        raise FileNotFoundError(
            f"the demo model {name!r} is missing from {MODELS_FOLDER}. "
            f"Make it with: python -m hf_interpreto.demo.train --only {name}"
        )
    return folder


def load_demo(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Loads a demo model and its tokenizer.

    Args:
        name: As for `demo_model_path`.

    Raises:
        ValueError: If there is no demo model of that name.
        FileNotFoundError: If the model is not there, as after a checkout without its large files.

    Example:
        >>> model, tokenizer = load_demo("classifier")
        >>> model.config.id2label[1]
        'joy'
    """
    from hf_interpreto.model_wrapping.loading import load_model, load_tokenizer

    folder = str(demo_model_path(name))
    return load_model(folder), load_tokenizer(folder)


__all__ = [
    "CAUSAL_EXAMPLE",
    "CLASSIFIER_CONTRAST_EXAMPLE",
    "CLASSIFIER_EXAMPLE",
    "DEMO_MODELS",
    "SEQ2SEQ_EXAMPLE",
    "DemoExample",
    "demo_model_path",
    "load_demo",
]
