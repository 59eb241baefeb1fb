"""Token classification: the label of a word, read at its first token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hf_interpreto.errors import InvalidTargetError
from hf_interpreto.model_wrapping.encoding import RawInput
from hf_interpreto.model_wrapping.examples import Example, Target
from hf_interpreto.model_wrapping.inference import Engine
from hf_interpreto.model_wrapping.targets import check_present, class_ids
from hf_interpreto.model_wrapping.tasks import Task
from hf_interpreto.typing import ModelTask

OUTSIDE = "O"


class TokenClassification(Task):
    """Targets are the labels of words.

    None: every word that is tagged other than "O" (all words if none is); a label: that label at every word; a list of
    (word index, label) pairs.
    """

    kind = ModelTask.TOKEN_CLASSIFICATION

    def examples(self, inputs: Sequence[RawInput], targets: Sequence[Any], engine: Engine) -> list[Example]:
        """One example an input."""
        encodings = [self.encode(item) for item in inputs]
        elements = [self.elements(encoding) for encoding in encodings]
        chosen = [self._choose(target, len(found)) for target, found in zip(targets, elements, strict=True)]
        examples = [
            self.untargeted(encoding, found, [element.tokens[0] for element in found])
            for encoding, found in zip(encodings, elements, strict=True)
        ]
        unknown = [example for example, pairs in zip(examples, chosen, strict=True) if pairs is None]
        for example, logits in zip(unknown, engine.logits(unknown) if unknown else [], strict=True):
            example.logits = logits
        for example, pairs in zip(examples, chosen, strict=True):
            self._set_targets(example, pairs)
        return examples

    def _choose(self, target: Any, n_elements: int) -> list[tuple[int, int]] | None:
        check_present(target)
        if target is None:
            return None
        label2id = {str(name): int(index) for name, index in (self.model.config.label2id or {}).items()}
        labels = int(self.model.config.num_labels or 0)
        if isinstance(target, tuple) or not isinstance(target, list):
            target = [target]
        pairs: list[tuple[int, int]] = []
        for entry in target:
            if isinstance(entry, tuple):
                element, label = entry
                if not 0 <= int(element) < n_elements:
                    raise InvalidTargetError(f"targets: word {element} is out of range; the text has {n_elements}.")
                pairs.append((int(element), class_ids(label, label2id, labels)[0]))
            else:
                pairs.extend((i, label) for label in class_ids(entry, label2id, labels) for i in range(n_elements))
        return pairs

    def _set_targets(self, example: Example, pairs: list[tuple[int, int]] | None) -> None:
        names = {int(index): str(name) for index, name in (self.model.config.id2label or {}).items()}
        if pairs is None:
            assert example.logits is not None
            predicted = list(enumerate(example.logits.argmax(-1).tolist()))
            pairs = [(i, label) for i, label in predicted if names.get(label) != OUTSIDE] or predicted
            example.logits = example.logits[[i for i, _ in pairs]]
        example.positions = example.positions[[i for i, _ in pairs]]
        example.target_ids = torch.tensor([label for _, label in pairs])
        example.groups = [[index] for index in range(len(pairs))]
        example.rows = [Target(names.get(label, str(label)), label, i) for i, label in pairs]
