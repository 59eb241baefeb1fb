import json
import re
import sys
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
import torch

from hf_interpreto.visualizations import (
    Page,
    SectionStyle,
    attribution_fragment,
    attribution_page,
    attribution_section,
    plot_attributions,
)
from hf_interpreto.visualizations.page import embed_json
from tests.visualizations.outputs import EMOTIONS, NAN, Target, classification, generation, simple, tagging

ATTACKS = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}",
    "\u2028\u2029&lt;",
]


class Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self.text: dict[str, str] = {"script": "", "style": ""}
        self.blocks: list[str] = []
        self.elements: list[dict[str, str | None]] = []
        self.stack: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        named = dict(attrs)
        classes = (named.get("class") or "").split()
        self.ids += [named["id"]] if named.get("id") else []
        if "hfi-e" in classes:
            self.elements.append({**named, "shown": ""})
        if tag not in ("meta", "circle", "path", "input", "br", "img"):
            self.stack.append((tag, "hfi-text" in classes))
        if "hfi-text" in classes:
            self.blocks.append("")

    def handle_endtag(self, tag: str) -> None:
        if any(open_tag == tag for open_tag, _ in self.stack):
            while self.stack.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1][0] in self.text:
            self.text[self.stack[-1][0]] += data
        elif any(is_text for _, is_text in self.stack):
            self.blocks[-1] += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


def data_of(html: str) -> dict:
    return json.loads(
        re.search(r'<script type="application/json" class="hfi-data">(.*?)</script>', html, re.DOTALL)[1]
    )


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_text_of_the_user_becomes_markup(attack):
    harmless = simple([[1.0, 2.0]], ["a", "b"])
    harmful = simple(
        [[1.0, 2.0]],
        ["a", attack],
        targets=[Target(attack, 0)],
        model_name=attack,
        model_revision=attack,
        method=attack,
        score=attack,
        settings={attack: attack},
        diagnostics={attack: [attack]},
    )
    good, bad = read(attribution_page(harmless)), read(attribution_page(harmful, title=attack))
    kept = [tag for tag in bad.tags if tag not in ("dl", "dt", "dd", "div")]
    assert kept == [tag for tag in good.tags if tag not in ("dl", "dt", "dd", "div")]
    assert not [name for name, _ in bad.attributes if name.startswith("on")]
    assert bad.blocks == [f"a {attack}"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_embedded_json_reads_back_and_holds_no_character_that_could_end_it(attack):
    text = str(embed_json({"key": attack}))
    assert json.loads(text) == {"key": attack}
    assert not set(text) & {"<", ">", "&", "\u2028", "\u2029"}


def test_embedded_json_refuses_numbers_that_json_cannot_hold():
    with pytest.raises(ValueError, match="JSON compliant"):
        embed_json([NAN])


def test_custom_css_cannot_end_the_style_element():
    page = read(attribution_page(classification(), custom_css="</style><script>alert(1)</script>"))
    assert page.tags.count("style") == 1
    assert page.tags.count("script") == 2


def test_lone_surrogates_and_null_characters_do_not_stop_the_page_from_being_saved(tmp_path):
    output = simple([[1.0, 2.0]], ["a\ud800", "b\0"])
    plot_attributions(output, save_path=tmp_path / "page.html")
    assert "a\ufffd" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_nothing_is_requested_from_the_outside():
    html = attribution_page([classification(), generation()])
    assert not re.findall(r"(?:src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org)", html)


def test_only_the_script_of_the_package_may_run():
    html = attribution_page(classification())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='", policy)


def test_the_input_keeps_its_exact_spacing():
    output = classification()
    assert read(attribution_section(output)).blocks == [output.text]


def test_the_generated_text_keeps_its_spacing_without_the_blank_at_the_joint():
    output = generation()
    blocks = read(attribution_section(output)).blocks
    assert blocks == [output.text[: output.source_length], output.text[output.source_length :].lstrip()]


def test_elements_without_spans_are_joined_by_spaces():
    output = simple([[1.0, 2.0, 3.0]], ["one", "two", "three"])
    spanless = simple([[1.0, 2.0, 3.0]], ["one", "two", "three"], text="one-two-three")
    for element in spanless.example.elements:
        object.__setattr__(element, "span", None)
    assert read(attribution_section(spanless)).blocks == read(attribution_section(output)).blocks == ["one two three"]


def test_special_tokens_are_shown_beside_the_text():
    output = simple([[1.0, 2.0, 3.0]], ["[CLS]", "one", "two"])
    object.__setattr__(output.example.elements[0], "span", None)
    output.example.text = "one two"
    for element, span in zip(output.example.elements[1:], [(0, 3), (4, 7)], strict=True):
        object.__setattr__(element, "span", span)
    section = attribution_section(output)
    assert read(section).blocks == ["[CLS]one two"]
    assert section.count("hfi-special") == 1


def test_elements_that_share_a_character_show_it_once():
    output = simple([[1.0, 2.0, 3.0]], ["a", "b", "c"], text="a b c")
    for element, span in zip(output.example.elements, [(0, 1), (0, 1), (2, 5)], strict=True):
        object.__setattr__(element, "span", span)
    section = attribution_section(output)
    assert read(section).blocks == ["a b c"]
    assert section.count("hfi-sliver") == 1


@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_what_cannot_be_attributed_is_hatched_and_never_zero(value):
    output = simple([[1.0, value, 0.0]], ["a", "b", "c"])
    section = attribution_section(output)
    assert [element["data-s"] for element in read(section).elements] == ["pos", "nan", "zero"]
    assert data_of(section)["scores"] == [[1.0, None, 0.0]]
    assert "not attributable" in section
    assert "not attributable" not in attribution_section(simple([[1.0, 0.0]], ["a", "b"]))


def test_the_chosen_class_is_the_one_of_highest_score_and_is_coloured_without_script():
    section = attribution_section(classification(), EMOTIONS)
    assert re.findall(r'aria-pressed="true"[^>]*><span class="hfi-label">([^<]*)', section) == ["joy"]
    strongest = max(read(section).elements, key=lambda element: float(element["style"].removeprefix("--w:")))
    assert classification().elements[int(strongest["data-e"])] == "proud"


@pytest.mark.parametrize("names", [EMOTIONS, tuple(EMOTIONS), dict(enumerate(EMOTIONS))])
def test_classes_are_named_by_list_tuple_or_dict(names):
    assert re.findall(r'hfi-label">([^<]*)', attribution_section(classification(), names)) == EMOTIONS


@pytest.mark.parametrize("names", [EMOTIONS[:3], {0: "sadness"}, []])
def test_missing_class_names_are_refused_with_what_is_accepted(names):
    with pytest.raises(ValueError, match=r"classes_names has no name for class \d.*Accepted: a list or tuple"):
        plot_attributions(classification(), classes_names=names)


def test_class_names_of_a_wrong_type_are_refused():
    with pytest.raises(TypeError, match="classes_names must be a list, a tuple or a dict"):
        plot_attributions(classification(), classes_names="joy")


def test_class_names_for_generated_text_are_refused():
    with pytest.raises(ValueError, match="explains generated text"):
        plot_attributions(generation(), classes_names=EMOTIONS)


def test_a_malformed_colour_is_refused_by_the_name_of_its_argument():
    with pytest.raises(ValueError, match="positive_color='red' is not a colour"):
        plot_attributions(classification(), positive_color="red")


def test_an_empty_list_is_refused():
    with pytest.raises(ValueError, match="attribution_output is empty"):
        plot_attributions([])


@pytest.mark.parametrize(("normalize", "scales"), [(True, [1.0, 4.0]), ("all", [4.0, 4.0]), (False, [1.0, 1.0])])
def test_the_scale_is_per_row_or_shared_or_one(normalize, scales):
    output = simple([[1.0, 1.0], [4.0, -4.0]], ["a", "b"])
    section = attribution_section(output, style=SectionStyle(normalize=normalize))
    assert data_of(section)["scales"] == pytest.approx(scales, rel=0.05)


def test_an_unknown_normalization_is_refused():
    with pytest.raises(ValueError, match="normalize='rows' is unknown; accepted"):
        attribution_section(classification(), style=SectionStyle(normalize="rows"))


def test_one_outlier_does_not_wash_out_the_others():
    scores = [1.0] * 300
    scores[7] = 1000.0
    section = attribution_section(simple([scores], [f"w{index}" for index in range(300)]))
    assert data_of(section)["scales"] == [1.0]


def test_scores_that_are_all_positive_use_half_of_the_scale():
    assert "no effect" in attribution_section(simple([[0.0, 2.0]], ["a", "b"]))
    assert "lowers logit" in attribution_section(simple([[-0.1, 2.0]], ["a", "b"]))


def test_all_zero_scores_are_shown_without_colour():
    section = attribution_section(simple([[0.0, 0.0]], ["a", "b"]))
    assert [element["data-s"] for element in read(section).elements] == ["zero", "zero"]


def test_several_outputs_on_one_page_have_ids_of_their_own():
    ids = read(attribution_page([classification(), classification(), generation()])).ids
    assert len(ids) == 6
    assert len(set(ids)) == 6


def test_sections_made_one_by_one_have_ids_of_their_own():
    output = classification()
    ids = read(Page("two", [attribution_section(output), attribution_section(output)]).to_html()).ids
    assert len(ids) == len(set(ids)) == 4


def test_the_same_output_gives_the_same_page_every_time():
    assert attribution_page(classification()) == attribution_page(classification())


def test_the_caption_tells_how_the_scores_came_about():
    text = re.sub(r"<[^>]*>|\s+", " ", attribution_section(classification(), EMOTIONS))
    for part in ("KernelShap", "org/emotion-minilm", "f(x), logit", "f(baseline)", "0.900", "512 forward, 0 backward"):
        assert part in text
    assert "completeness gap \u22121.00e-04" in re.sub(r"\s+", " ", text)


def test_generated_elements_are_the_targets_and_tagged_words_carry_their_tags():
    rows = [element.get("data-row") for element in read(attribution_section(generation())).elements]
    assert rows == [None] * 10 + ["0", "1", "2", "3", "4", "5", "6"]
    tags = [element.get("data-tag") for element in read(attribution_section(tagging())).elements]
    assert tags == ["B-PER", "I-PER", None, None, "B-LOC", None]


def test_several_targets_at_one_element_get_chips():
    output = simple(
        [[1.0, 2.0], [2.0, 1.0]], ["a", "[MASK]"], targets=[Target("x", 5, 1), Target("y", 6, 1)], task="fill-mask"
    )
    assert re.findall(r'hfi-label">([^<]*)', attribution_section(output)) == ["x", "y"]


def test_the_page_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    plot_attributions(classification(), save_path=path)
    before = path.read_bytes()
    assert before.startswith(b"<!DOCTYPE html>")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        plot_attributions(generation(), save_path=path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]


class Notebook:
    """Stands for IPython with a kernel: records what is displayed, and shows a cell's value as IPython does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[str] = []
        self.shell = SimpleNamespace(kernel=object(), execution_count=1)
        module = SimpleNamespace(get_ipython=lambda: self.shell)
        display = SimpleNamespace(display=lambda bundle, raw: self.shown.append(bundle["text/html"]))
        monkeypatch.setitem(sys.modules, "IPython", module)
        monkeypatch.setitem(sys.modules, "IPython.display", display)

    def value_of_cell(self, value):
        value._ipython_display_()


def test_a_plot_is_displayed_once_even_as_the_value_of_its_cell(monkeypatch):
    notebook = Notebook(monkeypatch)
    plot = plot_attributions(classification())
    notebook.value_of_cell(plot)
    assert len(notebook.shown) == 1
    assert notebook.shown[0] == plot.html == plot._repr_html_()


def test_every_plot_of_a_loop_is_displayed(monkeypatch):
    notebook = Notebook(monkeypatch)
    for output in (classification(), generation()):
        plot_attributions(output)
    assert len(notebook.shown) == 2


def test_a_plot_is_displayed_again_in_a_later_cell(monkeypatch):
    notebook = Notebook(monkeypatch)
    plot = plot_attributions(classification())
    notebook.shell.execution_count = 2
    notebook.value_of_cell(plot)
    assert len(notebook.shown) == 2


def test_outside_a_notebook_nothing_is_displayed(monkeypatch):
    notebook = Notebook(monkeypatch)
    notebook.shell.kernel = None
    plot = plot_attributions(classification())
    assert notebook.shown == []
    assert "hfi-attribution" in plot.html


def test_a_fragment_brings_style_and_script_but_no_document():
    reader = read(attribution_fragment(generation()))
    assert {"style", "script", "section"} <= set(reader.tags)
    assert not {"html", "head", "body", "title"} & set(reader.tags)


def test_every_rule_is_scoped_to_the_fragment():
    style = re.sub(r"/\*.*?\*/", "", read(attribution_fragment(generation())).text["style"])
    style = re.sub(r"@media[^{]*\{", "", style)
    selectors = [part for rule in re.findall(r"([^{}]+)\{[^{}]*\}", style) for part in split_selectors(rule)]
    assert len(selectors) > 50
    assert [selector for selector in selectors if ".hfi" not in selector] == []


def split_selectors(rule: str) -> list[str]:
    return [part.strip() for part in re.split(r",(?![^(]*\))", rule) if part.strip()]


def test_numbers_in_the_page_keep_their_sign_and_size():
    output = simple([[-12345.678, 1.23456e-7]], ["a", "b"], target_scores=torch.tensor([NAN]))
    data = data_of(attribution_section(output))
    assert data["scores"][0] == pytest.approx([-12345.678, 1.23456e-7], rel=1e-4)
    assert data["targets"][0]["score"] is None


def test_the_folders_of_a_local_model_are_not_shown():
    assert "private" not in attribution_page(simple([[1.0]], ["a"], model_name="/home/private/models/emotion"))
