"""``sra-rag index`` as a user runs it: a process, its output and its exit code."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest

from sra_rag.cli import main

COMMAND = [sys.executable, "-m", "sra_rag.cli"]


def run_process(*arguments):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=250, check=False)


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the command line in this process: the imports of a new one take long."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["sra-rag", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return subprocess.CompletedProcess(arguments, ended.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture
def folder(tmp_path, make_pdf):
    docs = tmp_path / "docs"
    docs.mkdir()
    make_pdf("lease.pdf", "The lease costs 82,400 crowns a year.", None).rename(docs / "lease.pdf")
    (docs / "notes.md").write_text("# Ferry\n\nTickets are sold at the kiosk.")
    (docs / "film.mp4").write_bytes(b"x")
    return docs


def test_a_renamed_file_is_named_as_one_whose_document_stays(folder, tmp_path, run):
    index = tmp_path / "index"
    added = run("index", "add", folder, "--to", index)
    assert "per page" not in added.stdout  # of three pages nearly all is the time to load the embedding model
    (folder / "notes.md").rename(folder / "ferry.md")
    done = run("index", "add", folder, "--to", index)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "added: ferry")
    assert "note: the files of notes no longer exist" in done.stderr
    assert "--sync" in done.stderr
    synchronized = run("index", "add", folder, "--to", index, "--sync")
    assert "removed: notes" in synchronized.stdout
    assert "no longer exist" not in synchronized.stderr


@pytest.mark.slow
def test_add_list_check_remove(folder, tmp_path, run):
    index = tmp_path / "index"
    (folder / "torn.pdf").write_bytes(b"%PDF-1.7 torn")
    done = run_process("index", "add", folder, "--to", index)
    assert done.returncode == 2, done.stderr
    assert "added: lease, notes" in done.stdout
    assert "2 added, 0 changed, 0 removed, 0 unchanged, 1 failed; 3 pages" in done.stdout
    errors = [line for line in done.stderr.splitlines() if line.startswith("sra-rag:")]
    assert len(errors) == 1
    assert f"{folder}/torn.pdf" in errors[0]
    assert "no text in lease: 1 page (2)" in done.stderr
    assert "skipped: 1 file of unsupported types (.mp4 1)" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr

    listed = json.loads(run("index", "list", index, "--json").stdout)
    assert listed["revision"] == 1
    assert listed["embedding"] == {"name": "embedded", "dimension": 384}
    assert [(d["name"], d["n_pages"]) for d in listed["documents"]] == [("lease", 2), ("notes", 1)]

    answered = run("ask", "How many crowns does the lease cost?", "--index", index, "--json", "--max-new-tokens", 20)
    assert answered.returncode == 0
    result = json.loads(answered.stdout)
    assert "82,400" in result["answers"][0]["text"]
    assert [(d["name"], d["pages_without_text"]) for d in result["documents"]] == [("lease", ["2"]), ("notes", [])]
    for arguments, said in (
        (("ask", "Why?"), "No documents are given"),
        (("ask", "Why?", folder, "--index", index), "not both"),
    ):
        refused = run(*arguments)
        assert refused.returncode == 2
        assert said in refused.stderr

    removed = run("index", "remove", "notes", "--from", index)
    assert (removed.returncode, removed.stdout) == (0, "removed notes (1 page)\n")
    unknown = run("index", "remove", "notes", "--from", index)
    assert unknown.returncode == 2
    assert unknown.stderr.count("sra-rag:") == 1
    assert "there is no document 'notes'" in unknown.stderr
    checked = run("index", "check", index)
    assert (checked.returncode, checked.stdout) == (0, "revision 2: 1 document, 2 pages, 1 passage: intact\n")


def test_bad_arguments(tmp_path, run):
    (tmp_path / "a.txt").write_text("Rent is due.")
    for arguments, says in (
        (("list", tmp_path / "none"), "there is no index"),
        (("check", tmp_path / "none"), "there is no index"),
        (("add", tmp_path / "a.txt", "--to", tmp_path / "index", "--embedding", "/no/such"), "could not be loaded"),
    ):
        done = run("index", *arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert says in done.stderr
        assert "Traceback" not in done.stderr


def test_an_index_is_not_created_for_paths_that_do_not_exist(tmp_path, run):
    done = run("index", "add", tmp_path / "contarcts", "--to", tmp_path / "index")
    assert (done.returncode, done.stdout) == (2, "")
    assert "contarcts: there is no such file or folder. Check the path. No index was created.\n" in done.stderr
    assert not (tmp_path / "index").exists()


def test_a_web_address_is_no_folder(folder, tmp_path, run):
    step = "Documents are not downloaded: save the page or file, and give the path of the copy."
    refused = run("index", "add", "https://example.com/reports", "--to", tmp_path / "index")
    assert (refused.returncode, refused.stderr.count(step)) == (2, 1)
    partly = run("index", "add", folder, "https://example.com/reports", "--to", tmp_path / "index")
    assert (partly.returncode, partly.stderr.count(step)) == (2, 1)
    assert "2 added" in partly.stdout


def test_an_index_that_cannot_be_written_costs_one_line(folder, run):
    done = run("index", "add", folder, "--to", "/proc/no.index")
    assert done.returncode == 2
    assert done.stderr.endswith("sra-rag: /proc/no.index: No such file or directory.\n")


def test_an_index_without_documents_says_so(tmp_path, run):
    (tmp_path / "empty").mkdir()
    done = run("index", "add", tmp_path / "empty", "--to", tmp_path / "index")
    assert "no documents were found. Documents are PDF" in done.stderr
    for arguments in (("ask", "Why?", "--index"), ("chat",)):
        done = run(*arguments, tmp_path / "index")
        assert (done.returncode, done.stdout) == (2, "")
        assert f"the index has no documents. Add some: sra-rag index add FOLDER --to {tmp_path}/index" in done.stderr


def many(folder):
    for i in range(60):
        (folder / f"many{i:02}.txt").write_text(f"Number {i}.\n" + f"Line of text number {i} and more words.\n" * 400)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("how", [["--workers", "2"], ["--ray", "--workers", "1"]], ids=["processes", "ray"])
def test_ctrl_c_stops_cleanly_and_the_next_run_goes_on(folder, tmp_path, run, how):
    """In a terminal, where Ctrl-C reaches the workers too."""
    many(folder)
    index = tmp_path / "index"
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "index", "add", str(folder), "--to", str(index), *how],
        stdin=follower, stdout=subprocess.PIPE, stderr=follower, text=True, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        shown += os.read(leader, 4096)
        percents = re.findall(rb"indexing[^%]*?(\d+)%", shown)
        if percents and int(percents[-1]) >= 10:  # some documents are prepared, and most are not
            break
    os.killpg(process.pid, signal.SIGINT)
    pressed = time.monotonic()
    try:
        while True:
            shown += os.read(leader, 4096)
    except OSError:  # the other end is closed
        pass
    process.wait(timeout=30)
    assert time.monotonic() - pressed < 20
    assert process.returncode == 130, shown.decode()
    assert b"Traceback" not in shown
    assert b"interrupted" in shown
    assert b"left:" in shown
    done = run("index", "check", index)
    assert done.returncode == 0
    assert "prepared by an interrupted 'index add'" in done.stdout
    done = run("index", "add", folder, "--to", index)
    assert done.returncode == 0, done.stderr
    assert "prepared by an earlier run" in done.stdout
    assert json.loads(run("index", "list", index, "--json").stdout)["revision"] == 1
