"""Labels of concepts by a language model."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from tqdm.auto import tqdm

from hf_interpreto.concepts.interpretations.base import ConceptIndices, ConceptInterpretation
from hf_interpreto.concepts.interpretations.candidates import active
from hf_interpreto.concepts.interpretations.sampling import SamplingMethod, generator_of, sample
from hf_interpreto.model_wrapping.activations import ActivationGranularity
from hf_interpreto.model_wrapping.llm_cache import CachedLLM
from hf_interpreto.model_wrapping.llm_interface import LLMError, LLMInterface, Role

INACTIVE = "(not active on any input)"
LEVELS = 10  # activations are shown as whole numbers from 0 to this
LONGEST_EXAMPLE = 400  # characters
_QUOTES = "\"'`“”"

SYSTEM_PROMPT = (
    "You name concepts found inside a language model. You are shown texts that one concept reacts to, one a line, "
    f"each after a number from 0 to {LEVELS} that says how strongly. Find what the texts with high numbers share and "
    "those with low numbers lack: a topic, a feeling, certain words, a grammatical form, a position in the sentence."
    "{context} Answer with that alone, in at most 15 words: no introduction, no quotation marks, no list."
)
_CONTEXT = " The concept reacts to the part in [[ ]]; the rest is there to show where it stands."


class LLMLabelError(RuntimeError):
    """Concepts that got no label.

    Attributes:
        failures: why, by index of the concept.
        labels: the labels of all other concepts.
    """

    def __init__(self, failures: Mapping[int, str], labels: Mapping[int, str]) -> None:
        super().__init__(_report(failures, len(failures) + len(labels)))
        self.failures = dict(failures)
        self.labels = dict(labels)


class LLMLabelWarning(UserWarning):
    """Concepts that got no label, where the caller goes on without them."""


@dataclass(eq=False, kw_only=True)
class LLMLabels(ConceptInterpretation):
    """Labels by a language model that is shown texts and how active the concept is on them, from 0 to 10.

    The activations of a concept are divided by its highest and rounded, as in Bills et al., "Language models can
    explain neurons in language models" (2023, https://openai.com/index/language-models-can-explain-neurons-in-language-models/).
    Only texts that the concept is active on (above 0) are shown, each once.

    Calls run in threads. With `cache_path`, answers are kept at once in a file, and a run that was killed goes on
    where it was when it is started again. After an error that no other prompt would escape (wrong key, unknown model),
    no further call is made.

    Args:
        llm_interface: answers the prompts.
        sampling_method: which texts: the most active, some from each range of activation, or any.
        k_examples: texts per concept at most.
        k_context: elements (words, tokens) shown on either side of each; 0 shows the element alone.
        k_quantile: ranges of activation, for `sampling_method="quantile"`.
        system_prompt: None for the package's own.
        seed: of the sampling.
        max_workers: calls at a time.
        cache_path: file of answers, see `CachedLLM`; None keeps none.
        on_error: `"raise"`: once all concepts have been tried, `LLMLabelError`, which holds the labels too; `"warn"`:
            `LLMLabelWarning`, and the result lacks the concepts that failed.
        tqdm_bar: show progress.

    Example:
        >>> labels = LLMLabels(concept_explainer=explainer, llm_interface=llm)  # doctest: +SKIP
        >>> labels.interpret(inputs=texts, concepts_indices=[0, 3])  # doctest: +SKIP
        {0: 'Words of relief', 3: 'Names of places'}
    """

    activation_granularity: ActivationGranularity | str = ActivationGranularity.TOKEN
    llm_interface: LLMInterface
    sampling_method: SamplingMethod | str = SamplingMethod.TOP
    k_examples: int = 30
    k_context: int = 0
    k_quantile: int = 5
    system_prompt: str | None = None
    seed: int = 0
    max_workers: int = 8
    cache_path: str | os.PathLike[str] | None = None
    on_error: Literal["raise", "warn"] = "raise"
    tqdm_bar: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sampling_method = SamplingMethod.parse(self.sampling_method)
        for name, least in (("k_examples", 1), ("k_context", 0), ("k_quantile", 1), ("max_workers", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}.")
        if self.on_error not in ("raise", "warn"):
            raise ValueError(f"on_error={self.on_error!r} must be 'raise' or 'warn'.")

    def interpret(
        self,
        concepts_indices: ConceptIndices = "all",
        inputs: Sequence[str] | None = None,
        latent_activations: Tensor | Mapping[str, Tensor] | None = None,
        concepts_activations: Tensor | None = None,
    ) -> dict[int, str]:
        """The label of each concept; arguments as in the base class.

        A concept that is active on no input is labelled `INACTIVE`, without a call.

        Raises:
            LLMLabelError: concepts got no label, and `on_error` is `"raise"`.
        """
        concepts = self._concepts(concepts_indices)
        prompts = self._prompts(concepts, inputs, latent_activations, concepts_activations)
        answers, failures = self._ask({concept: prompt for concept, prompt in prompts.items() if prompt})
        labels = {
            concept: answers.get(concept, INACTIVE)
            for concept in concepts
            if concept in answers or not prompts[concept]
        }
        if failures and self.on_error == "raise":
            raise LLMLabelError(failures, labels)
        if failures:
            warnings.warn(_report(failures, len(concepts)), LLMLabelWarning, stacklevel=2)
        return labels

    def _prompts(
        self,
        concepts: Sequence[int],
        inputs: Sequence[str] | None,
        latents: Tensor | Mapping[str, Tensor] | None,
        codes: Tensor | None,
    ) -> dict[int, list[tuple[Role, str]]]:
        """The prompt of each concept; empty where it is active on no input."""
        candidates = self._candidates(inputs, latents, codes, self.k_context)
        texts, ids = candidates.distinct()
        found = active(candidates.stream(ids, concepts, self.concept_encoding_batch_size), len(concepts))
        prompts = {}
        for concept, (values, owners) in zip(concepts, found, strict=True):
            places = sample(
                SamplingMethod.parse(self.sampling_method),
                len(values),
                self.k_examples,
                self.k_quantile,
                generator_of(self.seed, concept),
            )
            levels = (LEVELS * values[places] / values[:1]).round().int().tolist()
            shown = [texts[owner] for owner in owners[places].tolist()]
            prompts[concept] = self._prompt(shown, levels) if shown else []
        return prompts

    def _prompt(self, texts: Sequence[str], levels: Sequence[int]) -> list[tuple[Role, str]]:
        has_context = self.k_context > 0 and not (self.use_vocab or self.use_unique_words)
        system = self.system_prompt
        if system is None:
            system = SYSTEM_PROMPT.format(context=_CONTEXT if has_context else "")
        lines = [f"{level} {_quoted(text)}" for text, level in zip(texts, levels, strict=True)]
        return [(Role.SYSTEM, system), (Role.USER, "\n".join(lines)), (Role.ASSISTANT, "")]

    def _ask(self, prompts: Mapping[int, list[tuple[Role, str]]]) -> tuple[dict[int, str], dict[int, str]]:
        """The answers, and why the others have none, by concept."""
        llm = self.llm_interface if self.cache_path is None else CachedLLM(self.llm_interface, self.cache_path)
        answers: dict[int, str] = {}
        failures: dict[int, str] = {}
        given_up = ""
        waiting = iter(prompts.items())
        running: dict[Future[str], int] = {}
        with (
            ThreadPoolExecutor(self.max_workers) as pool,
            tqdm(total=len(prompts), desc="Labels", disable=not self.tqdm_bar) as bar,
        ):
            while True:
                while not given_up and len(running) < self.max_workers and (one := next(waiting, None)):
                    running[pool.submit(_label, llm, one[1])] = one[0]
                if not running:
                    break
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    concept = running.pop(done)
                    bar.update()
                    try:
                        answers[concept] = done.result()
                    except LLMError as error:
                        failures[concept] = str(error)
                        given_up = str(error) if error.hopeless else given_up
        failures |= {concept: f"not tried after: {given_up}" for concept, _ in waiting}
        return answers, dict(sorted(failures.items()))


def _label(llm: LLMInterface, prompt: list[tuple[Role, str]]) -> str:
    answer = (llm.generate(prompt) or "").strip().strip(_QUOTES).strip()
    if not answer:
        raise LLMError(f"model {llm.name!r} gave an empty answer.")
    return answer


def _quoted(text: str) -> str:
    return json.dumps(text if len(text) <= LONGEST_EXAMPLE else text[:LONGEST_EXAMPLE] + "…", ensure_ascii=False)


def _report(failures: Mapping[int, str], total: int) -> str:
    shown = "; ".join(f"concept {concept}: {reason}" for concept, reason in list(failures.items())[:5])
    more = f"; and {len(failures) - 5} more" if len(failures) > 5 else ""
    return f"{len(failures)} of {total} concepts got no label: {shown}{more}"
