"""Keywords are counted when a document is added, so that the first search of an index reads no text again."""

import pytest
from sra_pipelines.index.check import check_index
from sra_pipelines.index.schema import StoreError
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents, remove_documents
from sra_pipelines.retrieval import keyword_counts
from sra_pipelines.retrieval.keyword_counts import KeywordCounter, KeywordCounts
from sra_pipelines.retrieval.keyword_index import KeywordIndex
from sra_pipelines.retrieval.retriever import Retriever

from tests.pipelines.index.database_rows import change, stored_rows

TEXTS = {
    "lease": "# Rent\n\n"
    + "".join(f"The tenant pays rent {n} of {n * 7},400 crowns for the quay.\n" for n in range(90)),
    "vertrag": "Die Vermieterin haftet nicht für die Schäden, die an den Gebäuden durch das Hochwasser entstehen.\n"
    * 9,
    "ferry": "Ferry tickets are sold at the kiosk, 500² of them a day.\n",
}
QUESTIONS = (
    "Who pays rent for the quay?",
    "Wer haftet für einen Schaden am Gebäude?",
    "rent 12 of 84,400",
    "500",
    "kiosk",
)


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def index(tmp_path, docs, add):
    add()
    return tmp_path / "index"


@pytest.fixture
def add(tmp_path, docs, word_embedding):
    def run(embedding=word_embedding):
        return add_documents(tmp_path / "index", [docs], lambda: embedding, workers=0)

    return run


@pytest.fixture
def nothing_is_counted(monkeypatch):
    """No words are counted as long as the test runs."""

    def refuse(self, passages):
        raise AssertionError("the words of a document were counted again")

    monkeypatch.setattr(KeywordCounter, "count", refuse)


def results(index, embedding):
    """Return what searches of an index that was just opened find, with scores and weights of words."""
    retriever = Retriever(StoredIndex(index, embedding), method="keywords", vocabulary=())
    return [(retriever.search(question), retriever.word_weights(question)) for question in QUESTIONS]


def test_an_opened_index_is_searched_without_counting(index, word_embedding, nothing_is_counted):
    for found, _ in results(index, word_embedding):
        assert found


def test_searches_find_the_same_as_with_counts_of_the_text(index, word_embedding):
    stored = StoredIndex(index, word_embedding)
    assert sorted(stored.keyword_counts()) == sorted(TEXTS)
    fast = KeywordIndex(stored.passages(), counted=stored.keyword_counts())
    slow = KeywordIndex(stored.passages())
    for question in QUESTIONS:
        assert fast.search(question, 99) == slow.search(question, 99)  # the same bits
        assert fast.weights(question) == slow.weights(question)


def test_counts_of_other_passages_are_not_used(index, word_embedding):
    stored = StoredIndex(index, word_embedding)
    passages = [passage for passage in stored.passages() if passage.document == "lease"]
    assert len(passages) > 2
    for own in (passages[1:], passages[::-1], [*passages, passages[0]]):
        fast = KeywordIndex(own, counted=stored.keyword_counts())
        for question in QUESTIONS:
            assert fast.search(question, 99) == KeywordIndex(own).search(question, 99)


def test_a_refresh_counts_nothing(index, docs, add, word_embedding, monkeypatch):
    retriever = Retriever(StoredIndex(index, word_embedding), method="keywords", vocabulary=())
    retriever.search(QUESTIONS[0])
    (docs / "ferry.md").write_text("No ferry stops at the quay any more: 500 people wait.\n")
    (docs / "fares.md").write_text("A fare of 12 crowns is paid on board.\n")
    add()
    remove_documents(index, ["vertrag"])
    expected = results(index, word_embedding)
    with monkeypatch.context() as patch:
        patch.setattr(KeywordCounter, "count", None)
        assert retriever.index.refresh()
        assert [(retriever.search(question), retriever.word_weights(question)) for question in QUESTIONS] == expected


@pytest.mark.parametrize(
    "older",
    [
        "DROP TABLE keyword_counts",
        "UPDATE keyword_counts SET rules = '0'",
        "DELETE FROM keyword_counts WHERE document_id = 1",
    ],
)
def test_an_index_without_them_is_searched_as_before_and_gets_them_without_new_embeddings(
    index, add, older, word_embedding
):
    before, expected = stored_rows(index, "keyword_counts"), results(index, word_embedding)
    change(index, older)
    assert len(StoredIndex(index, word_embedding).keyword_counts()) < 3
    assert results(index, word_embedding) == expected
    assert check_index(index).problems == ()

    class NoModel:
        """Fails if it is used."""

    report = add(embedding=NoModel())
    assert (report.unchanged, report.n_passages, report.revision) == (3, 0, 1)
    assert stored_rows(index, "keyword_counts") == before
    assert results(index, word_embedding) == expected


def test_counts_by_another_version_of_what_they_depend_on_are_made_again(index, add, word_embedding, monkeypatch):
    rules = {row[1] for row in stored_rows(index, "keyword_counts")}
    keyword_counts.counting_rules.cache_clear()
    monkeypatch.setattr("unicodedata.unidata_version", "99.0.0")
    try:
        assert StoredIndex(index, word_embedding).keyword_counts() == {}
        add()
        assert (
            {row[1] for row in stored_rows(index, "keyword_counts")}
            == {rule.rpartition(" ")[0] + " 99.0.0" for rule in rules}
            != rules
        )
        assert len(StoredIndex(index, word_embedding).keyword_counts()) == 3
    finally:
        keyword_counts.counting_rules.cache_clear()


def test_they_are_removed_with_their_document(index, word_embedding):
    remove_documents(index, ["lease"])
    assert len(stored_rows(index, "keyword_counts")) == 2
    assert sorted(StoredIndex(index, word_embedding).keyword_counts()) == ["ferry", "vertrag"]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE keyword_counts SET value = CAST(substr(value, 1, length(value) - 1) || x'00' AS BLOB)",
        "UPDATE keyword_counts SET value = (SELECT value FROM keyword_counts ORDER BY document_id LIMIT 1)",
        "UPDATE keyword_counts SET value = 7",
    ],
)
def test_damage_is_found(index, word_embedding, damage):
    change(index, damage)
    assert len(check_index(index).problems) >= 2
    with pytest.raises(StoreError, match="the index is damaged"):
        StoredIndex(index, word_embedding)


def test_the_counts_of_another_document_are_damage(index, word_embedding):
    change(index, "UPDATE keyword_counts SET (value, digest) = (SELECT value, digest FROM keyword_counts LIMIT 1)")
    assert (
        sum("the counts of its keywords differ from the stored digest" in p for p in check_index(index).problems) == 2
    )


def test_a_damaged_document_is_named_when_its_words_are_counted(index, add):
    change(index, "DELETE FROM keyword_counts")
    change(index, "UPDATE documents SET vectors = substr(vectors, 5) WHERE name = 'ferry'")
    with pytest.raises(StoreError, match="ferry: .* bytes of vectors"):
        add()


def test_a_document_without_passages_has_counts():
    empty = KeywordCounts.unpack(KeywordCounter().count([]).pack())
    assert (empty.words, len(empty.postings.lengths), len(empty.languages)) == ([], 0, 0)
