"""A file name that is not UTF-8 stops nothing: the file is read, and its name escaped wherever it is shown."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
import xlwt
from fpdf import FPDF
from sra_pipelines import DocumentQA
from sra_pipelines.file_names import printable, visible, visible_name
from sra_pipelines.index.catalog import index_documents
from sra_pipelines.index.check import check_index
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents, remove_documents
from sra_pipelines.readers import FORMATS, read_document
from sra_pipelines.reading.finding import document_names
from sra_pipelines.values import DocumentError

from sra_rag import Engine, SamplingOptions
from sra_rag.cli import main

FACT = "The lease of the warehouse costs 82400 crowns a year."
RAW = os.fsdecode(b"caf\xe9")  # Latin-1
SHOWN = "caf\\xe9"


def write(path, text=FACT):
    """Write a real file of the format that its suffix names."""
    suffix = path.suffix
    plain = path.with_name(f"plain{suffix}")
    if suffix == ".pdf":
        pdf = FPDF()
        pdf.set_font("Helvetica", size=12)
        pdf.add_page()
        pdf.multi_cell(0, 6, text)
        pdf.output(str(plain))
    elif suffix == ".docx":
        document = docx.Document()
        document.add_paragraph(text)
        document.save(str(plain))
    elif suffix == ".xlsx":
        book = openpyxl.Workbook()
        book.active.append([text])
        book.save(plain)
    elif suffix == ".pptx":
        slides = pptx.Presentation()
        slides.slides.add_slide(slides.slide_layouts[5]).shapes.title.text = text
        slides.save(str(plain))
    elif suffix == ".xls":
        book = xlwt.Workbook()
        book.add_sheet("Lease").write(0, 0, text)
        book.save(str(plain))
    elif suffix == ".eml":
        plain.write_text(f"From: a@example.org\nSubject: Lease\n\n{text}\n")
    else:
        plain.write_text(text)
    plain.rename(path)
    return path


@pytest.fixture
def docs(tmp_path):
    """A folder with a document of a usual name, and two more whose folder's or own name is not UTF-8."""
    folder = tmp_path / "docs"
    try:
        (folder / RAW).mkdir(parents=True)
    except OSError:
        pytest.skip("this file system accepts only names that are UTF-8")
    write(folder / "lease.txt")
    write(folder / f"{RAW}.md", "# Ferry\n\nThe ferry leaves at noon.")
    write(folder / RAW / "kiosk.txt", "Tickets are sold at the kiosk.")
    return folder


@pytest.fixture
def add(tmp_path, docs, word_embedding):
    """Index the folder: returns the report."""

    def run(*paths, **options):
        return add_documents(
            tmp_path / "index", paths or [docs], lambda: word_embedding, **{"workers": 0, "sync": True} | options
        )

    return run


@pytest.fixture
def command(capfd, monkeypatch):
    """Run the command line with output that refuses what is not UTF-8: (exit code, output, errors)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["sra-rag", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdout", open(os.dup(1), "w", encoding="utf-8"))  # noqa: SIM115 - closed below
        with sys.stdout, pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capfd.readouterr()

    return run


# One suffix for each reader, except those whose files `write` cannot make.
READERS = {known.module: suffix for suffix, known in reversed(FORMATS.items()) if suffix not in (".doc", ".ppt")}
OTHERS = ("opendocument", "web.epub", "scans")
WRITTEN = sorted(suffix for module, suffix in READERS.items() if not module.startswith(OTHERS))


@pytest.mark.parametrize("suffix", WRITTEN)
def test_every_format_is_read(tmp_path, docs, suffix):
    document = read_document(write(docs / f"{RAW} 2{suffix}"))
    assert "82400" in document.pages[0].text
    assert document.name == f"{SHOWN} 2"
    assert document.path.is_file()


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_add_sync_move_and_remove(tmp_path, docs, add, workers):
    index = tmp_path / "index"
    report = add(workers=workers)
    assert (report.failed, report.added) == ({}, [SHOWN, "kiosk", "lease"])
    by_name = {about.name: about.path for about in index_documents(index)}
    assert Path(by_name[SHOWN]) == docs / f"{RAW}.md"  # the path itself is kept whole
    assert check_index(index).problems == ()
    assert add(workers=workers).unchanged == 3

    (docs / f"{RAW}.md").write_text("The ferry leaves at one.")
    assert add(workers=workers).changed == [SHOWN]
    (docs / f"{RAW}.md").rename(docs / RAW / f"{RAW}.md")
    assert add(workers=workers).moved == [SHOWN]
    assert {about.path for about in index_documents(index)} == {
        str(docs / "lease.txt"), str(docs / RAW / f"{RAW}.md"), str(docs / RAW / "kiosk.txt"),
    }  # fmt: skip
    (docs / RAW / "kiosk.txt").unlink()
    assert add(workers=workers).removed == ["kiosk"]
    assert [about.name for about in remove_documents(index, [str(docs / RAW / f"{RAW}.md")])] == [SHOWN]
    assert [about.name for about in index_documents(index)] == ["lease"]
    assert check_index(index).problems == ()


def test_an_interrupted_add_goes_on_with_such_a_name(tmp_path, docs, add):
    class InterruptedAddError(Exception):
        """Raised in the middle of an add."""

    def interrupt(what, done, total):
        if what.startswith("indexing") and done == total:
            raise InterruptedAddError

    with pytest.raises(InterruptedAddError):
        add(on_progress=interrupt)
    assert index_documents(tmp_path / "index") == []
    assert add().resumed >= 2


def test_names_that_are_escaped_alike_stay_apart(tmp_path, docs, add):
    write(docs / f"{SHOWN}.md", "The tower is 40 m high.")  # a backslash, an x, an e and a 9
    assert len(set(document_names([docs / f"{RAW}.md", docs / f"{SHOWN}.md"]))) == 2
    report = add()
    assert (report.failed, len(report.added)) == ({}, 4)
    assert len({printable(about.path) for about in index_documents(tmp_path / "index")}) == 3
    assert len({about.path for about in index_documents(tmp_path / "index")}) == 4
    assert add().unchanged == 4


def test_what_cannot_be_read_is_reported_by_an_escaped_name(tmp_path, docs, add, command):
    (docs / f"{RAW} torn.pdf").write_bytes(b"%PDF-1.7 torn")
    (docs / f"{RAW} empty.txt").touch()
    (docs / f"photo.{RAW}").touch()
    shutil.copy(docs / f"{RAW}.md", docs / f"{RAW} copy.md")
    report = add()
    assert len(report.added) == 3
    assert len(report.duplicates) == 1
    assert len(report.failed) == 2
    for as_json in ((), ("--json",)):
        code, output, errors = command(
            "index", "add", docs, "--to", tmp_path / "new", "--embedding", "embedded", "--workers", 0, *as_json
        )
        assert code == 2
        assert "Traceback" not in errors
        if as_json:
            values = json.loads(output)
            assert {Path(path).name for path in values["failed"]} == {f"{SHOWN} torn.pdf", f"{SHOWN} empty.txt"}
            assert all(path in reason for path, reason in values["failed"].items())
            assert {Path(path).name for path in values["duplicates"]} < {f"{SHOWN}.md", f"{SHOWN} copy.md"}
            assert values["other_types"] == {f".{SHOWN}": 1}
        else:
            assert f"{SHOWN} torn.pdf: the file is damaged" in errors
            assert f"{SHOWN} empty.txt: the file is empty" in errors
            assert f".{SHOWN} 1" in errors
            assert "identical to" in errors


def test_list_in_both_forms(tmp_path, docs, add, command):
    add()
    code, output, _ = command("index", "list", tmp_path / "index")
    assert code == 0
    assert f"{docs}/{SHOWN}.md\n" in output
    code, output, _ = command("index", "list", tmp_path / "index", "--json")
    assert [about["path"] for about in json.loads(output)["documents"]] == [
        f"{docs}/{SHOWN}.md", f"{docs}/{SHOWN}/kiosk.txt", f"{docs}/lease.txt",
    ]  # fmt: skip
    code, output, _ = command("index", "remove", SHOWN, "--from", tmp_path / "index")
    assert (code, output) == (0, f"removed {SHOWN} (1 page)\n")


def test_an_index_in_such_a_folder(tmp_path, docs, word_embedding, command):
    index = tmp_path / f"{RAW} index"
    add_documents(index, [docs], lambda: word_embedding, workers=0)
    assert StoredIndex(index, word_embedding).n_passages == 3
    assert command("index", "list", index)[0] == 0
    assert command("index", "check", index)[0] == 0


def test_answers_name_the_document(docs, word_embedding, embedded):
    documents = [read_document(path) for path in sorted(docs.rglob("*.*"))]
    index = DocumentIndex(documents, word_embedding)
    qa = DocumentQA(index, Engine(embedded, options=SamplingOptions(max_new_tokens=8)), context_tokens=200)
    found = qa.retrieve("When does the ferry leave?")
    assert SHOWN in {passage.document for passage in found.passages}
    [answer] = qa.compare(found, [None])
    assert SHOWN in {passage.document for passage in answer.passages}


@pytest.mark.slow
def test_ask_and_add_in_processes_of_their_own(tmp_path, docs):
    (docs / f"{RAW} torn.pdf").write_bytes(b"%PDF-1.7 torn")

    def run(*arguments):
        command = [sys.executable, "-m", "sra_rag.cli", *map(str, arguments)]
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
        done = subprocess.run(command, capture_output=True, env=environment, timeout=280, check=False)
        assert done.returncode == 2, done.stderr
        assert b"Traceback" not in done.stderr
        return done.stdout.decode()  # fails on anything but UTF-8

    run("index", "add", docs, "--to", tmp_path / "index", "--sync")
    assert {about.name for about in index_documents(tmp_path / "index")} == {SHOWN, "kiosk", "lease"}
    asked = ("ask", "When does the ferry leave?", docs, "--max-new-tokens", 4)
    run(*asked)
    values = json.loads(run(*asked, "--json"))
    assert {about["name"] for about in values["documents"]} == {SHOWN, "kiosk", "lease"}
    assert f"{SHOWN} torn.pdf" in values["problems"][0]


def test_messages_stay_lossless_in_python(docs):
    """Only output is escaped: who catches the error can open the file."""
    with pytest.raises(DocumentError) as caught:
        read_document(docs / f"{RAW} none.pdf")
    assert str(docs / f"{RAW} none.pdf") in str(caught.value)


def test_printable_text():
    assert printable("Größe 北 🚢 \n") == "Größe 北 🚢 \n"
    assert printable(os.fsdecode(bytes(range(128, 256)))) == "".join(f"\\x{byte:02x}" for byte in range(128, 256))
    assert printable("\ud83d|\udfff|\udd00") == "\\ud83d|\\udfff|\\udd00"


CONTROLS = "\x1b[31mred\x1b[0m\x07\x9b2J\u202egnp.exe\r"


def test_control_characters_are_escaped_where_names_are_shown(tmp_path, word_embedding, capsys, monkeypatch):
    assert visible_name(f"a\tb\nc{CONTROLS}") == (
        r"a\x09b\x0ac\x1b[31mred\x1b[0m\x07\x9b2J\u202egnp.exe\x0d"
    )  # fmt: skip
    assert visible("Größe\t北 🚢\n") == "Größe\t北 🚢\n"
    path = tmp_path / f"{CONTROLS}\n.txt"
    path.write_text(FACT)
    add_documents(tmp_path / "index", [path], lambda: word_embedding, workers=0)
    assert index_documents(tmp_path / "index")[0].name == visible_name(path.stem)
    for arguments in (["index", "list", str(tmp_path / "index")], ["index", "check", str(tmp_path / f"{CONTROLS}")]):
        monkeypatch.setattr(sys, "argv", ["sra-rag", *arguments])
        with pytest.raises(SystemExit):
            main()
        shown = "".join(capsys.readouterr())
        assert "red" in shown
        assert not set("\x1b\x07\x9b\u202e\r") & set(shown)
