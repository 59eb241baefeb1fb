"""`pipeline("explain-text-generation")`."""

from __future__ import annotations

from hf_interpreto.pipelines.base import ExplainPipeline
from hf_interpreto.typing import ModelTask


class ExplainTextGenerationPipeline(ExplainPipeline):
    """Explains what decoders and encoder-decoders write, each word of it by what stands before.

    `targets`: the continuation as text or token ids, or a list of several for each input, which gives a list of
    outputs for it; None is what the model generates, with `max_new_tokens` or any other argument of `model.generate`,
    or all of them as `generation_args`. Greedy unless `do_sample=True`. The method is occlusion unless told otherwise.

    Example:
        >>> import hf_interpreto
        >>> from hf_interpreto.demo import demo_model_path
        >>> from transformers import pipeline
        >>> explain = pipeline("explain-text-generation", model=demo_model_path("causal"))
        >>> output = explain("Maria is a doctor from Spain. It was a cold and rainy day. Every day she")
        >>> output.top(1, target="Spanish")[0][0]
        'Spain'
    """

    explained_task = ModelTask.TEXT_GENERATION
