"""The folder of real data and trained models, which is not part of the repository."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

KIT = Path(os.environ.get("HF_INTERPRETO_KIT", Path(__file__).parents[2] / "../shared/kit"))
MODELS = {
    "emotion-minilm": AutoModelForSequenceClassification,
    "stories-gpt2": AutoModelForCausalLM,
    "stories-llama": AutoModelForCausalLM,
    "en-fr-marian": AutoModelForSeq2SeqLM,
    "ner-minilm": AutoModelForTokenClassification,
    "mlm-bert-tiny": AutoModelForMaskedLM,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.kit)


@cache
def _load(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    folder = KIT / "models" / name
    return MODELS[name].from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="session")
def load() -> Callable[[str], tuple[PreTrainedModel, PreTrainedTokenizerBase]]:
    """From the name of a trained model to it and its tokenizer."""
    if not (KIT / "models").is_dir():
        pytest.skip(f"no kit of trained models at {KIT}; set HF_INTERPRETO_KIT to its folder")
    return _load
