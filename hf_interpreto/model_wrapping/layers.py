"""Split points: which module's output, at which of its calls; found by number or name, read and replaced by hooks."""

from __future__ import annotations

import copy
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from hf_interpreto.errors import SplitPointError

ActivationEdit = Callable[[Tensor], Tensor]

_CALL = "#"


@dataclass(frozen=True)
class SplitPoint:
    """A module's output at one of its calls in a forward pass.

    Attributes:
        name: the module's path, with `#k` behind it for call `k` of a module that runs several times.
        path: the module's path alone.
        call: which of the module's calls, from 0.
    """

    name: str
    path: str
    call: int = 0


def resolve_split_points(model: PreTrainedModel, given: int | str | Sequence[int | str]) -> list[SplitPoint]:
    """The modules that users mean, each once.

    Args:
        model: has them.
        given: number(s) of layers, negative from the last, or path(s) of modules.

    Raises:
        SplitPointError: no such layer or module, or more than one that may be meant.
    """
    entries = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    if not entries:
        raise SplitPointError("split_points: got none; pass layer numbers such as [8] or [-1], or names of modules.")
    return list(dict.fromkeys(_resolve(model, entry) for entry in entries))


def _resolve(model: PreTrainedModel, given: int | str) -> SplitPoint:
    if isinstance(given, str):
        return _by_name(model, given)
    if isinstance(given, bool) or not isinstance(given, Integral):
        raise SplitPointError(f"split_points: expected layer numbers and names of modules, got {given!r}.")
    stacks = _layer_stacks(model)
    if not stacks:
        raise SplitPointError(
            f"split_points: cannot tell which modules are the layers of {type(model).__name__}. Name the module; "
            "`model.named_modules()` lists them."
        )
    shown = []
    for layers in stacks:
        if not -len(layers) <= given < len(layers):
            raise SplitPointError(
                f"split_points: there is no layer {given}; the model has {len(layers)}, 0 to {len(layers) - 1} (or "
                f"{-len(layers)} to -1)."
            )
        shown.append(layers[int(given)])
    if len(shown) > 1:
        names = " or ".join(repr(point.name) for point in shown)
        raise SplitPointError(f"split_points: layer {given} may be {names}; pass the one that you mean by its name.")
    return shown[0]


def _by_name(model: PreTrainedModel, name: str) -> SplitPoint:
    path, marked, call = name.partition(_CALL)
    paths = [known for known, _ in model.named_modules() if known]
    if path not in paths:
        # The end of a path is what people remember; a shorter one differs in the front from what they mean.
        near = [known for known in paths if known.endswith(f".{path}")] or get_close_matches(path, paths, 5, 0.6)
        hint = f"did you mean {', '.join(map(repr, near[:5]))}?" if near else "`model.named_modules()` lists them."
        raise SplitPointError(f"split_points: {type(model).__name__} has no module {path!r}; {hint}")
    if marked and not call.isdecimal():
        raise SplitPointError(f"split_points: {name!r}: expected the number of a call behind {_CALL!r}, from 0.")
    n_layers = _layers_run_by(model, path)
    if n_layers > 1 and not marked:
        raise SplitPointError(
            f"split_points: {path!r} runs for {n_layers} layers of this model. Say which: '{path}{_CALL}0' to "
            f"'{path}{_CALL}{n_layers - 1}'."
        )
    is_plain = n_layers == 1 and int(call or 0) == 0
    return SplitPoint(path if is_plain else f"{path}{_CALL}{int(call)}", path, int(call or 0))


def _layer_stacks(model: PreTrainedModel) -> list[list[SplitPoint]]:
    """The layers in the order in which they run: one stack, or an encoder's and a decoder's."""
    lists = _outer_lists(model)
    if model.config.is_encoder_decoder:
        return [[SplitPoint(f"{path}.{i}", f"{path}.{i}") for i in range(n)] for path, n in lists.items()]
    depth = int(model.config.get_text_config().num_hidden_layers)
    fitting = {path: n for path, n in lists.items() if n == depth} or {
        path: n for path, n in lists.items() if depth % n == 0
    }
    return [_repeated(path, n, depth) for path, n in fitting.items()]


def _repeated(path: str, n: int, depth: int) -> list[SplitPoint]:
    """`depth` layers made of `n` modules, each of which runs for as many layers in a row (ALBERT)."""
    times = depth // n
    modules = [(f"{path}.{layer // times}", layer % times) for layer in range(depth)]
    return [SplitPoint(f"{p}{_CALL}{call}" if times > 1 else p, p, call) for p, call in modules]


def _layers_run_by(model: PreTrainedModel, path: str) -> int:
    """How many layers the module at `path` runs for: 1 unless layers share their weights."""
    points = [point for layers in _layer_stacks(model) for point in layers]
    return max(1, sum(path == point.path or path.startswith(f"{point.path}.") for point in points))


def _outer_lists(model: nn.Module) -> dict[str, int]:
    """Path and length of the module lists that are in no other."""
    found: dict[str, int] = {}
    for path, module in model.named_modules():
        inside = any(path.startswith(f"{outer}.") for outer in found)
        if isinstance(module, nn.ModuleList) and len(module) and not inside:
            found[path] = len(module)
    return found


class _AllRead(Exception):
    """Every output that was asked for has been read."""


@contextmanager
def reading(model: nn.Module, points: Sequence[SplitPoint], *, stop: bool) -> Iterator[dict[SplitPoint, Tensor]]:
    """Read the outputs at split points of one forward pass into a dict, in the order in which they are made.

    Args:
        model: runs inside the `with`.
        points: what to read.
        stop: whether the pass, and with it the block, ends as soon as all have been read.
    """
    found: dict[SplitPoint, Tensor] = {}
    wanted: dict[str, dict[int, SplitPoint]] = defaultdict(dict)
    for point in points:
        wanted[point.path][point.call] = point

    def reader(at_call: dict[int, SplitPoint]) -> Callable[..., None]:
        calls = itertools.count()

        def read(_module: nn.Module, _args: Any, output: Any) -> None:
            point = at_call.get(next(calls))
            if point is None:
                return
            found[point] = first_tensor(output, point.name).clone()  # later modules may work in place
            if stop and len(found) == len(points):
                raise _AllRead

        return read

    with ExitStack() as stack:
        for path, at_call in wanted.items():
            stack.callback(model.get_submodule(path).register_forward_hook(reader(at_call)).remove)
        try:
            yield found
        except _AllRead:
            return


@contextmanager
def editing(model: nn.Module, point: SplitPoint, edit: ActivationEdit) -> Iterator[None]:
    """Replace the output at a split point by `edit` of it, in one forward pass.

    Args:
        model: runs once inside the `with`.
        point: where.
        edit: from `(b, l, d)` to the same shape; half-precision activations come and go as float32.

    Raises:
        ValueError: the edited activations have another shape.
    """
    calls = itertools.count()

    def replace(_module: nn.Module, _args: Any, output: Any) -> Any:
        if next(calls) != point.call:
            return output
        hidden = first_tensor(output, point.name)
        edited = edit(hidden.to(torch.promote_types(hidden.dtype, torch.float32)))
        if edited.shape != hidden.shape:
            raise ValueError(f"edit: expected activations {tuple(hidden.shape)} back, got {tuple(edited.shape)}.")
        return _with_first(output, edited.to(hidden))

    handle = model.get_submodule(point.path).register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()


def first_tensor(output: Any, name: str) -> Tensor:
    """The activations in what a module returns: itself, or the first of several.

    Raises:
        SplitPointError: there is no tensor.
    """
    is_several = isinstance(output, (tuple, list, ModelOutput)) and len(output) > 0
    first = output[0] if is_several else output
    if isinstance(first, Tensor):
        return first
    raise SplitPointError(f"split_points: {name!r} returns a {type(output).__name__} that begins with no tensor.")


def _with_first(output: Any, value: Tensor) -> Any:
    if isinstance(output, Tensor):
        return value
    if isinstance(output, ModelOutput):
        changed = copy.copy(output)
        changed[next(iter(output))] = value
        return changed
    return type(output)([value, *output[1:]])
