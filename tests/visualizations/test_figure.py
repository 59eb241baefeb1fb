import io
import sys

import numpy as np
import pytest
from PIL import Image

from hf_interpreto.visualizations import to_png, to_svg
from hf_interpreto.visualizations.colors import Palette
from tests.visualizations.outputs import EMOTIONS, NAN, classification, generation, simple


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def share_of(color, image: np.ndarray) -> float:
    return float((np.abs(image - np.array(color)).max(axis=-1) <= 3).mean())


def test_a_png_is_an_image_as_wide_as_promised():
    image = Image.open(io.BytesIO(to_png(classification(), classes_names=EMOTIONS)))
    assert image.format == "PNG"
    assert image.width == 1166
    assert 600 < image.height < 2000


def test_twice_the_resolution_gives_twice_the_pixels():
    small, large = (Image.open(io.BytesIO(to_png(generation(), target=0, dpi=dpi))) for dpi in (72, 144))
    assert large.width == 2 * small.width
    assert abs(large.height - 2 * small.height) <= 1


def test_strong_elements_have_the_colours_of_the_palette_and_missing_ones_none():
    palette = Palette()
    up, down, neither = (pixels(to_png(simple([[score, 0.0]], ["aaaaaaaaaaaa", "b"]))) for score in (1.0, -1.0, NAN))
    # The legend shows both ends, so that shares are compared.
    assert share_of(palette.color(1.0), up) > 3 * share_of(palette.color(1.0), down)
    assert share_of(palette.color(-1.0), down) > 3 * share_of(palette.color(-1.0), up)
    assert share_of(palette.color(1.0), neither) < share_of(palette.color(1.0), up) / 3


@pytest.mark.parametrize(
    "text", ["$x^2$ \\alpha $", "東京 日本語 한국어", "\U0001f9ea \ue000 \x07 \t x", "שלום عالم", "a" * 900]
)
def test_any_text_is_drawn_without_a_warning(text):
    assert to_png(simple([[1.0, -1.0]], [text, "end"])).startswith(b"\x89PNG")


def test_text_in_dollars_is_not_read_as_a_formula():
    plain, dollars = (to_svg(simple([[0.0]], [text])) for text in ("xx", "$x$"))
    assert dollars.count("<use") == plain.count("<use") + 1


def test_an_output_with_very_many_targets_stays_a_picture_of_bounded_height():
    image = Image.open(io.BytesIO(to_png(simple([[1.0, 2.0]] * 400, ["a", "b"]), dpi=72)))
    assert image.height <= 6000


def test_a_file_is_written_and_its_path_returned(tmp_path):
    path = to_png(generation(), tmp_path / "picture.png", 1)
    assert path == tmp_path / "picture.png"
    assert path.read_bytes() == to_png(generation(), target=1)


def test_svg_is_text_with_outlines_and_no_user_markup():
    svg = to_svg(simple([[1.0]], ["</svg><script>alert(1)</script>"]))
    assert svg.lstrip().startswith("<?xml")
    assert "<script" not in svg


def test_an_unknown_row_is_refused():
    with pytest.raises(IndexError, match="target=9 is not a row"):
        to_png(classification(), target=9)


def test_drawing_leaves_pyplot_and_its_settings_alone():
    import matplotlib as mpl

    # Reading the backend would make matplotlib choose one.
    names = [name for name in mpl.rcParams if name != "backend"]
    before, loaded = [mpl.rcParams[name] for name in names], "matplotlib.pyplot" in sys.modules
    to_png(generation(), target=0)
    assert ("matplotlib.pyplot" in sys.modules) == loaded
    assert [mpl.rcParams[name] for name in names] == before
