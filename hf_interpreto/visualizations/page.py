"""Self-contained HTML: whole pages and notebook fragments, without any request to the outside.

Sections are HTML strings without style or script; `Page` adds both, once. Several pages may be shown in one notebook:
every rule is scoped by the class ``hfi``, and the script starts only roots that have not been started.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from hf_interpreto.visualizations.colors import theme_css

_fragment_numbers = itertools.count(1)


@dataclass(frozen=True)
class Page:
    """A titled page of sections.

    Args:
        title: shown at the top and in the browser's tab; plain text.
        sections: HTML of the sections, as the section builders of this package return it; not escaped again.
        subtitle: a line under the title; plain text.
        custom_css: rules added after the package's own.
        styles: the style sheets of `assets/` that the sections need.
        scripts: the scripts of `assets/` that the sections need.
    """

    title: str
    sections: Sequence[str]
    subtitle: str = ""
    custom_css: str = ""
    styles: Sequence[str] = ("base.css", "attribution.css")
    scripts: Sequence[str] = ("attribution.js",)

    def to_html(self) -> str:
        """Returns a complete document; its content security policy lets no script run but the package's own."""
        script = "".join(read_asset(name) for name in (*self.scripts, "page.js"))
        return self._render(
            "page.html.j2",
            title=clean(self.title),
            subtitle=clean(self.subtitle),
            style=_style(("page.css", *self.styles), self.custom_css),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )

    def to_fragment(self) -> str:
        """Returns the sections with style and script, to be shown in a notebook cell; title and subtitle are left out.

        Without script, as in an untrusted notebook, the first row of scores is still coloured.
        """
        script = "".join(read_asset(name) for name in self.scripts)
        return self._render("fragment.html.j2", style=_style(self.styles, self.custom_css), script=Markup(script))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the document; a reader sees the old file or the new one, never a part.

        Raises:
            OSError: if the folder does not exist or cannot be written.
        """
        return write_atomically(Path(path), self.to_html().encode("utf-8"))

    def _render(self, template: str, **values: Any) -> str:
        return render(template, sections=[Markup(section) for section in self.sections], **values)


def render(template: str, **values: Any) -> str:
    """Fills a template of ``assets/``; every string that is not marked as HTML is escaped."""
    return _environment().get_template(template).render(**values)


def clean(text: str) -> str:
    """Returns the text with what UTF-8 or HTML cannot hold (lone surrogates, NUL) replaced by U+FFFD."""
    return text.replace("\0", "\ufffd").encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def embed_json(data: Any) -> Markup:
    r"""Returns JSON that is safe inside ``<script type="application/json">``.

    ``<``, ``>`` and ``&`` are written as ``\u003c`` and so on, so that no text can close the element or open a
    comment; everything beyond ASCII is escaped too, U+2028 included.

    Raises:
        ValueError: if a number is NaN or infinite, which JSON cannot hold.
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def fragment_id(content: str) -> str:
    """Returns an id that no other fragment of this process has: a hash of the content and a running number."""
    return f"hfi-{hashlib.sha256(content.encode()).hexdigest()[:8]}-{next(_fragment_numbers)}"


@cache
def read_asset(name: str) -> str:
    """Returns the text of a file of ``assets/``."""
    return (files("hf_interpreto.visualizations") / "assets" / name).read_text(encoding="utf-8")


def write_atomically(path: Path, content: bytes) -> Path:
    """Writes a file beside its place, then moves it there.

    Raises:
        OSError: if the folder does not exist or cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _style(names: Sequence[str], custom_css: str) -> Markup:
    rules = theme_css() + "".join(read_asset(name) for name in names)
    # "<\/" means the same as "</" inside CSS, but does not end the style element.
    return Markup(rules + custom_css.replace("</", "<\\/"))


@cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(read_asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
