"""Pages of concepts: what they rank, and how they react."""

import json
import re
import shutil

import numpy as np
import pytest
import torch

from hf_interpreto.visualizations import attribution_fragment, plot_concepts
from hf_interpreto.visualizations.colors import DARK, LIGHT
from tests.visualizations.outputs import classification

EMOTIONS = ["sadness", "joy", "love"]
IMPORTANCES = torch.tensor([[0.1, 0.7, 0.3, 0.0], [0.9, -1.2, 0.0, 0.5], [0.2, 0.2, 0.2, 0.8]])
LABELS = {0: ["feel", "feeling"], 1: ["bright"], 2: ["story", "word"], 3: ["loved"]}
WORDS = ["I", "feel", "bright", "and", "loved"]
ACTIVATIONS = torch.tensor([[0.0, 0, 1, 0], [2, 0, 0, 0], [0, 4, 0, 0], [0, 1, 0, 0], [0, 0, 0, 3]])


def bars(html):
    """(concept, label, value) of each bar, row by row."""
    rows = re.findall(r'<ol class="hfi-bars".*?</ol>', html, re.S)
    bar = re.compile(r'data-c="(\d+)".*?hfi-concept-label" dir="auto">(.*?)</span>.*?hfi-concept-value">(.*?)</span>')
    return [[(int(concept), name, value) for concept, name, value in bar.findall(row)] for row in rows]


def data(html):
    return json.loads(re.search(r'class="hfi-data">(.*?)</script>', html, re.S)[1])


def test_every_class_ranks_its_concepts_by_size_with_their_words():
    html = plot_concepts(classes_names=EMOTIONS, concepts_importances=IMPORTANCES, concepts_labels=LABELS).html
    assert bars(html)[0] == [
        (1, "bright", "0.700"),
        (2, "story, word", "0.300"),
        (0, "feel, feeling", "0.100"),
        (3, "loved", "0"),
    ]
    assert bars(html)[1][0] == (1, "bright", "−1.20")
    assert re.findall(r'hfi-label">(.*?)<', html) == EMOTIONS


def test_importances_and_labels_may_be_given_class_by_class():
    importances = {2: torch.tensor([0.1, 0.4]), 0: [0.3, 0.2]}
    labels = {2: {0: "warm", 1: "tender"}, 0: {0: "tears"}}
    html = plot_concepts(classes_names=EMOTIONS, concepts_importances=importances, concepts_labels=labels).html
    assert bars(html) == [
        [(1, "tender", "0.400"), (0, "warm", "0.100")],
        [(0, "tears", "0.300"), (1, "concept 1", "0.200")],
    ]
    assert re.findall(r'hfi-label">(.*?)<', html) == ["love", "sadness"]


@pytest.mark.parametrize(
    "importances", [IMPORTANCES, IMPORTANCES.numpy(), IMPORTANCES.tolist(), list(IMPORTANCES), IMPORTANCES[:, None]]
)
@pytest.mark.parametrize(
    "labels",
    [
        ["feel, feeling", "bright", "story, word", "loved"],
        LABELS,
        {0: {"feel": 2.0, "feeling": 1.0}, 1: {"bright": 1.0}, 2: {"story": 2.0, "word": 1.0}, 3: {"loved": 1.0}},
    ],
)
def test_all_forms_of_the_same_arguments_give_the_same_page(importances, labels):
    expected = plot_concepts(concepts_importances=IMPORTANCES, concepts_labels=LABELS).html
    assert bars(plot_concepts(concepts_importances=importances, concepts_labels=labels).html) == bars(expected)


def test_a_concept_without_words_is_shown_by_number():
    html = plot_concepts(concepts_importances=[[0.5, 0.4, 0.3]], concepts_labels={0: {}, 1: [], 2: None}).html
    assert [name for _, name, _ in bars(html)[0]] == ["concept 0", "concept 1", "concept 2"]


def test_the_number_of_concepts_is_bounded_and_nan_is_left_out():
    many = np.arange(30.0)
    many[29] = np.nan
    shown = bars(plot_concepts(concepts_importances=many, concepts_labels=[]).html)[0]
    assert [concept for concept, _, _ in shown] == list(range(28, 18, -1))
    assert len(bars(plot_concepts(concepts_importances=many, concepts_labels=[], top_k=None).html)[0]) == 29


def test_the_page_has_activations_of_shown_concepts_only():
    html = plot_concepts(
        classes_names=EMOTIONS,
        concepts_importances=IMPORTANCES,
        concepts_labels=LABELS,
        sample=WORDS,
        concepts_activations=ACTIVATIONS,
        top_k=1,
    ).html
    assert data(html)["activations"] == {"1": [0, 0, 4, 1, 0], "3": [0, 0, 0, 0, 3]}
    assert data(html)["elements"] == WORDS


def test_rows_of_a_generation_belong_to_the_last_elements_or_to_those_that_are_named():
    options = {"concepts_labels": LABELS, "sample": WORDS, "concepts_activations": ACTIVATIONS}
    html = plot_concepts(concepts_importances=IMPORTANCES[:2, None].repeat(1, 5, 1), **options).html
    assert re.findall(r'data-e="(\d)" data-s="zero" data-row="(\d)"', html) == [("3", "0"), ("4", "1")]
    assert bars(html)[0][0] == (1, "bright", "3.50")
    named = plot_concepts(concepts_importances={2: IMPORTANCES[0]}, **options).html
    assert re.findall(r'data-e="(\d)" data-s="zero" data-row="(\d)"', named) == [("2", "0")]


def test_the_saved_page_asks_nothing_from_outside(tmp_path):
    path = tmp_path / "concepts.html"
    plot_concepts(concepts_importances=IMPORTANCES, concepts_labels=LABELS, save_path=path)
    html = path.read_text(encoding="utf-8")
    assert html.startswith("<!DOCTYPE html>")
    assert "default-src 'none'" in html
    again = plot_concepts(concepts_importances=IMPORTANCES, concepts_labels=LABELS)
    assert again.page.to_html() == html
    assert not re.search(r"""(?:src|href)=|@import|url\(""", html)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concepts_importances": torch.ones(2, 2, 2, 2)}, "rows of shape"),
        ({"concepts_importances": {}}, "rows of shape none"),
        ({"classes_names": ["one"]}, "no name for 1"),
        ({"sample": WORDS}, "belong together"),
        ({"concepts_activations": ACTIVATIONS}, "belong together"),
        ({"sample": "I feel", "concepts_activations": ACTIVATIONS}, "list of elements"),
        ({"sample": WORDS[:2], "concepts_activations": ACTIVATIONS}, r"expected \(2, concepts\)"),
        ({"sample": WORDS, "concepts_activations": ACTIVATIONS[:, :2]}, "has 2 concepts"),
        ({"sample": WORDS[:2], "concepts_activations": ACTIVATIONS[:2]}, "do not fit a sample of 2 elements"),
        ({"top_k": 0}, "top_k=0"),
        ({"concept_color": "orange"}, "concept_color='orange' is not a colour"),
    ],
)
def test_arguments_that_do_not_fit_together_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        plot_concepts(**{"concepts_importances": IMPORTANCES, "concepts_labels": LABELS, **options})


@pytest.mark.parametrize("options", [{"concepts_labels": "joy"}, {"concepts_importances": ["much"]}])
def test_arguments_of_another_type_are_refused(options):
    with pytest.raises(TypeError, match="concepts_"):
        plot_concepts(**{"concepts_importances": IMPORTANCES, "concepts_labels": LABELS, **options})


# In a browser


@pytest.fixture(scope="module")
def driver():
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser, service = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or service is None:
        pytest.skip("chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(service))
    yield driver
    driver.quit()


@pytest.fixture
def browse(driver, tmp_path):
    """Opens HTML; afterwards the console must be empty."""

    def open_page(html, scheme="light"):
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf-8")
        driver.get(path.as_uri())
        return driver

    yield open_page
    assert [entry["message"] for entry in driver.get_log("browser")] == []


def find(driver, selector):
    return [node for node in driver.find_elements("css selector", selector) if node.is_displayed()]


def lit(driver):
    """Elements that are coloured."""
    return [node.text for node in find(driver, '.hfi-e:not([data-s="zero"])')]


def point_at(driver, node):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(driver).move_to_element(node).perform()


def shown_labels(driver):
    return [node.text for node in find(driver, ".hfi-concept-label")]


def page(**options):
    return plot_concepts(**{"concepts_importances": IMPORTANCES, "concepts_labels": LABELS, **options}).page.to_html()


def local_page(**options):
    return page(sample=WORDS, concepts_activations=ACTIVATIONS, **options)


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "theme"), [("light", LIGHT), ("dark", DARK)])
def test_a_click_on_a_class_shows_its_concepts(browse, scheme, theme):
    driver = browse(page(classes_names=EMOTIONS), scheme)
    assert shown_labels(driver) == ["bright", "story, word", "feel, feeling", "loved"]
    find(driver, ".hfi-chip")[2].click()
    assert shown_labels(driver)[0] == "loved"
    assert [chip.get_attribute("aria-pressed") for chip in find(driver, ".hfi-chip")] == ["false", "false", "true"]
    widths = [node.size["width"] for node in find(driver, ".hfi-track i")]
    assert widths[1] == pytest.approx(widths[0] / 4, abs=1)
    assert (
        find(driver, ".hfi-track i")[0]
        .value_of_css_property("background-color")
        .startswith(f"rgb({', '.join(map(str, theme.positive))}".replace("rgb", "rgba"))
    )


@pytest.mark.browser
def test_pointing_at_a_class_previews_it(browse):
    driver = browse(page(classes_names=EMOTIONS))
    point_at(driver, find(driver, ".hfi-chip")[2])
    assert shown_labels(driver)[0] == "loved"
    point_at(driver, find(driver, "h1")[0])
    assert shown_labels(driver)[0] == "bright"


@pytest.mark.browser
def test_concepts_light_their_elements(browse):
    driver = browse(local_page(classes_names=EMOTIONS))
    assert lit(driver) == ["bright", "and"]
    point_at(driver, find(driver, ".hfi-concept")[2])
    assert lit(driver) == ["feel"]
    point_at(driver, find(driver, "h1")[0])
    assert lit(driver) == ["bright", "and"]
    find(driver, ".hfi-concept")[3].click()
    point_at(driver, find(driver, "h1")[0])
    assert lit(driver) == ["loved"]
    point_at(driver, find(driver, ".hfi-e")[4])
    assert find(driver, ".hfi-tip")[0].text.splitlines() == ["loved", "3.00", "loved"]


@pytest.mark.browser
def test_generated_elements_are_chosen_by_mouse_and_keyboard(browse):
    from selenium.webdriver.common.keys import Keys

    driver = browse(local_page())
    elements = find(driver, ".hfi-e")
    elements[4].click()
    assert shown_labels(driver)[0] == "loved"
    elements[4].send_keys(Keys.ARROW_LEFT, Keys.ENTER)
    assert elements[3].get_attribute("aria-pressed") == "true"
    assert shown_labels(driver)[:2] == ["bright", "feel, feeling"]


@pytest.mark.browser
def test_concepts_and_attributions_share_a_notebook(browse):
    concepts = plot_concepts(concepts_importances=IMPORTANCES, concepts_labels=LABELS, classes_names=EMOTIONS).html
    fragment = attribution_fragment(classification())
    driver = browse(f"<!DOCTYPE html><meta charset=utf-8>{fragment}{concepts}{concepts}{fragment}")
    ids = driver.execute_script("return [...document.querySelectorAll('[id]')].map(node => node.id)")
    assert len(ids) == len(set(ids)) == 8
    second = driver.find_elements("css selector", ".hfi-concepts")[1]
    second.find_elements("css selector", ".hfi-chip")[2].click()
    shown = [node.text for node in find(driver, ".hfi-concepts .hfi-concept-label")]
    assert (shown[0], shown[4]) == ("bright", "loved")


@pytest.mark.browser
def test_injected_markup_neither_runs_nor_appears(browse):
    attack = "</script><img src=x onerror='document.title=1'><script>document.title=1</script>"
    driver = browse(
        plot_concepts(
            concepts_importances=[[1.0]],
            concepts_labels=[attack],
            classes_names=[attack],
            sample=[attack],
            concepts_activations=[[1.0]],
        ).page.to_html()
    )
    point_at(driver, find(driver, ".hfi-e")[0])
    assert driver.title == "Concepts"
    assert driver.find_elements("css selector", "img") == []
    assert find(driver, ".hfi-tip")[0].text.startswith(attack)
