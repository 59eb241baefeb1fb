"""How a result shows itself; the one place that looks up to the views, when they are asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hf_interpreto.attributions.storage import write_atomically

if TYPE_CHECKING:
    from hf_interpreto.attributions.output import AttributionOutput


class Displayed:
    """The views of an `AttributionOutput`: page, picture, LaTeX, terminal, notebook."""

    @property
    def _output(self) -> AttributionOutput:
        return cast("AttributionOutput", self)

    def to_html(self, path: str | os.PathLike[str] | None = None, **options: Any) -> str:
        """A self-contained interactive page, written to `path` if there is one. Options as `plot_attributions`."""
        from hf_interpreto.visualizations import attribution_page

        page = attribution_page(self._output, **options)
        if path is not None:
            write_atomically(path, page)
        return page

    def to_png(self, path: str | os.PathLike[str] | None = None, **options: Any) -> bytes | Path:
        """A picture; returned as bytes, or written to `path`."""
        from hf_interpreto.visualizations import to_png

        return to_png(self._output, path, **options)

    def to_latex(self, target: int | None = None) -> str:
        r"""The coloured text for a paper, with `\colorbox`."""
        from hf_interpreto.visualizations import to_latex

        return to_latex(self._output, target)

    def show(self, **options: Any) -> None:
        """Show it where the code runs: interactive in a notebook, a coloured table in a terminal."""
        from hf_interpreto.visualizations import show

        show(self._output, **options)

    def _repr_html_(self) -> str:
        from hf_interpreto.visualizations import attribution_fragment

        return attribution_fragment(self._output)

    def __rich__(self) -> Any:
        from hf_interpreto.visualizations import console_table

        return console_table(self._output)

    def __str__(self) -> str:
        from hf_interpreto.visualizations import console_text

        return console_text(self._output)
