"""What clients may not send: each is refused with a reason, leaves nothing on disk, and the index as it was."""

import io
import random
import zipfile

import docx
import openpyxl
import pypdfium2
import pytest
from fastapi.testclient import TestClient
from sra_pipelines import DocumentQA, read_document
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents
from sra_pipelines.readers.limits import ReadingLimits
from sra_pipelines.reading.processes import read_documents
from sra_pipelines.server import DocumentShelf, ServerSettings, create_app
from sra_pipelines.values import Document, DocumentError

from sra_rag import Engine
from sra_rag.errors import ConfigError

TEXT = "A ferry ticket costs 14 crowns."
LIMITS = ReadingLimits(max_rows=1_000, max_cells=20_000, max_characters=100_000, max_seconds=20)


@pytest.fixture(scope="module")
def served(tmp_path_factory, tiny, embedding):
    """A client that may send documents: (client, folder)."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "lease.txt").write_text("The lease of the quay ends in May.")
    add_documents(folder / "index", [folder / "lease.txt"], lambda: embedding, workers=0)
    index = StoredIndex(folder / "index", embedding)
    shelf = DocumentShelf(index, folder / "uploads", LIMITS)
    app = create_app(DocumentQA(index, Engine(tiny), context_tokens=300), ServerSettings(), shelf=shelf)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client, folder


def send(client, name, content):
    return client.post("/v1/documents", files={"file": (name, content)})


def state(served):
    client, folder = served
    uploads = folder / "uploads"
    left = sorted(uploads.rglob("*")) if uploads.exists() else []
    return (
        client.get("/v1/documents").json(),
        left,
        StoredIndex(folder / "index", client.app.state.shelf.index.embedding).revision,
    )


def pdf(pages):
    document = pypdfium2.PdfDocument.new()
    for _ in range(pages):
        document.new_page(100, 100)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def word(text=TEXT):
    document = docx.Document()
    document.add_heading("Tickets")
    document.add_paragraph(text)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def workbook(*rows, cells=()):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for place, value in cells:
        book.active[place] = value
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def with_parts(archive, **parts):
    """Add parts to an archive; a name's ``__`` is a slash, and its ``_`` a full stop."""
    out = io.BytesIO(archive)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as changed:
        for name, content in parts.items():
            changed.writestr(name.replace("__", "/").replace("_", "."), content)
    return out.getvalue()


def nested(depth):
    inner = b"end"
    for _ in range(depth):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inner.zip", inner)
        inner = out.getvalue()
    return inner


def bomb_in_a_word_file():
    """Two megabytes of zeros, packed to nothing, many times over; and the same within an archive in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(30):
            archive.writestr(f"{number}.bin", bytes(2_000_000))
    return out.getvalue()


def renamed_macro_file():
    """A DOCM as it comes from Word, but for its suffix and without the part that macros lie in."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(word())) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "[Content_Types].xml":
                main = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
                assert main in content
                content = content.replace(main, b"application/vnd.ms-word.document.macroEnabled.main+xml")
            target.writestr(name, content)
    return out.getvalue()


REFUSED = {
    "pages": ("long.pdf", lambda: pdf(10_000), "has 10,000 pages; at most 2,000 are accepted. Split it"),
    "bomb": ("bomb.docx", lambda: with_parts(word(), word__zeros_xml=bytes(60_000_000)), "times its size"),
    "large bomb": ("bomb.xlsx", lambda: with_parts(workbook(["a"]), xl__zeros_bin=bytes(150_000_000)), "150 MB"),
    "bomb in a bomb": ("b.docx", lambda: with_parts(word(), word__inner_zip=bomb_in_a_word_file()), "61 MB"),
    "nested": ("nested.docx", lambda: with_parts(word(), word__inner_zip=nested(5)), "3 deep"),
    "parts": ("parts.docx", lambda: with_parts(word(), **{f"p{i}": "" for i in range(20_001)}), "parts"),
    "macros": ("macros.docx", lambda: with_parts(word(), word__vbaProject_bin=b"x"), "contains macros"),
    "macros in excel": ("m.xlsx", lambda: with_parts(workbook(["a"]), xl__vbaProject_bin=b"x"), "contains macros"),
    "renamed macros": ("renamed.docx", renamed_macro_file, "contains macros"),
    "rows": ("rows.xlsx", lambda: workbook(*[["a"]] * 1_001), "1,001 rows"),
    "far cell": ("far.xlsx", lambda: workbook(["a"], cells=[("A1048576", 1)]), "1,048,576 rows"),
    "wide": ("wide.xlsx", lambda: workbook(cells=[(f"XFD{i}", 1) for i in range(1, 4)]), "49,152 cells"),
    "csv rows": ("rows.csv", lambda: b"a,b\n" * 1_000, "1,001 rows"),
    "csv cells": ("cells.csv", lambda: b"," * 30_000, "about 30,001 cells"),
    "text": ("long.txt", lambda: b"word " * 30_000, "149,999 characters"),
    "deep html": ("deep.html", lambda: b"<div>" * 3_000 + b"text", "nested too deeply"),
    "pdf as word": ("a.docx", lambda: pdf(1), "this is not a Word"),
    "word as excel": ("a.xlsx", word, "this is not a Excel"),
    "word as text": ("a.txt", word, "this is not a text"),
    "program as html": ("a.html", lambda: b"\x7fELF\0\0\0" * 50, "this is not a HTML"),
    "zip as word": ("a.docx", lambda: nested(1), "this is not a Word"),
    "old office": ("a.docx", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Office"),
    "half a pdf": ("half.pdf", lambda: pdf(3)[:300], "damaged"),
    "half a word file": ("half.docx", lambda: word()[:5_000], "damaged and cannot be unpacked"),
    "no text": ("blank.pdf", lambda: pdf(1), "none of the 1 page(s) contains text"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_why_it_is_refused(tmp_path, kind):
    name, make, said = REFUSED[kind]
    (tmp_path / name).write_bytes(make())
    [(_, problem, digest)] = read_documents([tmp_path / name], workers=0, limits=LIMITS)
    assert isinstance(problem, DocumentError)
    assert said in str(problem)
    assert digest == ""


def test_a_long_pdf_and_a_bomb_are_refused_and_leave_nothing(served):
    for kind in ("pages", "bomb"):
        test_every_kind_is_refused_and_leaves_nothing(served, kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", REFUSED)
def test_every_kind_is_refused_and_leaves_nothing(served, kind):
    name, make, said = REFUSED[kind]
    before = state(served)
    answer = send(served[0], name, make())
    assert answer.status_code == 422, answer.text
    message = answer.json()["error"]["message"]
    assert said in message
    assert message.startswith(f"{name}: ")
    assert str(served[1]) not in message
    assert state(served) == before


@pytest.mark.parametrize(("name", "said"), [("a.docm", "macros"), ("a.xlsm", "macros"), ("a.zip", "Send one of")])
def test_types_that_are_not_taken(served, name, said):
    before = state(served)
    answer = send(served[0], name, word())
    assert answer.status_code == 415
    assert said in answer.json()["error"]["message"]
    assert state(served) == before


@pytest.mark.slow
def test_an_encrypted_pdf_says_what_to_do(served, make_pdf):
    before = state(served)
    answer = send(served[0], "secret.pdf", make_pdf("secret.pdf", TEXT, password="x").read_bytes())
    assert answer.status_code == 422
    assert "without a password" in answer.json()["error"]["message"]
    assert state(served) == before


def test_reading_that_takes_too_long_is_ended(served, monkeypatch):
    before = state(served)
    monkeypatch.setattr(
        served[0].app.state.shelf, "limits", ReadingLimits(max_rows=10**7, max_cells=10**8, max_seconds=1)
    )
    answer = send(served[0], "slow.csv", b"Name,Value\n" + b"some words,12\n" * 2_000_000)
    assert answer.status_code == 422
    assert "took longer than 1 s" in answer.json()["error"]["message"]
    assert state(served) == before


def test_a_server_that_stops_adds_nothing(served, monkeypatch):
    before = state(served)
    monkeypatch.setattr(served[0].app.state.shelf, "_stopping", True)
    answer = send(served[0], "a.txt", TEXT.encode())
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "The upload was stopped because the server is shutting down" in answer.json()["error"]["message"]
    assert state(served) == before


@pytest.mark.slow
def test_reading_that_takes_too_much_memory_is_ended(served, monkeypatch):
    before = state(served)
    monkeypatch.setattr(served[0].app.state.shelf, "limits", ReadingLimits(max_memory_bytes=20_000_000))
    answer = send(served[0], "large.txt", b"some words\n" * 4_000_000)
    assert answer.status_code == 422
    assert "of memory" in answer.json()["error"]["message"]
    assert state(served) == before


def test_ones_own_long_pdf_is_read(tmp_path, make_pdf):
    source = pypdfium2.PdfDocument(make_pdf("one.pdf", TEXT))
    long = pypdfium2.PdfDocument.new()
    for _ in range(2_500):
        long.import_pages(source)
    long.save(tmp_path / "long.pdf")
    assert len(read_document(tmp_path / "long.pdf").pages) == 2_500


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fine.docx", "fine.xlsx", "chart.docx"])
def test_ordinary_files_pass(served, name):
    content = {
        "fine.docx": word,
        "fine.xlsx": lambda: workbook(["Ticket", "Price"], ["Ferry", 14]),
        "chart.docx": lambda: with_parts(word(), word__embeddings__sheet_xlsx=workbook(["a", 1])),
    }[name]()
    client, folder = served
    answer = send(client, name, content)
    assert answer.status_code == 201, answer.text
    assert client.delete(f"/v1/documents/{answer.json()['id']}").status_code == 200
    assert not list((folder / "uploads").iterdir())


def test_limits_that_are_not_allowed():
    with pytest.raises(ConfigError, match="max_pages=0"):
        ReadingLimits(max_pages=0)


def samples(make_pdf):
    return {
        "a.pdf": make_pdf("fuzz.pdf", TEXT, TEXT).read_bytes(),
        "a.docx": word(),
        "a.xlsx": workbook(["Ticket", "Price"], ["Ferry", 14]),
        "a.html": b"<html><body><h1>Tickets</h1><table><tr><td>Ferry<td>14</table></body></html>",
        "a.md": b"# Tickets\n\n| Ferry | 14 |\n|---|---|\n| Bus | 2 |\n",
        "a.csv": b"Ticket,Price\nFerry,14\nBus,2\n",
        "a.txt": TEXT.encode(),
    }


def damaged(content, rng):
    """Cut a file off, flip some of its bits, or turn a stretch of it into noise."""
    changed = bytearray(content)
    match rng.randrange(3):
        case 0:
            del changed[rng.randrange(1, len(changed)) :]
        case 1:
            for _ in range(rng.choice((1, 5, 50))):
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        case _:
            start = rng.randrange(len(changed))
            end = min(len(changed), start + rng.randrange(1, 200))
            changed[start:end] = rng.randbytes(end - start)
    return bytes(changed)


def fuzz(served, make_pdf, rounds, seed):
    """Send damaged files: each is taken or refused, never a failure of the server, and nothing of it stays."""
    client, folder = served
    rng = random.Random(seed)
    before = state(served)[:2]
    for name, content in samples(make_pdf).items():
        for number in range(rounds):
            answer = send(client, name, damaged(content, rng))
            assert answer.status_code in (201, 422), (name, number, answer.text)
            if answer.status_code == 201:
                client.delete(f"/v1/documents/{answer.json()['id']}")
            else:
                assert str(folder) not in answer.text
    assert state(served)[:2] == before
    assert client.get("/health").status_code == 200


def test_damaged_files_never_take_the_reader_with_them(tmp_path, make_pdf):
    rng = random.Random(1)
    paths = []
    for name, content in samples(make_pdf).items():
        for number in range(8):
            paths.append(tmp_path / f"{number}{name}")
            paths[-1].write_bytes(damaged(content, rng))
    results = {path: result for path, result, _ in read_documents(paths, workers=1, limits=LIMITS)}
    assert results.keys() == set(paths)
    assert all(isinstance(result, Document | DocumentError) for result in results.values())


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_many_damaged_files(served, make_pdf, count):
    fuzz(served, make_pdf, rounds=count(5, 2), seed=2)


@pytest.mark.parametrize(
    "body", [b"", b"--x", b"--x\r\n\r\n", b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\na\r\n--x--']
)
def test_malformed_forms(served, body):
    before = state(served)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = served[0].post("/v1/documents", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert state(served) == before
