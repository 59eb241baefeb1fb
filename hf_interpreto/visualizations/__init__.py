"""Results as HTML pages, terminal text, figures and LaTeX. Nothing here runs a model."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_interpreto.visualizations.attributions import (
        AttributionPlot,
        attribution_fragment,
        attribution_page,
        build_page,
        plot_attributions,
        show,
    )
    from hf_interpreto.visualizations.concepts import plot_concepts
    from hf_interpreto.visualizations.console import console_table, console_text
    from hf_interpreto.visualizations.figure import to_png, to_svg
    from hf_interpreto.visualizations.latex import to_latex
    from hf_interpreto.visualizations.page import Page
    from hf_interpreto.visualizations.section import SectionStyle, attribution_section

# Loaded at first use: a terminal table must not wait for matplotlib, nor a figure for Jinja.
_PLACES = {
    "AttributionPlot": "attributions",
    "Page": "page",
    "SectionStyle": "section",
    "attribution_section": "section",
    "attribution_fragment": "attributions",
    "attribution_page": "attributions",
    "build_page": "attributions",
    "show": "attributions",
    "console_table": "console",
    "console_text": "console",
    "plot_attributions": "attributions",
    "plot_concepts": "concepts",
    "to_latex": "latex",
    "to_png": "figure",
    "to_svg": "figure",
}

__all__ = [
    "AttributionPlot",
    "Page",
    "SectionStyle",
    "attribution_fragment",
    "attribution_page",
    "attribution_section",
    "build_page",
    "console_table",
    "console_text",
    "plot_attributions",
    "plot_concepts",
    "show",
    "to_latex",
    "to_png",
    "to_svg",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
