"""What the explaining pipelines share: they read arguments, call an explainer, and return its results."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from transformers import Pipeline, PreTrainedModel, PreTrainedTokenizerBase

from hf_interpreto.attributions import AttributionExplainer, AttributionOutput
from hf_interpreto.errors import TokenizerError
from hf_interpreto.model_wrapping.loading import make_task
from hf_interpreto.model_wrapping.tasks import TaskOptions
from hf_interpreto.pipelines.arguments import check_arguments, default_method, hyper_parameters, make_explainer
from hf_interpreto.pipelines.streams import explain_inputs
from hf_interpreto.typing import ModelTask

_OF_PIPELINE = frozenset({"local_files_only"})  # `pipeline` uses it, and hands it on


@dataclass(eq=False)
class Window:
    """Inputs that are explained together, with the target of each."""

    inputs: list[Any]
    targets: list[Any]


class ExplainPipeline(Pipeline):
    """Base of the `explain-...` pipelines.

    Arguments may be given at construction, at the call, or both, where the call's count: `method` (a name in any
    spelling, or a class), `targets`, `granularity`, `score`, `batch_size`, and whatever else the method takes. A call
    that names another method drops those of the construction that this method does not take.

    Calling it returns one `AttributionOutput` for each input: one for one input, a list for a list, and an iterator
    for a generator or a dataset, which must have a column "text" (or pass one of its columns).

    Raises:
        TaskMismatchError: the model has not the head of the pipeline's task.
        UnknownArgumentError: an argument that neither the pipeline nor the method takes.
        UnknownNameError: a method that nobody has defined.
    """

    explained_task: ClassVar[ModelTask]

    _load_tokenizer: Any = True
    _load_processor: Any = False
    _load_image_processor: Any = False
    _load_video_processor: Any = False
    _load_feature_extractor: Any = False

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None, **kwargs: Any
    ) -> None:
        if tokenizer is None:
            raise TokenizerError("tokenizer: the pipeline needs the model's; pass tokenizer=.")
        make_task(model, tokenizer, TaskOptions(), expected=self.explained_task)
        kwargs.setdefault("task", f"explain-{self.explained_task.value}")
        super().__init__(model=model, tokenizer=cast(Any, tokenizer), **kwargs)

    def __call__(
        self,
        inputs: Any,
        *args: Any,
        num_workers: int | None = None,
        batch_size: int | str | None = None,
        **arguments: Any,
    ) -> Any:
        """Explain inputs.

        Args:
            inputs: a string, a (text, text_pair) tuple, chat messages, a BatchEncoding, or a list, generator or
                dataset of these.
            *args: none; everything else goes by name.
            num_workers: accepted for the sake of code written for other pipelines; there are no workers.
            batch_size: rows per pass of the model, those of several inputs together; "auto" unless told otherwise.
            **arguments: `method`, `targets` and hyper-parameters of the method.

        Returns:
            An `AttributionOutput`, a list of them, or an iterator over them; an input of a generator that has several
            target texts gives a list in place of one.
        """
        if args:
            raise TypeError(f"{self.task}: got {args[0]!r} without a name; write targets= or method= before it.")
        explainer, targets = self._request(batch_size, self._sanitize_parameters(**arguments)[1])

        def explain(window: list[Any], chosen: list[Any]) -> list[AttributionOutput]:
            found = self.forward(self.preprocess(window, targets=chosen), explainer=explainer)
            return self.postprocess(found)

        return explain_inputs(explain, inputs, targets, self.explained_task)

    def _request(self, batch_size: int | str | None, arguments: dict[str, Any]) -> tuple[AttributionExplainer, Any]:
        """The explainer and the targets of a call, whose arguments go before those of the construction."""
        method = default_method(self.explained_task, arguments.get("method", self._forward_params.get("method")))
        known = hyper_parameters(method)
        if "method" in arguments:
            kept = {name: value for name, value in self._forward_params.items() if name in known | {"targets"}}
        else:
            kept = self._forward_params
        arguments = {**kept, **arguments}
        arguments.pop("method", None)
        targets = arguments.pop("targets", None)
        size = self._batch_size if batch_size is None else batch_size
        if size is not None:
            arguments["batch_size"] = size
        return make_explainer(self.model, cast(Any, self.tokenizer), method, arguments), targets

    def get_inference_context(self) -> Callable[[], AbstractContextManager[Any]]:
        """Gradients stay on; the engine turns them off where a method needs none."""
        return torch.enable_grad

    def preprocess(self, input_: Any, targets: Any = None, **preprocess_parameters: Any) -> Any:
        """Inputs and targets as one object, whose tensors stay where they are."""
        return Window(input_, [None] * len(input_) if targets is None else targets)

    def _forward(self, input_tensors: Any, **forward_parameters: Any) -> Any:
        return forward_parameters["explainer"](input_tensors.inputs, input_tensors.targets)

    def postprocess(self, model_outputs: Any, **postprocess_parameters: Any) -> Any:
        """As they are."""
        return model_outputs

    def _sanitize_parameters(self, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        arguments = {name: value for name, value in arguments.items() if name not in _OF_PIPELINE}
        of_construction = getattr(self, "_forward_params", {})  # not there yet during construction
        method = default_method(self.explained_task, arguments.get("method", of_construction.get("method")))
        hyper = {name: value for name, value in arguments.items() if name not in ("method", "targets")}
        check_arguments(method, self.explained_task, hyper, f"explain-{self.explained_task.value}")
        return {}, arguments, {}
