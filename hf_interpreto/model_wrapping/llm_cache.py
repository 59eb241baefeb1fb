"""Answers of language models, kept on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from hf_interpreto.model_wrapping.llm_interface import LLMInterface, Role, without_opening

logger = logging.getLogger(__name__)


class CachedLLM(LLMInterface):
    """A language model whose answers are kept in a file, so that a killed run goes on where it was.

    The file holds one JSON object a line, `{"key", "model", "answer"}`; the key is the SHA-256 of model name and
    prompt. A line is added by one write, so that several threads, or processes, may share the file; a line that a
    crash left half written is skipped. Only answers are kept, never failures.

    Args:
        llm: answers what the file does not know.
        path: the file; made with its folder where it is missing.
    """

    def __init__(self, llm: LLMInterface, path: str | os.PathLike[str]) -> None:
        self.llm = llm
        self.path = Path(path)
        self._lock = threading.Lock()
        self._answers = self._read()

    @property
    def name(self) -> str:
        """The name of the model behind the cache."""
        return self.llm.name

    def generate(self, prompt: list[tuple[Role, str]]) -> str:
        """The kept answer, or the model's, which is then kept; `LLMError` as from the model."""
        key = prompt_key(self.name, prompt)
        with self._lock:
            known = self._answers.get(key)
        if known is not None:
            return known
        answer = self.llm.generate(prompt)
        if answer:
            self._keep(key, answer)
        return answer

    def _read(self) -> dict[str, str]:
        if not self.path.exists():
            return {}
        answers = {}
        for number, line in enumerate(self.path.read_bytes().splitlines(), start=1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                answers[str(entry["key"])] = str(entry["answer"])
            except (ValueError, KeyError, TypeError):
                logger.warning("%s: line %d is damaged and is skipped", self.path, number)
        return answers

    def _keep(self, key: str, answer: str) -> None:
        line = json.dumps({"key": key, "model": self.name, "answer": answer}).encode() + b"\n"
        with self._lock:
            self._answers[key] = answer
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                size = os.fstat(handle).st_size
                if size and os.pread(handle, 1, size - 1) != b"\n":
                    line = b"\n" + line  # what a crash left half written must not swallow this line
                os.write(handle, line)
            finally:
                os.close(handle)


def prompt_key(model: str, prompt: Sequence[tuple[Role, str]]) -> str:
    """The SHA-256 of a model's name and a prompt, in hexadecimal digits."""
    content = [model, [[str(role), text] for role, text in without_opening(prompt)]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
