"""`pipeline("explain-token-classification")`."""

from __future__ import annotations

from hf_interpreto.pipelines.base import ExplainPipeline
from hf_interpreto.typing import ModelTask


class ExplainTokenClassificationPipeline(ExplainPipeline):
    """Explains the tags of words.

    `targets`: None is the tag of every word that is tagged other than "O"; a label is that label at every word; a list
    of (word index, label) pairs for each input. The method is occlusion unless told otherwise.
    """

    explained_task = ModelTask.TOKEN_CLASSIFICATION
