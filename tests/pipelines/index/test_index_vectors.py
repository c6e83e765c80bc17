"""An index whose vectors are searched in Qdrant or PostgreSQL answers as it does with FAISS, whatever happens to it."""

import shutil
import sys
from contextlib import closing

import pytest
from sra_pipelines.index.catalog import read_meta
from sra_pipelines.index.check import check_index
from sra_pipelines.index.embedding_identity import EmbeddingMismatchError
from sra_pipelines.index.lock import IndexLockedError, writer_lock
from sra_pipelines.index.schema import StoreError, connect, transaction
from sra_pipelines.index.seal import write_seal
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.stores.index_vectors import bring_vectors, leave_store, named_store
from sra_pipelines.index.stores.store_urls import open_store
from sra_pipelines.index.stores.vector_store import VectorStoreError
from sra_pipelines.index.writer import add_documents, remove_documents
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.samples import sample_documents, sample_questions

from sra_rag.cli import main

QUESTIONS = ["Where are ferry tickets sold?", "How many crowns a year?", "the old lighthouse"]


@pytest.fixture(params=["qdrant", "postgres"])
def url(request, tmp_path):
    if request.param == "qdrant":
        return f"qdrant+file://{tmp_path / 'qdrant'}"
    return request.getfixturevalue("postgres")


@pytest.fixture
def folder(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    lines = [f"Warehouse {i} at Orrin Quay costs {i * 317} crowns a year; its key is on hook {i}." for i in range(90)]
    (docs / "lease.md").write_text("# Lease\n\n" + "\n".join(lines))
    (docs / "ferry.txt").write_text("Ferry tickets are sold at the kiosk beside the old lighthouse.\n")
    return docs


@pytest.fixture
def index(tmp_path, folder, add):
    add()
    return tmp_path / "index"


@pytest.fixture
def add(tmp_path, folder, word_embedding):
    def run(**options):
        return add_documents(tmp_path / "index", [folder], lambda: word_embedding, workers=0, sync=True, **options)

    return run


@pytest.fixture
def opened(index, word_embedding):
    """Open the index for the length of a block: Qdrant's folder is one client's at a time."""
    return lambda **options: closing(StoredIndex(index, word_embedding, **options))


def test_the_same_passages_as_with_faiss(index, url, opened, word_embedding):
    expected = StoredIndex(index, word_embedding)
    assert bring_vectors(index, url) == 2
    with opened() as stored:
        for question in QUESTIONS:
            ours, theirs = expected.search(question, 10), stored.search(question, 10)
            assert [p.score for p in ours] == pytest.approx([p.score for p in theirs], abs=1e-5)
            assert theirs[0].text == ours[0].text
        assert {p.key for p in stored.search("x", 10_000)} == {p.key for p in stored.passages()}
        assert list(stored.passages()) == list(expected.passages())
        assert [p.text for p in stored.pages("ferry")] == [p.text for p in expected.pages("ferry")]
    assert check_index(index).problems == ()
    assert bring_vectors(index, url) == 0
    assert named_store(index) == url


@pytest.fixture(scope="module")
def sample_index(tmp_path_factory, embedding):
    index = tmp_path_factory.mktemp("samples") / "index"
    add_documents(index, sample_documents(), lambda: embedding, workers=0)
    return index


def test_the_real_model_over_the_sample_documents(sample_index, tmp_path, url, embedding):
    index = shutil.copytree(sample_index, tmp_path / "samples")
    faiss = StoredIndex(index, embedding)
    bring_vectors(index, url)
    served = StoredIndex(index, embedding)
    for question in sample_questions()[:12]:
        dense = faiss.search(question.question, 20), served.search(question.question, 20)
        assert [p.key for p in dense[0]] == [p.key for p in dense[1]]
        packed = [Retriever(i).retrieve(question.question, 500, lambda text: len(text) // 4) for i in (faiss, served)]
        assert [(p.key, p.text) for p in packed[0]] == [(p.key, p.text) for p in packed[1]]


def test_it_follows_the_index(index, url, opened, folder, add):
    bring_vectors(index, url)
    (folder / "ferry.txt").write_text("No ferry runs any more; the kiosk is shut.")
    (folder / "tram.txt").write_text("A tram runs to the old lighthouse.")
    add()
    with opened() as stored:
        assert {p.document for p in stored.search("kiosk tram lighthouse", 300)} == {"ferry", "lease", "tram"}
        assert stored.search("No ferry runs any more", 1)[0].text.startswith("No ferry runs")
    remove_documents(index, ["lease"])
    with opened() as stored:
        assert {p.document for p in stored.search("lighthouse", 300)} == {"ferry", "tram"}
        assert len(stored._store.held()) == 2


def test_a_reader_of_an_older_revision_gets_none_but_its_own_passages(index, folder, add, word_embedding, postgres):
    bring_vectors(index, postgres)
    reader = StoredIndex(index, word_embedding)
    mine = {p.key for p in reader.passages()}
    for i in range(8):
        (folder / f"tram{i}.txt").write_text("Ferry tickets are sold at the kiosk beside the lighthouse." * (i + 1))
    (folder / "ferry.txt").unlink()
    add()
    got = reader.search("ferry tickets kiosk lighthouse", 5)
    assert len(got) == 5
    assert {p.key for p in got} <= mine
    assert reader.refresh()
    assert "tram" in reader.search("ferry tickets kiosk lighthouse", 1)[0].document


def test_what_is_not_there_is_said(index, url, tmp_path, opened, add, folder, other_embeddings):
    bring_vectors(index, url)
    with pytest.raises(EmbeddingMismatchError):
        StoredIndex(index, other_embeddings[1])
    leave_store(index)
    (folder / "new.txt").write_text("Something new.")
    add()  # without the store
    with connect(index) as connection:
        meta = read_meta(connection)
    with closing(open_store(url, meta["index_id"], int(meta["embedding_dimension"]))) as store:
        with pytest.raises(VectorStoreError, match="lacks 1 of its 3 documents.*sra-rag index store"):
            opened(store=store)
        assert bring_vectors(index, store) == 1
        assert opened(store=store).thing.search("Something new", 1)[0].document == "new"
        with writer_lock(index), pytest.raises(IndexLockedError):
            bring_vectors(index, store)
        with pytest.raises(StoreError, match="there is no index"):
            bring_vectors(tmp_path / "nothing", store)


def test_a_change_that_cannot_reach_the_store_changes_nothing(index, url, opened, folder, add, word_embedding):
    bring_vectors(index, url)

    def point_to(address):
        with connect(index, write=True) as connection, transaction(connection):
            connection.execute("UPDATE meta SET value = ? WHERE key = 'vector_store'", (address,))
            write_seal(connection)

    point_to("postgresql://me@127.0.0.1:9/db")
    (folder / "new.txt").write_text("Something new.")
    for change in (add, lambda: remove_documents(index, ["lease"]), opened):
        with pytest.raises(VectorStoreError, match="127.0.0.1:9.*Check that its server is running"):
            change()
    assert "127.0.0.1:9" in check_index(index).problems[0]
    point_to(url)
    with opened() as stored:
        assert {p.document for p in stored.passages()} == {"ferry", "lease"}
    report = check_index(index)
    assert (report.revision, report.n_prepared, report.problems) == (1, 1, ())
    assert add().resumed == 1
    with opened() as stored:
        assert stored.search("Something new", 1)[0].document == "new"


def test_the_command(index, url, monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["sra-rag", "index", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    assert run("store", index) == (0, "faiss\n", "")
    assert run("store", index, url)[:2] == (0, f"2 documents copied to {url}\n")
    assert run("store", index)[1] == f"{url}\n"
    code, _, err = run("store", index, "redis://x")
    assert code != 0
    assert "is not the URL of a vector store" in err
    assert "are kept" in run("store", index, "faiss")[1]
    assert run("store", index)[1] == "faiss\n"
