"""Named errors: what callers of the library may want to catch."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UnknownNameError(ValueError):
    """A name (method, score, granularity, label, ...) that the library does not know."""

    def __init__(self, kind: str, got: object, known: Iterable[str]) -> None:
        names = sorted({str(name) for name in known})
        hint = _hint(got, names)
        shown = ", ".join(names[:40]) + (", ..." if len(names) > 40 else "")
        super().__init__(
            f"unknown {kind} {got!r}{hint} Known: {shown}" if hint else f"unknown {kind} {got!r}. Known: {shown}"
        )


class UnknownArgumentError(TypeError):
    """A keyword argument that neither the call nor the chosen method takes."""

    def __init__(self, got: str, call: str, accepted: Iterable[str], *, others: Iterable[str] = ()) -> None:
        names, more = sorted(accepted), sorted(others)
        end = " and what `model.generate` takes" if more else ""
        hint = _hint(got, [*names, *more]) or "."
        super().__init__(f"{call}: unknown argument {got!r}{hint} Accepted: {', '.join(names)}{end}.")


def _hint(got: object, names: list[str]) -> str:
    near = get_close_matches(str(got).lower(), [name.lower() for name in names], n=1, cutoff=0.5)
    if not near:
        return ""
    return f"; did you mean {next(name for name in names if name.lower() == near[0])!r}?"


class InvalidInputError(ValueError):
    """An input that cannot be explained: empty, too long, of the wrong type, or not tokenisable."""


class InvalidTargetError(ValueError):
    """A target that does not fit the model or the input."""


class TaskMismatchError(ValueError):
    """A model that has no head, or not the head that the call needs."""


class TokenizerError(ValueError):
    """A tokenizer that lacks what the call needs: offsets, a mask token, a chat template."""


class SplitPointError(ValueError):
    """A split point that the model does not have, that may be several, or that gives no vector for each token."""


class NonFiniteScoresError(ValueError):
    """The model returned NaN or infinite logits, so that nothing can be explained."""


class TruncationWarning(UserWarning):
    """An input was longer than the model can read and has been cut."""


class NotFittedError(RuntimeError):
    """A dictionary that is used before it has learnt anything."""
