"""Documents added, listed and removed while the server answers."""

import pytest
from fastapi.testclient import TestClient
from sra_pipelines import DocumentQA
from sra_pipelines.index.lock import writer_lock
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents
from sra_pipelines.server import DocumentShelf, ServerSettings, create_app
from sra_pipelines.server.api.document_shelf import safe_name

from sra_rag import Engine, SamplingOptions

ASK = {"model": "sra-rag", "messages": [{"role": "user", "content": "What does the ferry ticket cost?"}]}


@pytest.fixture
def client(tmp_path, make_pdf, embedded, embedding):
    folder = tmp_path / "index"
    add_documents(folder, [make_pdf("lease.pdf", "The lease of the quay ends in May.")], lambda: embedding, workers=0)
    index = StoredIndex(folder, embedding)
    qa = DocumentQA(index, Engine(embedded, options=SamplingOptions(max_new_tokens=16)), context_tokens=300)
    app = create_app(qa, ServerSettings(max_upload_bytes=100_000), shelf=DocumentShelf(index, tmp_path / "uploads"))
    return TestClient(app, base_url="http://127.0.0.1")


def names(client):
    return [document["id"] for document in client.get("/v1/documents").json()["data"]]


def send(client, name, content):
    return client.post("/v1/documents", files={"file": (name, content)})


def test_a_document_comes_is_cited_and_goes(client, tmp_path):
    assert names(client) == ["lease"]
    sent = send(client, "../../ferry tickets.md", b"# Tickets\n\nA ferry ticket costs 14 crowns.")
    assert sent.status_code == 201, sent.text
    assert sent.json()["id"] == "ferry tickets"
    assert names(client) == ["ferry tickets", "lease"]
    assert client.post("/v1/chat/completions", json=ASK).json()["citations"][0]["document"] == "ferry tickets"
    [stored] = (tmp_path / "uploads").rglob("*.md")
    assert stored.parent.parent == tmp_path / "uploads"
    assert client.delete("/v1/documents/ferry tickets").json()["deleted"]
    assert names(client) == ["lease"]
    assert not stored.exists()
    assert client.delete("/v1/documents/ferry tickets").status_code == 404


@pytest.mark.slow
def test_the_same_file_again_is_kept_once(client, tmp_path):
    for _ in range(2):
        assert send(client, "t.txt", b"A ferry ticket costs 14 crowns.").json()["id"] == "t"
    assert len(list((tmp_path / "uploads").rglob("*.txt"))) == 1


@pytest.mark.parametrize(
    ("name", "content", "status", "said"),
    [
        ("virus.exe", b"MZ", 415, "Send one of"),
        ("noname", b"text", 415, "Send one of"),
        ("broken.pdf", b"%PDF-1.7 and nothing", 422, "broken.pdf"),
        ("fake.pdf", b"just text", 422, "fake.pdf"),
        ("empty.txt", b"", 422, "empty.txt"),
        ("large.txt", b"x" * 200_000, 413, "larger than"),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_added_is_refused_with_a_reason(client, tmp_path, name, content, status, said):
    answer = send(client, name, content)
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]
    assert str(tmp_path) not in answer.text
    assert names(client) == ["lease"]
    assert not list((tmp_path / "uploads").rglob("*.*"))


def test_another_writer_is_named(client, tmp_path):
    with writer_lock(tmp_path / "index"):
        answer = send(client, "t.txt", b"A ferry ticket costs 14 crowns.")
    assert answer.status_code == 409
    assert "pid" in answer.json()["error"]["message"].lower() or "process" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\temp\\Jahresbericht Übersicht.PDF", "Jahresbericht Übersicht.PDF"),
        ("a\x00b\n.md", "a_b_.md"),
        (".pdf", "document.pdf"),
        ("..", "__"),
        ("", "document"),
        ("x" * 300 + ".md", "x" * 80 + ".md"),
    ],
)
def test_names_of_clients(given, kept):
    assert safe_name(given) == kept
