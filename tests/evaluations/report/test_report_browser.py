"""The report in a real browser: a phone's width, dark and light, the keyboard, and nothing refused or missing."""

import shutil

import pytest
from sra_evaluations import Comparison
from sra_evaluations.examples import Example
from sra_evaluations.report import write_report
from sra_evaluations.results.record import Record
from sra_evaluations.results.records import example_name, write_examples

from sra_rag import SRAConfig

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.by import By  # noqa: E402 - once it is known to be there
from selenium.webdriver.common.keys import Keys  # noqa: E402

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BROWSER and DRIVER), reason="needs Chromium and its driver: apt-get install chromium chromium-driver"
    ),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    settings = {"off": None, "alpha=0.3,rows=after_context": SRAConfig(rows="after_context", alpha=0.3).to_dict(),
                "alpha=0.1,rows=after_context": SRAConfig(rows="after_context", alpha=0.1).to_dict()}  # fmt: skip
    examples = [
        Example(str(at), "", "x" * 400 + " It is blue.", "Which?", ("blue",), gold=("x" * 400 + " It is blue.",))
        for at in range(8)
    ]
    write_examples(folder, "houses", examples)
    records = [
        Record(
            "houses", example_name(example), setting, {"right": float(at < 3 or sra is not None)},
            {"position": at % 4 / 3}, answer="https://example.org/" + "a" * 300,
            entropy=((1.0 + at, 2.0), (1.5, 3.0 - (sra is not None))),
        )
        for at, example in enumerate(examples)
        for setting, sra in settings.items()
    ]  # fmt: skip
    manifest = {
        "model": {"name": "made up", "weights_sha256": "ab" * 32}, "versions": {}, "machine": {}, "seed": 0,
        "max_new_tokens": 8, "settings": settings, "tasks": {"houses": {"examples": 8, "sha256": "cd" * 32}},
    }  # fmt: skip
    return write_report(Comparison(manifest, records), folder).html.as_uri()


@pytest.fixture
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield browser
    browser.quit()


def color(browser, selector, what):
    script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    return browser.execute_script(script, selector, what)


def show(browser, page, *, width, dark):
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get(page)


@pytest.mark.parametrize("width", [320, 375, 1200])
def test_the_page_fits_its_width_with_everything_open(browser, page, width):
    show(browser, page, width=width, dark=False)
    browser.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    for drawing in browser.find_elements(By.CSS_SELECTOR, "figure svg"):
        assert 0 < drawing.rect["width"] <= width
        assert drawing.rect["height"] > 100


def test_dark_and_light_reach_into_the_drawings_and_nothing_is_refused(browser, page):
    seen = []
    for dark in (False, True):
        show(browser, page, width=1200, dark=dark)
        text = color(browser, "figure svg text", "fill") or color(browser, "figure svg text", "color")
        seen.append((color(browser, "body", "backgroundColor"), text))
    assert seen[0][0] != seen[1][0]
    assert seen[0][1] != seen[1][1]
    assert browser.get_log("browser") == []
    decode = """
        const sources = [...document.querySelectorAll('svg image')].map(it => it.href.baseVal), done = arguments[0];
        Promise.all(sources.map(src => Object.assign(new Image(), {src}).decode()))
            .then(() => done(sources.length), error => done(String(error)));
    """
    # A heat map and its scale for each of two settings.
    assert browser.execute_async_script(decode) == 4


def test_changed_examples_open_by_the_keyboard(browser, page):
    show(browser, page, width=1200, dark=False)
    change = browser.find_element(By.CSS_SELECTOR, "details.change")
    outer = browser.execute_script("return arguments[0].parentElement.closest('details')", change)
    assert not change.is_displayed()
    for details in (outer, change):
        details.find_element(By.CSS_SELECTOR, "summary").send_keys(Keys.ENTER)
        assert details.get_attribute("open")
    assert change.find_element(By.CSS_SELECTOR, ".passage mark").text == "blue"
