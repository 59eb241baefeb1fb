"""`model.explain(...)` on models that go on being what they were.

`make_explainable` gives a model a subclass of its own class, with the same name, so that `isinstance`, pipelines and
the `architectures` in a saved config stay as they are. The subclass exists in memory alone: pickling and copying go
by the model's own class, and give an explainable model again.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from os import PathLike, fspath
from typing import Any, ClassVar, cast

from transformers import AutoConfig, PreTrainedModel, PreTrainedTokenizerBase

from hf_interpreto.errors import TaskMismatchError, TokenizerError
from hf_interpreto.model_wrapping.loading import auto_class, load_tokenizer, named_task
from hf_interpreto.model_wrapping.tasks import detect_task
from hf_interpreto.pipelines.arguments import Method, check_arguments, default_method, make_explainer
from hf_interpreto.pipelines.streams import Result, explain_inputs
from hf_interpreto.typing import ModelTask

_OF_HUB = ("revision", "token", "trust_remote_code", "cache_dir", "local_files_only", "subfolder")


class ExplainableMixin:
    """Adds `explain` to a transformers model; mix it in before the model's class, or use `make_explainable`."""

    def explain(
        self, model_inputs: Any, method: Method | None = None, targets: Any = None, **arguments: Any
    ) -> Result | list[Result] | Iterator[Result]:
        """Explain what this model says of inputs. The model is left as it was.

        Args:
            model_inputs: a string, a (text, text_pair) tuple, chat messages, a BatchEncoding, or a list, generator or
                dataset of these.
            method: a name in any spelling, or a class; None is integrated gradients for classifiers and masked
                language models, and occlusion for generators and token classifiers.
            targets: what to explain; None is what the model predicts or generates.
            **arguments: hyper-parameters of the method (`granularity`, `score`, `batch_size`, ...) and, for
                generators, arguments of `generate`.

        Returns:
            An `AttributionOutput` for one input, a list for a list, an iterator for a generator or a dataset. An input
            of a generator that has several target texts gives a list in place of one.

        Raises:
            UnknownNameError: a method, label or other name that is not known.
            UnknownArgumentError: an argument that the method does not take.
            InvalidInputError: an input that cannot be explained.
            TokenizerError: the model has no tokenizer, and none is found where it was loaded from.
        """
        model = cast(PreTrainedModel, self)
        task = detect_task(model)
        chosen = default_method(task, method)
        check_arguments(chosen, task, arguments, "explain")
        explainer = make_explainer(model, self._explaining_tokenizer(), chosen, arguments)
        return explain_inputs(explainer, model_inputs, targets, task)

    def _explaining_tokenizer(self) -> PreTrainedTokenizerBase:
        # In `__dict__`, where pickle and deepcopy see it, and no module or parameter is meant.
        tokenizer = self.__dict__.get("_hf_interpreto_tokenizer")
        if tokenizer is None:
            model = cast(PreTrainedModel, self)
            tokenizer = _find_tokenizer(str(model.name_or_path or ""), {})
            self.__dict__["_hf_interpreto_tokenizer"] = tokenizer
        return tokenizer


def make_explainable(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None) -> Any:
    """Give a loaded model the method `explain`.

    It is the same object, of a subclass of its class; weights, buffers, mode and hooks are not touched.

    Args:
        model: with a head for classification (sequence or token) or for causal, encoder-decoder or masked language
            modelling.
        tokenizer: the model's; None is looked up where the model was loaded from, when `explain` is first called.

    Returns:
        `model`.

    Raises:
        TypeError: it is not a transformers model.
        TaskMismatchError: it has no head that can be explained.

    Example:
        >>> from hf_interpreto.demo import load_demo
        >>> model = make_explainable(*load_demo("classifier"))
        >>> model.explain("I was delighted by the news.", method="lime").top(1)[0][0]
        'delighted'
    """
    if not isinstance(model, PreTrainedModel):
        raise TypeError(
            f"make_explainable: expected a transformers model, got {type(model).__name__}. Of a wrapped model (PEFT, "
            "torch.compile, data parallel), make the model inside explainable."
        )
    detect_task(model)
    if not isinstance(model, ExplainableMixin):
        model.__class__ = explainable_class(type(model))  # type: ignore[arg-type]
    if tokenizer is not None:
        model.__dict__["_hf_interpreto_tokenizer"] = tokenizer
    return model


@cache  # one class for each, or instances of the same model would differ in type
def explainable_class(base: type[PreTrainedModel]) -> type[PreTrainedModel]:
    """The subclass of a model class that has `explain`, under the same name; always the same one for a class."""

    def reduce(self: PreTrainedModel, protocol: Any) -> tuple[Any, ...]:
        return _empty_explainable, (base,), self.__getstate__()

    names = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    return type(base.__name__, (ExplainableMixin, base), {**names, "__reduce_ex__": reduce})


def _empty_explainable(base: type[PreTrainedModel]) -> PreTrainedModel:
    """What pickle and deepcopy fill with the state of a model."""
    cls = explainable_class(base)  # type: ignore[arg-type]
    return cls.__new__(cls)


class _ExplainableAuto:
    """Base of the classes that load a model with one kind of head, made explainable."""

    task: ClassVar[ModelTask]
    is_encoder_decoder: ClassVar[bool | None] = None

    def __init__(self) -> None:
        raise TypeError(f"{type(self).__name__} only loads models: call {type(self).__name__}.from_pretrained(...).")

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | PathLike[str],
        *,
        tokenizer: PreTrainedTokenizerBase | str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Load a model that can `explain`.

        Args:
            pretrained_model_name_or_path: Hub id or folder.
            tokenizer: an object, or where to load it from; None is the model's own.
            **kwargs: as for `from_pretrained` of transformers: `revision`, `dtype`, `device_map`, `token`,
                `trust_remote_code`, `output_loading_info`, ...

        Returns:
            The model, an instance of its own class; with `output_loading_info=True`, that and the loading info.

        Raises:
            TaskMismatchError: the checkpoint holds a model with another head.
            TokenizerError: there is no tokenizer beside the model.
        """
        name = fspath(pretrained_model_name_or_path)
        of_hub = {key: value for key, value in kwargs.items() if key in _OF_HUB}
        config = kwargs.get("config") or AutoConfig.from_pretrained(name, **of_hub)
        cls._check_head(name, config)
        loaded = auto_class(cls.task, config).from_pretrained(name, **kwargs)
        if tokenizer is None or isinstance(tokenizer, str):
            tokenizer = _find_tokenizer(name if tokenizer is None else tokenizer, of_hub)
        if isinstance(loaded, tuple):
            return make_explainable(loaded[0], tokenizer), *loaded[1:]
        return make_explainable(loaded, tokenizer)

    @classmethod
    def _check_head(cls, name: str, config: Any) -> None:
        head = named_task(config)
        kind = config.is_encoder_decoder
        if head not in (None, cls.task) or cls.is_encoder_decoder not in (None, kind):
            found = (config.architectures or [type(config).__name__])[0]
            fitting = _AUTO_NAMES[head or cls.task, kind and (head or cls.task) is ModelTask.TEXT_GENERATION]
            raise TaskMismatchError(f"{cls.__name__}: {name!r} holds a {found}; use {fitting}.from_pretrained for it.")


class ExplainableModelForSequenceClassification(_ExplainableAuto):
    """`AutoModelForSequenceClassification` whose models can `explain`."""

    task = ModelTask.TEXT_CLASSIFICATION


class ExplainableModelForCausalLM(_ExplainableAuto):
    """`AutoModelForCausalLM` whose models can `explain`."""

    task = ModelTask.TEXT_GENERATION
    is_encoder_decoder = False


class ExplainableModelForSeq2SeqLM(_ExplainableAuto):
    """`AutoModelForSeq2SeqLM` whose models can `explain`."""

    task = ModelTask.TEXT_GENERATION
    is_encoder_decoder = True


class ExplainableModelForTokenClassification(_ExplainableAuto):
    """`AutoModelForTokenClassification` whose models can `explain`."""

    task = ModelTask.TOKEN_CLASSIFICATION


class ExplainableModelForMaskedLM(_ExplainableAuto):
    """`AutoModelForMaskedLM` whose models can `explain`."""

    task = ModelTask.FILL_MASK


_AUTO_NAMES = {
    (ModelTask.TEXT_CLASSIFICATION, False): "ExplainableModelForSequenceClassification",
    (ModelTask.TEXT_GENERATION, False): "ExplainableModelForCausalLM",
    (ModelTask.TEXT_GENERATION, True): "ExplainableModelForSeq2SeqLM",
    (ModelTask.TOKEN_CLASSIFICATION, False): "ExplainableModelForTokenClassification",
    (ModelTask.FILL_MASK, False): "ExplainableModelForMaskedLM",
}


def _find_tokenizer(name: str, of_hub: dict[str, Any]) -> PreTrainedTokenizerBase:
    try:
        return load_tokenizer(name, **of_hub)
    except (OSError, ValueError, KeyError) as error:
        raise TokenizerError(
            f"tokenizer: none could be loaded from {name!r}. Pass it: make_explainable(model, tokenizer), or "
            "from_pretrained(..., tokenizer=tokenizer)."
        ) from error
