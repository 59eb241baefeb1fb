"""Pages in notebooks: shown where a cell makes them, and once."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from hf_interpreto.visualizations.page import Page


@dataclass(frozen=True, eq=False)
class Plot:
    """What a plotting function shows.

    In a notebook the plot has already been displayed, so the plot itself stays silent where it is the value of the
    cell that made it; in any other cell it displays itself as usual.

    Args:
        page: the sections.
        cell: number of the notebook cell that displayed it, None where nothing was displayed.
    """

    page: Page
    cell: int | None = None

    @property
    def html(self) -> str:
        """The HTML fragment for a notebook, with style and script."""
        return self.page.to_fragment()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the whole page to a file."""
        self.page.save(path)

    def _repr_html_(self) -> str:
        return self.html

    def _ipython_display_(self) -> None:
        if self.cell is None or self.cell != running_cell():
            _display(self.page)


def show_page(page: Page) -> Plot:
    """Displays a page where a notebook runs, and returns its plot."""
    cell = running_cell()
    if cell is not None:
        _display(page)
    return Plot(page, cell)


def running_cell() -> int | None:
    """Returns the number of the notebook cell that runs now, None outside a notebook kernel."""
    # A kernel has imported IPython long before any user code; anywhere else the import would be wasted.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or getattr(shell, "kernel", None) is None:
        return None
    return int(shell.execution_count)


def _display(page: Page) -> None:
    from IPython.display import display

    display({"text/html": page.to_fragment(), "text/plain": f"<{page.title}, shown as HTML>"}, raw=True)
