"""Language models that answer prompts: behind an OpenAI-compatible server, or in this process."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from hf_interpreto.model_wrapping.forward import Forward
from hf_interpreto.model_wrapping.tasks import unwrap
from hf_interpreto.typing import ModelTask

if TYPE_CHECKING:
    from openai import OpenAI
    from torch import nn
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

_NO_KEY = "none"  # the client insists on a key, also for servers that ask for none
_REFUSED = (401, 403)
_HEAL = (408, 409, 425, 429)  # of the codes below 500, those that another try may get past


class Role(StrEnum):
    """Who says a part of a prompt."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"

    def __str__(self) -> str:
        return self.value


Prompt = Sequence[tuple[Role, str]]


class LLMError(RuntimeError):
    """A language model gave no answer.

    Attributes:
        hopeless: no other prompt will be answered either: wrong key, unknown model, no credit.
    """

    def __init__(self, message: str, *, hopeless: bool = False) -> None:
        super().__init__(message)
        self.hopeless = hopeless


class LLMInterface(ABC):
    """A language model that answers prompts; `generate` may be called from several threads."""

    @property
    def name(self) -> str:
        """What an answer depends on beside the prompt; answers are cached under it."""
        return type(self).__name__

    @abstractmethod
    def generate(self, prompt: list[tuple[Role, str]]) -> str:
        """The answer to a prompt.

        Args:
            prompt: parts in order; an empty last part of the assistant is where the answer goes.

        Raises:
            LLMError: there is no answer.
        """


@dataclass(eq=False)
class OpenAILLM(LLMInterface):
    """A model behind OpenAI's API, or behind any server that speaks it (vLLM, TGI, llama.cpp, `transformers serve`).

    Overload, server errors, lost connections, time-outs and empty answers are tried again after
    `first_wait * 2**try` seconds, or as long as the server asks for, each shortened by up to half at random so that
    parallel callers spread out. A wrong key or an unknown model is not.

    Args:
        api_key: None takes `OPENAI_API_KEY`, but where `base_url` is given, for no other server gets OpenAI's key; a
            server that wants no key needs none.
        model: name of the model.
        base_url: the server's address, with `/v1`; None for OpenAI's, or `OPENAI_BASE_URL`.
        num_try: calls per prompt at most.
        timeout: seconds until a call counts as lost.
        first_wait: seconds before the second try.
        longest_wait: seconds before any later try at most.
        options: sent along with each prompt: temperature, seed, max_completion_tokens, ...

    Example:
        >>> llm = OpenAILLM(model="my-model", base_url="http://localhost:8000/v1")
        >>> llm.name
        'my-model'
    """

    api_key: str | None = field(default=None, repr=False)
    model: str = "gpt-4.1-nano"
    base_url: str | None = None
    num_try: int = 5
    _: KW_ONLY
    timeout: float = 60.0
    first_wait: float = 1.0
    longest_wait: float = 60.0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.num_try < 1:
            raise ValueError(f"num_try={self.num_try} must be at least 1.")

    @property
    def name(self) -> str:
        """The model and its options."""
        return f"{self.model} {json.dumps(dict(self.options), sort_keys=True)}" if self.options else self.model

    def generate(self, prompt: list[tuple[Role, str]]) -> str:
        """The answer to a prompt, stripped of white space; `LLMError` once nothing helped."""
        import openai

        messages = [{"role": str(role), "content": text} for role, text in without_opening(prompt)]
        for attempt in range(self.num_try):
            last = attempt == self.num_try - 1
            try:
                answer = self._ask(messages)
            except openai.APIConnectionError as error:
                reason, wait = f"{type(error).__name__}: {error}", None
            except openai.APIStatusError as error:
                reason, wait = f"HTTP {error.status_code}: {error.message}", _asked_wait(error.response.headers)
                self._check_hope(error, reason)
            else:
                if answer:
                    return answer
                reason, wait = "the answer was empty", None
            if not last:
                pause = self._pause(attempt, wait)
                logger.info("%s: %s; trying again in %.1f s", self.model, reason, pause)
                time.sleep(pause)
        raise LLMError(f"model {self.model!r} gave no answer in {self.num_try} tries; the last: {reason}")

    @cached_property
    def _client(self) -> OpenAI:
        import openai

        key = self.api_key
        if not key:
            elsewhere = self.base_url or os.environ.get("OPENAI_BASE_URL")
            key = None if self.base_url else os.environ.get("OPENAI_API_KEY")
            if not key and not elsewhere:
                raise LLMError(
                    "api_key: OpenAI's server needs one. Pass api_key=, set OPENAI_API_KEY, or name another server "
                    "with base_url=.",
                    hopeless=True,
                )
        return openai.OpenAI(api_key=key or _NO_KEY, base_url=self.base_url, timeout=self.timeout, max_retries=0)

    def _ask(self, messages: list[dict[str, str]]) -> str:
        completion = self._client.chat.completions.create(
            model=self.model,
            messages=messages,  # type: ignore[arg-type]
            **self.options,
        )
        choices = completion.choices or []
        return (choices[0].message.content or "").strip() if choices else ""

    def _check_hope(self, error: Any, reason: str) -> None:
        status = error.status_code
        if status in _REFUSED:
            raise LLMError(f"api_key: the server refused it. {reason}", hopeless=True) from error
        if error.code == "insufficient_quota":
            raise LLMError(f"api_key: its credit is used up. {reason}", hopeless=True) from error
        if status < 500 and status not in _HEAL:
            raise LLMError(f"model {self.model!r}: {reason}", hopeless=status == 404) from error

    def _pause(self, attempt: int, asked: float | None) -> float:
        wait = self.first_wait * 2**attempt if asked is None else asked
        wait = min(wait, self.longest_wait)
        # Jitter only keeps threads apart; no result depends on it.
        return wait * (1 + random.random()) / 2 if asked is None else wait * (1 + random.random() / 2)


@dataclass(eq=False)
class TransformersLLM(LLMInterface):
    """A generative model in this process; greedy, so that a prompt always has the same answer.

    The prompt goes through the tokenizer's chat template where it has one, else as plain text. Model and tokenizer
    are left as they were.

    Args:
        model: with a generative head, causal or encoder-decoder.
        tokenizer: its tokenizer.
        max_new_tokens: length of the answer at most.
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    max_new_tokens: int = 64

    @property
    def name(self) -> str:
        """The model's name, a digest of its config, and the length of answers."""
        config = unwrap(self.model).config
        digest = hashlib.sha256(config.to_json_string(use_diff=False).encode()).hexdigest()[:8]
        return f"{config.name_or_path or type(unwrap(self.model)).__name__} {digest} {self.max_new_tokens}"

    def generate(self, prompt: list[tuple[Role, str]]) -> str:
        """The answer to a prompt, stripped of white space; `LLMError` where it is empty."""
        model: Any = unwrap(self.model)
        forward = Forward(model, ModelTask.TEXT_GENERATION)
        encoded = self._encode(prompt).to(forward.device)
        with forward.session(), torch.inference_mode():
            ids = model.generate(
                **encoded, max_new_tokens=self.max_new_tokens, do_sample=False, pad_token_id=self._padding()
            )[0]
        start = 0 if model.config.is_encoder_decoder else encoded["input_ids"].shape[1]
        answer = str(self.tokenizer.decode(ids[start:], skip_special_tokens=True)).strip()
        if not answer:
            raise LLMError(f"model {self.name!r} gave an empty answer.")
        return answer

    def _padding(self) -> int | None:
        pad = self.tokenizer.pad_token_id
        return self.tokenizer.eos_token_id if pad is None else pad

    def _encode(self, prompt: Prompt) -> Any:
        parts = without_opening(prompt)
        if self.tokenizer.chat_template is None:
            return self.tokenizer("\n\n".join([*(text for _, text in parts), ""]), return_tensors="pt")
        from jinja2 import TemplateError

        try:
            return self._rendered(parts)
        except TemplateError:
            # Some templates refuse a system message.
            system = [text for role, text in parts if role is Role.SYSTEM]
            others = [(role, text) for role, text in parts if role is not Role.SYSTEM]
            role, text = others[0]
            return self._rendered([(role, "\n\n".join([*system, text])), *others[1:]])

    def _rendered(self, parts: Prompt) -> Any:
        messages = [{"role": str(role), "content": text} for role, text in parts]
        return self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )


def without_opening(prompt: Prompt) -> list[tuple[Role, str]]:
    """The prompt without the empty part of the assistant at its end, which stands for the answer."""
    parts = list(prompt)
    return parts[:-1] if parts and parts[-1] == (Role.ASSISTANT, "") else parts


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait; dates, which the header may also hold, count as nothing said."""
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None
