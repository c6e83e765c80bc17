"""A server without keys answers to programs of this machine and to its own page, and to no other page in a browser."""

import json
import shutil
import socket
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import openai
import pytest
from sra_pipelines import DocumentQA
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents
from sra_pipelines.server import DocumentShelf, ServerSettings, create_app

from sra_rag import Engine, SamplingOptions

EVIL = "http://evil.example"
KEY = "0123456789abcdef-origin"


def served(folder, embedded, word_embedding, settings):
    (folder / "lease.md").write_text("The lease of the warehouse costs 82,400 crowns a year.")
    add_documents(folder / "index", [folder / "lease.md"], lambda: word_embedding, workers=0)
    index = StoredIndex(folder / "index", word_embedding)
    qa = DocumentQA(index, Engine(embedded, options=SamplingOptions(max_new_tokens=8)), context_tokens=200)
    return create_app(qa, settings, shelf=DocumentShelf(index, folder / "uploads"), page=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory, embedded, word_embedding, serving):
    """A server without keys: (address, application)."""
    folder = tmp_path_factory.mktemp("origin")
    app = served(folder, embedded, word_embedding, ServerSettings(max_new_tokens=8))
    with serving(app) as address:
        yield address, app


CHAT = {"model": "sra-rag", "messages": [{"role": "user", "content": "What does the lease cost?"}], "max_tokens": 4}
REQUESTS = {
    "list": ("GET", "/v1/documents", {}),
    "models": ("GET", "/v1/models", {}),
    "metrics": ("GET", "/metrics", {}),
    "health": ("GET", "/health", {}),
    "ask": ("POST", "/v1/chat/completions", {"json": CHAT}),
    "ask as a simple request": (
        "POST", "/v1/chat/completions", {"content": json.dumps(CHAT), "headers": {"Content-Type": "text/plain"}},
    ),
    "stream": ("POST", "/v1/chat/completions", {"json": {**CHAT, "stream": True}}),
    "plant": ("POST", "/v1/documents", {"files": {"file": ("planted.txt", b"The lease costs nothing.")}}),
    "plant on the page": ("POST", "/page/uploads", {"files": {"file": ("planted.txt", b"The lease costs nothing.")}}),
    "remove": ("DELETE", "/v1/documents/lease", {}),
    "page": ("GET", "/page/c/mine", {"headers": {"Accept": "text/html"}}),
    "documents of the page": ("GET", "/page/documents", {}),
    "source": ("GET", "/page/source", {"params": {"document": "lease"}}),
    "question of the page": ("POST", "/page/c/mine/turns", {"data": {"question": "What does the lease cost?"}}),
    "events of the page": ("GET", "/page/c/mine/turns/0/events", {}),
    "stop": ("POST", "/page/c/mine/stop", {}),
    "export": ("GET", "/page/c/mine/conversation.md", {}),
    "remove on the page": ("DELETE", "/page/documents", {"params": {"document": "lease"}}),
    "static": ("GET", "/page/static/page.js", {}),
    "preflight": ("OPTIONS", "/v1/documents", {"headers": {"Access-Control-Request-Method": "DELETE"}}),
    "root": ("GET", "/", {}),
}  # fmt: skip


def send(address, name, **headers):
    method, path, options = REQUESTS[name]
    options = {**options, "headers": {**options.get("headers", {}), **headers}}
    return httpx.request(method, f"{address}{path}", timeout=30, **options)


def refused(answer, running):
    assert answer.status_code == 403, answer.text
    assert answer.json()["error"]["code"] == "foreign_origin"
    assert "--api-key" in answer.json()["error"]["message"]
    assert "access-control-allow-origin" not in answer.headers
    assert [about.name for about in running[1].state.shelf.documents()] == ["lease"]


@pytest.mark.parametrize("name", REQUESTS)
def test_a_rebound_name_is_refused(running, name):
    port = running[0].rsplit(":", 1)[1]
    for host in (
        f"evil.example:{port}",
        "evil.example",
        f"127.0.0.1.evil.example:{port}",
        f"localhost.evil.example:{port}",
    ):
        refused(send(running[0], name, Host=host), running)
        refused(send(running[0], name, Host=host, Origin=f"http://{host}"), running)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_page_of_another_origin_is_refused(running, name):
    port = running[0].rsplit(":", 1)[1]
    for origin in (
        EVIL, "null", "http://localhost:3000", "http://127.0.0.1", f"http://localhost:{port}",
        f"http://evil.example:{port}", f"http://127.0.0.1:{port}@evil.example", "file://", "http://[x",
    ):  # fmt: skip
        refused(send(running[0], name, Origin=origin), running)
    for site in ("cross-site", "same-site"):  # which sends no Origin with images, scripts and frames
        refused(send(running[0], name, **{"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}), running)
        frame = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
        refused(send(running[0], name, **frame), running)


@pytest.mark.parametrize(
    "host",
    [
        "", "evil.example\r\nHost: 127.0.0.1", "127.0.0.1\r\nHost: evil.example", "a@127.0.0.1", "127.0.0.1:x", "127.1",
        "0.0.0.0", "169.254.169.254", "2130706433", "localhost.",  # noqa: S104 - names in a request
    ],
)  # fmt: skip
def test_odd_hosts_are_refused(running, host):
    name, port = running[0].removeprefix("http://").split(":")
    with socket.create_connection((name, int(port)), timeout=20) as connection:
        connection.sendall(f"GET /v1/documents HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(partial(connection.recv, 4096), b""))
    assert answer.split(b" ", 2)[1] in (b"400", b"403"), answer
    assert b"lease" not in answer


@pytest.mark.parametrize("origin", [EVIL, None])
def test_a_websocket_is_refused(running, origin):
    name, port = running[0].removeprefix("http://").split(":")
    for path in ("/page/c/mine/turns/0/events", "/v1/chat/completions"):
        with socket.create_connection((name, int(port)), timeout=20) as connection:
            lines = [f"GET {path} HTTP/1.1", f"Host: {name}:{port}", "Connection: Upgrade, close", "Upgrade: websocket",
                     "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]  # fmt: skip
            lines += [f"Origin: {origin}"] if origin else []
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            status = connection.recv(4096).split(b" ", 2)[1]
        assert status in (b"403", b"404", b"405"), status
        assert origin is None or status == b"403"


def test_programs_and_the_own_page_are_served(running):
    address, app = running
    port = address.rsplit(":", 1)[1]
    for headers in (
        {}, {"Host": f"localhost:{port}"}, {"Host": f"LOCALHOST:{port}"}, {"Host": f"[::1]:{port}"},
        {"Host": "localhost"},
        {"Origin": address}, {"Origin": address, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
        {"Host": "localhost:9000", "Origin": "http://localhost:9000"},  # a forwarded port
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ):  # fmt: skip
        for name in ("list", "health", "page"):
            assert send(address, name, **headers).status_code == 200, headers
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="-", max_retries=0)
    assert client.chat.completions.create(**CHAT).choices
    assert [*client.chat.completions.create(**CHAT, stream=True)]
    sent = {"file": ("note.txt", b"The ferry leaves at noon.")}
    for path in ("/v1/documents", "/page/uploads"):
        answer = httpx.post(f"{address}{path}", files=sent, headers={"Origin": address}, timeout=60)
        assert answer.status_code == 201
        assert httpx.delete(f"{address}/v1/documents/{answer.json()['id']}").status_code == 200
    assert [about.name for about in app.state.shelf.documents()] == ["lease"]


def test_with_keys_any_host_is_served(tmp_path, embedded, word_embedding, serving):
    """A reverse proxy sends its own; the key is what a foreign page lacks."""
    settings = ServerSettings(api_keys=(KEY,), max_new_tokens=8)
    with serving(served(tmp_path, embedded, word_embedding, settings)) as address:
        headers = {"Host": "documents.example", "Origin": "https://documents.example"}
        assert httpx.get(f"{address}/v1/documents", headers=headers).status_code == 401
        headers["Authorization"] = f"Bearer {KEY}"
        assert httpx.get(f"{address}/v1/documents", headers=headers).status_code == 200


class AttackPage(BaseHTTPRequestHandler):
    """Serves a page that asks, lists and plants, and keeps what came of it in the title."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(
            b"""<title>trying</title><script>
            const target = new URL(location.href).searchParams.get("target");
            const form = new FormData();
            form.append("file", new Blob(["The lease costs nothing."]), "planted.txt");
            const read = answer => answer.text();
            Promise.allSettled([
              fetch(target + "/v1/documents").then(read),
              fetch(target + "/v1/documents", {mode: "no-cors"}).then(read),
              fetch(target + "/v1/documents", {method: "POST", body: form, mode: "no-cors"}),
              fetch(target + "/page/uploads", {method: "POST", body: form, mode: "no-cors"}),
              fetch(target + "/page/c/mine/turns", {method: "POST", body: form, mode: "no-cors"}),
              fetch(target + "/page/documents?document=lease", {method: "DELETE"}),
              fetch(target + "/v1/documents/lease", {method: "DELETE"}),
            ]).then(all => document.title = "done " + JSON.stringify(all.map(one => one.value ?? "")));
            </script>"""
        )

    def log_message(self, *arguments):
        pass


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromedriver"), reason="needs Chromium and its driver")
@pytest.mark.parametrize("rebound", [False, True], ids=["another origin", "DNS rebinding"])
def test_a_page_of_another_origin_in_a_browser(running, rebound):
    webdriver = pytest.importorskip("selenium.webdriver")
    waiting = pytest.importorskip("selenium.webdriver.support.wait")
    port = running[0].rsplit(":", 1)[1]
    attack = ThreadingHTTPServer(("127.0.0.1", 0), AttackPage)
    threading.Thread(target=attack.serve_forever, daemon=True).start()
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    names = "MAP evil.example 127.0.0.1"  # as its DNS server would
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--host-resolver-rules={names}"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        target = f"http://evil.example:{port}" if rebound else running[0]
        browser.get(f"http://evil.example:{attack.server_port}/?target={target}")
        waiting.WebDriverWait(browser, 30).until(lambda b: b.title.startswith("done"))
        assert "lease" not in browser.title
        if rebound:  # now of the same origin, as after the name was bound again
            browser.get(f"{target}/v1/documents")
            assert "foreign_origin" in browser.page_source
            assert "lease" not in browser.page_source
        assert [about.name for about in running[1].state.shelf.documents()] == ["lease"]
    finally:
        browser.quit()
        attack.shutdown()
