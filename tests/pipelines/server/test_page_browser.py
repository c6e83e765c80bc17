"""The page in a real browser: a question on the sample documents with the embedded model, by mouse and by keyboard."""

import json
import shutil
import time
from pathlib import Path

import pytest
import sra_pipelines.samples
from sra_pipelines import DocumentQA
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents
from sra_pipelines.server import DocumentShelf, ServerSettings, create_app

from sra_rag import Engine, SamplingOptions

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.by import By  # noqa: E402 - once it is known to be there
from selenium.webdriver.common.keys import Keys  # noqa: E402

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
KEY = "0123456789abcdef-browser"
QUESTION = "What is the rent of the Supplier's premises?"
EVIL = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">${document.title='taken'}"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BROWSER and DRIVER), reason="needs Chromium and its driver: apt-get install chromium chromium-driver"
    ),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory, embedded, embedding, serving):
    folder = tmp_path_factory.mktemp("page")
    evil = folder / "evil.txt"
    evil.write_text(f"The password of the lighthouse is 4711. {EVIL} {{{{alert(1)}}}} `")
    samples = Path(sra_pipelines.samples.__file__).parent
    paths = [*sorted(samples.glob("*.pdf")), evil]
    add_documents(folder / "index", paths, lambda: embedding, workers=0)
    index = StoredIndex(folder / "index", embedding)
    qa = DocumentQA(index, Engine(embedded, options=SamplingOptions(max_new_tokens=24)), context_tokens=500)
    settings = ServerSettings(api_keys=(KEY,), max_new_tokens=24)
    app = create_app(qa, settings, shelf=DocumentShelf(index, folder / "uploads"), page=True)
    with serving(app) as address:
        yield address, app


@pytest.fixture
def browser(running):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    browser.set_page_load_timeout(60)
    yield browser
    browser.quit()


def find(browser, selector):
    return browser.find_elements(By.CSS_SELECTOR, selector)


def wait_for(browser, selector, count=1, seconds=120):
    until = time.monotonic() + seconds
    while len(found := [e for e in find(browser, selector) if e.is_displayed()]) < count:
        assert time.monotonic() < until, f"no {selector}: {browser.find_element(By.TAG_NAME, 'body').text[:500]}"
        time.sleep(0.02)
    return found


def focused(browser, selector):
    return browser.execute_script("return document.activeElement.closest(arguments[0]) !== null", selector)


def press(browser, *keys):
    webdriver.ActionChains(browser).send_keys(*keys).perform()


def tab_to(browser, selector, most=40):
    for _ in range(most):
        if focused(browser, selector):
            return
        press(browser, Keys.TAB)
    raise AssertionError(f"{selector} is not reached with the tabulator")


def log_in(browser, address):
    browser.get(address)
    assert focused(browser, "#key")
    press(browser, KEY, Keys.ENTER)
    wait_for(browser, "#sra-question textarea")


def no_wider_than_the_window(browser):
    width, window = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    return width <= window


def hosts(browser):
    requests = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    urls = [r["params"]["request"]["url"] for r in requests if r["method"] == "Network.requestWillBeSent"]
    return {url.split("/")[2] for url in urls if url.startswith(("http", "ws"))}


def test_a_question_its_source_and_both_answers_with_the_mouse(running, browser):
    address, _ = running
    log_in(browser, address)
    browser.find_element(By.CSS_SELECTOR, "#sra-question textarea").send_keys(QUESTION)
    browser.find_element(By.ID, "sra-ask").click()
    seen = set()
    while not find(browser, "#sra-over .sra-turn"):
        seen.add(browser.execute_script("return document.querySelector('#sra-now .sra-text')?.textContent ?? ''"))
        assert len(seen) < 1000
    assert len(seen) > 3  # it was written before one's eyes
    [citation, *_] = wait_for(browser, "#sra-over .sra-citation summary")
    assert not [m for m in find(browser, ".sra-citation mark") if m.is_displayed()]
    citation.click()
    [mark, *_] = wait_for(browser, ".sra-citation mark")
    assert mark.text.strip()
    box = browser.find_element(By.CSS_SELECTOR, ".sra-citation[open] .sra-page")
    assert box.rect["y"] <= mark.rect["y"] <= box.rect["y"] + box.rect["height"]  # scrolled to
    browser.find_element(By.CSS_SELECTOR, "#sra-over .sra-attention summary").click()
    assert wait_for(browser, ".sra-bars li")

    find(browser, "#sra-mode input")[2].click()
    browser.find_element(By.CSS_SELECTOR, "#sra-question textarea").send_keys(QUESTION, Keys.ENTER)
    wait_for(browser, "#sra-over .sra-turn", 2)
    first, second = find(browser, "#sra-over .sra-turn:last-child .sra-answer")
    assert "Without reattention" in first.text
    assert "With reattention (alpha 0.2" in second.text
    assert first.rect["y"] == second.rect["y"]
    assert first.rect["x"] + first.rect["width"] <= second.rect["x"]

    assert hosts(browser) == {address.split("/")[2]}
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not [e for e in errors if "favicon" not in e and "manifest" not in e]


def test_with_the_keyboard_alone_at_the_width_of_a_phone(running, browser):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 375, "height": 812, "deviceScaleFactor": 1, "mobile": True}
    )
    log_in(browser, running[0])
    assert no_wider_than_the_window(browser)
    tab_to(browser, "#sra-mode input[value^=Both]")
    press(browser, Keys.SPACE)
    wait_for(browser, "#sra-mode input[value^=Both]:checked")
    tab_to(browser, "#sra-alpha input[type=range]")
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    tab_to(browser, "#sra-question textarea", 80)
    press(browser, QUESTION)
    tab_to(browser, "#sra-ask")
    press(browser, Keys.SPACE)
    wait_for(browser, "#sra-over .sra-turn")
    assert len(find(browser, "#sra-over .sra-answer")) == 2
    assert "alpha 0.3" in browser.find_element(By.ID, "sra-over").text
    tab_to(browser, ".sra-citation summary", 80)
    press(browser, Keys.ENTER)
    wait_for(browser, ".sra-citation[open] mark")
    press(browser, Keys.TAB)
    assert focused(browser, ".sra-page")
    assert no_wider_than_the_window(browser)


def test_every_control_has_a_name(running, browser):
    log_in(browser, running[0])
    time.sleep(0.5)
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {"textbox", "button", "radio", "slider", "spinbutton", "combobox", "listbox"}
    controls = [n for n in nodes if n.get("role", {}).get("value") in roles and not n.get("ignored")]
    assert len(controls) > 8
    nameless = [n["role"]["value"] for n in controls if not n.get("name", {}).get("value")]
    assert not nameless


def test_what_a_document_says_never_runs(running, browser):
    log_in(browser, running[0])
    question = browser.find_element(By.CSS_SELECTOR, "#sra-question textarea")
    question.send_keys(f"What is the password of the lighthouse? {EVIL}", Keys.ENTER)
    wait_for(browser, "#sra-over .sra-turn")
    for summary in find(browser, "#sra-over summary"):
        summary.click()
    time.sleep(0.5)
    assert EVIL in browser.find_element(By.CSS_SELECTOR, ".sra-question").text
    pages = [page.text for page in find(browser, ".sra-page")]
    assert not pages or any(EVIL in page for page in pages)
    assert browser.title == "sra-rag"
    assert not find(browser, "#sra-over img, #sra-over script")


def test_a_tab_that_is_closed_frees_its_slot(running, browser):
    slots = running[1].state.completions.slots
    log_in(browser, running[0])
    find(browser, "#sra-mode input")[2].click()
    browser.find_element(By.CSS_SELECTOR, "#sra-question textarea").send_keys("Tell me all of it.", Keys.ENTER)
    until = time.monotonic() + 10
    while slots.running == 0:
        assert time.monotonic() < until
        time.sleep(0.01)
    browser.get("about:blank")
    left = time.monotonic()
    while slots.running:
        assert time.monotonic() < left + 10
        time.sleep(0.01)


def test_files_are_added_and_each_line_says_what_became_of_it(running, browser, tmp_path):
    good, bad = tmp_path / "mill notes.txt", tmp_path / "<img src=x onerror=document.title='taken'>.txt"
    good.write_text("The mill grinds 12 tonnes of flour a day.")
    bad.write_bytes(b"")
    large = tmp_path / "large.txt"
    with large.open("wb") as out:
        out.truncate((64 << 20) + 1)
    log_in(browser, running[0])
    [field] = wait_for(browser, "#sra-upload input[type=file]")
    tab_to(browser, "#sra-upload input[type=file]", 80)
    title = browser.title
    field.send_keys(f"{good}\n{bad}\n{large}")
    until = time.monotonic() + 60
    while "larger than" not in browser.find_element(By.ID, "sra-upload").text or not field.is_enabled():
        assert time.monotonic() < until, browser.find_element(By.ID, "sra-upload").text
        time.sleep(0.05)
    lines = [line.text for line in find(browser, "#sra-upload .sra-lines li")]
    assert lines[0] == "mill notes is there now: 1 page, 1 passage."
    assert lines[1].startswith("<img src=x onerror=document.title='taken'>.txt: ")
    assert lines[2] == "large.txt: the file is larger than 67,108,864 bytes. Split it."
    assert browser.title == title
    browser.find_element(By.CSS_SELECTOR, "#sra-documents input").click()
    until = time.monotonic() + 10
    while "mill notes" not in (
        offered := [e.text.strip("\u2713 \n") for e in find(browser, "#sra-documents [role=option]")]
    ):
        assert time.monotonic() < until, offered
        time.sleep(0.05)


def test_an_answer_that_is_stopped_frees_its_slot(running, browser):
    slots = running[1].state.completions.slots
    log_in(browser, running[0])
    browser.find_element(By.CSS_SELECTOR, "#sra-question textarea").send_keys("Tell me all of it?", Keys.ENTER)
    wait_for(browser, "#sra-now .sra-turn")
    browser.find_element(By.ID, "sra-stop").click()
    until = time.monotonic() + 10
    while slots.running or "Stopped." not in browser.find_element(By.ID, "sra-now").text:
        assert time.monotonic() < until, (slots.running, browser.find_element(By.ID, "sra-now").text)
        time.sleep(0.05)
