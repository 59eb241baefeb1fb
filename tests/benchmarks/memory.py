"""Cases of the memory benchmark: does the peak grow with the perturbations, and does a long text go through."""

from collections.abc import Mapping, Sequence

from tests.benchmarks.cases import CLASSIFIER, GENERATOR, INTERPRETO, INTERPRETO_64, OURS, Case

SETTABLE = (OURS, INTERPRETO, INTERPRETO_64)


def memory_cases(folders: Mapping[str, str], libraries: Sequence[str]) -> list[Case]:
    """KernelShap with 100 and 4,000 coalitions on one sentence; three methods on a text of about 2,000 tokens.

    Args:
        folders: Saved models by name.
        libraries: Some of `SETTABLE`.

    Returns:
        One case per library and measurement, for the models that `folders` names.
    """
    wanted: list[tuple[str, str, dict[str, object], bool]] = [
        (CLASSIFIER, "KernelShap", {"n_perturbations": 100}, False),
        (CLASSIFIER, "KernelShap", {"n_perturbations": 4_000}, False),
        (GENERATOR, "Occlusion", {"granularity": "sentence"}, True),
        (GENERATOR, "IntegratedGradients", {}, True),
        (GENERATOR, "Saliency", {}, True),
    ]
    return [
        Case(library, model, method, folders[model], settings=settings, n_sentences=1, long=long)
        for model, method, settings, long in wanted
        if model in folders
        for library in libraries
    ]
