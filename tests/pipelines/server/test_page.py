"""The page over real sockets: login, questions, running answers, documents and sources. A browser is used in
test_page_browser.py."""

import itertools
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import sra_pipelines.samples
from sra_pipelines import DocumentIndex, DocumentQA
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents
from sra_pipelines.server import DocumentShelf, ServerSettings, create_app

from sra_rag import Engine, SamplingOptions, SRAConfig
from sra_rag.errors import ConfigError
from tests.pipelines.server.page_client import HTML, PageClient, text_of, tree_of, wait_until

KEY = "0123456789abcdef-page"
QUESTION = "What is the yearly rent of the warehouse?"
SETTINGS = ServerSettings(api_keys=(KEY,), queue_length=1, max_new_tokens=12, max_upload_bytes=100_000)
SAMPLE = Path(sra_pipelines.samples.__file__).parent / "services_agreement.pdf"


def stored(folder, embedding, *paths):
    add_documents(folder / "index", paths, lambda: embedding, workers=0)
    return StoredIndex(folder / "index", embedding)


def page_app(tiny, index, folder, settings=SETTINGS):
    engine = Engine(tiny, options=SamplingOptions(max_new_tokens=12))
    qa = DocumentQA(index, engine, context_tokens=200)
    return create_app(qa, settings, shelf=DocumentShelf(index, folder / "uploads"), page=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory, tiny, word_embedding, serving):
    folder = tmp_path_factory.mktemp("page")
    lease, ferry = folder / "lease.md", folder / "ferry.md"
    lease.write_text("# Rent\n\nThe lease of the warehouse at Orrin Quay costs 82,400 crowns a year, due on 1 March.")
    ferry.write_text("## Ticket prices\n\nA ferry ticket <b>costs</b> 14 crowns.")
    app = page_app(tiny, stored(folder, word_embedding, lease, ferry, SAMPLE), folder)
    with serving(app) as address:
        yield address, app


@pytest.fixture
def client(running):
    with PageClient(running[0], KEY) as client:
        yield client


def browser(address):
    return httpx.Client(base_url=address, headers=HTML)


def login(browser, key=KEY):
    return browser.post("/page/login", data={"key": key})


def test_a_browser_is_redirected_to_the_login_and_then_to_the_page(running):
    with browser(running[0]) as b:
        assert b.get("/").headers["location"] == "/page/"
        assert b.get("/page/").headers["location"] == "/page/login"
        assert "API key" in b.get("/page/login").text
        assert login(b).headers["location"] == "/page/"
        page = b.get("/page/", follow_redirects=True)
        assert page.status_code == 200
        assert page.url.path.startswith("/page/c/")
        assert "Ask the documents" in page.text
        b.post("/page/logout")
        assert b.get("/page/").headers["location"] == "/page/login"


def test_the_cookie_does_not_contain_the_key_and_is_for_the_page_only(running):
    with browser(running[0]) as b:
        cookie = login(b).headers["set-cookie"]
        assert KEY not in cookie
        assert all(word in cookie.lower() for word in ("httponly", "samesite=strict", "path=/page"))
        [token] = b.cookies.values()
        anywhere = {"Cookie": f"sra_rag_page={token}"}
        assert b.get("/v1/models", headers=anywhere).status_code == 401
        assert b.get("/metrics", headers=anywhere).status_code == 401
        assert b.get("/page/documents", headers=anywhere).status_code == 200
        b.post("/page/logout", headers=anywhere)
        assert b.get("/page/documents", headers=anywhere).status_code == 303  # a kept cookie is worthless now


def test_a_script_learns_that_the_login_expired_instead_of_getting_the_login_page(running):
    with browser(running[0]) as b:
        answer = b.get("/page/source", params={"document": "lease"}, headers={"HX-Request": "true"})
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("key", ["", "wrong", KEY[:-1], f"{KEY}x", "\u00e9", "x" * 9000, "<script>alert(1)</script>"])
def test_wrong_keys_are_rejected(running, key):
    with browser(running[0]) as b:
        answer = login(b, key)
        assert answer.status_code in (401, 413)
        assert "set-cookie" not in answer.headers
        assert "<script" not in answer.text
        assert b.get("/page/").status_code == 303


def all_paths(app):
    """Return every address of the page, also of routes that are included as routers."""
    found = set()

    def walk(routes):
        for route in routes:
            path = getattr(route, "path", "")
            if path.startswith("/page"):
                found.add(path)
            for inner in ("original_router", "router"):
                if hasattr(route, inner):
                    walk(getattr(route, inner).routes)

    walk(app.routes)
    return found


def test_every_address_of_the_page_requires_a_key(running):
    address, app = running
    paths = all_paths(app)
    assert len(paths) >= 12, paths
    files = Path(sys.modules["sra_pipelines.server.page.rendering"].STATIC).iterdir()
    paths |= {f"/page/static/{file.name}" for file in files}
    for cookie in ({}, {"Cookie": "sra_rag_page=guess"}, {"Cookie": "sra_rag_visitor=guess"}):
        with httpx.Client(base_url=address, headers=cookie) as anyone:
            for path, method in itertools.product(paths, ("GET", "POST", "DELETE")):
                answer = anyone.request(method, re.sub(r"\{[^}]*\}", "x", path))
                own = path.rstrip("/") in ("/page/login", "/page/logout")
                assert answer.status_code == 401 or own, (method, path, answer.status_code)


def test_the_policy_allows_nothing_of_other_hosts_and_nothing_inline(running):
    with browser(running[0]) as b:
        for path in ("/page/login", "/page/new"):
            login(b) if path != "/page/login" else None
            page = b.get(path, follow_redirects=True)
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert not re.findall(r"https?:|[\w.-]+\.(?:com|org|net|app|io)\b", policy)
            hosts = set(re.findall(r"https?:(?:\\?/){2}([^/\"'\s\\<]+)", page.text))
            assert hosts <= {running[0].split("/")[2]}, hosts
            assert not re.findall(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|javascript:", page.text)


def test_the_page_is_small_and_lists_the_documents_and_questions_to_start_with(client):
    page = client.get(client.conversation).text
    assert "lease" in page
    assert "16 pages" in page
    assert re.search(r"What does ferry say about \u201cTicket prices\u201d\?", page)
    assets = re.findall(r'(?:src|href)="(/page/static/[^"]+)"', page)
    assert len(assets) == 6
    sizes = [len(client.get(asset).raise_for_status().content) for asset in assets]
    assert sum(sizes) < 100_000, sizes


@pytest.fixture
def slow_reading(tiny):
    """Reading a prompt takes the tiny model half a second, and each token 20 ms."""
    handle = tiny.model.register_forward_pre_hook(
        lambda _, arguments, named: time.sleep(0.5 if named["input_ids"].shape[1] > 1 else 0.02), with_kwargs=True
    )
    yield
    handle.remove()


def test_an_answer_arrives_in_pieces_with_phases(client, slow_reading):
    bodies = list(client.bodies(client.start(QUESTION)))
    phases = [name for body in bodies for name in re.findall(r'aria-current="step">\s*(\w+)', body)]
    assert phases == sorted(phases, key=["Searching", "Reading", "Writing"].index)
    assert {"Reading", "Writing"} <= set(phases)
    texts = [tree_of(body).find_class("text")[0].text_content() for body in bodies if "writing" in body]
    assert len(set(texts)) > 3
    first = next(body for body in bodies if "passages found" in body)
    assert 'class="text writing"' not in first, "the passages are shown before the first word"
    assert "Answered in" in bodies[-1]


def test_evidence_is_shown_as_bars_on_one_scale(client):
    last = client.ask(QUESTION, evidence="true")
    shares = [float(share.split("%")[0]) for share in text_of(last, "share")]
    assert len(shares) >= 2
    assert sum(shares) == pytest.approx(100, abs=2)
    lengths = [float(rect.get("width")) for rect in last.iter("rect")]
    assert max(lengths) == 100
    assert [length == max(lengths) for length in lengths] == [share == max(shares) for share in shares]
    assert text_of(last, "line")


def test_both_side_by_side_are_whole(client):
    last = client.ask(QUESTION, mode="both", alpha="0.4", rows="after_context")
    first, second = last.find_class("answer")
    assert "Without reattention" in first.text_content()
    assert "alpha 0.4, rows after_context" in second.text_content()
    for answer in (first, second):
        [text] = answer.find_class("text")
        assert text.text_content().strip(), "an answer is empty"
        assert "Copy" in answer.text_content()


def test_only_the_selected_documents_are_asked(client):
    last = client.ask("What does the ferry ticket cost?", documents=["lease"])
    assert {chip.split(",")[0] for chip in text_of(last, "chip")} == {"lease"}
    last = client.ask("What does the ferry ticket cost?", documents=["ferry"])
    assert {chip.split(",")[0] for chip in text_of(last, "chip")} == {"ferry"}


@pytest.mark.parametrize(
    ("form", "status", "message"),
    [
        ({"alpha": "-1"}, 400, "must be between 0"),
        ({"alpha": "x<b>"}, 400, "is not a number"),
        ({"alpha": "nan"}, 400, "must be between 0"),
        ({"alpha": "0"}, 400, "alpha is 0 and evidence is not selected"),
        ({"evidence": "true", "weight": "1"}, 400, "above 1"),
        ({"rows": "none"}, 400, "rows"),
        ({"mode": "?"}, 400, "mode"),
        ({"documents": ["/etc/passwd"]}, 404, "There is no document"),
        ({"question": " "}, 400, "is empty"),
        ({"question": "x" * 5000}, 400, "more than 4,000"),
    ],
)
def test_what_the_form_does_not_offer_is_rejected_with_a_reason(client, form, status, message):
    answer = client.start(**{"question": QUESTION, **form})
    assert answer.status_code == status
    assert message in answer.json()["error"]["message"]


def test_a_follow_up_uses_the_conversation_and_a_reload_shows_it(client, running):
    client.ask(QUESTION)
    client.ask("And when is it due?")
    page = client.get(client.conversation).text
    assert page.index(QUESTION) < page.index("And when is it due?")
    assert page.count('<article class="turn"') == 2
    assert client.get("/page/").headers["location"] == client.conversation
    name, owner = client.conversation.removeprefix("/page/c/"), client.cookies["sra_rag_page"]
    conversation = running[1].state.page.conversations.get(name, owner)
    assert [question for question, _ in conversation.history] == [QUESTION, "And when is it due?"]
    assert client.get("/page/new").headers["location"] != client.conversation


def test_a_reload_in_the_middle_of_an_answer_loses_nothing(client, slow_steps):
    bodies = client.bodies(started := client.start(QUESTION, mode="both"))
    next(bodies)
    bodies.close()  # the page goes away
    page = client.get(client.conversation).text
    assert "hx-sse:connect" in page
    *_, last = client.bodies(started)
    assert len(re.findall(r'data-copy="', last)) == 2, "both answers are whole"
    assert "hx-sse:connect" not in client.get(client.conversation).text


def test_two_users_do_not_see_each_others_conversation(running, client):
    client.ask(QUESTION)
    with PageClient(running[0], KEY) as other:
        assert other.get("/page/").headers["location"] != client.conversation
        page = other.get(client.conversation)
        assert QUESTION not in page.text
        assert other.get(f"{client.conversation}/conversation.md").status_code == 404
        assert other.get(f"{client.conversation}/turns/0/events").status_code == 404
        assert other.post(f"{client.conversation}/stop").status_code == 404
        assert other.post(f"{client.conversation}/turns", data={"question": "Mine?"}).status_code == 404
    assert client.get(client.conversation).text.count('<article class="turn"') == 1


def test_a_conversation_is_exported_with_its_sources(client):
    client.ask(f"{QUESTION} *Really*?", mode="both")
    export = client.get(f"{client.conversation}/conversation.md")
    assert export.headers["content-disposition"] == 'attachment; filename="conversation.md"'
    assert f"## {QUESTION} \\*Really\\*?" in export.text
    assert "### Without reattention" in export.text


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
        last = client.ask(QUESTION)
        assert "1 requests are already waiting" in last.text_content()
        assert "Failed after" in last.text_content()
        assert [answer.result().status_code for answer in asked] == [200, 200]
    wait_until(lambda: slots.running == slots.waiting == 0)


def test_a_page_that_is_closed_frees_its_slot(running, client, slow_steps, monkeypatch):
    slots = running[1].state.completions.slots
    monkeypatch.setattr("sra_pipelines.server.page.conversations._ABANDONED", 0.2)
    bodies = client.bodies(client.start(QUESTION, mode="both"))
    next(bodies)
    wait_until(lambda: slots.running == 1)
    bodies.close()
    wait_until(lambda: slots.running == 0, seconds=5)
    assert "Stopped before the answer was complete" in client.get(client.conversation).text


def test_a_question_whose_page_never_listens_is_stopped(running, client, slow_steps, monkeypatch):
    monkeypatch.setattr("sra_pipelines.server.page.conversations._ABANDONED", 0.2)
    assert client.start(QUESTION, mode="both").status_code == 200
    wait_until(lambda: "Stopped after" in client.get(client.conversation).text, seconds=10)


def test_an_answer_that_is_stopped_keeps_its_text_and_frees_its_slot(running, client, slow_steps):
    slots = running[1].state.completions.slots
    bodies = client.bodies(client.start(QUESTION, mode="both"))
    for body in bodies:
        if 'class="text writing"' in body:
            break
    assert client.start("Another one?").status_code == 409
    assert client.post(f"{client.conversation}/stop").status_code == 204
    *_, last = bodies
    assert "Stopped before the answer was complete" in last
    assert text_of(tree_of(last), "text")[0]
    wait_until(lambda: slots.running == 0, seconds=5)
    assert client.post(f"{client.conversation}/stop").status_code == 204  # nothing runs any more


def test_a_server_that_stops_ends_the_running_answer(tiny, word_embedding, serving, tmp_path, slow_steps):
    (tmp_path / "a.txt").write_text("The mill grinds 12 tonnes of flour a day.")
    app = page_app(tiny, stored(tmp_path, word_embedding, tmp_path / "a.txt"), tmp_path, ServerSettings())
    with serving(app) as address, PageClient(address) as client:
        bodies = client.bodies(client.start("How much?", mode="both"))
        next(bodies)
        threading.Timer(0.1, app.state.completions.stop).start()
        *_, last = bodies
        assert "shutting down" in last or "Answered in" in last


def test_a_source_is_shown_as_text_with_the_quote_marked(client):
    query = {"document": "ferry", "page": 0, "quote_page": 0, "start": 16, "end": 30}
    tree = tree_of(client.get("/page/source", params=query).text)
    [mark] = tree.iter("mark")
    [text] = text_of(tree, "page-text")
    assert text[16:30].split() == mark.text_content().split()
    assert "<b>costs</b>" in text, "what a document contains stays text"
    assert not list(tree.iter("b"))
    assert not tree.find_class("picture")


def test_a_source_in_a_pdf_file_is_shown_as_a_picture_with_the_quote_marked(client, running):
    text = running[1].state.shelf.index.pages("services_agreement")[3].text
    start = text.index("3.3 The Customer")
    query = {"document": "services_agreement", "page": 3, "quote_page": 3, "start": start, "end": start + 120}
    pane = client.get("/page/source", params=query)
    assert "/page/source/picture?" in pane.text
    picture = tree_of(client.get("/page/source/picture", params=query).text)
    [image] = picture.iter("img")
    assert image.get("alt").startswith("Page 4 of services_agreement")
    boxes = [[float(rect.get(name)) for name in ("x", "y", "width", "height")] for rect in picture.iter("rect")]
    assert len(boxes) == 2, "the quote covers two lines"
    assert boxes[0][1] < boxes[1][1] < int(image.get("height"))
    png = client.get(image.get("src"))
    assert png.headers["content-type"] == "image/png"
    assert png.content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/page/source", {"document": "../ferry", "page": 0}, 404),
        ("/page/source", {"document": "ferry", "page": -1}, 400),
        ("/page/source", {"document": "ferry", "page": 99, "start": 5, "end": 10**9}, 200),
        ("/page/source/picture", {"document": "ferry", "page": 0}, 200),  # the reason why there is none
        ("/page/source/page.png", {"document": "ferry", "page": 0}, 404),
        ("/page/source/page.png", {"document": "services_agreement", "page": 999}, 404),
        ("/page/source/page.png", {"document": "/etc/hostname", "page": 0}, 404),
    ],
)
def test_sources_that_do_not_exist(client, running, path, query, status):
    answer = client.get(path, params=query)
    assert answer.status_code == status, answer.text
    assert str(running[1].state.shelf.index.folder.parent) not in answer.text, "a path of the server"


def test_files_are_added_listed_and_removed(client, running):
    sent = {"file": ("mill notes.txt", b"The mill grinds 12 tonnes of flour a day.")}
    good = client.post("/page/uploads", files=sent)
    assert (good.status_code, good.json()["id"], good.json()["pages"]) == (201, "mill notes", 1)
    bad = client.post("/page/uploads", files={"file": ("broken.pdf", b"not a PDF")})
    assert bad.status_code == 422
    assert "broken.pdf" in bad.json()["error"]["message"]
    assert str(running[1].state.shelf.uploads) not in bad.text
    assert "mill notes" in client.get("/page/documents").text
    assert "The uploaded file is deleted" in client.get("/page/documents").text
    last = client.ask("How much flour does the mill grind a day?")
    assert "mill notes, page 1" in text_of(last, "chip")
    left = client.delete("/page/documents", params={"document": "mill notes"})
    assert left.status_code == 200
    assert "mill notes" not in left.text
    assert client.delete("/page/documents", params={"document": "mill notes"}).status_code == 404


def test_uploads_are_limited_in_size(client):
    for size, allowed in ((50_000, True), (200_000, False)):
        sent = {"file": ("a.txt", b"A line of a text.\n" * (size // 18))}
        answer = client.post("/page/uploads", files=sent)
        assert answer.status_code == (201 if allowed else 413)
    client.delete("/page/documents", params={"document": "a"})


def test_requests_of_other_pages_are_rejected(client):
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site}
        assert client.post(f"{client.conversation}/turns", data={"question": "?"}, headers=headers).status_code == 403
        assert client.post("/page/uploads", files={"file": ("x.txt", b"x")}, headers=headers).status_code == 403
        assert client.delete("/page/documents", params={"document": "lease"}, headers=headers).status_code == 403
        assert client.post("/page/logout", headers=headers).status_code == 403
    assert "lease" in client.get("/page/documents").text


def test_without_documents_and_without_keys(tmp_path, tiny, word_embedding, serving):
    only = tmp_path / "only.txt"
    only.write_text("Nothing much.")
    app = page_app(tiny, stored(tmp_path, word_embedding, only), tmp_path, ServerSettings(max_new_tokens=12))
    with serving(app) as address, PageClient(address) as client, PageClient(address) as other:
        assert "Log out" not in client.get(client.conversation).text
        client.ask("What is there?")
        assert "What is there?" not in other.get(client.conversation).text
        client.delete("/page/documents", params={"document": "only"}).raise_for_status()
        assert "There are no documents yet" in client.get("/page/new", follow_redirects=True).text
        assert "There are no documents yet" in client.start("And now?").json()["error"]["message"]


class OnAServer:
    """An engine whose model is not in this process, as far as the page can see."""

    loaded = None
    weighs_evidence = False

    def __init__(self, engine):
        self.engine = engine

    def __getattr__(self, name):
        return getattr(self.engine, name)


def test_a_model_on_a_server_of_its_own_has_no_evidence(tmp_path, tiny, word_embedding, serving):
    (tmp_path / "a.txt").write_text("The mill grinds 12 tonnes of flour a day.")
    index = stored(tmp_path, word_embedding, tmp_path / "a.txt")
    engine = OnAServer(Engine(tiny, options=SamplingOptions(max_new_tokens=4)))
    qa = DocumentQA(index, engine, context_tokens=200)
    app = create_app(qa, ServerSettings(), shelf=DocumentShelf(index, tmp_path / "uploads"), page=True)
    with serving(app) as address, PageClient(address) as client:
        assert "where evidence is not available" in client.get(client.conversation).text
        [answer] = client.ask("How much flour?", evidence="true").find_class("answer")
        assert answer.get("aria-label") == "With reattention (alpha 0.2, rows all)"


def test_on_means_the_default_of_the_server(tmp_path, tiny, word_embedding, serving):
    (tmp_path / "a.txt").write_text("The mill grinds 12 tonnes of flour a day.")
    settings = ServerSettings(sra=SRAConfig(alpha=0.35, rows="generated"), max_new_tokens=4)
    app = page_app(tiny, stored(tmp_path, word_embedding, tmp_path / "a.txt"), tmp_path, settings)
    with serving(app) as address, PageClient(address) as client:
        page = client.get(client.conversation).text
        assert "with reattention (alpha 0.35, rows generated), the default of this server" in page
        assert not re.search(r'name="evidence"[^>]*checked', page)
        [answer] = client.ask("How much flour?").find_class("answer")
        assert answer.get("aria-label") == "With reattention (alpha 0.35, rows generated)"
        [answer] = client.ask("How much flour?", mode="off").find_class("answer")
        assert answer.get("aria-label") == "Without reattention"


def test_a_page_needs_a_shelf(tiny, word_embedding):
    qa = DocumentQA(DocumentIndex([], word_embedding), Engine(tiny))
    with pytest.raises(ConfigError, match="Give a shelf"):
        create_app(qa, page=True)


def test_a_server_without_the_page_does_not_import_its_library():
    code = "import sys, sra_pipelines.server; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
