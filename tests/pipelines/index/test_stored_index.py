"""An index on disk: what it takes in, what it gives back, who may change it, and what a check finds."""

import gc
import multiprocessing
import shutil
import threading
from itertools import chain
from pathlib import Path

import pytest
from sra_pipelines.index import stored_index
from sra_pipelines.index.catalog import index_documents
from sra_pipelines.index.check import check_index
from sra_pipelines.index.embedding_identity import EmbeddingMismatchError
from sra_pipelines.index.lock import IndexLockedError, writer_lock
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.index.removal import MissingSourceError
from sra_pipelines.index.schema import DATABASE, StoreError
from sra_pipelines.index.stored_document import StoredDocument
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents, remove_documents
from sra_pipelines.readers import read_document

from tests.pipelines.index.database_rows import change

LEASE = "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year.\n" * 30
FERRY = "Ferry tickets are sold at the kiosk beside the old lighthouse.\n"


@pytest.fixture
def folder(tmp_path):
    docs = tmp_path / "docs"
    (docs / "deep").mkdir(parents=True)
    (docs / "lease.md").write_text(f"# Lease\n\n{LEASE}")
    (docs / "deep" / "ferry.txt").write_text(FERRY)
    return docs


@pytest.fixture
def add(tmp_path, folder, word_embedding):
    def run(*paths, embedding=word_embedding, **options):
        return add_documents(tmp_path / "index", paths or [folder], lambda: embedding, workers=0, **options)

    return run


@pytest.fixture
def index(tmp_path):
    return tmp_path / "index"


def names(index):
    return [about.name for about in index_documents(index)]


def whole(index):
    return check_index(index).problems == ()


def test_what_goes_in_comes_out(add, index, folder, word_embedding):
    report = add()
    assert report.added == ["ferry", "lease"]
    assert (report.revision, report.n_pages, report.failed) == (1, 2, {})
    stored = StoredIndex(index, word_embedding)
    memory = DocumentIndex(
        [read_document(folder / "deep" / "ferry.txt"), read_document(folder / "lease.md")], word_embedding
    )
    assert list(stored.passages()) == list(memory.passages())
    assert stored.n_passages == memory.n_passages == report.n_passages > 2
    for question in ("Where are ferry tickets sold?", "How many crowns a year?"):
        found, expected = stored.search(question, 5), memory.search(question, 5)
        assert [(p.key, p.section) for p in found] == [(p.key, p.section) for p in expected]
        assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)
        assert 0 < found[0].score <= 1.0001
    assert stored.search("ferry tickets", 1)[0].document == "ferry"
    assert stored.pages("lease")[0].text == (folder / "lease.md").read_text().strip()
    assert {p.section for p in stored.passages() if p.document == "lease"} == {"Lease"}
    assert len(stored.search("x", 10_000)) == stored.n_passages
    assert stored.search("x", 0) == []
    assert whole(index)


def test_the_real_model(index, folder, embedding):
    add_documents(index, [folder], lambda: embedding, workers=0)
    best = StoredIndex(index, embedding).search("Where can I buy a boat ticket?", 1)[0]
    assert best.document == "ferry"
    assert whole(index)


def test_only_what_is_new_or_changed_is_read(add, index, folder):
    add()
    before = {about.name: about.read_at for about in index_documents(index)}
    again = add_documents(index, [folder], lambda: pytest.fail("no model is needed"), workers=0)
    assert (again.revision, again.unchanged, again.added, again.n_pages) == (1, 2, [], 0)
    assert {about.name: about.read_at for about in index_documents(index)} == before
    (folder / "deep" / "ferry.txt").write_text("No ferry runs any more.")
    (folder / "new.txt").write_text("A new file.")
    report = add()
    assert (report.changed, report.added, report.unchanged, report.revision) == (["ferry"], ["new"], 1, 2)
    assert names(index) == ["ferry", "lease", "new"]
    assert whole(index)


def test_sync_removes_what_is_gone_and_only_below_the_folder(add, index, folder, tmp_path, word_embedding):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "note.txt").write_text("A note.")
    add(folder, elsewhere)
    (folder / "deep" / "ferry.txt").unlink()
    (elsewhere / "note.txt").unlink()
    kept = add(folder)
    assert (kept.removed, kept.without_file) == ([], ["ferry"])
    report = add(folder, sync=True)
    assert (report.removed, report.without_file, report.revision) == (["ferry"], [], 2)
    assert names(index) == ["lease", "note"]
    assert all(p.document != "ferry" for p in StoredIndex(index, word_embedding).passages())
    with pytest.raises(MissingSourceError):
        add(elsewhere / "note.txt", sync=True)
    assert add(elsewhere, sync=True, allow_removal=True).removed == ["note"]
    assert whole(index)


def test_a_file_that_moved_is_not_read_again(add, index, folder):
    add()
    for sync, there in ((True, folder / "deep"), (False, folder)):
        [path] = folder.rglob("lease.md")
        path.rename(there / "lease.md")
        report = add(sync=sync)
        assert (report.moved, report.added, report.removed, report.n_pages) == (["lease"], [], [], 0)
        assert report.without_file == []
    (folder / "lease.md").rename(folder / "deep" / "lease.md")
    add()
    assert {about.path for about in index_documents(index)} == {
        str((folder / "deep" / name).resolve()) for name in ("ferry.txt", "lease.md")
    }
    assert whole(index)


def test_the_same_bytes_twice_and_the_same_name_twice(add, index, folder):
    shutil.copy(folder / "lease.md", folder / "copy.md")
    (folder / "deep" / "lease.txt").write_text("Another lease.")
    report = add()
    assert sorted(names(index)) == ["copy", "ferry", "lease"]  # found in this order: copy, deep/..., lease
    assert report.duplicates == {str(folder / "lease.md"): str(folder / "copy.md")}
    (folder / "lease.md").write_text("A third.")
    add()
    assert sorted(names(index)) == ["copy", "ferry", "lease", "lease.md"]
    assert whole(index)


def test_a_file_that_cannot_be_read_stops_no_other(add, index, folder, make_pdf):
    shutil.move(make_pdf("scan.pdf", None), folder / "scan.pdf")
    (folder / "torn.pdf").write_bytes(b"%PDF-1.7 torn")
    (folder / "film.mp4").write_bytes(b"x")
    report = add(folder, folder / "none.txt")
    assert names(index) == ["ferry", "lease"]
    assert {Path(path).name for path in report.failed} == {"scan.pdf", "torn.pdf", "none.txt"}
    assert "scanned" in report.failed[str(folder / "scan.pdf")]
    assert report.other_types == {".mp4": 1}


def test_what_cannot_be_read_any_more_stays_as_it_was(add, index, folder):
    add()
    (folder / "lease.md").write_bytes(b"\0\1\2")
    assert add(sync=True).failed
    assert names(index) == ["ferry", "lease"]
    assert whole(index)


def test_remove(add, index, folder, word_embedding):
    add()
    with pytest.raises(StoreError, match=r"no document 'ferri'.*'ferry', 'lease'"):
        remove_documents(index, ["lease", "ferri"])
    assert names(index) == ["ferry", "lease"]
    assert [about.name for about in remove_documents(index, [str(folder / "lease.md")])] == ["lease"]
    assert names(index) == ["ferry"]
    assert StoredIndex(index, word_embedding).revision == 2
    assert b"Orrin Quay" not in (index / DATABASE).read_bytes()
    assert [about.name for about in remove_documents(index, ["ferry"])] == ["ferry"]
    assert StoredIndex(index, word_embedding).search("anything", 3) == []
    assert whole(index)


def test_an_interrupted_add_changes_nothing_and_is_gone_on_with(add, index, folder, word_embedding):
    add()
    old = index_documents(index)
    for i in range(4):
        (folder / f"more{i}.txt").write_text(f"More of number {i}.")
    (folder / "lease.md").write_text("Changed.")
    calls = []

    def interrupt(what, done, total):
        calls.append(done)
        if what.startswith("indexing") and done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add(on_progress=interrupt)
    assert index_documents(index) == old
    report = check_index(index)
    assert report.problems == ()
    assert 0 < report.n_prepared < 5
    assert "more0" not in {p.document for p in StoredIndex(index, word_embedding).passages()}
    finished = add()
    assert finished.resumed == report.n_prepared
    assert finished.n_pages == 5 - report.n_prepared
    assert names(index) == ["ferry", "lease", "more0", "more1", "more2", "more3"]
    assert check_index(index).n_prepared == 0
    assert whole(index)


def test_the_progress_of_an_add_begins_with_the_embedding_model(add, folder):
    steps = []
    add(on_progress=lambda what, done, total: steps.append((what, total)))
    assert steps[0] == ("loading the embedding model", 0.0)
    add(on_progress=lambda what, done, total: steps.append((what, total)))  # nothing to embed
    assert [what for what, _ in steps].count("loading the embedding model") == 1
    (folder / "new.txt").write_text("A new file.")
    add(on_progress=lambda what, done, total: steps.append((what, total)))
    assert [what for what, _ in steps].count("loading the embedding model") == 2


def test_what_was_prepared_but_is_wanted_no_more_is_dropped(add, index, folder):
    (folder / "adraft.txt").write_text("A draft.")

    def interrupt(what, done, total):
        if what.startswith("indexing") and done >= total:  # all but the last are kept
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add(on_progress=interrupt)
    assert check_index(index).n_prepared == 2
    (folder / "adraft.txt").write_text("Another draft.")
    assert add().resumed == 1
    assert check_index(index).n_prepared == 0
    assert whole(index)


# -- one writer, many readers ------------------------------------------------------------------------------------------


def hold(index, held, release):
    with writer_lock(index):
        held.set()
        release.wait(30)


def test_a_second_writer_is_told_who_is_at_it(add, index, folder, word_embedding):
    add()
    context = multiprocessing.get_context("fork")
    held, release = context.Event(), context.Event()
    process = context.Process(target=hold, args=(index, held, release))
    process.start()
    try:
        assert held.wait(30)
        for change in (add, lambda: remove_documents(index, ["lease"])):
            with pytest.raises(IndexLockedError, match=rf"process {process.pid} on .* since 20"):
                change()
        assert len(StoredIndex(index, word_embedding).documents()) == 2  # reading goes on
        assert whole(index)
    finally:
        process.kill()  # the lock of the dead is free
        process.join()
    assert add().unchanged == 2


def test_readers_see_one_revision_while_another_is_written(add, index, folder, word_embedding):
    """Every revision holds documents that all say the same number."""

    def write(number):
        for i in range(4):
            (folder / f"n{i}.txt").write_text(f"File {i}. The number is {number}.\n")

    (folder / "lease.md").unlink()
    (folder / "deep" / "ferry.txt").unlink()
    write(0)
    add(sync=True)
    seen, wrong, done = set(), [], threading.Event()

    def read():
        reader = StoredIndex(index, word_embedding)
        while not done.is_set():
            reader.refresh()
            numbers = {p.text.split()[-1] for p in reader.passages()}
            seen.update(numbers)
            if len(numbers) != 1 or reader.n_passages != 4 or len(reader.search("number", 10)) != 4:
                wrong.append((reader.revision, numbers))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(1, 12):
        write(number)
        add(sync=True)
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(seen) > 2


def test_a_document_is_hashed_once_when_it_is_added(add, monkeypatch):
    hashed, digest = [], StoredDocument.digest
    monkeypatch.setattr(StoredDocument, "digest", lambda self: hashed.append(self.metadata.name) or digest(self))
    add()
    assert sorted(hashed) == ["ferry", "lease"]


def test_a_refresh_reads_the_documents_that_are_new(add, index, folder, word_embedding, monkeypatch):
    add()
    reader = StoredIndex(index, word_embedding)
    before = {passage.document: passage for passage in reader.passages()}
    grouped = reader.passages_of_documents()
    (folder / "fares.txt").write_text("Fares are paid on board.\n")
    (folder / "deep" / "ferry.txt").write_text("Ferry tickets are sold on board.\n")
    add()
    read = []
    load = stored_index.load_document
    monkeypatch.setattr(stored_index, "load_document", lambda *args: read.append(args[2].name) or load(*args))
    assert reader.refresh()
    assert sorted(read) == ["fares", "ferry"]
    new = StoredIndex(index, word_embedding)
    assert reader.passages() == new.passages()
    assert {passage.document: passage for passage in reader.passages()}["lease"] is before["lease"]
    assert tuple(chain(*reader.passages_of_documents().values())) == reader.passages()
    assert reader.passages_of_documents()["lease"] is grouped["lease"]
    for question in ("Where are tickets sold?", "lease of the warehouse", "fares"):
        assert reader.search(question, 9) == new.search(question, 9)
    remove_documents(index, ["lease"])
    assert reader.refresh()
    assert {hit.document for hit in reader.search("lease of the warehouse", 9)} == {"fares", "ferry"}


def test_a_reader_stays_where_it_is_until_it_refreshes(add, index, folder, word_embedding):
    add()
    reader = StoredIndex(index, word_embedding)
    (folder / "new.txt").write_text("Fresh news.")
    add()
    assert (reader.revision, len(reader.documents())) == (1, 2)
    assert reader.refresh()
    assert (reader.revision, len(reader.documents())) == (2, 3)
    assert not reader.refresh()
    assert reader.search("fresh news", 1)[0].document == "new"


# -- refused -----------------------------------------------------------------------------------------------------------


def test_another_embedding_model_is_refused(add, index, folder, other_embeddings):
    add()
    (folder / "new.txt").write_text("New.")
    for model, says in zip(
        other_embeddings, ("vectors of dimension 96 instead of 64", "different vectors"), strict=True
    ):
        with pytest.raises(EmbeddingMismatchError, match=f"'words'; '{model.model_name}' gives {says}"):
            add(embedding=model)
        with pytest.raises(EmbeddingMismatchError, match=says):
            StoredIndex(index, model)
    assert names(index) == ["ferry", "lease"]


def test_a_writer_that_was_killed_before_the_index_existed_is_no_hindrance(index, add):
    index.mkdir()
    (index / "writer.lock").touch()
    (index / "writer.json").write_text('{"pid": 1, "host": "a", "since": "2025-01-01"}')
    add()
    assert names(index) == ["ferry", "lease"]


def test_what_is_no_index(tmp_path, add, index, folder, word_embedding):
    with pytest.raises(StoreError, match="there is no index.*sra-rag index add"):
        StoredIndex(tmp_path / "none", word_embedding)
    with pytest.raises(StoreError, match="there is no index"):
        remove_documents(tmp_path / "none", ["x"])
    assert not (tmp_path / "none").exists()
    with pytest.raises(StoreError, match="contains other files"):
        add_documents(folder, [folder], lambda: word_embedding, workers=0)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="this is a file"):
        add_documents(tmp_path / "file", [folder], lambda: word_embedding, workers=0)
    index.mkdir()
    (index / DATABASE).touch()  # a crash between making the file and its first commit
    with pytest.raises(StoreError, match="there is no index"):
        check_index(index)
    assert add().revision == 1


def test_another_version(add, index, word_embedding):
    add()
    change(index, "PRAGMA user_version = 7")
    with pytest.raises(StoreError, match="format 7, this program reads format 1"):
        StoredIndex(index, word_embedding)
    change(
        index,
        "PRAGMA user_version = 1",
        "UPDATE meta SET value = 'old' WHERE key = 'splitting'",
        "DELETE FROM meta WHERE key = 'seal'",
    )
    assert StoredIndex(index, word_embedding).n_passages
    with pytest.raises(StoreError, match="split with 'old'"):
        add()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("UPDATE pages SET text = replace(text, '82,400', '82,500')", "digest"),
        ("UPDATE passages SET last = last + 100000", "exceed their page"),
        ("UPDATE passages SET section = 'x'", "digest"),
        ("DELETE FROM passages WHERE position = 0", "bytes of vectors"),
        ("DELETE FROM pages", "page that does not exist"),
        ("UPDATE documents SET vectors = zeroblob(length(vectors))", "length 1"),
        ("UPDATE documents SET vectors = substr(vectors, 5)", "bytes of vectors"),
        ("UPDATE documents SET n_pages = 9", "9 pages are expected"),
        ("DELETE FROM documents WHERE name = 'lease'", "missing document"),
    ],
)
def test_a_check_finds_damage(add, index, damage, says):
    add()
    change(index, damage)
    assert any(says in problem for problem in check_index(index).problems)


def test_a_torn_file(add, index, word_embedding):
    add()
    data = (index / DATABASE).read_bytes()
    (index / DATABASE).write_bytes(data[:4096] + b"\xff" * 4096 + data[8192:])
    with pytest.raises(StoreError, match="damaged"):
        check_index(index)
    (index / DATABASE).write_bytes(b"no database at all" * 500)
    with pytest.raises(StoreError, match="damaged"):
        StoredIndex(index, word_embedding)


def test_the_garbage_collector_does_not_pass_over_an_index_while_it_is_opened(add, index, word_embedding):
    add()
    passes = []
    thresholds, frozen = gc.get_threshold(), gc.get_freeze_count()

    def count(phase, _):
        if phase == "start":
            passes.append(stored_index)

    load = stored_index._load

    def counted(*arguments):
        gc.callbacks.append(count)
        try:
            return load(*arguments)
        finally:
            gc.callbacks.remove(count)
            gc.set_threshold(10**6, 10**6, 10**6)  # no pass makes objects old

    gc.set_threshold(1, 1, 1)  # as with a large index
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stored_index, "_load", counted)
            stored = StoredIndex(index, word_embedding)
    finally:
        gc.set_threshold(*thresholds)
    assert passes == []
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
    assert any(own is stored.passages()[0] for own in gc.get_objects(generation=2))  # so no young one is passed over
