"""Questions to some of an index's documents."""

from pathlib import Path

import pytest
from sra_pipelines import Document, DocumentIndex, DocumentQA, Page
from sra_pipelines.answering.chosen_documents import ChosenDocuments, DocumentChoice
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents
from sra_pipelines.retrieval import revision
from sra_pipelines.retrieval.keyword_counts import KeywordCounter
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.retrieval.revision import Revision


@pytest.fixture
def index(word_embedding):
    def document(name, *pages):
        return Document(Path(f"{name}.pdf"), tuple(Page(i, str(i + 1), text) for i, text in enumerate(pages)))

    return DocumentIndex(
        [
            document("lease", "The rent is 82,400 crowns.", "The rent is due in March."),
            document("ferry", "The rent of a boat is 14 crowns."),
            document("mill", "The rent of the mill is 900 crowns."),
        ],
        word_embedding,
    )


def test_only_the_chosen_are_found(index):
    chosen = ChosenDocuments(index, ["ferry", "mill", "gone"])
    assert {passage.document for passage in chosen.passages()} == {"ferry", "mill"}
    assert chosen.n_passages == 2
    assert chosen.revision == index.revision
    found = chosen.search("What is the rent?", 10)
    assert [p.key for p in found] == [p.key for p in index.search("What is the rent?", 10) if p.document != "lease"]
    assert len(chosen.search("rent", 1)) == 1


@pytest.fixture
def stored(tmp_path, word_embedding):
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("lease", "ferry", "mill", "quay"):
        (docs / f"{name}.md").write_text(
            "".join(f"The rent {n} of the {name} is {n * 7} crowns.\n\n" for n in range(60))
        )
    add_documents(tmp_path / "index", [docs], lambda: word_embedding, workers=0)
    return StoredIndex(tmp_path / "index", word_embedding)


def test_of_a_stored_index_only_the_chosen_are_ranked(stored, monkeypatch):
    every = stored.search("rent 12 of the ferry", stored.n_passages)
    monkeypatch.setattr(stored, "search", None)
    for names in (["ferry"], ["mill", "lease", "gone"], ["gone"]):
        chosen = ChosenDocuments(stored, names)
        assert chosen.passages() == [passage for passage in stored.passages() if passage.document in names]
        expected = [passage for passage in every if passage.document in names]
        assert chosen.search("rent 12 of the ferry", 99) == expected
        assert chosen.search("rent 12 of the ferry", 3) == expected[:3]
        assert chosen.search("rent 12 of the ferry", 0) == []


def test_what_a_stored_index_has_of_the_chosen_is_not_computed_again(stored, monkeypatch):
    chosen = ChosenDocuments(stored, ["ferry", "mill"])
    expected = [passage.key for passage in Retriever(DocumentView(chosen)).search("What is rent 12 of the ferry?")]
    monkeypatch.setattr(KeywordCounter, "count", None)
    monkeypatch.setattr(revision, "find_structure", None)
    monkeypatch.setattr(revision, "_by_document", None)
    retriever = Retriever(chosen)
    assert [passage.key for passage in retriever.search("What is rent 12 of the ferry?")] == expected
    assert Revision(chosen).is_of_type("mill", ())


class DocumentView:
    """An index with the passages and searches of another one, and nothing else that it has."""

    def __init__(self, index):
        self.passages, self.search = index.passages, index.search
        self.n_passages, self.revision = index.n_passages, index.revision


def test_a_choice_retrieves_from_its_documents(index, tiny_engine):
    qa = DocumentQA(index, tiny_engine, context_tokens=300)
    choice = DocumentChoice(qa)
    assert choice.of([]) is qa
    assert choice.of(["ferry"]) is choice.of(["ferry"])
    assert {p.document for p in choice.of(["ferry"]).retrieve("What is the rent?").passages} == {"ferry"}
    assert choice.of(["gone"]).ask("What is the rent?").abstained == "nothing found"


def test_choices_that_are_kept_have_an_end(index, tiny_engine):
    choice = DocumentChoice(DocumentQA(index, tiny_engine, context_tokens=300))
    first = choice.of(["0"])
    for number in range(1, 20):
        choice.of([str(number)])
    assert len(choice._cached) == 8
    assert choice.of(["0"]) is not first
