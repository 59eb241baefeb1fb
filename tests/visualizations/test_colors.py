import math

import pytest

from hf_interpreto.visualizations.colors import (
    DARK,
    LIGHT,
    MINIMUM_CONTRAST,
    Palette,
    blend,
    contrast,
    gradient,
    terminal_theme,
)
from hf_interpreto.visualizations.layout import number

WEIGHTS = [step / 20 for step in range(-20, 21)]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
@pytest.mark.parametrize("palette", [Palette(), Palette("#ff0000", "#0000ff"), Palette("#000", "#fff")], ids=str)
def test_text_is_readable_on_every_colour_of_the_scale(theme, palette):
    assert min(contrast(palette.color(weight, theme), theme.text) for weight in WEIGHTS) >= MINIMUM_CONTRAST


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_secondary_text_is_readable_on_its_backgrounds(theme):
    def rgb(value):
        return tuple(int(value[index : index + 2], 16) for index in (1, 3, 5))

    muted = rgb(theme.neutrals["muted"])
    for background in (theme.background, rgb(theme.neutrals["canvas"]), rgb(theme.neutrals["raised"])):
        assert contrast(muted, background) >= MINIMUM_CONTRAST
    assert contrast(rgb(theme.neutrals["tip-muted"]), rgb(theme.neutrals["tip-bg"])) >= MINIMUM_CONTRAST


# Linear-light matrices of Machado, Oliveira and Fernandes (2009) for full loss of one kind of cone.
LOSSES = {
    "protan": [(0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)],
    "deutan": [(0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)],
    "tritan": [(1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)],
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_the_two_ends_stay_apart_for_the_colour_blind(theme, loss):
    def linear(color):
        return [(c / 255 / 12.92) if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]

    def seen(color):
        light = linear(color)
        return [sum(m * c for m, c in zip(row, light, strict=True)) for row in LOSSES[loss]]

    palette = Palette()
    for weight in (0.5, 1.0):
        assert math.dist(seen(palette.color(weight, theme)), seen(palette.color(-weight, theme))) > 0.05


def test_zero_and_not_attributable_have_the_colour_of_the_page():
    assert Palette().color(0.0) == Palette().color(math.nan) == LIGHT.background


def test_the_scale_is_linear_and_clipped():
    palette = Palette()
    assert palette.color(0.5) == blend(LIGHT.background, palette.end(1, LIGHT), 0.5)
    assert palette.color(7.0) == palette.color(1.0) == palette.end(1, LIGHT)
    assert palette.color(-7.0) == palette.end(-1, LIGHT)


def test_a_legend_runs_from_the_lowest_colour_to_the_highest():
    palette = Palette()
    full = gradient(palette, LIGHT, 5, one_sided=False)
    assert (full[0], full[2], full[4]) == (palette.color(-1.0), LIGHT.background, palette.color(1.0))
    assert gradient(palette, LIGHT, 3, one_sided=True)[0] == LIGHT.background


@pytest.mark.parametrize("value", ["red", "#12", "#12345g", "rgb(1,2,3)", "#ff0000;}", 7])
def test_colours_written_otherwise_are_refused(value):
    with pytest.raises(ValueError, match=r"negative_color=.* is not a colour; write it as '#rrggbb'"):
        Palette(None, value)


def test_the_terminal_theme_follows_what_the_terminal_says(monkeypatch):
    monkeypatch.setenv("COLORFGBG", "0;15")
    assert terminal_theme() is LIGHT
    monkeypatch.setenv("COLORFGBG", "15;0")
    assert terminal_theme() is DARK
    monkeypatch.delenv("COLORFGBG")
    assert terminal_theme() is DARK


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.5, "+0.500"),
        (-0.5, "\u22120.500"),
        (99.97, "+100"),
        (999.6, "+1000"),
        (12345.6, "+12346"),
        (1e5, "+1.00e+05"),
        (-1.234e-4, "\u22121.23e-04"),
        (math.nan, "—"),
        (math.inf, "—"),
        (None, "—"),
    ],
)
def test_numbers_have_three_digits_and_a_sign(value, text):
    assert number(value, signed=True) == text
