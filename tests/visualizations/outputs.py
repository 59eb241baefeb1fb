"""Outputs to show, with known numbers."""

from __future__ import annotations

import re
from typing import Any

import torch

from hf_interpreto.attributions.output import AttributionOutput
from hf_interpreto.granularity import Element, Granularity
from hf_interpreto.model_wrapping.examples import Example, Target
from hf_interpreto.typing import ModelTask

NAN = float("nan")


def make_output(**fields: Any) -> AttributionOutput:
    elements = [
        Element(text, (index,), span)
        for index, (text, span) in enumerate(zip(fields.pop("elements"), fields.pop("spans"), strict=True))
    ]
    targets = fields.pop("targets")
    example = Example(
        ids=torch.zeros(len(elements), dtype=torch.long),
        elements=elements,
        positions=torch.zeros(len(targets), dtype=torch.long),
        target_ids=torch.zeros(len(targets), dtype=torch.long),
        rows=targets,
        groups=[[row] for row in range(len(targets))],
        text=fields.pop("text"),
        source_length=fields.pop("source_length"),
        n_source=fields.pop("n_source"),
    )
    defaults: dict[str, Any] = {
        "method": "KernelShap",
        "settings": {},
        "score": "logit",
        "model_name": "org/model",
        "granularity": Granularity.WORD,
    }
    return AttributionOutput(**{**defaults, **fields, "example": example, "task": ModelTask(fields["task"])})


def word_spans(text: str, start: int = 0) -> list[tuple[int, int] | None]:
    return [(match.start() + start, match.end() + start) for match in re.finditer(r"[\w']+|[^\w\s]", text)]


def simple(
    scores: list[list[float]], elements: list[str], *, text: str | None = None, **fields: Any
) -> AttributionOutput:
    """An output of classes 0, 1, ... whose elements are joined by spaces, unless a text with spans is given."""
    joined = " ".join(elements) if text is None else text
    spans: list[tuple[int, int] | None] = []
    cursor = 0
    for element in elements:
        begin = joined.index(element, cursor)
        cursor = begin + len(element)
        spans.append((begin, cursor))
    defaults: dict[str, Any] = {
        "attributions": torch.tensor(scores),
        "elements": elements,
        "spans": spans,
        "text": joined,
        "n_source": len(elements),
        "source_length": len(joined),
        "targets": [Target(f"class {row}", row) for row in range(len(scores))],
        "task": "text-classification",
        "target_scores": torch.arange(len(scores), dtype=torch.float32),
    }
    return make_output(**{**defaults, **fields})


EMOTIONS = ["sadness", "joy", "love", "anger", "fear", "surprise"]


def classification() -> AttributionOutput:
    """Six emotions of a sentence of 22 elements, with everything that an output can carry."""
    text = (
        "I didn't feel humiliated  at all — I left the meeting relieved, quietly proud,\n"
        "and a little afraid of what comes next."
    )
    spans = word_spans(text)
    elements = [text[span[0] : span[1]] for span in spans if span]
    cues = {
        "sadness": {"humiliated": 1.4, "didn't": -0.5, "proud": -0.6, "relieved": -0.3, "left": 0.25},
        "joy": {"proud": 1.9, "relieved": 1.6, "humiliated": -1.1, "afraid": -0.7, "didn't": 0.5, "quietly": 0.2},
        "love": {"proud": 0.4, "feel": 0.2, "humiliated": -0.4},
        "anger": {"humiliated": 0.9, "meeting": 0.3, "relieved": -0.6, "left": 0.3},
        "fear": {"afraid": 2.2, "next": 0.5, "little": 0.3, "proud": -0.8, "comes": 0.25},
        "surprise": {"next": 0.2, "what": 0.15, "all": -0.1},
    }
    generator = torch.Generator().manual_seed(0)
    scores = 0.06 * torch.randn(6, len(elements), generator=generator)
    for row, name in enumerate(EMOTIONS):
        for column, element in enumerate(elements):
            scores[row, column] += cues[name].get(element, 0.0)
    baseline = torch.tensor([0.4, 0.9, -0.2, 0.1, 0.2, -0.6])
    return make_output(
        attributions=scores,
        elements=elements,
        spans=spans,
        text=text,
        n_source=len(elements),
        source_length=len(text),
        targets=[Target(f"LABEL_{row}", row) for row in range(6)],
        task="text-classification",
        target_scores=baseline + scores.sum(1) + 1e-4,
        baseline_scores=baseline,
        completeness_gap=torch.full((6,), -1e-4),
        standard_errors=scores.abs() * 0.1,
        n_forward=512,
        settings={"n_perturbations": 512, "seed": 0, "replacement": "mask_token", "granularity": "word"},
        diagnostics={"r2": [0.98, 0.991, 0.93, 0.95, 0.99, 0.9]},
        model_name="org/emotion-minilm",
    )


def generation() -> AttributionOutput:
    """Seven generated words after a prompt of ten; each is explained by all that precedes it."""
    prompt = "The manager went home early on Friday because his daughter"
    answer = " was ill and needed a doctor."
    text = prompt + answer
    spans = word_spans(prompt) + word_spans(answer, len(prompt))
    elements = [text[span[0] : span[1]] for span in spans if span]
    n_source, g = len(word_spans(prompt)), len(elements)
    t = g - n_source
    generator = torch.Generator().manual_seed(1)
    scores = 0.35 * torch.randn(t, g, generator=generator)
    for row, cue, value in ((0, "daughter", 1.8), (1, "home", 1.5), (1, "was", 2.1), (3, "ill", 1.9), (5, "ill", 3.1)):
        scores[row, elements.index(cue)] += value
    for row in range(t):
        scores[row, n_source + row :] = NAN
    return make_output(
        attributions=scores,
        elements=elements,
        spans=spans,
        text=text,
        n_source=n_source,
        source_length=len(prompt),
        targets=[Target(elements[n_source + row], (row,), n_source + row) for row in range(t)],
        task="text-generation",
        target_scores=-torch.rand(t, generator=generator) * 4,
        baseline_scores=-torch.rand(t, generator=generator) * 9 - 4,
        completeness_gap=torch.full((t,), 2e-6),
        n_forward=11,
        n_backward=56,
        method="IntegratedGradients",
        score="logprob",
        settings={"n_steps": 32, "baseline": "zero"},
        model_name="org/small-lm",
        model_revision="3f2a91c",
    )


def tagging() -> AttributionOutput:
    """Four tagged words of six; every word is attributed to every tag, itself included."""
    text = "Ada Lovelace lived in London."
    spans = word_spans(text)
    elements = [text[span[0] : span[1]] for span in spans if span]
    scores = torch.tensor(
        [
            [2.0, 0.8, 0.3, 0.0, -0.2, 0.0],
            [1.1, 1.7, 0.6, 0.1, -0.1, 0.0],
            [0.1, 0.2, 0.9, 0.4, 0.1, 0.0],
            [-0.1, 0.0, 0.8, 1.2, 2.3, 0.1],
        ]
    )
    tags = [("B-PER", 1, 0), ("I-PER", 2, 1), ("O", 0, 2), ("B-LOC", 3, 4)]
    return make_output(
        attributions=scores,
        elements=elements,
        spans=spans,
        text=text,
        n_source=len(elements),
        source_length=len(text),
        targets=[Target(*tag) for tag in tags],
        task="token-classification",
        target_scores=torch.tensor([4.0, 3.5, 5.0, 6.1]),
        method="Occlusion",
        n_forward=7,
    )
