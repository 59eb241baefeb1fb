"""`pipeline("explain-text-classification")`."""

from __future__ import annotations

from hf_interpreto.pipelines.base import ExplainPipeline
from hf_interpreto.typing import ModelTask


class ExplainTextClassificationPipeline(ExplainPipeline):
    """Explains sequence classifiers, one or several classes an input.

    `targets`: class ids or label names, one for all inputs or one (or a list) for each; None is the predicted class.
    The method is integrated gradients unless told otherwise.

    Example:
        >>> import hf_interpreto
        >>> from hf_interpreto.demo import demo_model_path
        >>> from transformers import pipeline
        >>> explain = pipeline("explain-text-classification", model=demo_model_path("classifier"))
        >>> explain("I was delighted by the news.").top(1)[0][0]
        'delighted'
    """

    explained_task = ModelTask.TEXT_CLASSIFICATION
