"""The result of every attribution method, for every task."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hf_interpreto.attributions.display import Displayed
from hf_interpreto.attributions.storage import to_lists, to_tensor, write_atomically
from hf_interpreto.granularity import Granularity
from hf_interpreto.model_wrapping.examples import Example, Target
from hf_interpreto.typing import ModelTask, Span

if TYPE_CHECKING:
    import pandas as pd

FORMAT_VERSION = 1


@dataclass(eq=False)
class AttributionOutput(Displayed):
    """How much each element of one input speaks for each target.

    Attributes:
        attributions: `(t, g)` float32. NaN where the element cannot be attributed to: a generated unit's own row and
            what comes after it. Positive speaks for the target unless the method gives magnitudes.
        example: the tokenised input, its elements and targets.
        task: what the model does.
        method: class name of the method.
        settings: its hyper-parameters.
        score: what is explained: "logit", "logprob", ...
        granularity: the unit of the elements.
        target_scores: `(t,)` f(x), the score of the whole input.
        baseline_scores: `(t,)` f(baseline), where the method has a baseline.
        completeness_gap: `(t,)` sum of all attributions minus (f(x) - f(baseline)), where that should be zero. For a
            generated word of several tokens it counts what its first tokens say of its later ones, which no column
            shows.
        standard_errors: `(t, g)` sampling error of each score, where the method samples.
        n_forward: sequences that went forward through the model for this input; with the one that predicted the
            target, without those that generated it.
        n_backward: sequences that went backward.
        model_name: as it was loaded.
        model_revision: commit of the model, where it came from the Hub.
        diagnostics: numbers of the method's own, such as LIME's R2.
        versions: of the libraries that made it.
    """

    attributions: Tensor
    example: Example
    task: ModelTask
    method: str
    settings: dict[str, Any]
    score: str
    granularity: Granularity
    target_scores: Tensor
    baseline_scores: Tensor | None = None
    completeness_gap: Tensor | None = None
    standard_errors: Tensor | None = None
    n_forward: int = 0
    n_backward: int = 0
    model_name: str = ""
    model_revision: str | None = None
    diagnostics: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    # -- what was explained ----------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """The whole text; `spans` count in it."""
        return self.example.text

    @property
    def elements(self) -> list[str]:
        """The `g` elements, exactly as in the text."""
        return [element.text for element in self.example.elements]

    @property
    def spans(self) -> list[Span | None]:
        """The characters of each element in `text`; None where a slow tokenizer could not tell."""
        return [element.span for element in self.example.elements]

    @property
    def n_source(self) -> int:
        """How many of the elements are input; the others were generated."""
        return self.example.n_source

    @property
    def source_length(self) -> int:
        """How many characters of `text` are input; the others were generated."""
        return self.example.source_length

    @property
    def targets(self) -> list[Target]:
        """The `t` rows."""
        return self.example.rows

    @property
    def labels(self) -> list[str]:
        """How the rows are called."""
        return [target.label for target in self.targets]

    @property
    def classes(self) -> Tensor | None:
        """`(t,)` class ids of a classifier's rows."""
        if self.task is not ModelTask.TEXT_CLASSIFICATION:
            return None
        return self.example.target_ids

    @property
    def model_task(self) -> ModelTask:
        """The same as `task`."""
        return self.task

    @property
    def model_inputs_to_explain(self) -> dict[str, Tensor]:
        """The ids that were explained, `(1, l)`, targets included."""
        ids = self.example.ids[None]
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    # -- reading ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.attributions)

    def __getitem__(self, rows: int | str | slice | list[int]) -> AttributionOutput:
        """Some of the rows, by number or label, as an output of its own."""
        return self._rows(self._row_indices(rows))

    def top(self, k: int = 5, target: int | str = 0, *, by_magnitude: bool = True) -> list[tuple[str, float]]:
        """The `k` elements that matter most for a target, with their scores.

        Args:
            k: how many.
            target: a row, by number or label.
            by_magnitude: rank by absolute score; otherwise from the most positive on.
        """
        (row,) = self._row_indices(target)
        scores = self.attributions[row]
        ranked = (scores.abs() if by_magnitude else scores).nan_to_num(nan=-math.inf)
        order = ranked.argsort(descending=True, stable=True).tolist()
        elements = self.elements
        return [(elements[i], float(scores[i])) for i in order[:k] if math.isfinite(float(ranked[i]))]

    def diff(self, other: AttributionOutput) -> AttributionOutput:
        """This output minus another of the same elements and targets: two models, two methods, two such prompts.

        Raises:
            ValueError: the elements or the number of targets differ.
        """
        if self.elements != other.elements or len(self) != len(other):
            raise ValueError(
                f"diff needs the same elements and as many targets: {len(self)} x {len(self.elements)} here, "
                f"{len(other)} x {len(other.elements)} there."
            )
        errors = None
        if self.standard_errors is not None and other.standard_errors is not None:
            errors = (self.standard_errors.square() + other.standard_errors.square()).sqrt()
        name = self.method if self.method == other.method else f"{self.method} - {other.method}"
        model = self.model_name if self.model_name == other.model_name else f"{self.model_name} - {other.model_name}"
        return replace(
            self,
            attributions=self.attributions - other.attributions,
            target_scores=self.target_scores - other.target_scores,
            baseline_scores=_minus(self.baseline_scores, other.baseline_scores),
            completeness_gap=_minus(self.completeness_gap, other.completeness_gap),
            standard_errors=errors,
            method=name,
            model_name=model,
            n_forward=self.n_forward + other.n_forward,
            n_backward=self.n_backward + other.n_backward,
        )

    def to_pandas(self) -> pd.DataFrame:
        """A table with a row for each pair of target and element."""
        import pandas as pd

        rows = []
        for t, target in enumerate(self.targets):
            for g, element in enumerate(self.example.elements):
                start, end = element.span or (None, None)
                row = {
                    "target": target.label,
                    "element": element.text,
                    "position": g,
                    "start": start,
                    "end": end,
                    "is_output": g >= self.n_source,
                    "score": float(self.attributions[t, g]),
                }
                if self.standard_errors is not None:
                    row["standard_error"] = float(self.standard_errors[t, g])
                rows.append(row)
        return pd.DataFrame(rows)

    # -- storing ---------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold; NaN becomes None."""
        return {
            "format": "hf-interpreto/attribution",
            "format_version": FORMAT_VERSION,
            "attributions": to_lists(self.attributions),
            "example": self.example.to_dict(),
            "task": self.task.value,
            "method": self.method,
            "settings": self.settings,
            "score": self.score,
            "granularity": self.granularity.value,
            **{name: to_lists(getattr(self, name)) for name in _TENSORS},
            "n_forward": self.n_forward,
            "n_backward": self.n_backward,
            "model_name": self.model_name,
            "model_revision": self.model_revision,
            "diagnostics": self.diagnostics,
            "versions": self.versions,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> AttributionOutput:
        """The inverse of `to_dict`.

        Raises:
            ValueError: it is not an attribution, is of a newer format, or its parts do not fit together.
        """
        if not isinstance(data, dict) or data.get("format") != "hf-interpreto/attribution":
            raise ValueError("this is not an attribution saved by hf_interpreto: its 'format' is missing.")
        version = data.get("format_version")
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise ValueError(f"format_version {version} is newer than {FORMAT_VERSION}; upgrade hf-interpreto.")
        try:
            output = cls(
                attributions=to_tensor(data["attributions"]),  # type: ignore[arg-type]
                example=Example.from_dict(data["example"]),
                task=ModelTask(data["task"]),
                granularity=Granularity(data["granularity"]),
                **{name: to_tensor(data[name]) for name in _TENSORS},  # type: ignore[arg-type]
                **{name: data[name] for name in _PLAIN},
            )
            shape = (len(output.targets), len(output.elements))
            if not isinstance(version, int):
                raise TypeError(f"format_version {version!r}")
            if tuple(output.attributions.shape) != shape:
                raise ValueError(f"{tuple(output.attributions.shape)} scores for {shape}")
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            raise ValueError(f"this saved attribution is damaged: {error}") from error
        return output

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it as JSON; the file is there whole or not at all."""
        return write_atomically(path, json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=1))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AttributionOutput:
        """Read what `save` wrote.

        Raises:
            ValueError: as `from_dict`, or the file is no JSON.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)} is not an attribution saved by hf_interpreto: {error}") from error
        return cls.from_dict(data)

    def __repr__(self) -> str:
        t, g = self.attributions.shape
        return f"AttributionOutput({self.method}, {t} targets x {g} elements, text={self.text[:40]!r})"

    # -- private ---------------------------------------------------------------------------------------------------

    def _row_indices(self, rows: int | str | slice | list[int]) -> list[int]:
        if isinstance(rows, str):
            if rows not in self.labels:
                raise KeyError(f"no target {rows!r}; there are {self.labels}")
            return [self.labels.index(rows)]
        if isinstance(rows, int) and not -len(self) <= rows < len(self):
            raise IndexError(f"target {rows} is out of range; there are {len(self)}")
        return torch.arange(len(self))[rows].reshape(-1).tolist()

    def _rows(self, indices: list[int]) -> AttributionOutput:
        example = self.example
        groups = [example.groups[i] for i in indices]
        tokens = [token for group in groups for token in group]
        renumbered, start = [], 0
        for group in groups:
            renumbered.append(list(range(start, start + len(group))))
            start += len(group)
        part = replace(
            example,
            positions=example.positions[tokens],
            target_ids=example.target_ids[tokens],
            rows=[example.rows[i] for i in indices],
            groups=renumbered,
            logits=None,
        )
        tensors: dict[str, Any] = {name: _take(getattr(self, name), indices) for name in ("attributions", *_TENSORS)}
        return replace(self, example=part, **tensors)


_TENSORS = ("target_scores", "baseline_scores", "completeness_gap", "standard_errors")
_PLAIN = (
    "method", "settings", "score", "n_forward", "n_backward", "model_name", "model_revision",
    "diagnostics", "versions",
)  # fmt: skip


def _take(values: Tensor | None, indices: list[int]) -> Tensor | None:
    return None if values is None else values[indices]


def _minus(left: Tensor | None, right: Tensor | None) -> Tensor | None:
    return None if left is None or right is None else left - right
