"""Attributions as interactive pages: in a notebook, in a file, or wherever the code runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hf_interpreto.visualizations.colors import Palette
from hf_interpreto.visualizations.layout import ClassNames, Normalize
from hf_interpreto.visualizations.notebook import Plot, running_cell, show_page
from hf_interpreto.visualizations.page import Page
from hf_interpreto.visualizations.section import SectionStyle, attribution_section

if TYPE_CHECKING:
    from hf_interpreto.attributions.output import AttributionOutput

SUBTITLE = "How much each element of the text moves the model's score."


AttributionPlot = Plot


def plot_attributions(  # noqa: PLR0913 -- the keyword arguments of the library whose notebooks must run
    attribution_output: AttributionOutput | Sequence[AttributionOutput],
    *,
    classes_names: ClassNames | None = None,
    save_path: str | os.PathLike[str] | None = None,
    normalize: Normalize = True,
    positive_color: str | None = None,
    negative_color: str | None = None,
    default_colormap: Mapping[int, str] | None = None,
    onclick_colormap: Sequence[str] | None = None,
    highlight_border: bool = False,
    margin_right: str = "0.2em",
    custom_css: str = "",
) -> Plot:
    """Shows attributions: in a notebook at once, and in a file if a path is given.

    Args:
        attribution_output: one output, or several to be shown one under the other.
        classes_names: names of the class ids: a list or tuple indexed by id, or a dict.
        save_path: file of the self-contained page.
        normalize: True or ``"row"``: each target has its own colour scale; ``"all"``: all targets share one;
            False: the scores are taken to lie in [-1, 1].
        positive_color: colour of the highest positive score, ``"#rrggbb"``; None for orange.
        negative_color: colour of the lowest negative score; None for blue.
        default_colormap: colour of a dot beside each target, by target id.
        onclick_colormap: colour of the chosen target, and of the one under the pointer.
        highlight_border: draw coloured borders instead of full backgrounds.
        margin_right: space after elements whose place in the text is unknown, a CSS length. Elsewhere the text keeps
            its own spacing.
        custom_css: rules added after the package's own.

    Returns:
        The plot, with ``html``, ``save(path)`` and notebook display.

    Raises:
        ValueError: if ``classes_names`` lacks a class, a colour is malformed, or there is nothing to show.
        OSError: if the file cannot be written.
    """
    style = SectionStyle(
        palette=Palette(positive_color, negative_color),
        normalize=normalize,
        default_colormap=default_colormap,
        onclick_colormap=onclick_colormap,
        highlight_border=highlight_border,
        margin_right=margin_right,
    )
    page = build_page(attribution_output, classes_names, style=style, custom_css=custom_css)
    if save_path is not None:
        page.save(save_path)
    return show_page(page)


def attribution_page(
    outputs: AttributionOutput | Sequence[AttributionOutput],
    *,
    classes_names: ClassNames | None = None,
    title: str | None = None,
    normalize: Normalize = True,
    positive_color: str | None = None,
    negative_color: str | None = None,
    custom_css: str = "",
) -> str:
    """Returns the whole document of one or several outputs; arguments as in `plot_attributions`.

    Args:
        outputs: one output, or several to be shown one under the other.
        classes_names: names of the class ids: a list or tuple indexed by id, or a dict.
        title: headline; None names the methods.
        normalize: what the scores are divided by.
        positive_color: colour of the highest positive score.
        negative_color: colour of the lowest negative score.
        custom_css: rules added after the package's own.

    Raises:
        ValueError: if there is no output, ``classes_names`` lacks a class, or a colour is malformed.
    """
    style = SectionStyle(palette=Palette(positive_color, negative_color), normalize=normalize)
    return build_page(outputs, classes_names, title=title, style=style, custom_css=custom_css).to_html()


def attribution_fragment(output: AttributionOutput, classes_names: ClassNames | None = None) -> str:
    """Returns what a notebook shows of an output: its section with style and script."""
    return build_page(output, classes_names).to_fragment()


def show(outputs: AttributionOutput | Sequence[AttributionOutput], classes_names: ClassNames | None = None) -> None:
    """Shows outputs where the code runs: interactive in a notebook, a coloured table in a terminal."""
    if running_cell() is not None:
        plot_attributions(outputs, classes_names=classes_names)
        return
    from rich.console import Console

    from hf_interpreto.visualizations.console import console_table

    console = Console()
    for output in _several(outputs):
        console.print(console_table(output, classes_names=classes_names))


def build_page(
    outputs: AttributionOutput | Sequence[AttributionOutput],
    classes_names: ClassNames | None = None,
    *,
    title: str | None = None,
    style: SectionStyle | None = None,
    custom_css: str = "",
) -> Page:
    """Returns the page of one or several outputs; the same outputs give the same document every time.

    Raises:
        ValueError: if there is no output, or ``classes_names`` lacks a class.
    """
    several = _several(outputs)
    sections = [
        attribution_section(output, classes_names, style=style, uid=f"hfi-{position}")
        for position, output in enumerate(several, start=1)
    ]
    methods = " · ".join(dict.fromkeys(output.method for output in several))
    return Page(title or f"{methods} attributions", sections, subtitle=SUBTITLE, custom_css=custom_css)


def _several(outputs: AttributionOutput | Sequence[AttributionOutput]) -> list[AttributionOutput]:
    if not isinstance(outputs, Sequence):
        return [outputs]
    if not outputs:
        raise ValueError("attribution_output is empty; give one AttributionOutput or a list of at least one.")
    return list(outputs)
