"""`pipeline("explain-fill-mask")`."""

from __future__ import annotations

from hf_interpreto.pipelines.base import ExplainPipeline
from hf_interpreto.typing import ModelTask


class ExplainFillMaskPipeline(ExplainPipeline):
    """Explains which word a masked language model puts in place of the mask.

    `targets`: words or token ids, one for all inputs or one (or a list) for each; None is the model's first choice for
    each mask. The method is integrated gradients unless told otherwise.
    """

    explained_task = ModelTask.FILL_MASK
