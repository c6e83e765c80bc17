"""Kinds of pages are found when a document is added; an index without them gets them without new embeddings."""

from pathlib import Path

import pytest
from sra_pipelines.index.check import check_index
from sra_pipelines.index.schema import StoreError
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents, remove_documents
from sra_pipelines.retrieval import revision
from sra_pipelines.retrieval.revision import Revision
from sra_pipelines.structure.document_structure import DocumentStructure, find_structure
from sra_pipelines.structure.page_kinds import PageKind

from tests.pipelines.index.database_rows import change, stored_rows

TEXTS = Path(__file__).parents[1] / "structure"
BALANCE_SHEET = (
    "Orrin Ferries\nConsolidated balance sheet\n2023 2022\nCash 5 4\nTotal assets 9 8\nTotal liabilities 4 4\n"
)


@pytest.fixture
def index(tmp_path):
    return tmp_path / "index"


@pytest.fixture
def add(tmp_path, index, word_embedding):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "contract.txt").write_text((TEXTS / "contract.txt").read_text(encoding="utf-8"), encoding="utf-8")
    (docs / "balance.txt").write_text(BALANCE_SHEET)

    def run(embedding=word_embedding, **options):
        return add_documents(index, [docs], lambda: embedding, workers=0, **options)

    run()
    return run


@pytest.fixture
def nothing_is_found(monkeypatch):
    """No kinds of pages are found in a text as long as the test runs."""

    def refuse(passages):
        raise AssertionError("the kinds of pages were found again")

    monkeypatch.setattr(revision, "find_structure", refuse)


def test_kinds_are_found_when_documents_are_added(add, index, word_embedding, nothing_is_found):
    stored = StoredIndex(index, word_embedding)
    assert {name: structure.types for name, structure in stored.structures().items()} == {
        "balance": {"filing"}, "contract": {"contract"},
    }  # fmt: skip
    read = Revision(stored)
    assert [name for name in read.documents if read.is_of_type(name, ["contract"])] == ["contract"]
    assert all(read.is_of_type(name, ()) for name in read.documents)
    assert not read.is_of_type("of a later revision", ())
    assert read.kinds("balance")[0] == PageKind(0, "balance_sheet", "", "Consolidated balance sheet")


def test_they_are_those_that_a_search_would_find(add, index, word_embedding):
    stored = StoredIndex(index, word_embedding)
    for name, structure in stored.structures().items():
        own = [passage for passage in stored.passages() if passage.document == name]
        assert structure == find_structure(own)
        assert structure.kinds
        assert DocumentStructure.from_json(structure.to_json()) == structure


def test_an_index_without_them_is_searched_as_before(add, index, word_embedding):
    with_kinds = Revision(StoredIndex(index, word_embedding))
    change(index, "DROP TABLE structures")
    stored = StoredIndex(index, word_embedding)
    assert stored.structures() == {}
    lazy = Revision(stored)
    assert [list(lazy.kinds(name)) for name in lazy.documents] == [
        list(with_kinds.kinds(name)) for name in with_kinds.documents
    ]
    assert check_index(index).problems == ()


@pytest.mark.parametrize(
    "older", ["DROP TABLE structures", "UPDATE structures SET rules = 0", "DELETE FROM structures"]
)
def test_an_index_without_them_gets_them_without_new_embeddings(add, index, older, word_embedding):
    before = stored_rows(index, "structures")
    change(index, older)

    class NoModel:
        """Fails if it is used."""

    report = add(embedding=NoModel())
    assert (report.unchanged, report.n_passages, report.revision) == (2, 0, 1)
    assert stored_rows(index, "structures") == before
    assert len(StoredIndex(index, word_embedding).structures()) == 2


def test_they_are_removed_with_their_document(add, index, word_embedding):
    remove_documents(index, ["contract"])
    assert len(stored_rows(index, "structures")) == 1
    assert list(StoredIndex(index, word_embedding).structures()) == ["balance"]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE structures SET value = replace(value, 'balance_sheet', 'income_statement')",
        "UPDATE structures SET value = (SELECT value FROM structures ORDER BY document_id LIMIT 1)",
    ],
)
def test_damage_is_found(add, index, word_embedding, damage):
    change(index, damage)
    assert any(
        "the kinds of its pages differ from the stored digest" in problem for problem in check_index(index).problems
    )
    with pytest.raises(StoreError, match="the kinds of its pages differ"):
        StoredIndex(index, word_embedding)


def test_a_damaged_document_is_named_when_kinds_are_found(add, index):
    change(index, "DELETE FROM structures")
    change(index, "UPDATE documents SET vectors = substr(vectors, 5) WHERE name = 'balance'")
    with pytest.raises(StoreError, match="balance: .* bytes of vectors"):
        add()
