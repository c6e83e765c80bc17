"""An index with a changed bit or block raises its own error, or answers as before; it never answers otherwise."""

import contextlib
import random
import sqlite3

import pytest
from sra_pipelines.index.catalog import index_documents
from sra_pipelines.index.check import check_index
from sra_pipelines.index.schema import DATABASE, StoreError
from sra_pipelines.index.stored_document import StoredDocument
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents, remove_documents

from sra_rag.errors import SRAError

QUESTIONS = ("What does the lease cost?", "Who pays for the ferry?", "line 7")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, word_embedding):
    """An index with three documents, one of which was changed, and its content."""
    folder = tmp_path_factory.mktemp("whole")
    for name, text in (("lease", "The lease costs 82,400 crowns."), ("ferry", "The harbour pays for the ferry.")):
        (folder / f"{name}.md").write_text(f"# {name}\n\n{text}\n" + "\n".join(f"{name}, line {i}" for i in range(300)))
    (folder / "note.txt").write_text("A note that changes.")
    add_documents(folder / "index", [folder], lambda: word_embedding, workers=0)
    (folder / "note.txt").write_text("A note that has changed.")
    add_documents(folder / "index", [folder], lambda: word_embedding, workers=0)
    data = (folder / "index" / DATABASE).read_bytes()
    return data, content(folder / "index", word_embedding)


def content(folder, embedding):
    """Return everything that an index answers with."""
    index = StoredIndex(folder, embedding)
    return (
        index.splitting,
        index.revision,
        index_documents(folder),
        index.documents(),
        index.whole_documents(),
        index.passages(),
        [index.search(question, 5) for question in QUESTIONS],
    )


def flip(data, rng):
    """Change one bit, or a block of up to 512 bytes."""
    changed = bytearray(data)
    if rng.random() < 0.7:
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    else:
        start = rng.randrange(len(changed))
        length = min(rng.choice((16, 64, 512)), len(changed) - start)
        changed[start : start + length] = rng.randbytes(length)
    return bytes(changed)


def flips(folder, whole, embedding, times, seed):
    """Damage an index many times; return how often it was noticed, and how often nothing that is used was hit."""
    data, expected = whole
    rng = random.Random(seed)
    outcomes = {"refused": 0, "unaffected": 0}
    for number in range(times):
        damaged = flip(data, rng)
        (folder / DATABASE).write_bytes(damaged)
        try:
            now = content(folder, embedding)
        except SRAError:
            outcomes["refused"] += 1
            with contextlib.suppress(SRAError):
                check_index(folder)
            continue
        assert now == expected, f"flip {number} of seed {seed} changed the answers without an error"
        outcomes["unaffected"] += 1
    return outcomes


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # damaged vectors overflow in the check
def test_a_damaged_index_is_refused_or_answers_as_before(tmp_path, whole, word_embedding):
    outcomes = flips(tmp_path, whole, word_embedding, 120, seed=1)
    assert outcomes["refused"] > 30, outcomes  # half of the bytes are not in use


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE meta SET value = value + 1 WHERE key = 'revision'",
        "UPDATE meta SET value = 'lines-300-0-2' WHERE key = 'splitting'",
        "UPDATE meta SET value = zeroblob(7) WHERE key = 'embedding_probe'",
        "UPDATE meta SET value = 63 WHERE key = 'embedding_dimension'",
        "DELETE FROM meta WHERE key = 'embedding_name'",
        "UPDATE documents SET published = 0 WHERE name = 'lease'",
        "UPDATE documents SET path = '/elsewhere' WHERE name = 'lease'",
        "UPDATE documents SET name = 'leasf' WHERE name = 'lease'",
        "UPDATE documents SET digest = zeroblob(32) WHERE name = 'lease'",
        "UPDATE documents SET vectors = zeroblob(length(vectors)) WHERE name = 'lease'",
        "UPDATE pages SET text = replace(text, '82,400', '82,500')",
        "UPDATE passages SET first = first + 1 WHERE position = 1",
        "DELETE FROM passages WHERE document_id = 2 AND position > 1",
        "DROP TABLE meta",
    ],
)
def test_what_is_damaged_raises_the_error_of_the_store(tmp_path, whole, word_embedding, change):
    (tmp_path / DATABASE).write_bytes(whole[0])
    connection = sqlite3.connect(tmp_path / DATABASE)
    with connection:
        assert connection.execute(change).rowcount != 0
    connection.close()
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(StoreError, match="the index is damaged"):
        StoredIndex(tmp_path, word_embedding)
    if "meta" in change or ("documents SET" in change and "vectors" not in change):
        with pytest.raises(StoreError, match="the index is damaged"):
            index_documents(tmp_path)
        with pytest.raises(StoreError, match="the index is damaged"):
            remove_documents(tmp_path, ["note"])
        assert (tmp_path / DATABASE).read_bytes() == before


def test_each_document_is_verified_once_when_it_is_read_first(tmp_path, whole, word_embedding, monkeypatch):
    (tmp_path / DATABASE).write_bytes(whole[0])
    verified, digest = [], StoredDocument.digest
    monkeypatch.setattr(
        StoredDocument, "digest", lambda document: (verified.append(document.metadata.name), digest(document))[1]
    )
    assert len(index_documents(tmp_path)) == 3
    assert verified == []  # a list of documents reads no contents
    index = StoredIndex(tmp_path, word_embedding)
    for question in QUESTIONS:
        index.search(question, 5)
    index.refresh()
    assert verified == ["ferry", "lease", "note"]


def test_a_check_of_damaged_metadata(tmp_path, whole):
    (tmp_path / DATABASE).write_bytes(whole[0])
    assert check_index(tmp_path).problems == ()
    connection = sqlite3.connect(tmp_path / DATABASE)
    with connection:
        connection.execute("UPDATE meta SET value = 99 WHERE key = 'revision'")
    connection.close()
    assert "the metadata or the list of documents differs from the stored digest" in check_index(tmp_path).problems
