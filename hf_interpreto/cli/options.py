"""Options that several subcommands have, and how their text becomes arguments."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from hf_interpreto.attributions import AttributionExplainer

TASKS = ("text-classification", "text-generation", "token-classification", "fill-mask")
_KINDS: dict[type, str] = {int: "a whole number", float: "a number", bool: "true or false", type(None): "none"}
_WORDS = {"none": None, "null": None, "true": True, "false": False}


class UsageError(ValueError):
    """The command line makes no sense."""


def add_model_options(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """`--model` and what says how it is loaded."""
    group = parser.add_argument_group("model")
    group.add_argument("-m", "--model", required=required, help="id on the Hugging Face Hub, or a folder")
    group.add_argument(
        "--task", choices=TASKS, metavar="TASK", help=f"{', '.join(TASKS)}; read from the model's config unless given"
    )
    group.add_argument("--revision", help="branch, tag or commit")
    group.add_argument("--token", help="of the Hub; else that of `hf auth login`")
    group.add_argument("--device", help="such as cpu, cuda or cuda:1; cpu unless given")
    group.add_argument("--dtype", help="such as float32 or bfloat16; as stored unless given")
    group.add_argument("--trust-remote-code", action="store_true", help="run the code that comes with the model")


def add_method_options(parser: argparse.ArgumentParser) -> None:
    """`--method` and what it is told."""
    group = parser.add_argument_group("explanation")
    group.add_argument("--method", help="any of `hf-interpreto methods`; chosen by the task unless given")
    group.add_argument(
        "-t",
        "--targets",
        action="append",
        metavar="TARGET",
        help="a class (name or number), a continuation, or a word for the mask; may be repeated; "
        "what the model predicts or generates unless given",
    )
    group.add_argument("-g", "--granularity", help="word (the default), token, all_tokens, sentence or part_sentence")
    group.add_argument("--score", help="logit, probability, logprob, log_odds or margin")
    group.add_argument("-b", "--batch-size", type=_batch_size, help='rows per pass of the model, or "auto"')
    group.add_argument(
        "-s",
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a hyper-parameter of the method, or an argument of generate; may be repeated",
    )


def load(options: argparse.Namespace) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model that the options name, and its tokenizer, without transformers' progress bars.

    Bars of downloads stay; `HF_HUB_DISABLE_PROGRESS_BARS=1` takes these away.
    """
    from transformers.utils import logging

    from hf_interpreto.model_wrapping.loading import load_model, load_tokenizer

    logging.set_tqdm_hook(lambda factory, args, kwargs: factory(*args, **{**kwargs, "disable": True}))
    if options.model.startswith(("/", "./", "../", "~")) and not Path(options.model).is_dir():
        raise UsageError(f"--model {options.model}: there is no such folder.")
    of_hub = {"revision": options.revision, "token": options.token, "trust_remote_code": options.trust_remote_code}
    given = {name: value for name, value in of_hub.items() if value}
    model = load_model(options.model, options.task, dtype=options.dtype or "auto", **given)
    tokenizer = load_tokenizer(options.model, **given)
    if options.device is not None:
        model.to(_device(options.device))
    return model, tokenizer


def explainer(
    options: argparse.Namespace, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> AttributionExplainer:
    """The explainer that the options describe."""
    from hf_interpreto.model_wrapping.tasks import detect_task
    from hf_interpreto.pipelines.arguments import check_arguments, default_method, make_explainer

    task = detect_task(model)
    method = default_method(task, options.method)
    arguments = dict(_assignment(text, method) for text in options.set)
    for name in ("granularity", "score", "batch_size"):
        if getattr(options, name) is not None:
            arguments[name] = getattr(options, name)
    check_arguments(method, task, arguments, "explain")
    return make_explainer(model, tokenizer, method, arguments)


def targets_of(given: Sequence[str] | None, model: PreTrainedModel) -> Any:
    """The targets of one input, as explainers take them: numbers stand for classes unless a label is called so."""
    if not given:
        return None
    from hf_interpreto.model_wrapping.tasks import detect_task
    from hf_interpreto.typing import ModelTask

    if detect_task(model) in (ModelTask.TEXT_CLASSIFICATION, ModelTask.TOKEN_CLASSIFICATION):
        labels = model.config.label2id or {}
        entries = [int(text) if text.isdecimal() and text not in labels else text for text in given]
    else:
        entries = list(given)
    return entries[0] if len(entries) == 1 else entries


def _assignment(text: str, method: type[AttributionExplainer]) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not name:
        raise UsageError(f"--set {text}: expected NAME=VALUE, such as --set n_perturbations=500.")
    return name, parse_value(name, value, _accepted_types(name, method))


def parse_value(name: str, text: str, accepted: Sequence[type] | None) -> Any:
    """The first of none, true/false, whole number, number and text that `text` reads as and that is accepted.

    Args:
        name: of the argument, for the message.
        text: as typed.
        accepted: types of the field; None reads `text` as JSON, or as itself where it is none.

    Raises:
        UsageError: it reads as nothing that is accepted.
    """
    if accepted is None or dict in accepted:
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return _WORDS.get(text.lower(), text)
    word = _WORDS.get(text.lower(), ...)
    if word is not ... and type(word) in accepted:
        return word
    for kind in (int, float, str):
        if kind in accepted or (kind is int and float in accepted):
            try:
                return kind(text)
            except ValueError:
                continue
    raise UsageError(f"--set {name}={text}: expected {' or '.join(_KINDS[kind] for kind in accepted)}.")


def _accepted_types(name: str, method: type[AttributionExplainer]) -> list[type] | None:
    """The plain types of a field's annotation; None where the method has no such field, or it cannot be read."""
    from dataclasses import fields
    from typing import get_args, get_type_hints

    if name not in {item.name for item in fields(method)}:
        return None
    try:
        annotation = get_type_hints(method)[name]
    except NameError:  # a class of the user's, annotated with what is only imported for type checkers
        return None
    members = [getattr(member, "__origin__", member) for member in get_args(annotation) or (annotation,)]
    return [kind for kind in members if kind in (type(None), bool, int, float, str, dict)] or None


def _batch_size(text: str) -> int | str:
    if text == "auto":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r}: expected a number above 0, or "auto".')
    return int(text)


def _device(name: str) -> Any:
    import torch

    try:
        return torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device {name}: {str(error).splitlines()[0]}") from None
