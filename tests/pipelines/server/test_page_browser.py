"""The page in Debian's Chromium, at the sizes of a screen and of a phone: each state, by mouse and by keyboard.

The model is tiny and says what a test dictates, so that each state can be reached; the last test uses the embedded one.
Set SRA_RAG_TEST_PICTURES to a folder to keep pictures of the states.
"""

import itertools
import time
from pathlib import Path

import pytest
import sra_pipelines.samples
from sra_pipelines import DocumentQA
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents
from sra_pipelines.server import DocumentShelf, ServerSettings, create_app

from sra_rag import Engine, SamplingOptions
from tests.pipelines.server.browsing import (
    BROWSER,
    DRIVER,
    By,
    Keys,
    ask,
    chromium,
    dictating,
    errors,
    find,
    finished,
    focused,
    holds,
    hosts,
    no_wider_than_the_window,
    picture,
    press,
    serious_faults,
    tab_to,
    text,
    wait_for,
)

KEY = "0123456789abcdef-browser"
EVIL = "<img src=x onerror=document.title='taken'>"
EVIL_TEXT = f"<script>document.title='taken'</script>{EVIL}${{document.title='taken'}}{{{{7*7}}}}"
QUESTION = (
    "If mobilisation is not complete, what liquidated damages shall the Supplier pay for each full week of delay?"
)
ANSWER = (
    "This Agreement takes effect on its date. If mobilisation is not complete by 30 June 2025, the Supplier shall pay "
    "liquidated damages of \u00a34,500 for each full week of delay. The bonus is \u00a399,321."
)
SETTLED = 0.3  # seconds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BROWSER and DRIVER), reason="needs Chromium and its driver: apt-get install chromium chromium-driver"
    ),
]


def served(folder, loaded, embedding, settings, tokens):
    evil = folder / "lighthouse.md"
    evil.write_text(f"# Lighthouse\n\n## Opening hours\n\nThe lighthouse opens at 9. {EVIL_TEXT} `")
    named = folder / f"{EVIL}.txt".replace("/", "_")
    named.write_text("The password of the harbour is 4711.")
    paths = [*sorted(Path(sra_pipelines.samples.__file__).parent.glob("*.pdf")), evil, named]
    add_documents(folder / "index", paths, lambda: embedding, workers=0)
    index = StoredIndex(folder / "index", embedding)
    qa = DocumentQA(index, Engine(loaded, options=SamplingOptions(max_new_tokens=tokens)), context_tokens=600)
    return create_app(qa, settings, shelf=DocumentShelf(index, folder / "uploads"), page=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory, tiny, embedding, serving):
    """A server without keys, whose model says what is dictated: (address, application, dictation)."""
    app = served(tmp_path_factory.mktemp("page"), tiny, embedding, ServerSettings(max_new_tokens=120), 120)
    with dictating(tiny) as dictation, serving(app) as address:
        yield address, app, dictation


@pytest.fixture(params=["wide", "phone"])
def browser(request, running):
    running[2].say(ANSWER)
    running[2].seconds = 0.01
    with chromium(request.param) as browser:
        browser.size = request.param
        browser.get(f"{running[0]}/page/new")
        wait_for(browser, "#question")
        yield browser
        assert not errors(browser)


def open_documents(browser):
    if browser.size == "phone":
        browser.find_element(By.ID, "show-documents").click()
    wait_for(browser, "#documents")


def looks_right(browser, name):
    time.sleep(SETTLED)
    picture(browser, f"{name}-{browser.size}")
    assert no_wider_than_the_window(browser)
    assert serious_faults(browser) == []


def test_the_empty_page_loads_fast_and_offers_questions(running, browser):
    started = time.monotonic()
    browser.get(f"{running[0]}/page/new")
    assert time.monotonic() - started < 1
    assert "The answer cites the pages" in wait_for(browser, "#empty")[0].text
    assert "annual_report (28 pages)" in browser.find_element(By.ID, "empty").text
    suggestions = wait_for(browser, ".suggestion", 3)
    assert hosts(browser) == {running[0].split("/")[2]}
    looks_right(browser, "empty")
    wanted = suggestions[0].text
    suggestions[0].click()
    turn = finished(browser, 0)
    assert turn.find_element(By.CSS_SELECTOR, ".question").text == wanted
    assert not browser.find_element(By.ID, "empty").is_displayed()


def test_an_answer_streams_without_jumps_and_cites_in_its_sentences(running, browser):
    running[2].seconds = 0.05
    browser.find_element(By.ID, "question").send_keys(QUESTION, Keys.ENTER)
    clicked = time.monotonic()
    wait_for(browser, "#turn-0 .progress")
    assert time.monotonic() - clicked < 2  # also where other tests run; within 0.3 s is tested below
    wait_for(browser, "#turn-0 .chip")
    looks_right(browser, "reading")
    assert browser.find_element(By.ID, "stop").is_displayed()
    assert not browser.find_element(By.ID, "send").is_displayed()
    wait_for(browser, "#turn-0 .text.writing")
    tops, texts = set(), set()
    while find(browser, "#turn-0 [data-running]"):
        top, written = browser.execute_script(
            "const text = document.querySelector('#turn-0 .text');"
            "return [text.getBoundingClientRect().top, text.innerText]"
        )
        tops.add(round(top))
        texts.add(written)
        if len(texts) == 8:
            picture(browser, f"writing-{browser.size}")
    assert len(texts) > 8, "it is written before the eyes of the user"
    assert len(tops) == 1, f"the text jumped: {tops}"
    answer = browser.find_element(By.CSS_SELECTOR, "#turn-0 .text")
    before = browser.execute_script("return arguments[0].querySelector('.cite').previousSibling.textContent", answer)
    assert before.endswith("week of delay.")
    [unsupported] = answer.find_elements(By.CSS_SELECTOR, ".unsupported")
    assert unsupported.text.startswith("\u00a399,321")
    assert not browser.find_element(By.ID, "stop").is_displayed()
    looks_right(browser, "answer")
    for summary in find(browser, "#turn-0 summary"):
        summary.click()
    assert wait_for(browser, "#turn-0 .bars li")
    assert "tokens" in browser.find_element(By.CSS_SELECTOR, "#turn-0 .cost").text.lower()
    browser.execute_script("document.querySelector('#turn-0 .evidence').scrollIntoView()")
    looks_right(browser, "evidence")


def test_a_source_opens_beside_the_answer_with_the_quote_marked(running, browser):
    turn = ask(browser, QUESTION)
    cite = turn.find_element(By.CSS_SELECTOR, ".text .cite")
    seconds = browser.execute_async_script(
        """
        const [cite, done] = arguments, source = document.querySelector("#source"), started = performance.now();
        const look = () => { if (!source.hidden) requestAnimationFrame(() => done(performance.now() - started)); };
        new MutationObserver(look).observe(source, {attributes: true, childList: true});
        cite.click();
        """,
        cite,
    )
    assert seconds / 1000 < 0.3
    image = wait_for(browser, "#source .paper img")[0]
    holds(lambda: image.get_property("naturalWidth") > 0)
    rects = wait_for(browser, "#source rect")
    box = browser.find_element(By.CSS_SELECTOR, ".paper-box").rect
    assert box["y"] <= rects[0].rect["y"] <= box["y"] + box["height"], "scrolled to the quote"
    looks_right(browser, "source")
    if browser.size == "wide":
        assert cite.rect["x"] < box["x"], "beside the answer"
    width = image.rect["width"]
    browser.find_element(By.CSS_SELECTOR, "[data-zooms='1']").click()
    holds(lambda: image.rect["width"] > 1.4 * width)
    at = text(browser, "#source .at")
    browser.find_element(By.CSS_SELECTOR, "[data-turns-page=next]").click()
    holds(lambda: text(browser, "#source .at") != at)
    holds(lambda: focused(browser, "[data-turns-page=next]"))
    wait_for(browser, "#source .paper img")
    assert not find(browser, "#source rect")
    browser.find_element(By.CSS_SELECTOR, "[data-turns-page=quote]").click()
    wait_for(browser, "#source rect")
    browser.find_element(By.CSS_SELECTOR, "[data-views=text]").click()
    assert wait_for(browser, "#source mark")[0].text.strip()
    looks_right(browser, "source-text")
    if browser.size == "wide":
        ask(browser, "And what else?")
        assert browser.find_element(By.ID, "source").is_displayed(), "it stays open for the next question"
    press(browser, Keys.ESCAPE)
    holds(lambda: not browser.find_element(By.ID, "source").is_displayed())
    assert focused(browser, ".cite, #question")


def test_both_answers_are_whole_side_by_side(running, browser):
    find(browser, "[name=mode][value=both] + span")[0].click()
    turn = ask(browser, QUESTION)
    first, second = turn.find_elements(By.CSS_SELECTOR, ".answer")
    assert first.text.startswith("Without reattention")
    assert second.text.startswith("With reattention (evidence")
    for answer in (first, second):
        shown = browser.execute_script(
            "const copy = arguments[0].querySelector('.text').cloneNode(true);"
            "copy.querySelectorAll('.cite, .hidden').forEach(e => e.remove()); return copy.textContent", answer
        )  # fmt: skip
        assert shown == ANSWER
    if browser.size == "wide":
        assert first.rect["y"] == second.rect["y"]
        assert first.rect["x"] + first.rect["width"] <= second.rect["x"]
    else:
        assert first.rect["y"] + first.rect["height"] <= second.rect["y"]
    looks_right(browser, "both")


def test_a_non_answer_has_a_clear_notice(running, browser):
    running[2].say("The documents do not say.")
    turn = ask(browser, "Who painted the lighthouse?")
    notice = turn.find_element(By.CSS_SELECTOR, ".notice")
    assert notice.text == "Not an answer. The model states that the documents do not answer the question."
    looks_right(browser, "non-answer")


def test_an_error_is_shown_in_words(running, browser):
    browser.find_element(By.CSS_SELECTOR, "#advanced summary").click()
    looks_right(browser, "advanced")
    weight = browser.find_element(By.ID, "weight")
    weight.send_keys("1")
    browser.find_element(By.CSS_SELECTOR, "#advanced summary").click()
    browser.find_element(By.ID, "question").send_keys(QUESTION, Keys.ENTER)
    holds(lambda: "above 1" in text(browser, "#problem"))
    assert not find(browser, ".turn")
    assert browser.find_element(By.ID, "question").get_property("value") == QUESTION, "the question is kept"
    looks_right(browser, "error")
    browser.get_log("browser")  # the browser itself notes the status 400


def test_documents_are_added_with_progress_opened_and_removed(running, browser, tmp_path):
    good, bad = tmp_path / "mill notes.txt", tmp_path / f"{EVIL}.txt"
    good.write_text("The mill grinds 12 tonnes of flour a day.")
    bad.write_bytes(b"")
    large = tmp_path / "large.txt"
    with large.open("wb") as out:
        out.truncate((64 << 20) + 1)
    open_documents(browser)
    browser.find_element(By.ID, "files").send_keys(f"{good}\n{bad}\n{large}")
    holds(lambda: "larger than" in text(browser, "#uploads"), 60)
    lines = [line.text for line in find(browser, "#uploads li")]
    assert lines[0] == "mill notes.txt: added as mill notes, 1 page."
    assert lines[1] == f"{EVIL}.txt: the file is empty (0 bytes). Get a new copy."
    assert str(tmp_path) not in lines[1]
    assert running[0].split("/")[-1] not in lines[1]
    assert lines[2] == "large.txt: the file is larger than 67,108,864 bytes. Split it."
    assert browser.title == "Ask the documents"
    wait_for(browser, "[aria-label='Open mill notes']")
    holds(lambda: "mill notes (1 page)" in text(browser, "#empty"))
    looks_right(browser, "documents")
    browser.find_element(By.CSS_SELECTOR, "[aria-label='Open mill notes']").click()
    assert "12 tonnes" in wait_for(browser, "#source .page-text")[0].text
    browser.find_element(By.CSS_SELECTOR, "[data-closes=source]").click()
    open_documents(browser)
    browser.find_element(By.CSS_SELECTOR, "[aria-label='Remove mill notes']").click()
    asked = browser.switch_to.alert
    assert asked.text == "Remove mill notes from the documents? The uploaded file is deleted."
    asked.accept()
    holds(lambda: not find(browser, "[aria-label='Remove mill notes']"))
    holds(lambda: "mill notes" not in text(browser, "#empty"))
    browser.get_log("browser")  # the browser itself notes the status 422


def test_files_can_be_dropped_anywhere(running, browser):
    open_documents(browser)
    browser.execute_script(
        """
        const files = new DataTransfer();
        files.items.add(new File(["Herons nest at the weir."], "herons.txt"));
        files.items.add(new File(["Otters live there too."], "otters.txt"));
        document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}));
        """
    )
    wait_for(browser, "[aria-label='Remove herons']")
    for name in ("herons", "otters"):
        wait_for(browser, f"[aria-label='Remove {name}']")[0].click()
        browser.switch_to.alert.accept()
        holds(lambda name=name: not find(browser, f"[aria-label='Remove {name}']"))


def test_with_the_keyboard_alone(running, browser):
    assert focused(browser, "#question")
    press(browser, QUESTION)
    tab_to(browser, "[name=mode]")
    press(browser, Keys.ARROW_RIGHT)
    wait_for(browser, "[name=mode][value=both]:checked + span")
    tab_to(browser, "#advanced summary")
    press(browser, Keys.ENTER)
    tab_to(browser, "#alpha")
    press(browser, "0.3", Keys.ESCAPE)
    holds(lambda: focused(browser, "#advanced summary"))
    assert "alpha 0.3" in browser.find_element(By.ID, "chosen").text
    tab_to(browser, "#question", 90)
    press(browser, Keys.ENTER)
    turn = finished(browser, 0)
    assert "alpha 0.3" in turn.text
    tab_to(browser, ".text .cite", 90)
    press(browser, Keys.ENTER)
    wait_for(browser, "#source .paper img")
    holds(lambda: focused(browser, "#source"))
    tab_to(browser, "[data-turns-page=next]", 9)
    press(browser, Keys.SPACE)
    holds(lambda: focused(browser, "#source [data-turns-page]"))
    tab_to(browser, "[data-views=text]", 9)
    press(browser, Keys.SPACE)
    wait_for(browser, "#source .page-text")
    tab_to(browser, ".paper-box", 9)
    press(browser, Keys.ESCAPE)
    holds(lambda: focused(browser, ".cite"))
    tab_to(browser, ".answer .copy", 90)
    press(browser, Keys.ENTER)
    holds(lambda: "Copied" in turn.text)
    tab_to(browser, ".evidence summary", 90)
    press(browser, Keys.SPACE)
    assert wait_for(browser, ".bars li")
    assert no_wider_than_the_window(browser)


def test_a_reload_in_the_middle_of_an_answer_loses_nothing(running, browser):
    running[2].seconds = 0.06
    browser.find_element(By.ID, "question").send_keys(QUESTION, Keys.ENTER)
    wait_for(browser, "#turn-0 .text.writing")
    browser.refresh()
    assert wait_for(browser, "#turn-0 [data-running]"), "it is still being written after the reload"
    turn = finished(browser, 0)
    assert "Stopped" not in turn.text
    assert "liquidated damages" in turn.text
    browser.get(f"{running[0]}/page/")
    assert "liquidated damages" in wait_for(browser, "#turn-0")[0].text
    browser.find_element(By.ID, "new").click()
    wait_for(browser, "#empty")
    assert not find(browser, ".turn")


def test_a_server_that_is_restarted_in_the_middle_of_an_answer_says_so(tmp_path, tiny, embedding, serving):
    settings = ServerSettings(max_new_tokens=120)
    with dictating(tiny) as dictation, chromium("wide") as browser:
        dictation.say(ANSWER)
        dictation.seconds = 0.1
        with serving(served(tmp_path, tiny, embedding, settings, 120)) as address:
            browser.get(f"{address}/page/new")
            wait_for(browser, "#question")
            browser.find_element(By.ID, "question").send_keys(QUESTION, Keys.ENTER)
            wait_for(browser, "#turn-0 .text.writing")
            written = text(browser, "#turn-0 .text.writing").split(" ")[0]
            app = served(tmp_path, tiny, embedding, settings, 120)
        with serving(app, int(address.rpartition(":")[2])):
            holds(lambda: "The server was restarted" in text(browser, "#turn-0"), 60)
            assert written in text(browser, "#turn-0"), "what was written stays"
            assert not find(browser, "[data-running]")
            assert text(browser, "#problem") == ""
            dictation.seconds = 0.01
            browser.find_element(By.ID, "question").send_keys("And now?", Keys.ENTER)
            holds(lambda: len(find(browser, ".turn")) == 1 and text(browser, "h2.question") == "And now?", 60)
            finished(browser, 0)


def test_an_answer_that_is_stopped_and_a_tab_that_is_closed_free_their_slots(running, browser):
    slots = running[1].state.completions.slots
    running[2].seconds = 0.1
    for leave in ("stop", "close"):
        browser.find_element(By.ID, "question").send_keys(QUESTION, Keys.ENTER)
        wait_for(browser, ".turn:last-child .text.writing")
        assert slots.running == 1
        if leave == "stop":
            browser.find_element(By.ID, "stop").click()
            holds(lambda: "Stopped before" in text(browser, ".turn:last-child"), 5)
            looks_right(browser, "stopped")
        else:
            browser.get("about:blank")
        holds(lambda: slots.running == 0, 10)


def test_two_windows_of_one_conversation_agree(running, browser):
    ask(browser, "What is asked first?")
    first = browser.current_window_handle
    browser.switch_to.new_window("window")
    browser.get(f"{running[0]}/page/")
    wait_for(browser, "#turn-0")
    ask(browser, "What is asked in the other window?")
    browser.switch_to.window(first)
    browser.find_element(By.ID, "question").send_keys("What is asked last?", Keys.ENTER)
    wait_for(browser, "#turn-2")
    finished(browser, 2)
    questions = ["What is asked first?", "What is asked in the other window?", "What is asked last?"]
    assert [question.text for question in find(browser, ".question")] == questions


def test_two_users_at_once_do_not_see_each_others_conversation(running, browser):
    with chromium("wide") as other:
        other.get(f"{running[0]}/page/")
        wait_for(other, "#question")
        other.find_element(By.ID, "question").send_keys("What is secret to the second user?", Keys.ENTER)
        ask(browser, "What is secret to the first user?")
        finished(other, 0)
        assert "second user" not in browser.page_source
        assert "first user" not in other.page_source
        other.get(browser.current_url)
        wait_for(other, "#question")
        assert "first user" not in other.page_source


def test_what_a_document_is_called_and_contains_never_runs(running, browser):
    running[2].say(f"The lighthouse opens at 9. {EVIL_TEXT}")
    turn = ask(browser, f"When does the lighthouse open? {EVIL_TEXT}")
    assert EVIL_TEXT in turn.find_element(By.CSS_SELECTOR, ".question").text
    assert EVIL_TEXT in turn.find_element(By.CSS_SELECTOR, ".text").text
    open_documents(browser)
    names = [name.text for name in find(browser, ".documents .name")]
    assert EVIL in names
    for name in ("lighthouse", EVIL):
        if not browser.find_element(By.ID, "documents").is_displayed():
            open_documents(browser)
        [button] = [b for b in find(browser, ".documents .acts [data-opens-source]")
                    if b.get_attribute("aria-label") == f"Open {name}"]  # fmt: skip
        button.click()
        holds(lambda name=name: text(browser, "#source h2") == name)
        if name == "lighthouse":
            assert EVIL_TEXT in wait_for(browser, "#source .page-text")[0].text
        browser.find_element(By.CSS_SELECTOR, "[data-closes=source]").click()
    time.sleep(SETTLED)
    assert browser.title == "Ask the documents"
    assert not find(browser, "main img, main script, aside img, aside script")


def test_the_answer_can_be_copied_and_exported_with_its_sources(running, browser):
    ask(browser, QUESTION)
    copied = browser.find_element(By.CSS_SELECTOR, ".copy").get_attribute("data-copy")
    assert "week of delay. \\[1\\]" in copied
    assert "services\\_agreement, page" in copied
    export = browser.find_element(By.ID, "export")
    exported = browser.execute_async_script(
        "const [url, done] = arguments; fetch(url).then(r => r.text()).then(done)", export.get_attribute("href")
    )
    assert exported.startswith("# Conversation\n\n## If mobilisation is not complete")
    assert "not in the passages" in exported


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_login_page_and_colors(tmp_path, tiny, word_embedding, serving, dark):
    app = served(tmp_path, tiny, word_embedding, ServerSettings(api_keys=(KEY,), max_new_tokens=60), 60)
    with dictating(tiny) as dictation, serving(app) as address, chromium("phone", dark=dark) as browser:
        dictation.say(ANSWER)
        browser.size = f"phone-{'dark' if dark else 'light'}"
        browser.get(address)
        assert focused(browser, "#key")
        looks_right(browser, "login")
        press(browser, "wrong key", Keys.ENTER)
        wait_for(browser, ".notice.bad")
        looks_right(browser, "login-failed")
        tab_to(browser, "#key")
        press(browser, KEY, Keys.ENTER)
        wait_for(browser, "#question")
        ask(browser, QUESTION)
        looks_right(browser, "answer")

        def background():
            return browser.execute_script("return getComputedStyle(document.body).backgroundColor")

        automatic = background()
        button = browser.find_element(By.ID, "theme")
        seen = {automatic}
        for _ in range(2):
            button.click()
            seen.add(background())
        assert len(seen) == 2
        other = "light" if dark else "dark"
        while browser.execute_script("return document.documentElement.dataset.theme") != other:
            button.click()
        browser.refresh()
        assert background() != automatic, "the choice is kept"
        looks_right(browser, "chosen-colors")
        [out] = [b for b in find(browser, ".top form button") if b.is_displayed()]
        out.click()
        wait_for(browser, "#key")
        browser.get(f"{address}/page/")
        wait_for(browser, "#key")


def test_every_control_has_a_name(running, browser):
    ask(browser, QUESTION)
    browser.find_element(By.CSS_SELECTOR, ".text .cite").click()
    wait_for(browser, "#source .tools")
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {"textbox", "button", "radio", "slider", "spinbutton", "combobox", "listbox", "checkbox", "link"}
    controls = [n for n in nodes if n.get("role", {}).get("value") in roles and not n.get("ignored")]
    assert len(controls) > 10
    nameless = [n["role"]["value"] for n in controls if not n.get("name", {}).get("value")]
    assert not nameless


def test_a_question_on_the_sample_documents_with_the_embedded_model(tmp_path, embedded, embedding, serving):
    app = served(tmp_path, embedded, embedding, ServerSettings(max_new_tokens=24), 24)
    with serving(app) as address, chromium("wide") as browser:
        browser.size = "wide"
        browser.get(f"{address}/page/")
        wait_for(browser, "#question")
        turn = ask(browser, "What is the rent of the Supplier's premises?", seconds=120)
        assert turn.find_element(By.CSS_SELECTOR, ".text").text.strip()
        for chip, number in zip(wait_for(browser, ".chip"), itertools.count()):
            if "services_agreement" in chip.text:
                chip.click()
                break
            assert number < 20
        wait_for(browser, "#source rect")
        looks_right(browser, "embedded")


def test_feedback_is_within_a_third_of_a_second(running, browser):
    """From sending the question to the first change on the screen."""
    running[2].seconds = 0.05
    browser.find_element(By.ID, "question").send_keys(QUESTION)
    seconds = browser.execute_async_script(
        """
        const done = arguments[0], started = performance.now();
        const look = () => { if (document.querySelector("#turn-0 .progress")) done(performance.now() - started); };
        new MutationObserver(look).observe(document.querySelector("#turns"), {childList: true, subtree: true});
        document.querySelector("#ask").requestSubmit();
        """
    )
    assert seconds / 1000 < 0.3
    finished(browser, 0)
