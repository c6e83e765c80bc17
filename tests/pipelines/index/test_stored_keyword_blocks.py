"""Counts of many documents are stored together, so that the first search joins few; a change writes few of them."""

import sqlite3
from contextlib import closing
from random import Random

import pytest
from sra_pipelines.index.check import check_index
from sra_pipelines.index.derived.keyword_blocks import delete_stale_blocks
from sra_pipelines.index.schema import DATABASE, StoreError, connect
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents, remove_documents
from sra_pipelines.retrieval import block_sizes, keyword_counts
from sra_pipelines.retrieval.block_sizes import blocks_to_join
from sra_pipelines.retrieval.keyword_counts import KeywordCounter, KeywordCounts
from sra_pipelines.retrieval.keyword_index import KeywordIndex
from sra_pipelines.retrieval.retriever import Retriever

from tests.pipelines.index.database_rows import change

QUESTIONS = ("rent of the quay", "Wer haftet für einen Schaden?", "12 crowns", "unknown", "note")
GERMAN = "Die Vermieterin haftet nicht für die Schäden, die an den Gebäuden durch das Hochwasser entstehen."


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(5):
        write(folder, number)
    return folder


@pytest.fixture
def add(tmp_path, docs, word_embedding):
    def run():
        return add_documents(
            tmp_path / "index", [docs], lambda: word_embedding, sync=True, allow_removal=True, workers=0
        )

    return run


@pytest.fixture
def index(tmp_path, add):
    add()
    return tmp_path / "index"


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks have at most six passages, so that few documents make several."""
    monkeypatch.setattr(block_sizes, "MOST_PASSAGES", 6)


def own_word(number):
    """Return a word that one file only contains."""
    return "zq" + chr(ord("a") + number // 26) + chr(ord("a") + number % 26)


def write(folder, number, text=""):
    """Write a file of one to three passages."""
    german = f" {GERMAN}" if number % 3 == 0 else ""
    line = f"The rent of quay {number} is {number * 12} crowns, says {own_word(number)}.{german}\n"
    (folder / f"note-{number}.txt").write_text(text + line * (1 + 12 * (number % 3)), encoding="utf-8")


def blocks(index):
    with closing(sqlite3.connect(index / DATABASE)) as connection:
        return connection.execute("SELECT * FROM keyword_blocks ORDER BY id").fetchall()


def searches(keywords):
    return [(keywords.search(question, 99), keywords.weights(question)) for question in QUESTIONS]


def require_searched_alike(index, embedding):
    """Require the same bits as if the words of all passages were counted now, and return what a block counts."""
    stored = StoredIndex(index, embedding)
    counted = KeywordIndex(stored.passages(), blocks=stored.keyword_blocks(), counted=stored.keyword_counts())
    assert searches(counted) == searches(KeywordIndex(stored.passages()))
    assert check_index(index).problems == ()
    return {passages[0].document for block in stored.keyword_blocks() for passages in block.documents}


def test_the_first_search_joins_no_counts_of_single_documents(index, word_embedding, monkeypatch):
    expected = require_searched_alike(index, word_embedding)
    assert expected == {f"note-{number}" for number in range(5)}
    monkeypatch.setattr(KeywordCounts, "unpack", None)
    monkeypatch.setattr(KeywordCounter, "count", None)
    retriever = Retriever(StoredIndex(index, word_embedding), method="keywords", vocabulary=())
    assert retriever.search("rent of quay 3 zqad")[0].document == "note-3"


def test_blocks_follow_any_changes(index, docs, add, word_embedding, small_blocks):
    random, most = Random(0), 0
    retriever = Retriever(StoredIndex(index, word_embedding), method="keywords", vocabulary=())
    for revision in range(25):
        present = sorted(path.stem for path in docs.iterdir())
        for name in random.sample(present, random.randint(0, min(2, len(present) - 1))):
            (docs / f"{name}.txt").unlink()
        for number in random.sample(range(5, 40), random.randint(0, 6)):
            write(docs, number, text=f"Revision {revision}. " if random.random() < 0.5 else "")
        if revision % 4 == 3:
            remove_documents(index, [random.choice(present)])
        else:
            add()
        stored = StoredIndex(index, word_embedding)
        assert require_searched_alike(index, word_embedding) == {document.name for document in stored.documents()}
        retriever.index.refresh()
        for other in (retriever, Retriever(retriever.index, method="keywords", vocabulary=())):
            assert searches(other._revision().keywords) == searches(KeywordIndex(stored.passages()))
        most = max(most, len(blocks(index)))
    assert most > 5


def test_a_change_leaves_full_blocks_as_they_are(index, docs, add, small_blocks):
    for number in range(5, 30):
        write(docs, number)
    add()
    before = blocks(index)
    assert len(before) >= 8
    write(docs, 30)
    add()
    assert len(set(blocks(index)) & set(before)) >= len(before) - 2
    before = blocks(index)
    remove_documents(index, ["note-12"])
    assert len(set(blocks(index)) & set(before)) >= len(before) - 2


def test_there_are_few_blocks_and_none_is_too_long():
    random = Random(1)
    sizes = []
    for _ in range(3000):
        sizes.append(random.choice([1, 10, 100, 5000, 40_000]))
        runs = blocks_to_join(sizes)
        assert [number for run in runs for number in run] == list(range(len(sizes)))
        joined = [sum(sizes[run.start : run.stop]) for run in runs]
        assert all(size <= block_sizes.MOST_PASSAGES or len(run) == 1 for size, run in zip(joined, runs, strict=True))
        assert len(joined) <= 8 + 4 * sum(sizes) / block_sizes.MOST_PASSAGES
        sizes = joined
    for _ in range(1, 200):
        sizes = [sum(sizes[run.start : run.stop]) for run in blocks_to_join([*sizes[-9:], 1])]
        assert len(sizes) <= 16


def test_words_of_removed_documents_are_overwritten(index):
    database = index / DATABASE
    kept, gone = (own_word(number).encode() for number in (2, 1))
    assert gone in database.read_bytes()
    remove_documents(index, ["note-1"])
    assert gone not in database.read_bytes()
    assert kept in database.read_bytes()


def test_an_index_of_an_earlier_version_gets_them_with_the_next_addition(index, add, word_embedding):
    change(index, "DROP TABLE keyword_blocks")
    assert require_searched_alike(index, word_embedding) == set()
    remove_documents(index, ["note-0"])
    assert require_searched_alike(index, word_embedding) == set()
    assert add().added == ["note-0"]
    assert len(require_searched_alike(index, word_embedding)) == 5


def test_a_block_with_a_document_that_is_gone_is_not_used(index, docs, add, word_embedding):
    """An earlier version removes documents and leaves the blocks alone."""
    with connect(index, write=True) as connection:
        kept = connection.execute("SELECT * FROM keyword_blocks").fetchall()
    remove_documents(index, ["note-2"])
    change(index, "DELETE FROM keyword_blocks")
    with connect(index, write=True) as connection:
        connection.executemany("INSERT INTO keyword_blocks VALUES (?, ?, ?, ?, ?)", kept)
    assert require_searched_alike(index, word_embedding) == set()
    (docs / "note-2.txt").unlink()
    add()
    assert len(require_searched_alike(index, word_embedding)) == 4


def test_blocks_of_removed_documents_are_deleted_on_a_full_disk(index, word_embedding, small_blocks, docs, add):
    for number in range(5, 9):
        write(docs, number)
    add()
    before = blocks(index)
    assert len(before) > 2
    change(index, "DELETE FROM documents WHERE name = 'note-8'")
    with connect(index, write=True) as connection:
        delete_stale_blocks(connection, index)
    assert blocks(index) == [row for row in before if row in blocks(index)] != before
    assert len(blocks(index)) == len(before) - 1


def test_blocks_by_other_rules_are_made_again(index, add, word_embedding, monkeypatch):
    keyword_counts.counting_rules.cache_clear()
    monkeypatch.setattr("unicodedata.unidata_version", "99.0.0")
    try:
        assert require_searched_alike(index, word_embedding) == set()
        add()
        assert len(require_searched_alike(index, word_embedding)) == 5
    finally:
        keyword_counts.counting_rules.cache_clear()
    assert {row[1].rpartition(" ")[2] for row in blocks(index)} == {"99.0.0"}


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE keyword_blocks SET value = CAST(substr(value, 1, length(value) - 1) || x'00' AS BLOB)",
        "UPDATE keyword_blocks SET value = 7",
        "UPDATE keyword_blocks SET documents = replace(documents, ',1]', ',2]')",
        "UPDATE keyword_blocks SET documents = 'a list'",
        "UPDATE keyword_blocks SET documents = '[[1]]'",
        "UPDATE keyword_blocks SET digest = ''",
    ],
)
def test_damage_is_found(index, docs, add, word_embedding, damage):
    change(index, damage)
    assert len(check_index(index).problems) == 1
    if "replace" not in damage:  # that block no longer counts documents of the index
        with pytest.raises(StoreError, match="the index is damaged"):
            StoredIndex(index, word_embedding)
        write(docs, 5)
        with pytest.raises(StoreError, match="the index is damaged"):
            add()
