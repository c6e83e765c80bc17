"""Chromium for the tests of the page, at the two sizes, and a model that says what a test dictates."""

import importlib.util
import json
import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402 - once it is known to be there
from selenium.webdriver.common.keys import Keys  # noqa: E402

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SIZES = {"wide": (1400, 900), "phone": (390, 844)}


class Dictation:
    """Makes a model generate the tokens of a given text, whatever it reads.

    Everything else is real: prompts, prefill, evidence, sampling, streaming and checks.
    """

    def __init__(self, loaded, seconds=0.01):
        self.loaded = loaded
        self.seconds = seconds
        self.token_ids = []
        self.at = 0
        self.say("")

    def say(self, text):
        tokenizer = self.loaded.tokenizer
        self.token_ids = [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]

    def __call__(self, model, arguments, named, output):
        time.sleep(self.seconds)
        token_ids = named["input_ids"][0].tolist()
        follows = len(token_ids) == 1 and token_ids[0] == self.token_ids[self.at]
        self.at = min(self.at + 1, len(self.token_ids) - 1) if follows else 0  # or it reads a prompt
        output.logits[:, -1, self.token_ids[self.at]] = 1e4
        return output


@contextmanager
def dictating(loaded):
    dictation = Dictation(loaded)
    handle = loaded.model.register_forward_hook(dictation, with_kwargs=True)
    yield dictation
    handle.remove()


@contextmanager
def chromium(size="wide", dark=False):
    """Open a browser with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    width, height = SIZES[size]
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--window-size={width},{height}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    browser.set_page_load_timeout(60)
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    if dark:
        feature = {"name": "prefers-color-scheme", "value": "dark"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        yield browser
    finally:
        browser.quit()


def find(browser, selector):
    return browser.find_elements(By.CSS_SELECTOR, selector)


def wait_for(browser, selector, count=1, seconds=60):
    """Wait until so many elements are visible; return them."""
    until = time.monotonic() + seconds
    while len(visible := _visible(browser, selector)) < count:
        assert time.monotonic() < until, f"no {selector}: {browser.find_element(By.TAG_NAME, 'body').text[:800]}"
        time.sleep(0.02)
    return visible


def _visible(browser, selector):
    try:
        return [element for element in find(browser, selector) if element.is_displayed()]
    except StaleElementReferenceException:  # replaced in between: look again
        return []


def text(browser, selector):
    """Return the text of the first such element, empty if there is none. It may be replaced at any time."""
    return browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)


def holds(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def focused(browser, selector):
    return browser.execute_script("return document.activeElement.closest(arguments[0]) !== null", selector)


def press(browser, *keys):
    webdriver.ActionChains(browser).send_keys(*keys).perform()


def tab_to(browser, selector, most=60):
    for _ in range(most):
        if focused(browser, selector):
            return
        press(browser, Keys.TAB)
    raise AssertionError(f"{selector} is not reached with the tab key")


def ask(browser, question, seconds=60):
    """Ask by keyboard and wait for the whole answer; return its turn."""
    turns = len(find(browser, ".turn"))
    field = browser.find_element(By.ID, "question")
    field.send_keys(question, Keys.ENTER)
    return finished(browser, turns, seconds)


def finished(browser, turn, seconds=60):
    """Wait until the turn with a number is answered; return it."""
    wait_for(browser, f"#turn-{turn}", seconds=seconds)
    holds(lambda: not find(browser, f"#turn-{turn} [data-running]"), seconds)
    return browser.find_element(By.ID, f"turn-{turn}")


def no_wider_than_the_window(browser):
    width, window = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    return width <= window


def hosts(browser):
    requests = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    urls = [r["params"]["request"]["url"] for r in requests if r["method"] == "Network.requestWillBeSent"]
    return {url.split("/")[2] for url in urls if url.startswith(("http", "ws"))}


def errors(browser):
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def serious_faults(browser):
    """Run axe-core on the page as it is; return its serious and critical findings."""
    path = os.environ.get("SRA_RAG_TEST_AXE")
    if path is None:
        carrier = importlib.util.find_spec("axe_core_python")
        if carrier is None:
            pytest.skip("needs axe-core: pip install axe-core-python, or name its axe.min.js in SRA_RAG_TEST_AXE")
        path = Path(carrier.origin).with_name("axe.min.js")
    if not browser.execute_script("return typeof window.axe === 'object'"):
        browser.execute_script(Path(path).read_text("utf-8"))
    ran = browser.execute_async_script("const done = arguments[0]; axe.run().then(done, e => done({error: String(e)}))")
    assert "error" not in ran, ran["error"]
    assert len(ran["passes"]) > 10, "it looked at the page"
    return [
        (finding["id"], [node["html"][:160] for node in finding["nodes"]])
        for finding in ran["violations"]
        if finding["impact"] in ("serious", "critical")
    ]


def picture(browser, name):
    """Keep a picture of the page where somebody wants to look at it."""
    folder = os.environ.get("SRA_RAG_TEST_PICTURES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))
