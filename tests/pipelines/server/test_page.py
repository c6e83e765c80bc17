"""The page over real sockets: its gate, its questions and its uploads; what a browser makes of it is in
test_page_browser.py."""

import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from sra_pipelines import DocumentIndex, DocumentQA
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents
from sra_pipelines.server import DocumentShelf, ServerSettings, create_app

from sra_rag import Engine, SamplingOptions
from sra_rag.errors import ConfigError

KEY = "0123456789abcdef-page"
QUESTION = "What is the yearly rent of the warehouse?"
HTML = {"Accept": "text/html"}
SETTINGS = ServerSettings(api_keys=(KEY,), queue_length=1, max_new_tokens=12, max_upload_bytes=100_000)


def stored(folder, embedding, *paths):
    add_documents(folder / "index", paths, lambda: embedding, workers=0)
    return StoredIndex(folder / "index", embedding)


def page_app(tiny, index, folder, settings=SETTINGS):
    engine = Engine(tiny, options=SamplingOptions(max_new_tokens=12))
    qa = DocumentQA(index, engine, context_tokens=200)
    return create_app(qa, settings, shelf=DocumentShelf(index, folder / "uploads"), page=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory, tiny, embedding, serving):
    folder = tmp_path_factory.mktemp("page")
    lease, ferry = folder / "lease.md", folder / "ferry.md"
    lease.write_text("The lease of the warehouse at Orrin Quay costs 82,400 crowns a year, due on 1 March.")
    ferry.write_text("A ferry ticket <b>costs</b> 14 crowns.")
    app = page_app(tiny, stored(folder, embedding, lease, ferry), folder)
    with serving(app) as address:
        yield address, app


@pytest.fixture
def client(running):
    return Client(f"{running[0]}/page/", headers={"Authorization": f"Bearer {KEY}"}, verbose=False)


def ask(client, question=QUESTION, documents=(), mode="Off", alpha=0.2, rows="all"):
    return client.submit(question, list(documents), mode, alpha, rows, api_name="/ask")


def browser(address):
    return httpx.Client(base_url=address, headers=HTML)


def login(browser, key=KEY):
    return browser.post("/page/login", data={"key": key})


def test_a_browser_is_led_to_the_page_by_its_login(running):
    with browser(running[0]) as b:
        assert b.get("/").headers["location"] == "/page/"
        assert b.get("/page/").headers["location"] == "/page/login"
        assert "API key" in b.get("/page/login").text
        assert login(b).headers["location"] == "/page/"
        page = b.get("/page/")
        assert page.status_code == 200
        assert "Ask the documents" in page.text
        assert b.get("/page/config").status_code == 200
        b.post("/page/logout")
        assert b.get("/page/").headers["location"] == "/page/login"


def test_a_cookie_says_nothing_of_the_key_and_is_for_the_page_only(running):
    with browser(running[0]) as b:
        said = login(b).headers["set-cookie"]
        assert KEY not in said
        assert all(word in said.lower() for word in ("httponly", "samesite=strict", "path=/page"))
        [token] = b.cookies.values()
        anywhere = {"Cookie": f"sra_rag_page={token}"}
        assert b.get("/v1/models", headers=anywhere).status_code == 401
        assert b.get("/metrics", headers=anywhere).status_code == 401
        assert b.get("/page/config", headers=anywhere).status_code == 200
        b.post("/page/logout", headers=anywhere)
        assert b.get("/page/config", headers=anywhere).status_code == 303  # a kept cookie is worth nothing any more


@pytest.mark.parametrize("key", ["", "wrong", KEY[:-1], f"{KEY}x", "\u00e9", "x" * 9000])
def test_wrong_keys_are_refused(running, key):
    with browser(running[0]) as b:
        answer = login(b, key)
        assert answer.status_code in (401, 413)
        assert "set-cookie" not in answer.headers
        assert b.get("/page/").status_code == 303


def test_nothing_of_the_page_is_open(running):
    address, app = running
    mounted = next(route for route in app.routes if getattr(route, "path", "") == "/page")
    paths = {getattr(route, "path", "") for route in mounted.routes} | {"/gradio_api/queue/join", "/uploads"}
    assert len(paths) > 20
    for cookie in ({}, {"Cookie": "sra_rag_page=guess"}):
        for path in paths:
            path = re.sub(r"\{[^}]*\}", "x", path)
            for method in ("GET", "POST"):
                answer = httpx.request(method, f"{address}/page{path}", headers=cookie)
                own = path.rstrip("/") in ("/login", "/logout")
                assert answer.status_code == 401 or own, (method, path, answer.status_code)


def test_no_other_host_is_asked_for_anything(running):
    with browser(running[0]) as b:
        login(b)
        for path in ("/page/login", "/page/"):
            page = b.get(path, headers={"Accept-Encoding": "br, gzip"})
            hosts = set(re.findall(r"https?:(?:\\?/){2}([^/\"'\s\\<]+)", page.text))
            assert hosts <= {running[0].split("/")[2]}, hosts
            assert "default-src 'self'" in page.headers["content-security-policy"]
            assert not re.findall(r"[\w.-]+\.(?:com|org|net|app|io)\b", page.headers["content-security-policy"])


def test_an_answer_comes_in_pieces_with_its_source(client, slow_steps):
    job = ask(client)
    over, now, _ = job.result(timeout=60)[:3]
    pieces = [views[1] for views in job.outputs()]
    assert len(pieces) > 3
    assert now == ""
    assert "Without reattention" in over
    assert re.search(r'class="sra-bar-share">[\d.]+%', over)


def test_both_side_by_side(client):
    over = ask(client, mode="Both, side by side", alpha=0.4, rows="after_context").result(timeout=60)[0]
    assert "Without reattention" in over
    assert "With reattention (alpha 0.4, rows after_context)" in over
    assert over.count('<section class="sra-answer">') == 2
    texts = re.findall(r'<p class="sra-text">(.*?)</p>', over, re.DOTALL)
    assert len(texts) == 2
    assert all(text.strip() for text in texts), "an answer is empty"


def test_only_the_chosen_documents_are_asked(client):
    over = ask(client, "What does the ferry ticket cost?", ["lease"]).result(timeout=60)[0]
    assert "ferry, page" not in over
    over = ask(client, "What does the ferry ticket cost?", ["ferry"]).result(timeout=60)[0]
    assert "ferry, page 1" in over
    assert "<b>" not in over


@pytest.mark.parametrize("changes", [{"alpha": 99}, {"rows": "none"}, {"mode": "?"}, {"documents": ["/etc/passwd"]}])
def test_what_the_controls_do_not_offer_is_refused(client, changes):
    with pytest.raises((AppError, ValueError)):
        ask(client, **changes).result(timeout=60)


@pytest.mark.parametrize(("question", "said"), [(" ", "is empty"), ("x" * 5000, "longer than 4,000")])
def test_what_is_wrong_with_a_question_is_said(client, question, said):
    try:
        assert said in ask(client, question).result(timeout=60)[1]
    except (AppError, ValueError) as error:
        assert "length" in str(error) or "long" in str(error)  # noqa: PT017 - either of the two may refuse it


def test_the_page_waits_in_the_queue_of_the_api(running, client, slow_steps):
    slots = running[1].state.completions.slots
    with ThreadPoolExecutor(4) as pool:
        body = {"model": "sra-rag", "messages": [{"role": "user", "content": QUESTION}]}
        key = {"Authorization": f"Bearer {KEY}"}
        asked = [
            pool.submit(httpx.post, f"{running[0]}/v1/chat/completions", json=body, headers=key, timeout=60)
            for _ in range(2)
        ]
        wait_until(lambda: slots.running == 1 and slots.waiting == 1)
        over = ask(client).result(timeout=60)[0]
        assert "1 requests are already waiting" in over
        assert [answer.result().status_code for answer in asked] == [200, 200]
    wait_until(lambda: slots.running == slots.waiting == 0)


def test_a_page_that_is_closed_frees_its_slot(running, slow_steps):
    address, app = running
    slots = app.state.completions.slots
    key = {"Authorization": f"Bearer {KEY}"}
    config = httpx.get(f"{address}/page/config", headers=key).json()
    number = next(d["id"] for d in config["dependencies"] if d["api_name"] == "ask")
    body = {"data": [QUESTION * 3, [], "Both, side by side", 0.2, "all", None], "fn_index": number}
    for question in (f"{QUESTION} And why?", f"{QUESTION} And when?"):
        body |= {"session_hash": question[-5:-1], "data": [question, *body["data"][1:]]}
        with httpx.Client(base_url=f"{address}/page/gradio_api", headers=key) as tab:
            tab.post("/queue/join", json=body).raise_for_status()
            with tab.stream("GET", "/queue/data", params={"session_hash": body["session_hash"]}) as events:
                wait_until(lambda: slots.running == 1)
                next(events.iter_lines())
        wait_until(lambda: slots.running == 0)


def wait_until(holds, seconds=15):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_files_come_onto_the_shelf_and_what_cannot_is_refused(client, running):
    with browser(running[0]) as b:
        login(b)
        sent = {"file": ("mill notes.txt", b"The mill grinds 12 tonnes of flour a day.")}
        good = b.post("/page/uploads", files=sent, timeout=60)
        assert (good.status_code, good.json()["id"], good.json()["pages"]) == (201, "mill notes", 1)
        bad = b.post("/page/uploads", files={"file": ("broken.pdf", b"not a PDF")}, timeout=60)
        assert bad.status_code == 422
        assert "broken.pdf" in bad.json()["error"]["message"]
        assert str(running[1].state.shelf.uploads) not in bad.text
    shelf = running[1].state.shelf
    assert "mill notes" in [about.name for about in shelf.documents()]
    over = ask(client, "How much flour does the mill grind a day?").result(timeout=60)[0]
    assert "mill notes, page 1" in over


def test_uploads_are_limited_in_size(running):
    key = {"Authorization": f"Bearer {KEY}"}
    for size, allowed in ((50_000, True), (200_000, False)):
        sent = {"file": ("a.txt", b"A line of a text.\n" * (size // 18))}
        answer = httpx.post(f"{running[0]}/page/uploads", files=sent, headers=key, timeout=60)
        assert answer.status_code == (201 if allowed else 413)


def test_without_documents_and_without_keys(tmp_path, tiny, embedding, serving):
    only = tmp_path / "only.txt"
    only.write_text("Nothing much.")
    index = stored(tmp_path, embedding, only)
    app = page_app(tiny, index, tmp_path, ServerSettings(max_new_tokens=12))
    with serving(app) as address:
        assert httpx.get(f"{address}/page/", headers=HTML).status_code == 200
        assert "Log out" not in httpx.get(f"{address}/page/", headers=HTML).text
        httpx.delete(f"{address}/v1/documents/only").raise_for_status()
        client = Client(f"{address}/page/", verbose=False)
        assert "There are no documents yet" in ask(client).result(timeout=60)[1]


def test_a_page_needs_a_shelf(tiny, word_embedding):
    qa = DocumentQA(DocumentIndex([], word_embedding), Engine(tiny))
    with pytest.raises(ConfigError, match="Give a shelf"):
        create_app(qa, page=True)


def test_a_server_without_the_page_does_not_import_its_library():
    code = "import sys, sra_pipelines.server; sys.exit('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
