"""Makes transformers know the `explain-...` tasks, without importing transformers.

`transformers.pipelines` takes seconds to import, and many users of this library never need it. So the tasks are added
when that module is imported, by whomever; at once where it already has been.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_HOME = "transformers.pipelines"

TASKS = {
    "explain-text-classification": "text_classification.ExplainTextClassificationPipeline",
    "explain-text-generation": "text_generation.ExplainTextGenerationPipeline",
    "explain-token-classification": "token_classification.ExplainTokenClassificationPipeline",
    "explain-fill-mask": "fill_mask.ExplainFillMaskPipeline",
}


def register_pipelines() -> None:
    """Add the tasks to `transformers.pipelines`: now, or as soon as that is imported."""
    module = sys.modules.get(_HOME)
    if module is not None and hasattr(module, "PIPELINE_REGISTRY"):
        _add_tasks(module)
    elif not any(isinstance(finder, _Waiting) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Waiting())


def _add_tasks(module: ModuleType) -> None:
    from hf_interpreto.pipelines.heads import HEADS

    for task, implementation in TASKS.items():
        # `register_pipeline` wants the class itself, and marks it so that `save_pretrained` would write it into the
        # model's config; a dotted name is resolved when the task is first asked for.
        module.PIPELINE_REGISTRY.supported_tasks[task] = {
            "impl": f"hf_interpreto.pipelines.{implementation}",
            "pt": (HEADS[task],),
            "type": "text",
        }


class _Waiting(MetaPathFinder):
    """Stands first among the finders until `transformers.pipelines` has been imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _HOME:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Registering(spec.loader)
                return spec
        return None


class _Registering(Loader):
    """Loads the module as its own loader would, then adds the tasks."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        module.__loader__ = self.loader
        self.loader.exec_module(module)
        _add_tasks(module)
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Waiting)]
