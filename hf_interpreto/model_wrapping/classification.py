"""Sequence classification: one class, several independent labels, or a number, for a whole text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from hf_interpreto.model_wrapping.encoding import Encoding, RawInput
from hf_interpreto.model_wrapping.examples import Example, Target
from hf_interpreto.model_wrapping.inference import Engine
from hf_interpreto.model_wrapping.scores import Score
from hf_interpreto.model_wrapping.targets import class_ids
from hf_interpreto.model_wrapping.tasks import Task
from hf_interpreto.typing import ModelTask

_OF_SEVERAL_CLASSES = ("probability", "logprob", "log_odds", "margin")


class SequenceClassification(Task):
    """Targets are classes; None means the predicted class, or every label whose probability is above one half."""

    kind = ModelTask.TEXT_CLASSIFICATION

    @property
    def independent_labels(self) -> bool:
        """Multi-label models, by `config.problem_type`."""
        return self.model.config.problem_type == "multi_label_classification"

    def check_score(self, score: Score) -> None:
        """A model with one output predicts a number, which has no probability."""
        if self.model.config.num_labels == 1 and not self.independent_labels and score.name in _OF_SEVERAL_CLASSES:
            raise ValueError(
                f"score={score.name!r} compares classes, and this model has a single output. Use score='logit', which "
                "is the number that it predicts."
            )

    def examples(self, inputs: Sequence[RawInput], targets: Sequence[Any], engine: Engine) -> list[Example]:
        """One example an input."""
        config = self.model.config
        label2id = {str(name): int(index) for name, index in (config.label2id or {}).items()}
        chosen = [None if t is None else class_ids(t, label2id, int(config.num_labels or 0)) for t in targets]
        encodings = [self.encode(item) for item in inputs]
        examples = [self.untargeted(e, self.elements(e), [classified_position(self.model, e)]) for e in encodings]
        unknown = [example for example, ids in zip(examples, chosen, strict=True) if ids is None]
        if unknown:
            for example, logits in zip(unknown, engine.logits(unknown), strict=True):
                example.logits = logits
        for example, ids in zip(examples, chosen, strict=True):
            self._set_targets(example, ids)
        return examples

    def _set_targets(self, example: Example, ids: list[int] | None) -> None:
        if ids is None:
            assert example.logits is not None
            ids = self._predicted(example.logits[0])
            example.logits = example.logits[:1].expand(len(ids), -1)
        names: dict[Any, str] = dict(self.model.config.id2label or {})
        example.target_ids = torch.tensor(ids, dtype=torch.long)
        example.positions = example.positions[:1].expand(len(ids))
        example.groups = [[index] for index in range(len(ids))]
        example.rows = [Target(str(names.get(index, index)), index) for index in ids]

    def _predicted(self, logits: torch.Tensor) -> list[int]:
        best = int(logits.argmax())
        if not self.independent_labels:
            return [best]
        return (logits > 0).nonzero()[:, 0].tolist() or [best]


def classified_position(model: PreTrainedModel, encoding: Encoding) -> int:
    """The token that decoders classify by: the last that is not padding, as the model itself counts."""
    pad = model.config.pad_token_id
    content = (encoding.ids != (-1 if pad is None else pad)).nonzero()[:, 0]
    return int(content[-1]) if len(content) else len(encoding) - 1
