"""No event of the page, whatever a client writes into it, reads, copies or deletes a file of the host.

Every event that the page's configuration names is sent to a real server, by every route that takes events, with a
description of a file of the host in place of each of its values.
"""

import itertools
import json

import httpx
import pytest
from sra_pipelines import DocumentQA
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents
from sra_pipelines.server import DocumentShelf, ServerSettings, create_app

from sra_rag import Engine, SamplingOptions

KEY = "0123456789abcdef-files"
API = "/page/gradio_api"
SECRET = "The vault of the lighthouse opens with 7351."
META = {"_type": "gradio.FileData"}


def descriptions(path):
    """Return every way to name a file that the page's library knows, and some that it might."""
    name = str(path)
    yield {"path": name, "meta": META}
    yield {"path": name, "meta": META, "is_stream": True}
    yield {"path": name, "meta": META, "orig_name": "a.txt", "mime_type": "text/plain", "size": 1}
    yield {"path": name, "url": f"file://{name}", "meta": META}
    yield {"path": f"file://{name}", "meta": META}
    yield {"path": "a.txt", "url": f"{API}/file={name}", "meta": META}
    yield {"path": f"../../../../../../../..{name}", "meta": META, "is_stream": True}
    yield {"path": name}
    yield {"value": {"path": name, "meta": META}}
    yield {"files": [{"file": {"path": name, "meta": META}}], "text": ""}
    yield name


def values(path):
    for described in descriptions(path):
        yield described
        yield [described]
        yield [[described]]


@pytest.fixture(scope="module", params=[(), (KEY,)], ids=["without keys", "logged in"])
def running(request, tmp_path_factory, tiny, word_embedding, serving):
    """A server with its page, and a client that may use it: (client, application, folder)."""
    folder = tmp_path_factory.mktemp("files")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "cache"))  # read when the page is made
        (folder / "lease.md").write_text("The lease of the warehouse costs 82,400 crowns a year.")
        add_documents(folder / "index", [folder / "lease.md"], lambda: word_embedding, workers=0)
        index = StoredIndex(folder / "index", word_embedding)
        qa = DocumentQA(index, Engine(tiny, options=SamplingOptions(max_new_tokens=8)), context_tokens=200)
        settings = ServerSettings(api_keys=request.param, max_new_tokens=8, queue_length=4)
        app = create_app(qa, settings, shelf=DocumentShelf(index, folder / "uploads"), page=True)
        with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:
            if request.param:
                assert client.post("/page/login", data={"key": KEY}).status_code == 303
            yield client, app, folder


@pytest.fixture
def secret(running, tmp_path):
    """A file outside of all folders of the server; afterwards it must be what it was, and nobody else's."""
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


def dependencies(client):
    answer = client.get("/page/config")
    assert answer.status_code == 200
    found = answer.json()["dependencies"]
    assert len(found) >= 5
    return found


numbers = itertools.count()


def join(client, dependency, data, **more):
    """Send an event as the page does; return the status, and all that came back."""
    session = f"attack{next(numbers)}"
    body = {"data": data, "fn_index": dependency["id"], "session_hash": session, "trigger_id": None, **more}
    answer = client.post(f"{API}/queue/join", json=body)
    if answer.status_code != 200:
        return answer.status_code, answer.text
    came = []
    with client.stream("GET", f"{API}/queue/data", params={"session_hash": session}) as events:
        for line in events.iter_lines():
            came.append(line)
            if '"process_completed"' in line or '"close_stream"' in line:
                break
    return 200, "\n".join(came)


def harmless(dependency):
    """Return values that do no work: no question, no file."""
    return [None] * len(dependency["inputs"])


def attacks(dependency, path):
    for at in range(max(1, len(dependency["inputs"]))):
        for value in values(path):
            data = harmless(dependency) or [None]
            data[at] = value
            yield data


def test_the_events_sent_here_are_those_of_the_page(running):
    """Else the attacks below would prove nothing: the same requests without a file are served."""
    client, *_ = running
    for dependency in dependencies(client):
        status, came = join(client, dependency, harmless(dependency))
        assert status == 200
        assert '"process_completed"' in came


def test_no_event_takes_a_file_of_the_host(running, secret):
    client, *_ = running
    for dependency in dependencies(client):
        for data in attacks(dependency, secret):
            status, came = join(client, dependency, data)
            assert "7351" not in came
            assert secret.exists(), (dependency["api_name"], data)
            if "{" in json.dumps(data):
                assert status == 400, (dependency["api_name"], data, came)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"x", b"[]", b"{}", b'{"data": {}}', b'{"data": null}', b"[" * 100_000, b'{"data": [[[]]]}',
        b'{"data": [{}]}',
        b'{"data": [], "data": [{"path": "/etc/hostname"}]}', b'{"data": [{"path": "/etc/hostname"}]', b"\xff\xfe",
        '{"data": [{"path": "/etc/hostname"}]}'.encode("utf-16"),
    ],
    ids=lambda body: repr(body[:40]),
)  # fmt: skip
def test_what_is_no_event_is_refused_with_a_reason(running, body):
    client, *_ = running
    answer = client.post(f"{API}/queue/join", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_an_event_brings_nothing_but_its_values(running, secret):
    """The library's other fields, such as whether the values are a batch, are not for clients to set."""
    client, *_ = running
    described = {"path": str(secret), "meta": META, "is_stream": True}
    for dependency in dependencies(client):
        more = {"event_data": described, "batched": True, "simple_format": True, "request": {"x": described}}
        status, came = join(client, dependency, harmless(dependency), event_id="x", oauth_token="x", **more)
        assert (status, "7351" in came) == (200, False)
    large = client.post(f"{API}/queue/join", content=iter([b"[" * (1 << 20), b"["]))
    assert large.status_code == 413


def test_no_other_route_takes_an_event(running, secret):
    client, *_ = running
    for dependency in dependencies(client):
        for described in (
            {"path": str(secret), "meta": META, "is_stream": True},
            [{"path": str(secret), "meta": META}],
            "",
        ):
            data = [described, *harmless(dependency)[1:]]
            for route in ("run", "api", "call", "call/v2"):
                for name in (dependency["api_name"] or "x", str(dependency["id"])):
                    body = {"data": data, "fn_index": dependency["id"], "session_hash": "other"}
                    answer = client.post(f"{API}/{route}/{name}", json=body)
                    assert answer.status_code == 404, (route, name, answer.text)


@pytest.mark.parametrize(
    "route",
    [
        "/stream/EVENT", "/stream/EVENT/close", "/component_server", "/process_recording", "/reset", "/vibe-edit",
        "/vibe-code", "/undo-vibe-edit", "/vibe-starter-queries", "/upload", "/run-history/connect", "/call/upload",
    ],
)  # fmt: skip
def test_routes_that_the_page_does_not_need_are_not_there(running, secret, route):
    client, *_ = running
    described = {"path": str(secret), "meta": META, "is_stream": True}
    body = {"data": [[described]], "session_hash": "other", "component_id": 1, "fn_name": "ls", "event_id": "EVENT"}
    for path in (f"{API}{route}", f"{API}{route}/", f"/page/{route}"):
        assert client.post(path, json=body).status_code == 404
        assert client.post(path, files={"files": ("a.txt", b"x")}).status_code == 404


def test_no_file_of_the_host_is_served(running, secret):
    client, _, folder = running
    (secret.parent / "drawing.svg").write_text("<svg>7351</svg>")
    (folder / "cache" / "other").mkdir(parents=True, exist_ok=True)
    (folder / "cache" / "other" / "upload.txt").write_text("another user's upload")
    places = [secret, secret.parent / "drawing.svg", folder / "cache" / "other" / "upload.txt", folder / "lease.md"]
    for dependency in dependencies(client):  # a drawing that was named once was served from then on
        join(client, dependency, [{"path": str(places[1]), "meta": META}, *harmless(dependency)[1:]])
    for place in places:
        for path in (f"{API}/file={place}", f"{API}/file/{place}", f"{API}/proxy=file://{place}",
                     f"/page/static/../../../../../../../..{place}", f"/page/assets/..%2f..%2f..%2f..%2f..{place}",
                     f"{API}/custom_component/x/client/../..{place}", f"/page/svelte/../../..{place}",
                     f"/page/static/%2e%2e/%2e%2e{place}", f"/page/?deep_link=../{place}"):  # fmt: skip
            answer = client.get("/page/", extensions={"target": path.encode()})  # as it stands: dots stay in it
            assert "7351" not in answer.text, path
            assert "another user" not in answer.text, path
            assert answer.status_code in (400, 403, 404) or "deep_link" in path, (path, answer.status_code)


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/a.txt", "http://localhost/a.txt"])
def test_no_event_has_the_server_fetch_an_address(running, address):
    client, *_ = running
    for dependency in dependencies(client):
        for data in ([{"path": address, "meta": META}], [{"path": "a", "url": address, "meta": META}]):
            assert join(client, dependency, data + harmless(dependency)[1:])[0] == 400


def test_no_control_of_the_page_is_one_that_takes_files(running):
    """Files come by /page/uploads, where the server itself names where they go."""
    client, *_ = running
    kinds = {component["type"] for component in client.get("/page/config").json()["components"]}
    assert kinds <= {"html", "row", "column", "textbox", "button", "dropdown", "radio", "slider", "state", "form"}
    names = [d["api_name"] for d in dependencies(client)]
    assert "upload" not in names


def test_a_file_is_added_and_removed_without_touching_another(running, secret):
    client, app, folder = running
    headers = {"Authorization": f"Bearer {KEY}"}
    sent = {"file": ("../../secret.txt", b"The kiosk sells ferry tickets.")}
    assert client.post("/page/uploads", files=sent).json()["id"] == "secret"
    [stored] = [about.path for about in app.state.shelf.documents() if about.name == "secret"]
    assert stored.startswith(str((folder / "uploads").resolve()))
    assert client.delete("/v1/documents/secret", headers=headers).status_code == 200
    assert list((folder / "uploads").iterdir()) == []
    assert client.post("/page/uploads", data={"file": str(secret)}).status_code == 400
    assert client.delete("/v1/documents/lease", headers=headers).status_code == 200
    assert (folder / "lease.md").exists(), "the server deleted a file that it was not sent"
    add_documents(folder / "index", [folder / "lease.md"], lambda: app.state.shelf.index.embedding, workers=0)
