"""What is explained: functions from logits and target ids to one number per target.

A score is a pure function `(logits (p, t, v), target_ids (p, t)) -> (p, t)`. Add your own with
`register_step_function`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from hf_interpreto.errors import UnknownNameError

_CACHED_LOGITS = 2**18

ScoreFunction = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Score:
    """A named score.

    Attributes:
        name: how users call it.
        function: `(logits (p, t, v), target_ids (p, t)) -> (p, t)`.
        additive: whether the score of several tokens is the sum of theirs, as for log-probabilities; else their mean.
    """

    name: str
    function: ScoreFunction
    additive: bool = False

    def __call__(self, logits: Tensor, target_ids: Tensor) -> Tensor:
        """Scores `(p, t)`, in at least float32."""
        if logits.dtype in (torch.float16, torch.bfloat16):
            logits = logits.float()
        return self.function(logits, target_ids)


def logit(logits: Tensor, target_ids: Tensor) -> Tensor:
    """`z_y`: additive in the evidence and never saturated; the default for classes."""
    return logits.gather(-1, target_ids[..., None]).squeeze(-1)


def logprob(logits: Tensor, target_ids: Tensor) -> Tensor:
    """`log p_y = z_y - logsumexp(z)`, in nats; the default for generated tokens."""
    flat, chosen = logits.flatten(0, -2), target_ids.flatten()
    # A block that stays in a CPU's cache is normalised several times faster than all the logits at once.
    rows = max(1, _CACHED_LOGITS // flat.shape[-1]) if flat.device.type == "cpu" else max(1, len(flat))
    parts = zip(flat.split(rows), chosen.split(rows), strict=True)
    return -torch.cat([cross_entropy(values, ids, reduction="none") for values, ids in parts]).view_as(target_ids)


def probability(logits: Tensor, target_ids: Tensor) -> Tensor:
    """`p_y`, in [0, 1]; flat where the model is sure, so gradients vanish there."""
    return logprob(logits, target_ids).exp()


def log_odds(logits: Tensor, target_ids: Tensor) -> Tensor:
    """`log p_y / (1 - p_y) = z_y - logsumexp(z without y)`, in nats."""
    return logit(logits, target_ids) - _without_target(logits, target_ids).logsumexp(-1)


def margin(logits: Tensor, target_ids: Tensor) -> Tensor:
    """`z_y - max(z without y)`: positive where y is the model's choice."""
    return logit(logits, target_ids) - _without_target(logits, target_ids).amax(-1)


def _without_target(logits: Tensor, target_ids: Tensor) -> Tensor:
    return logits.scatter(-1, target_ids[..., None], float("-inf"))


_SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        Score("logit", logit),
        Score("logprob", logprob, additive=True),
        Score("probability", probability),
        Score("log_odds", log_odds),
        Score("margin", margin),
    )
}
_ALIASES = {"logits": "logit", "log_softmax": "logprob", "softmax": "probability", "prob": "probability"}


class InferenceModes(Enum):
    """Scores by the names of the `inference_mode` argument; each maps logits to what the target is read from."""

    LOGITS = "logits"
    SOFTMAX = "softmax"
    LOG_SOFTMAX = "log_softmax"

    def __call__(self, logits: Tensor) -> Tensor:
        """`logits`, transformed over the last dimension."""
        match self:
            case InferenceModes.SOFTMAX:
                return logits.softmax(-1)
            case InferenceModes.LOG_SOFTMAX:
                return logits.log_softmax(-1)
            case _:
                return logits


def list_step_functions() -> list[str]:
    """Names of all known scores."""
    return sorted(_SCORES)


def register_step_function(
    fn: ScoreFunction, identifier: str, *, additive: bool = False, overwrite: bool = False
) -> None:
    """Make a function known as a score under a name.

    Args:
        fn: `(logits (p, t, v), target_ids (p, t)) -> (p, t)`, differentiable if gradient methods are to explain it.
        identifier: the name for `score=`.
        additive: whether the score of a word is the sum of its tokens' scores (as for log-probabilities) or their
            mean.
        overwrite: whether the name may already be taken.

    Raises:
        ValueError: the name is taken.

    Example:
        >>> register_step_function(lambda logits, ids: -logits.log_softmax(-1).exp().square().sum(-1), "neg_purity",
        ...                        overwrite=True)
        >>> "neg_purity" in list_step_functions()
        True
    """
    if (identifier in _SCORES or identifier.lower() in _ALIASES) and not overwrite:
        raise ValueError(f"the score {identifier!r} exists already; pass overwrite=True to replace it.")
    _SCORES[identifier] = Score(identifier, fn, additive)


def get_score(score: Score | str | InferenceModes | Callable[[Tensor], Tensor]) -> Score:
    """The score meant by a name, an inference mode, or a function of logits.

    Raises:
        UnknownNameError: no score has this name.
    """
    if isinstance(score, Score):
        return score
    if isinstance(score, InferenceModes):
        score = score.value
    if isinstance(score, str):
        for name in (score, score.lower(), _ALIASES.get(score.lower())):
            if name in _SCORES:
                return _SCORES[name]
        raise UnknownNameError("score", score, [*_SCORES, *_ALIASES])
    if callable(score):
        transform = score
        name = getattr(score, "__name__", type(score).__name__)
        return Score(name, lambda logits, ids: logit(transform(logits), ids))
    raise UnknownNameError("score", score, [*_SCORES])
