"""The pages in headless Chromium."""

import shutil
from collections.abc import Iterator

import pytest

from hf_interpreto.visualizations import Page, attribution_fragment, attribution_page, plot_attributions
from hf_interpreto.visualizations.colors import DARK, LIGHT
from tests.visualizations.outputs import EMOTIONS, NAN, Target, classification, generation, simple, tagging

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def driver() -> Iterator:
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

    def open_page(html: str, scheme: str = "light", width: int = 1200):
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf-8")
        driver.get(path.as_uri())
        return driver

    yield open_page
    assert [entry["message"] for entry in driver.get_log("browser")] == []


def find(driver, selector):
    return driver.find_elements(By.CSS_SELECTOR, selector)


def element(driver, text):
    (found,) = [node for node in find(driver, ".hfi-e") if node.text == text]
    return found


def color(driver, node):
    """The background after the next frame, when the page has been recoloured."""
    frame = "await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));"
    style = "return getComputedStyle(node).backgroundColor;"
    return driver.execute_script(f"const node = arguments[0]; return (async () => {{ {frame} {style} }})()", node)


def tip(driver):
    return [node.text for node in find(driver, ".hfi-tip") if node.is_displayed()]


def rgb(channels, alpha=None):
    values = ", ".join(str(channel) for channel in channels)
    return f"rgb({values})" if alpha is None else f"rgba({values}, {alpha})"


def test_a_click_on_a_class_recolours_the_words(browse):
    driver = browse(attribution_page(classification(), classes_names=EMOTIONS))
    assert color(driver, element(driver, "proud")) == rgb(LIGHT.positive)
    find(driver, ".hfi-chip")[4].click()
    assert color(driver, element(driver, "afraid")) == rgb(LIGHT.positive)
    assert color(driver, element(driver, "proud")).startswith(rgb(LIGHT.negative)[:-1].replace("rgb", "rgba"))
    assert [chip.get_attribute("aria-pressed") for chip in find(driver, ".hfi-chip")] == ["false"] * 4 + [
        "true",
        "false",
    ]
    assert find(driver, "[data-fact=label]")[0].text == "fear"


def test_hovering_over_a_class_previews_it_and_leaving_restores_the_pinned_one(browse):
    driver = browse(attribution_page(classification(), classes_names=EMOTIONS))
    ActionChains(driver).move_to_element(find(driver, ".hfi-chip")[4]).perform()
    assert color(driver, element(driver, "afraid")) == rgb(LIGHT.positive)
    ActionChains(driver).move_to_element(find(driver, "h1")[0]).perform()
    assert color(driver, element(driver, "proud")) == rgb(LIGHT.positive)


def test_hovering_over_a_word_shows_its_number_and_error(browse):
    driver = browse(attribution_page(classification(), classes_names=EMOTIONS))
    ActionChains(driver).move_to_element(element(driver, "humiliated")).perform()
    (text,) = tip(driver)
    assert text.splitlines() == ["humiliated", "\u22121.02 ± 0.102", "towards joy"]


def test_the_keyboard_reaches_every_class_and_word(browse):
    driver = browse(attribution_page(classification(), classes_names=EMOTIONS))
    find(driver, ".hfi-chip")[0].send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ENTER)
    assert find(driver, "[data-fact=label]")[0].text == "love"
    assert [chip.get_attribute("tabindex") for chip in find(driver, ".hfi-chip")].count("0") == 1
    driver.switch_to.active_element.send_keys(Keys.TAB)
    assert driver.switch_to.active_element.text == "I"
    driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert driver.switch_to.active_element.text == "didn't"
    (text,) = tip(driver)
    assert text.startswith("didn't")
    described = driver.switch_to.active_element.get_attribute("aria-describedby")
    assert driver.find_element(By.ID, described).text == text
    driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert tip(driver) == []


def test_a_click_on_a_generated_word_keeps_it_and_another_click_lets_go(browse):
    driver = browse(attribution_page(generation()))
    element(driver, "doctor").click()
    assert color(driver, element(driver, "ill")) == rgb(LIGHT.positive)
    ActionChains(driver).move_to_element(element(driver, "was")).perform()
    assert find(driver, "[data-fact=label]")[0].text == "doctor"
    element(driver, "doctor").click()
    ActionChains(driver).move_to_element(element(driver, "was")).perform()
    color(driver, element(driver, "was"))
    assert find(driver, "[data-fact=label]")[0].text == "was"


def test_generated_words_are_chosen_by_keyboard(browse):
    driver = browse(attribution_page(generation()))
    element(driver, "was").send_keys(Keys.ARROW_RIGHT, Keys.ENTER)
    assert element(driver, "ill").get_attribute("aria-pressed") == "true"
    assert find(driver, "[data-fact=label]")[0].text == "ill"


def test_what_cannot_be_attributed_has_a_dash_and_no_colour(browse):
    driver = browse(attribution_page(simple([[1.0, NAN]], ["here", "there"])))
    missing = element(driver, "there")
    assert color(driver, missing) == "rgba(0, 0, 0, 0)"
    ActionChains(driver).move_to_element(missing).perform()
    (text,) = tip(driver)
    assert text.splitlines()[1] == "—"


def test_a_tagged_word_is_a_target(browse):
    driver = browse(attribution_page(tagging()))
    node = element(driver, "London")
    node.click()
    assert find(driver, "[data-fact=label]")[0].text == "B-LOC"
    assert color(driver, node) == rgb(LIGHT.positive)


def test_one_scale_for_all_fades_the_weaker_rows(browse):
    driver = browse(attribution_page(simple([[1.0, 0.5], [4.0, 0.1]], ["a", "b"])))
    find(driver, ".hfi-chip")[0].click()
    assert color(driver, element(driver, "a")) == rgb(LIGHT.positive)
    find(driver, ".hfi-switch")[0].click()
    assert color(driver, element(driver, "a")).startswith("rgba")


def test_the_matrix_has_a_cell_for_every_pair_and_leaves_the_text_again(browse):
    driver = browse(attribution_page(generation()))
    find(driver, "[data-view=matrix]")[0].click()
    cells = find(driver, ".hfi-cell")
    assert len(cells) == 7 * 17
    ActionChains(driver).move_to_element(cells[9]).perform()
    (text,) = tip(driver)
    assert text.splitlines() == ["daughter", "+1.91", "towards was"]
    find(driver, ".hfi-matrix button")[3].send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    assert find(driver, "[data-fact=label]")[0].text == "a"
    find(driver, "[data-view=text]")[0].click()
    assert element(driver, "ill").is_displayed()


def test_a_matrix_of_a_long_text_is_bounded(browse):
    words = [f"w{index}" for index in range(3000)]
    driver = browse(attribution_page(simple([[float(index) for index in range(3000)]] * 4, words)))
    find(driver, "[data-view=matrix]")[0].click()
    assert len(find(driver, ".hfi-cell")) == 8000
    assert find(driver, ".hfi-note")[0].text == "The 2000 of 3000 elements with the largest scores."


@pytest.mark.parametrize(("scheme", "theme"), [("light", LIGHT), ("dark", DARK)])
def test_the_page_follows_the_system_and_can_be_switched(browse, scheme, theme):
    driver = browse(attribution_page(classification(), classes_names=EMOTIONS), scheme)
    assert color(driver, element(driver, "proud")) == rgb(theme.positive)
    assert color(driver, find(driver, ".hfi-attribution")[0]) == rgb(theme.background)
    find(driver, ".hfi-theme")[0].click()
    other = DARK if theme is LIGHT else LIGHT
    assert color(driver, element(driver, "proud")) == rgb(other.positive)


def test_chosen_colours_hold_in_their_section_only(browse):
    first = plot_attributions(simple([[1.0]], ["a"]), positive_color="#00c000").page.sections[0]
    second = plot_attributions(simple([[1.0]], ["b"])).page.sections[0].replace("hfi-1", "hfi-2")
    driver = browse(Page("two", [first, second]).to_html())
    assert color(driver, element(driver, "a")) == rgb((0, 192, 0))
    assert color(driver, element(driver, "b")) == rgb(LIGHT.positive)


@pytest.mark.parametrize("width", [1200, 420])
def test_nothing_sticks_out_of_the_page(browse, width):
    long = simple([[1.0, -1.0]], ["x" * 400, "y"], targets=[Target("z" * 300, 0)], model_name="m" * 300)
    driver = browse(attribution_page([classification(), generation(), tagging(), long]), width=width)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width


def test_many_fragments_share_one_notebook(browse):
    fragment = attribution_fragment(classification(), EMOTIONS)
    driver = browse(f"<!DOCTYPE html><meta charset=utf-8><body data-jp-theme-light=false>{fragment}{fragment}")
    ids = driver.execute_script("return [...document.querySelectorAll('[id]')].map(node => node.id)")
    assert len(ids) == len(set(ids)) == 4
    find(driver, ".hfi-chip")[6 + 4].click()
    assert [node.text for node in find(driver, "[data-fact=label]")] == ["joy", "fear"]
    assert color(driver, find(driver, ".hfi-attribution")[0]) == rgb(DARK.background)


def test_injected_markup_neither_runs_nor_appears(browse):
    attack = "</script><img src=x onerror='document.title=1'><script>document.title=1</script>"
    output = simple([[1.0, 2.0]], [attack, "b"], targets=[Target(attack, 0)], model_name=attack)
    driver = browse(attribution_page(output))
    ActionChains(driver).move_to_element(find(driver, ".hfi-e")[0]).perform()
    assert driver.title == "KernelShap attributions"
    assert find(driver, "img") == []
    assert tip(driver)[0].startswith(attack)
