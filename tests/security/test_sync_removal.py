"""``--sync`` removes what was deleted, and nothing because a folder is missing, mistyped, empty or not mounted."""

import json
import os
import pty
import subprocess
import sys

import pytest
from sra_pipelines.index.catalog import index_documents
from sra_pipelines.index.check import check_index
from sra_pipelines.index.removal import MissingSourceError, RemovalRefusedError
from sra_pipelines.index.writer import add_documents

from sra_rag.cli import main

NAMES = ["five", "four", "one", "three", "two"]


@pytest.fixture
def docs(tmp_path):
    """A folder of five documents."""
    folder = tmp_path / "docs"
    (folder / "deep").mkdir(parents=True)
    for name in NAMES:
        place = folder / "deep" if name == "five" else folder
        (place / f"{name}.txt").write_text(f"The number of this document is {name}.")
    return folder


@pytest.fixture
def index(tmp_path, docs, word_embedding):
    """An index of them, by its folder."""
    folder = tmp_path / "index"
    add_documents(folder, [docs], lambda: word_embedding, workers=0)
    return folder


@pytest.fixture
def sync(index, word_embedding):
    """Synchronize folders from Python."""

    def run(*paths, **options):
        return add_documents(index, paths, lambda: word_embedding, workers=0, sync=True, **options)

    return run


@pytest.fixture
def command(index, capsys, monkeypatch):
    """Synchronize folders by the command line, without a terminal: (exit code, output, errors)."""

    def run(*arguments):
        given = ["sra-rag", "index", "add", *map(str, arguments), "--to", str(index), "--sync", "--workers", "0"]
        monkeypatch.setattr(sys, "argv", given)
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


def state(index):
    """Return what the index holds and its revision, once it is seen to be whole."""
    report = check_index(index)
    assert report.problems == ()
    return sorted(about.name for about in index_documents(index)), report.revision


def empty(folder):
    for path in folder.rglob("*.txt"):
        path.unlink()


def missing(docs):
    docs.rename(docs.with_name("docs.away"))
    return docs


def mistyped(docs):
    return docs.with_name("dosc")


def below_a_file(docs):
    return docs / "one.txt" / "deep"


def broken_link(docs):
    docs.rename(docs.with_name("docs.away"))
    docs.symlink_to(docs.with_name("nowhere"))
    return docs


def missing_file(docs):
    (docs / "one.txt").unlink()
    return docs / "one.txt"


SOURCES = [missing, mistyped, below_a_file, broken_link, missing_file]


@pytest.mark.parametrize("make", SOURCES)
@pytest.mark.parametrize("allow", [False, True])
def test_a_missing_source_removes_nothing_and_fails(sync, index, docs, tmp_path, make, allow):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "new.txt").write_text("Something new.")
    source = make(docs)
    with pytest.raises(MissingSourceError, match=r"cannot be read.*nothing was changed") as raised:
        sync(tmp_path / "other", source, allow_removal=allow)
    assert str(source) in str(raised.value)
    assert isinstance(raised.value, FileNotFoundError)
    assert state(index) == (NAMES, 1)


@pytest.mark.parametrize("make", SOURCES)
def test_the_command_fails_on_a_missing_source(command, index, docs, make):
    source = make(docs)
    for more in ((), ("--allow-removal",), ("--json",)):
        code, out, errors = command(source, *more)
        assert (code, out) == (2, "")
        assert errors.count("sra-rag:") == 1
        assert str(source) in errors.replace("\n", "")
    assert state(index) == (NAMES, 1)


def test_a_missing_source_makes_no_index(tmp_path, word_embedding):
    with pytest.raises(MissingSourceError):
        add_documents(tmp_path / "new", [tmp_path / "dosc"], lambda: word_embedding, workers=0, sync=True)
    assert not (tmp_path / "new").exists()


def test_an_empty_source_needs_to_be_allowed_and_names_the_count(sync, index, docs):
    empty(docs)
    with pytest.raises(RemovalRefusedError, match=r"5 of the 5 documents.*--allow-removal") as raised:
        sync(docs)
    [source] = raised.value.sources
    assert (source.path, list(source.gone), source.n_documents) == (docs.resolve(), NAMES, 5)
    assert state(index) == (NAMES, 1)
    assert sync(docs, allow_removal=True).removed == NAMES
    assert state(index) == ([], 2)


@pytest.mark.parametrize(("gone", "refused"), [(1, False), (2, False), (3, True), (4, True), (5, True)])
def test_more_than_half_is_most(sync, index, docs, gone, refused):
    for path in sorted(docs.rglob("*.txt"))[:gone]:
        path.unlink()
    if refused:
        with pytest.raises(RemovalRefusedError, match=f"{gone} of the 5 documents"):
            sync(docs)
        assert state(index) == (NAMES, 1)
    else:
        assert len(sync(docs).removed) == gone
        assert len(state(index)[0]) == 5 - gone


def test_the_half_is_that_of_each_source(sync, index, docs, tmp_path):
    """A large folder does not hide a small one that is not mounted."""
    small = tmp_path / "small"
    small.mkdir()
    (small / "six.txt").write_text("The number of this document is six.")
    sync(docs, small)
    (small / "six.txt").unlink()
    with pytest.raises(RemovalRefusedError, match="1 of the 1 documents") as raised:
        sync(docs, small)
    assert [source.path for source in raised.value.sources] == [small.resolve()]
    assert "six" in state(index)[0]
    assert sync(docs).removed == []  # not asked for


def test_a_refusal_reads_and_adds_nothing(sync, index, docs):
    empty(docs)
    (docs / "new.txt").write_text("Something new.")
    with pytest.raises(RemovalRefusedError):
        sync(docs)
    assert state(index) == (NAMES, 1)
    assert check_index(index).n_prepared == 0
    report = sync(docs, allow_removal=True)
    assert (report.removed, report.added) == (NAMES, ["new"])


def test_a_function_decides_on_what_it_is_shown(sync, index, docs):
    empty(docs)
    shown = []
    with pytest.raises(RemovalRefusedError):
        sync(docs, allow_removal=lambda sources: shown.append(sources))
    assert [list(source.gone) for [source] in shown] == [NAMES]
    assert state(index) == (NAMES, 1)
    assert sync(docs, allow_removal=lambda sources: len(sources) == 1).removed == NAMES


def test_files_that_moved_are_not_gone(sync, index, docs, tmp_path):
    docs.rename(tmp_path / "elsewhere")
    docs.mkdir()
    report = sync(docs, tmp_path / "elsewhere")
    assert (report.moved, report.removed) == (NAMES, [])
    assert state(index)[0] == NAMES


def test_without_sync_nothing_is_removed_and_nothing_asked(index, docs, word_embedding):
    empty(docs)
    assert add_documents(index, [docs], lambda: word_embedding, workers=0).removed == []
    report = add_documents(index, [docs / "dosc"], lambda: word_embedding, workers=0)
    assert list(report.failed) == [str(docs / "dosc")]
    assert state(index) == (NAMES, 1)


def linked_documents(docs, tmp_path):
    """Put two documents beside the folder, and links to them into it."""
    archive = tmp_path / "archive"
    archive.mkdir()
    for name in ("six", "seven"):
        (archive / f"{name}.txt").write_text(f"The number of this document is {name}.")
        (docs / f"{name}.txt").symlink_to(archive / f"{name}.txt")
    return archive


def test_a_link_whose_target_is_gone_is_removed(sync, index, docs, tmp_path):
    archive = linked_documents(docs, tmp_path)
    assert sync(docs).added == ["seven", "six"]
    assert sync(docs).removed == []
    (archive / "six.txt").unlink()
    report = sync(docs)
    assert (report.removed, report.failed) == (["six"], {})
    assert state(index)[0] == sorted([*NAMES, "seven"])
    (docs / "circle.txt").symlink_to(docs / "circle.txt")
    assert sync(docs).removed == []


def test_links_into_a_folder_that_is_not_mounted_are_most_of_what_is_gone(sync, index, docs, tmp_path):
    archive = linked_documents(docs, tmp_path)
    sync(docs)
    for name in NAMES[:3]:
        next(docs.rglob(f"{name}.txt")).unlink()
    archive.rename(tmp_path / "archive.away")
    with pytest.raises(RemovalRefusedError, match="5 of the 7 documents"):
        sync(docs)
    assert len(state(index)[0]) == 7


def test_the_command_needs_the_option_where_nobody_can_be_asked(command, index, docs):
    empty(docs)
    for more in ((), ("--json",)):
        code, out, errors = command(docs, *more)
        assert (code, out) == (2, "")
        assert "5 of the 5 documents" in errors.replace("\n", " ")
        assert "--allow-removal" in errors
        assert state(index) == (NAMES, 1)
    code, out, _ = command(docs, "--allow-removal", "--json")
    assert (code, json.loads(out)["removed"]) == (0, NAMES)
    assert state(index) == ([], 2)


@pytest.mark.parametrize(("answer", "left"), [("n", NAMES), ("", NAMES), ("y", [])])
def test_on_a_terminal_it_asks_and_names_the_count(index, docs, answer, left):
    empty(docs)
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "sra_rag.cli", "index", "add", str(docs), "--to", str(index), "--sync"],
        stdin=follower, stdout=subprocess.PIPE, stderr=follower, text=True,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(leader, 4096)
    assert b"5 of the 5 documents" in shown
    assert b"Remove 5 documents from the index?" in shown
    assert state(index) == (NAMES, 1)
    os.write(leader, f"{answer}\n".encode())
    out, _ = process.communicate(timeout=60)
    os.close(leader)
    assert process.returncode == (0 if left == [] else 2)
    assert ("removed: five" in out) == (left == [])
    assert state(index)[0] == left


def test_the_help_says_what_is_refused(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["sra-rag", "index", "add", "--help"])
    with pytest.raises(SystemExit):
        main()
    said = " ".join(capsys.readouterr().out.split())
    assert "--allow-removal" in said
    assert "more than half" in said
    assert "A missing folder is an error, and nothing is removed" in said
