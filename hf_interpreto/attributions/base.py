"""What all attribution methods share: arguments, inputs, batches of inputs, and results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from enum import Enum
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hf_interpreto.attributions.output import AttributionOutput
from hf_interpreto.errors import InvalidInputError
from hf_interpreto.granularity import Granularity, GranularityAggregationStrategy
from hf_interpreto.model_wrapping.encoding import RawInput
from hf_interpreto.model_wrapping.examples import Example, pool_targets
from hf_interpreto.model_wrapping.inference import Engine
from hf_interpreto.model_wrapping.inputs import as_inputs
from hf_interpreto.model_wrapping.loading import make_task
from hf_interpreto.model_wrapping.replacement import Replacement, get_replacement
from hf_interpreto.model_wrapping.requests import Passes, Program
from hf_interpreto.model_wrapping.scores import InferenceModes, Score, get_score
from hf_interpreto.model_wrapping.targets import per_input
from hf_interpreto.model_wrapping.tasks import Task, TaskOptions

_WINDOW = 64  # inputs that are explained together

_COMMON = frozenset({"model", "tokenizer", "device", "inference_mode", "generation_args"})


@dataclass(eq=False)
class Explanation:
    """What a method finds for one example, before rows are pooled: float64, `t` token targets x `m` players.

    Attributes:
        attributions: `(t, m)`.
        target_scores: `(t,)` f(x).
        baseline_scores: `(t,)` f(baseline), or None.
        is_complete: whether the attributions should sum to f(x) - f(baseline).
        standard_errors: `(t, m)`, or None.
        diagnostics: per target numbers `(t,)`, or plain values.
    """

    attributions: Tensor
    target_scores: Tensor
    baseline_scores: Tensor | None = None
    is_complete: bool = False
    standard_errors: Tensor | None = None
    diagnostics: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class AttributionExplainer(ABC):
    """Base of all attribution methods.

    Call it with inputs and targets; it returns one `AttributionOutput` for each input (several where an input of a
    generator has several target texts).

    Args:
        model: any transformers model with a head for classification (sequence or token), causal, encoder-decoder or
            masked language modelling. It is never changed.
        tokenizer: the model's. It is never changed.
        batch_size: rows per pass of the model, or "auto" for a budget of tokens that shrinks when memory runs out.
            Results do not depend on it.
        granularity: the unit that is scored: "word", "token", "all_tokens" (specials too), "sentence",
            "part_sentence".
        granularity_aggregation_strategy: how token scores become element scores, in methods that score tokens:
            "mean", "max", "min", "sum", "signed_max", "first", "last". None: the method's own ("sum" where
            scores add up).
        device: where to move the model first; None leaves it where it is.
        inference_mode: the score, by the names "logits", "softmax", "log_softmax", or a function of logits.
        score: what is explained: "logit", "probability", "logprob", "log_odds", "margin", or a registered one. None:
            "logit" for classes, "logprob" for tokens.
        seed: of everything random.
        attribute_target: whether what was generated before a target is scored too, beside the input.
        attribute_template: whether the tokens that a chat template adds are scored.
        generation_args: for `model.generate`, where no target is given.

    Raises:
        TaskMismatchError: the model has no head that can be explained.
        UnknownNameError: a name that is not known, with the nearest that is.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    _: KW_ONLY
    batch_size: int | str = "auto"
    granularity: Granularity | str = Granularity.WORD
    granularity_aggregation_strategy: GranularityAggregationStrategy | str | None = None
    device: torch.device | str | None = None
    inference_mode: InferenceModes | str | Callable[[Tensor], Tensor] | None = None
    score: Score | str | None = None
    seed: int = 0
    attribute_target: bool = True
    attribute_template: bool = False
    generation_args: dict[str, Any] = field(default_factory=dict)

    citation: ClassVar[str] = ""
    """BibTeX of the paper; goes into cards."""

    default_pooling: ClassVar[GranularityAggregationStrategy] = GranularityAggregationStrategy.SUM

    def __post_init__(self) -> None:
        self.granularity = Granularity.parse(self.granularity)
        if self.granularity_aggregation_strategy is not None:
            self.granularity_aggregation_strategy = GranularityAggregationStrategy.parse(
                self.granularity_aggregation_strategy
            )
        if self.device is not None:
            self.to(self.device)
        _ = self.task, self.engine  # a wrong argument is told now, not at the first call

    # -- for users -------------------------------------------------------------------------------------------------

    def __call__(
        self, model_inputs: RawInput | Iterable[RawInput], targets: Any = None, **generation_args: Any
    ) -> list[AttributionOutput]:
        """Explain inputs.

        Args:
            model_inputs: a string, a (text, text_pair) tuple, chat messages, a BatchEncoding, or an iterable of these.
            targets: what to explain; None is what the model predicts or generates. Classifiers: class ids, label
                names, a tensor `(n,)` or `(n, t)`, or a list of several per input. Generators: the continuation as
                text or token ids, or a list of several per input.
            **generation_args: for `model.generate`, where no target is given.

        Raises:
            InvalidInputError: an input that cannot be explained.
            InvalidTargetError: a target that does not fit.
            NonFiniteScoresError: the model returned NaN.
        """
        if generation_args:
            return self._with_generation_args(generation_args)(model_inputs, targets)
        inputs, single = as_inputs(model_inputs)
        if single or isinstance(inputs, Sequence):
            items = list(inputs)
            if not items:
                raise InvalidInputError("model_inputs: got an empty list; there is nothing to explain.")
            examples = self.task.examples(items, list(islice(per_input(targets, len(items)), len(items))), self.engine)
            return [
                out for start in range(0, len(examples), _WINDOW) for out in self._outputs(examples[start:][:_WINDOW])
            ]
        return list(self.stream(inputs, targets))

    def explain(
        self, model_inputs: RawInput | Iterable[RawInput], targets: Any = None, **generation_args: Any
    ) -> list[AttributionOutput]:
        """The same as calling it."""
        return self(model_inputs, targets, **generation_args)

    def stream(self, model_inputs: Iterable[RawInput], targets: Any = None) -> Iterator[AttributionOutput]:
        """Explain an iterable of any length, a window of inputs at a time."""
        inputs, _ = as_inputs(model_inputs)
        items, entries = iter(inputs), iter(per_input(targets, None))
        while window := list(islice(items, _WINDOW)):
            chosen = list(islice(entries, len(window)))
            yield from self._outputs(self.task.examples(window, chosen, self.engine))

    def to(self, device: torch.device | str) -> None:
        """Move the model.

        Raises:
            ValueError: accelerate has spread it over devices.
        """
        if getattr(self.model, "hf_device_map", None):
            raise ValueError("device: the model was loaded with a device_map and stays where that put it.")
        self.model.to(device)  # type: ignore[arg-type]
        self.__dict__.pop("engine", None)

    @cached_property
    def task(self) -> Task:
        """How this model reads inputs and targets."""
        options = TaskOptions(
            Granularity.parse(self.granularity), self.attribute_target, self.attribute_template, self.generation_args
        )
        return make_task(self.model, self.tokenizer, options)

    @cached_property
    def engine(self) -> Engine:
        """What runs the model."""
        return self.task.engine(self._resolved_score(), self._resolved_replacement(), self.batch_size)

    @property
    def pooling(self) -> GranularityAggregationStrategy:
        """How token scores become element scores."""
        if self.granularity_aggregation_strategy is None:
            return self.default_pooling
        return GranularityAggregationStrategy.parse(self.granularity_aggregation_strategy)

    # -- for methods -----------------------------------------------------------------------------------------------

    @abstractmethod
    def attribute(self, example: Example) -> Program:
        """A generator: yields requests to the engine, is sent their answers, returns an `Explanation`."""

    def _resolved_score(self) -> Score:
        if self.score is not None and self.inference_mode is not None:
            raise ValueError("score and inference_mode mean the same; give one of them.")
        chosen = self.score if self.score is not None else self.inference_mode
        return get_score(self.task.default_score if chosen is None else chosen)

    def _resolved_replacement(self) -> Replacement:
        return get_replacement(getattr(self, "replacement", "zero"), self.tokenizer, self.seed)

    # -- results ---------------------------------------------------------------------------------------------------

    def _with_generation_args(self, generation_args: dict[str, Any]) -> AttributionExplainer:
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.init}
        return type(self)(**{**values, "device": None, "generation_args": {**self.generation_args, **generation_args}})

    def _outputs(self, examples: list[Example]) -> list[AttributionOutput]:
        found = self.engine.run([self.attribute(example) for example in examples])
        return [self._output(e, result, passes) for e, (result, passes) in zip(examples, found, strict=True)]

    def _output(self, example: Example, found: Explanation, passes: Passes) -> AttributionOutput:
        additive = self.engine.score.additive
        rows = pool_targets(found.attributions, example.groups, additive=additive)
        target_scores = pool_targets(found.target_scores, example.groups, additive=additive)
        baseline = gap = None
        if found.baseline_scores is not None:
            baseline = pool_targets(found.baseline_scores, example.groups, additive=additive)
            if found.is_complete:
                gap = (rows.sum(1) - (target_scores - baseline)).float()
        errors = found.standard_errors
        if errors is not None:
            errors = pool_targets(errors.square(), example.groups, additive=additive).sqrt()
        return AttributionOutput(
            attributions=_spread(rows, example),
            example=example,
            task=self.task.kind,
            method=type(self).__name__,
            settings=self.settings,
            score=self.engine.score.name,
            granularity=Granularity.parse(self.granularity),
            target_scores=target_scores.float(),
            baseline_scores=None if baseline is None else baseline.float(),
            completeness_gap=gap,
            standard_errors=None if errors is None else _spread(errors, example),
            n_forward=passes.forward + (example.logits is not None),  # with the pass that predicted the target
            n_backward=passes.backward,
            model_name=str(getattr(self.task.model.config, "_name_or_path", "") or type(self.task.model).__name__),
            model_revision=getattr(self.task.model.config, "_commit_hash", None),
            diagnostics={
                name: pool_targets(value, example.groups, additive=False).tolist()
                if isinstance(value, Tensor)
                else value
                for name, value in found.diagnostics.items()
            },
            versions=dict(_versions()),
        )

    @property
    def settings(self) -> dict[str, Any]:
        """The hyper-parameters, as JSON can hold them."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.init and f.name not in _COMMON}
        values["score"] = self.engine.score.name
        values["granularity_aggregation_strategy"] = self.pooling.value
        if "replacement" in values:
            values["replacement"] = self.engine.replacement.name
        return {name: _plain(value) for name, value in values.items()}


def _spread(rows: Tensor, example: Example) -> Tensor:
    """Players' columns to all elements', NaN where nothing can be attributed."""
    values = torch.full((len(rows), len(example.elements)), torch.nan)
    values[:, example.players] = rows.float()
    return values.masked_fill(~example.attributable, torch.nan)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, (str, int, float)) else value.name.lower()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Tensor):
        return f"tensor {tuple(value.shape)}"
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(getattr(value, "name", getattr(value, "__name__", type(value).__name__)))


@cache
def _versions() -> dict[str, str]:
    found = {}
    for name in ("hf-interpreto", "transformers", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
