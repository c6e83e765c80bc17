"""Questions to some of an index's documents."""

from pathlib import Path

import pytest
from sra_pipelines import Document, DocumentIndex, DocumentQA, Page
from sra_pipelines.answering.chosen_documents import ChosenDocuments, DocumentChoice


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
