"""The colours of every view, in one place: pages, terminals, figures and LaTeX.

Scores are shown on a diverging scale centred on 0: orange raises the target's score, blue lowers it. The pair stays
apart under the three common forms of colour blindness, and every view adds a second cue (dotted underline below 0).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Rgb = tuple[int, int, int]

# WCAG 2 level AA for body text: the highest colour strength must still be readable.
MINIMUM_CONTRAST = 4.5
# Below this share of the scale an element is as good as neutral, so it gets neither underline nor terminal colour.
VISIBLE_WEIGHT = 0.04


@dataclass(frozen=True)
class Theme:
    """Colours that do not depend on scores.

    Args:
        name: ``"light"`` or ``"dark"``.
        background: colour behind the explained text.
        text: colour of the explained text.
        positive: default colour of the highest positive score.
        negative: default colour of the lowest negative score.
        neutrals: CSS values of everything else, by variable name without its prefix.
    """

    name: str
    background: Rgb
    text: Rgb
    positive: Rgb
    negative: Rgb
    neutrals: Mapping[str, str]

    def css(self) -> str:
        """Returns the CSS declarations that put the theme in force."""
        ends = "".join(f"--hfi-{name}:var(--hfi-{name}-{self.name});" for name in ("pos", "neg"))
        neutrals = "".join(f"--hfi-{name}:{value};" for name, value in self.neutrals.items())
        surface = f"--hfi-bg:{to_hex(self.background)};--hfi-fg:{to_hex(self.text)};--hfi-ink:{_channels(self.text)};"
        return f"color-scheme:{self.name};{surface}{ends}{neutrals}"


LIGHT = Theme(
    "light",
    background=(255, 255, 255),
    text=(27, 31, 36),
    positive=(245, 147, 49),
    negative=(91, 158, 232),
    neutrals={
        "canvas": "#f5f6f8",
        "raised": "#f1f3f6",
        "muted": "#59626e",
        "line": "#e1e5ea",
        "strong-line": "#b4bcc7",
        "accent": "#5b3fd6",
        "accent-soft": "#efecfd",
        "hatch": "#dfe3e9",
        "tip-bg": "#1f242b",
        "tip-fg": "#ffffff",
        "tip-muted": "#b9c1cc",
        "shadow": "0 1px 2px rgb(16 24 40 / .05), 0 6px 20px rgb(16 24 40 / .05)",
    },
)
DARK = Theme(
    "dark",
    background=(24, 27, 32),
    text=(236, 239, 243),
    positive=(170, 82, 13),
    negative=(37, 104, 184),
    neutrals={
        "canvas": "#101215",
        "raised": "#23272e",
        "muted": "#a3adb9",
        "line": "#2e343c",
        "strong-line": "#57606c",
        "accent": "#b3a1ff",
        "accent-soft": "#2c2749",
        "hatch": "#333942",
        "tip-bg": "#f3f5f8",
        "tip-fg": "#14171b",
        "tip-muted": "#545d69",
        "shadow": "none",
    },
)


@dataclass(frozen=True)
class Palette:
    """The two ends of the diverging scale.

    Args:
        positive: colour of the highest positive score, ``"#rrggbb"`` or ``"#rgb"``; None for the theme's own.
        negative: colour of the lowest negative score, likewise.

    Raises:
        ValueError: if a colour is not written in one of the two forms.
    """

    positive: str | None = None
    negative: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("positive_color", self.positive), ("negative_color", self.negative)):
            if value is not None:
                parse_color(value, name)

    def end(self, sign: int, theme: Theme) -> Rgb:
        """Returns the colour of full strength for a sign under a theme, faded where text on it could not be read."""
        custom, default = (self.positive, theme.positive) if sign > 0 else (self.negative, theme.negative)
        color = default if custom is None else parse_color(custom, "color")
        return legible(color, theme)

    def color(self, weight: float, theme: Theme = LIGHT) -> Rgb:
        """Returns the background of an element.

        Args:
            weight: score divided by the scale, in [-1, 1]; values outside are clipped, NaN counts as 0.
            theme: colours to blend with.
        """
        if math.isnan(weight) or weight == 0:
            return theme.background
        return blend(theme.background, self.end(1 if weight > 0 else -1, theme), min(abs(weight), 1.0))

    def css(self) -> str:
        """Returns the CSS declarations that give both ends under both themes (``r g b`` channels)."""
        ends = (("pos", 1), ("neg", -1))
        return "".join(
            f"--hfi-{name}-{theme.name}:{_channels(self.end(sign, theme))};"
            for theme in (LIGHT, DARK)
            for name, sign in ends
        )


def parse_color(value: str, argument: str) -> Rgb:
    """Reads ``"#rrggbb"`` or ``"#rgb"``.

    Args:
        value: the colour.
        argument: name of the argument that the message names.

    Raises:
        ValueError: if the value is written otherwise.
    """
    match = re.fullmatch(r"#([0-9a-fA-F]{6}|[0-9a-fA-F]{3})", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{argument}={value!r} is not a colour; write it as '#rrggbb' or '#rgb', e.g. '#f59331'.")
    digits = match[1] if len(match[1]) == 6 else "".join(2 * digit for digit in match[1])
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


def to_hex(color: Rgb) -> str:
    """Returns ``"#rrggbb"``."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def blend(background: Rgb, color: Rgb, share: float) -> Rgb:
    """Returns ``(1 - share) * background + share * color``, what a browser shows for this alpha."""
    red, green, blue = (round((1 - share) * low + share * high) for low, high in zip(background, color, strict=True))
    return red, green, blue


def contrast(first: Rgb, second: Rgb) -> float:
    """Returns the WCAG 2 contrast ratio of two colours, in [1, 21]; higher is more readable."""
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def legible(color: Rgb, theme: Theme) -> Rgb:
    """Returns the colour, blended towards the theme's background until the theme's text can be read on it."""
    for percent in range(100, 0, -2):
        candidate = blend(theme.background, color, percent / 100)
        if contrast(candidate, theme.text) >= MINIMUM_CONTRAST:
            return candidate
    return theme.background


def theme_css() -> str:
    """Returns the CSS rules of both themes: the reader's choice, the notebook's, or the system's; print is light.

    Notebook front ends say which theme they show by an attribute or a class above the output.
    """
    light_above = ('[data-theme="light"]', '[data-jp-theme-light="true"]', ".vscode-light")
    dark_above = ('[data-theme="dark"]', '[data-jp-theme-light="false"]', ".vscode-dark", 'html[theme="dark"]')
    return (
        f".hfi{{{Palette().css()}{LIGHT.css()}}}\n"
        f"@media (prefers-color-scheme: dark) {{.hfi{{{DARK.css()}}}}}\n"
        f"{','.join(f'{above} .hfi' for above in light_above)}{{{LIGHT.css()}}}\n"
        f"{','.join(f'{above} .hfi' for above in dark_above)}{{{DARK.css()}}}\n"
        f"@media print {{.hfi.hfi.hfi{{{LIGHT.css()}}}}}\n"
    )


def terminal_theme() -> Theme:
    """Returns the theme that fits the terminal: ``COLORFGBG`` where the terminal sets it, else dark."""
    background = os.environ.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT if background in {"7", "15"} else DARK


def gradient(palette: Palette, theme: Theme, steps: int, one_sided: bool) -> Sequence[Rgb]:
    """Returns the colours of a legend from the lowest weight to the highest, ``steps`` of them."""
    low = 0.0 if one_sided else -1.0
    return [palette.color(low + (1.0 - low) * step / (steps - 1), theme) for step in range(steps)]


def _channels(color: Rgb) -> str:
    return " ".join(str(channel) for channel in color)


def _luminance(color: Rgb) -> float:
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (channel / 255 for channel in color)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
