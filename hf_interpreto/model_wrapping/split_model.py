"""A model split where its activations are read or replaced, with plain hooks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from os import PathLike, fspath
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from tqdm.auto import tqdm
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from hf_interpreto.errors import InvalidInputError, SplitPointError, TaskMismatchError, TokenizerError
from hf_interpreto.granularity import Element, GranularityAggregationStrategy
from hf_interpreto.model_wrapping.activations import (
    PREDICTIONS,
    ActivationGranularity,
    ActivationRows,
    Activations,
    ElementFinder,
    pool_rows,
)
from hf_interpreto.model_wrapping.batching import Batcher, Cost, Part
from hf_interpreto.model_wrapping.classification import classified_position
from hf_interpreto.model_wrapping.encoding import Encoding, TextEncoder
from hf_interpreto.model_wrapping.forward import Batch, Forward, Stream
from hf_interpreto.model_wrapping.inputs import as_inputs
from hf_interpreto.model_wrapping.layers import ActivationEdit, SplitPoint, editing, reading, resolve_split_points
from hf_interpreto.model_wrapping.loading import load_model, load_tokenizer, make_task
from hf_interpreto.model_wrapping.tasks import TaskOptions, unwrap
from hf_interpreto.typing import ModelTask

_OF_HUB = ("revision", "token", "trust_remote_code", "cache_dir", "local_files_only", "subfolder")
_PROBED = 3  # tokens


class ModelWithSplitPoints:
    """A model whose activations can be read, and replaced, at chosen modules.

    The model and its tokenizer stay as they are: hooks are there during a call only, and each call puts the model's
    mode back.

    Encoder-decoders that generate read the same text in both towers, in the decoder moved right by one behind its
    start token (as in training, and as those that classify do by themselves): the decoder's activation at a token is
    the one from which it would write that token.

    Args:
        model_or_repo_id: a transformers model with a head, or the Hub id or folder of one.
        split_points: numbers of layers (`8`, `-1`) or paths of modules (`"bert.encoder.layer.1.attention"`), one or
            several; the activations are the module's output, or the first of several outputs. Where a module runs
            several times in a pass, `#k` behind its path is its call `k`; a number does that by itself for layers that
            share their weights.
        tokenizer: the model's, or where to load it from; may be left out with an id.
        batch_size: texts per pass, or "auto" for a budget of tokens.
        device_map: for `from_pretrained`, as all that follow.
        automodel: class that loads the model; None takes the one that the config names.
        config: of the model.
        **from_pretrained_kwargs: `dtype`, `revision`, `token`, `trust_remote_code`, ...

    Attributes:
        model: the transformers model.
        tokenizer: as given.
        split_points: the modules' paths, in the order in which they run.
        task: how the model reads inputs.

    Raises:
        SplitPointError: a split point that is not there, is ambiguous, or does not give a vector for each token.
        TokenizerError: there is no tokenizer.
        TaskMismatchError: the model has no head that is known.

    Example:
        >>> from hf_interpreto.testing import tiny_model
        >>> model, tokenizer = tiny_model("bert", task="text-classification")
        >>> split_model = ModelWithSplitPoints(model, split_points=[-1], tokenizer=tokenizer)
        >>> activations = split_model.get_activations(["It was great.", "It was slow."], "cls_token")
        >>> {split_point: tuple(rows.shape) for split_point, rows in activations.items()}
        {'bert.encoder.layer.1': (2, 32)}
    """

    activation_granularities: ClassVar[type[ActivationGranularity]] = ActivationGranularity
    aggregation_strategies: ClassVar[type[GranularityAggregationStrategy]] = GranularityAggregationStrategy

    def __init__(
        self,
        model_or_repo_id: nn.Module | str | PathLike[str],
        split_points: int | str | Sequence[int | str],
        *,
        tokenizer: PreTrainedTokenizerBase | str | None = None,
        batch_size: int | str = "auto",
        device_map: Any = None,
        automodel: Any = None,
        config: PreTrainedConfig | None = None,
        **from_pretrained_kwargs: Any,
    ) -> None:
        loading = {"device_map": device_map, "automodel": automodel, "config": config, **from_pretrained_kwargs}
        given = {name: value for name, value in loading.items() if value is not None}
        self.model, self.tokenizer = _loaded(model_or_repo_id, tokenizer, given)
        self.batch_size = batch_size
        self.task = make_task(self.model, self.tokenizer, TaskOptions())
        self._encode = TextEncoder(self.tokenizer, self.task.max_length)
        Batcher(batch_size, self.forward.device)  # refuses what is no batch size now rather than at the first call
        self._points, self._widths = self._probe(resolve_split_points(self.model, split_points))
        self.split_points = [point.name for point in self._points]

    @property
    def forward(self) -> Forward:
        """Runs the model."""
        return self.task.forward

    def latent_shape(self, split_point: str | int | None = None) -> tuple[int, ...]:
        """Shape `(d,)` of one activation; None is the only split point."""
        return (self._widths[self._point(split_point).name],)

    def get_activations(
        self,
        inputs: Any,
        activation_granularity: ActivationGranularity | str = ActivationGranularity.TOKEN,
        *,
        aggregation_strategy: GranularityAggregationStrategy | str = GranularityAggregationStrategy.MEAN,
        include_predicted_classes: bool = False,
        tqdm_bar: bool = False,
        batch_size: int | str | None = None,
    ) -> Activations:
        """Activations of texts. The pass ends at the last split point, unless predictions are wanted.

        Args:
            inputs: a string, a (text, text_pair) tuple, chat messages, a BatchEncoding, or a list, generator or
                dataset of these.
            activation_granularity: what one row stands for.
            aggregation_strategy: how the tokens of a word, sentence or sample become one row.
            include_predicted_classes: whether to add `"predictions"` `(n,)`: the class with the largest logit for the
                text that each row is of.
            tqdm_bar: whether to show progress.
            batch_size: texts per pass, or "auto"; None is the model's `batch_size`. The rows do not depend on it.

        Returns:
            `{split point: (n, d)}` in float32 on the CPU, the rows in the order of the inputs and, within one, of its
            text; `rows` says where each came from.

        Raises:
            InvalidInputError: an input that cannot be read.
            TokenizerError: the granularity needs what the tokenizer lacks: a CLS token, offsets.
            TaskMismatchError: classes are wanted of a model that does not classify texts.
        """
        if include_predicted_classes:
            self._check_classifies()
        strategy = GranularityAggregationStrategy.parse(aggregation_strategy)
        find = ElementFinder(self.task, activation_granularity)
        encodings = self._encodings(inputs)
        elements = [find(encoding) for encoding in encodings]
        counts = [len(found) for found in elements]
        starts = [0, *accumulate(counts)]
        tensors = {name: torch.empty(starts[-1], width) for name, width in self._widths.items()}
        classes = torch.empty(len(encodings), dtype=torch.long)

        def execute(parts: list[Part]) -> None:
            chosen = [part.request for part in parts]
            batch = self.make_batch([encodings[index] for index in chosen])
            found, logits = self._read(batch, self._points, stop=not include_predicted_classes)
            for point, hidden in found.items():
                rows = pool_rows(hidden, [elements[index] for index in chosen], strategy).cpu()
                for index, values in zip(chosen, rows.split([counts[index] for index in chosen]), strict=True):
                    tensors[point.name][starts[index] : starts[index + 1]] = values
            if logits is not None:
                classes[chosen] = logits[:, 0].argmax(-1).cpu()
            bar.update(len(parts))

        batcher = Batcher(self.batch_size if batch_size is None else batch_size, self.forward.device)
        costs = [Cost(1, len(encoding)) for encoding in encodings]
        with self.forward.session(), tqdm(total=len(encodings), unit="text", disable=not tqdm_bar) as bar:
            batcher.run(costs, execute)
        samples = torch.arange(len(encodings)).repeat_interleave(torch.tensor(counts))
        if include_predicted_classes:
            tensors[PREDICTIONS] = classes[samples]
        texts = [element.text for found in elements for element in found]
        return Activations(tensors, ActivationRows(samples, texts, [encoding.text for encoding in encodings]))

    def element_tokens(
        self, inputs: Any, activation_granularity: ActivationGranularity | str = ActivationGranularity.TOKEN
    ) -> list[list[Element]]:
        """For each input the elements that its rows stand for, in the order of `get_activations`."""
        find = ElementFinder(self.task, activation_granularity)
        return [find(encoding) for encoding in self._encodings(inputs)]

    def run_with_edit(self, inputs: Any, split_point: str | int | None, edit: ActivationEdit) -> Tensor:
        """The logits that the model gives with other activations at a split point, in one pass that keeps the graph.

        Parameters are frozen during the pass, so that the graph begins with what `edit` returns.

        Args:
            inputs: few enough for one pass, or a `Batch` of `make_batch`.
            split_point: where; None where there is just one.
            edit: from activations `(b, l, d)`, in float32 at least, to the same shape. Texts stand on the left and
                padding on the right; `element_tokens` says which tokens are whose.

        Returns:
            Logits `(b, 1, v)` of a classifier of texts, `(b, l, v)` of other models.
        """
        batch = inputs if isinstance(inputs, Batch) else self.make_batch(self._encodings(inputs))
        with self.forward.session(), torch.enable_grad(), editing(self.model, self._point(split_point), edit):
            return self.forward(batch).values

    def make_batch(self, encodings: Sequence[Encoding]) -> Batch:
        """Tokenised texts, filled up on the right to one length; all logits are read."""
        pad = self.tokenizer.pad_token_id
        ids = pad_sequence([encoding.ids for encoding in encodings], True, 0 if pad is None else pad)
        lengths = torch.tensor([len(encoding) for encoding in encodings])
        attention = torch.arange(ids.shape[1]) < lengths[:, None]
        names = dict.fromkeys(name for encoding in encodings for name in self.task.extras(encoding))
        extras = {
            name: pad_sequence([item.extras.get(name, torch.zeros_like(item.ids)) for item in encodings], True)
            for name in names
        }
        streams = [Stream(ids, attention, extras)]
        if self.forward.is_encoder_decoder:
            shift: Any = self.model.prepare_decoder_input_ids_from_labels
            streams.append(Stream(shift(labels=ids), attention))
        read = torch.arange(ids.shape[1]).expand(len(ids), -1)
        if self.task.kind is ModelTask.TEXT_CLASSIFICATION:
            read = torch.tensor([[classified_position(self.model, encoding)] for encoding in encodings])
        return Batch(streams, read, torch.zeros_like(read))

    def _encodings(self, inputs: Any) -> list[Encoding]:
        found = []
        for index, item in enumerate(as_inputs(inputs)[0]):
            try:
                found.append(self._encode(item))
            except InvalidInputError as error:
                raise InvalidInputError(f"inputs[{index}]: {error}") from error
        if not found:
            raise InvalidInputError("inputs: got none.")
        return found

    def _read(
        self, batch: Batch, points: Sequence[SplitPoint], *, stop: bool
    ) -> tuple[dict[SplitPoint, Tensor], Tensor | None]:
        logits = None
        with torch.no_grad(), reading(self.model, points, stop=stop) as found:
            logits = self.forward(batch).values
        return found, logits

    def _probe(self, points: list[SplitPoint]) -> tuple[list[SplitPoint], dict[str, int]]:
        """Points in the order in which they run and the width of each, by a pass over a few tokens."""
        end = self.tokenizer.eos_token_id  # encoder-decoders classify by it
        ids = torch.full((_PROBED,), 0 if end is None else end)
        with self.forward.session():
            found, _ = self._read(self.make_batch([Encoding(ids, "", [], [])]), points, stop=True)
        for point in points:
            if point not in found:
                often = f" as many as {point.call + 1} times" if point.call else ""
                raise SplitPointError(f"split_points: {point.path!r} does not run{often} when the model reads a text.")
        for point, hidden in found.items():
            if hidden.ndim != 3 or hidden.shape[:2] != (1, _PROBED):
                raise SplitPointError(
                    f"split_points: {point.name!r} gives {tuple(hidden.shape)} for one text of {_PROBED} tokens; "
                    f"expected a vector for each token, (1, {_PROBED}, d)."
                )
        return list(found), {point.name: hidden.shape[-1] for point, hidden in found.items()}

    def _point(self, split_point: str | int | None) -> SplitPoint:
        """One of this model's split points, as named or numbered when it was made."""
        if split_point is None and len(self._points) == 1:
            return self._points[0]
        wanted = None if split_point is None else resolve_split_points(self.model, split_point)[0]
        if wanted not in self._points:
            given = "say which one is meant" if wanted is None else f"{wanted.name!r} is not one of them"
            raise SplitPointError(f"split_point: the model is split at {', '.join(self.split_points)}; {given}.")
        return wanted

    def _check_classifies(self) -> None:
        if self.task.kind is not ModelTask.TEXT_CLASSIFICATION or int(self.model.config.num_labels or 0) < 2:
            raise TaskMismatchError(
                f"include_predicted_classes: {type(self.model).__name__} predicts no class for a whole text."
            )


def _loaded(
    model: nn.Module | str | PathLike[str], tokenizer: PreTrainedTokenizerBase | str | None, loading: dict[str, Any]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    of_hub = {name: value for name, value in loading.items() if name in _OF_HUB}
    if isinstance(tokenizer, str):
        tokenizer = load_tokenizer(tokenizer, **of_hub)
    if isinstance(model, nn.Module):
        if loading:
            raise TypeError(f"{', '.join(sorted(loading))}: for a model loaded by its id only; got a loaded model.")
        if tokenizer is None:
            raise TokenizerError("tokenizer: needed to read texts; a loaded model has none, so pass tokenizer=...")
        return unwrap(model), tokenizer
    name = fspath(model)
    if tokenizer is None:
        tokenizer = load_tokenizer(name, **of_hub)
    automodel = loading.pop("automodel", None)
    load = load_model if automodel is None else automodel.from_pretrained
    return load(name, **loading), tokenizer
