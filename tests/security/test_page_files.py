"""No request of the page, whatever a client writes into it, reads, copies, serves or deletes a file of the host.

Every address of the page is called with every method, and each of its parameters names a file of the host in every way
that a file can be named. The page takes files only as the body of `/page/uploads`.
"""

import itertools
import re

import httpx
import pytest
from sra_pipelines import DocumentQA
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents
from sra_pipelines.server import DocumentShelf, ServerSettings, create_app

from sra_rag import Engine, SamplingOptions

KEY = "0123456789abcdef-files"
SECRET = "The vault of the lighthouse opens with 7351."
META = {"_type": "gradio.FileData"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PARAMETERS = ("document", "documents", "question", "file", "files", "path", "page", "name", "mode", "alpha", "rows",
              "weight", "evidence", "start", "end", "quote_page", "url", "v", "key")  # fmt: skip


def descriptions(path):
    """Return every way to name a file, as text and as the objects by which page libraries describe files."""
    name = str(path)
    yield name
    yield f"file://{name}"
    yield f"../../../../../../../..{name}"
    yield f"..%2f..%2f..%2f..%2f..%2f..{name}"
    yield f"{name}\0.txt"
    yield {"path": name, "meta": META}
    yield {"path": name, "meta": META, "is_stream": True}
    yield {"path": "a.txt", "url": f"file://{name}", "meta": META}
    yield [{"file": {"path": name, "meta": META}}]


@pytest.fixture(scope="module", params=[(), (KEY,)], ids=["without keys", "logged in"])
def running(request, tmp_path_factory, tiny, word_embedding, serving):
    """A server with its page, and a client that may use it: (client, application, folder)."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "lease.md").write_text("The lease of the warehouse costs 82,400 crowns a year.")
    add_documents(folder / "index", [folder / "lease.md"], lambda: word_embedding, workers=0)
    index = StoredIndex(folder / "index", word_embedding)
    qa = DocumentQA(index, Engine(tiny, options=SamplingOptions(max_new_tokens=8)), context_tokens=200)
    settings = ServerSettings(api_keys=request.param, max_new_tokens=8, queue_length=4)
    app = create_app(qa, settings, shelf=DocumentShelf(index, folder / "uploads"), page=True)
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        if request.param:
            assert client.post("/page/login", data={"key": KEY}).status_code == 303
        client.get("/page/c/mine")
        assert client.post("/page/c/mine/turns", data={"question": "What does the lease cost?"}).status_code == 200
        yield client, app, folder


@pytest.fixture
def secret(running, tmp_path):
    """A file outside of all folders of the server; afterwards it must be unchanged, and nowhere else."""
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    yield path
    _, app, folder = running
    assert path.exists(), "the server deleted a file of the host"
    assert path.read_text() == SECRET
    shelf = app.state.shelf
    shelf.index.refresh()
    assert not [p for p in shelf.index.passages() if "7351" in p.text], "the server read a file of the host"
    copies = [p for p in folder.rglob("*") if p.is_file() and b"7351" in p.read_bytes()]
    assert not copies, "the server copied a file of the host"
    assert [about.name for about in shelf.documents()] == ["lease"]


def page_paths(app):
    """Return every address of the page, also those of included routers."""
    paths = set()

    def walk(routes):
        for route in routes:
            if getattr(route, "path", "").startswith("/page"):
                paths.add(route.path)
            if hasattr(route, "original_router"):
                walk(route.original_router.routes)

    walk(app.routes)
    return sorted(paths)


def test_the_addresses_that_are_attacked_are_those_of_the_page(running):
    """Otherwise the attacks would prove nothing: the same addresses with harmless values are served."""
    client, app, _ = running
    paths = page_paths(app)
    assert {"/page/c/{name}/turns", "/page/uploads", "/page/documents", "/page/source/page.png"} <= set(paths)
    assert len(paths) >= 12
    assert client.get("/page/source", params={"document": "lease"}).status_code == 200
    assert "82,400" in client.get("/page/source", params={"document": "lease"}).text


@pytest.mark.parametrize("where", ["query", "form", "json", "multipart"])
def test_no_parameter_names_a_file_of_the_host(running, secret, where):
    client, app, _ = running
    paths = [path for path in page_paths(app) if "events" not in path and "logout" not in path and "login" not in path]
    for path, described in itertools.product(paths, descriptions(secret)):
        address = re.sub(r"\{[^}]*\}", "mine", path)
        text = str(described)
        if where == "query":
            requests = [(method, {"params": dict.fromkeys(PARAMETERS, text)}) for method in ("GET", "DELETE")]
            requests += [("GET", {"params": {"document": text, "page": 0}}), ("DELETE", {"params": {"document": text}})]
        elif where == "form":
            requests = [("POST", {"data": dict.fromkeys(PARAMETERS, text)}),
                        ("POST", {"data": {"question": "What?", "documents": text}})]  # fmt: skip
        elif where == "json":
            requests = [
                ("POST", {"json": dict.fromkeys(PARAMETERS, described)}),
                ("POST", {"json": {"data": [described]}}),
            ]
        else:
            parts = dict.fromkeys(PARAMETERS, (None, text))
            requests = [("POST", {"files": parts})]
        for method, options in requests:
            answer = client.request(method, address, **options)
            assert "7351" not in answer.text, (method, address, options)
            assert secret.exists(), (method, address, options)
            assert answer.status_code < 500, (method, address, options, answer.text)
    client.post("/page/c/mine/stop")


@pytest.mark.parametrize(
    "route",
    [
        "/gradio_api/queue/join", "/gradio_api/upload", "/gradio_api/stream/EVENT", "/component_server", "/config",
        "/queue/join", "/run/upload", "/call/upload", "/file=/etc/hostname", "/proxy=file:///etc/hostname", "/upload",
    ],
)  # fmt: skip
def test_the_routes_of_the_former_page_are_gone(running, secret, route):
    client, *_ = running
    described = {"path": str(secret), "meta": META, "is_stream": True}
    for method in METHODS:
        answer = client.request(method, f"/page{route}", json={"data": [described], "fn_index": 0, "session_hash": "x"})
        assert answer.status_code in (404, 405), (method, route, answer.status_code)
    assert client.post(f"/page{route}", files={"files": ("a.txt", b"x")}).status_code in (404, 405)


def test_no_file_of_the_host_is_served(running, secret):
    client, _, folder = running
    (folder / "uploads" / "other").mkdir(parents=True, exist_ok=True)
    (folder / "uploads" / "other" / "upload.txt").write_text("another user's upload")
    places = [secret, folder / "uploads" / "other" / "upload.txt", folder / "lease.md", folder / "index"]
    for place in places:
        for path in (f"/page/static/../../../../../../../..{place}", f"/page/static/{place}", f"/page/static//{place}",
                     f"/page/static/..%2f..%2f..%2f..%2f..%2f..%2f..{place}", f"/page/static/%2e%2e/%2e%2e{place}",
                     "/page/static/../page_state.py", "/page/static/..%5c..%5clogin.py", "/page/static/",
                     f"/page/source/page.png?document={place}&page=0", f"/page/c/..{place}/conversation.md",
                     f"/page/..{place}", f"/page/source?document=lease&page=0&path={place}"):  # fmt: skip
            answer = client.get("/page/", extensions={"target": path.encode()})  # as written: dots are not resolved
            assert "7351" not in answer.text, path
            assert "another user" not in answer.text, path
            assert "class PageLogin" not in answer.text, path
            shows_lease = answer.status_code == 200 and path.startswith("/page/source?document=lease")
            assert answer.status_code in (400, 403, 404, 405) or shows_lease, (path, answer.status_code)


def test_the_server_fetches_no_address(running):
    client, app, _ = running
    for address in ("http://127.0.0.1:1/a.txt", "http://localhost/a.txt", "file:///etc/hostname"):
        for path in ("/page/source", "/page/source/picture", "/page/source/page.png"):
            assert client.get(path, params={"document": address, "page": 0}).status_code == 404
        assert client.post("/page/uploads", data={"file": address}).status_code == 400
        assert client.post("/page/uploads", json={"file": {"url": address}}).status_code == 400
    assert [about.name for about in app.state.shelf.documents()] == ["lease"]


def test_a_picture_is_only_of_the_file_that_was_indexed(running, secret, tmp_path):
    """A path in the index that now leads elsewhere is not followed to another content."""
    client, _, folder = running
    lease = folder / "lease.md"
    text = lease.read_text()
    try:
        lease.unlink()
        lease.symlink_to(secret)
        for path in ("/page/source", "/page/source/picture", "/page/source/page.png"):
            answer = client.get(path, params={"document": "lease", "page": 0})
            assert "7351" not in answer.text
    finally:
        lease.unlink()
        lease.write_text(text)


def test_a_file_is_added_and_removed_without_touching_another(running, secret):
    client, app, folder = running
    sent = {"file": ("../../secret.txt", b"The kiosk sells ferry tickets.")}
    assert client.post("/page/uploads", files=sent).json()["id"] == "secret"
    [stored] = [about.path for about in app.state.shelf.documents() if about.name == "secret"]
    assert stored.startswith(str((folder / "uploads").resolve()))
    assert client.delete("/page/documents", params={"document": "secret"}).status_code == 200
    assert [path for path in (folder / "uploads").iterdir() if path.name != "other"] == []
    assert client.post("/page/uploads", data={"file": str(secret)}).status_code == 400
    assert client.delete("/page/documents", params={"document": "lease"}).status_code == 200
    assert (folder / "lease.md").exists(), "the server deleted a file that it was not sent"
    add_documents(folder / "index", [folder / "lease.md"], lambda: app.state.shelf.index.embedding, workers=0)
    app.state.shelf.index.refresh()


@pytest.mark.parametrize(
    "name", ["x" * 3000, "..", "%00", "a%2fb", "<script>alert(1)</script>", "mine%0d%0aSet-Cookie:x"]
)
def test_odd_names_of_conversations(running, name):
    client, *_ = running
    answer = client.get(f"/page/c/{name}", headers={"Accept": "text/html"})
    assert answer.status_code in (200, 303, 307, 400, 404), answer.text
    assert "<script>alert" not in answer.text
    assert "x" not in answer.cookies
    large = client.post("/page/c/mine/turns", content=iter([b"question=" + b"x" * (1 << 20), b"x"]),
                        headers={"Content-Type": "application/x-www-form-urlencoded"})  # fmt: skip
    assert large.status_code == 413
