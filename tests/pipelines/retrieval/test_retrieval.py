"""From pages to the passages in a prompt, and from an answer back to its pages."""

import pytest
from sra_pipelines.checks.citations import cite
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.retrieval.packing import format_passages, pack_passages
from sra_pipelines.values import Document, Page, Passage

TOPICS = [
    "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year.",
    "Ferry tickets are sold at the kiosk beside the old lighthouse.",
    "The auditors found no misstatement in the accounts for 2023.",
]


def document(tmp_path, name="facts"):
    pages = tuple(Page(i, str(i + 1), text) for i, text in enumerate(TOPICS))
    return Document(tmp_path / f"{name}.pdf", pages)


def passage(text, page=0, name="facts", score=0.0):
    return Passage(name, page, str(page + 1), text, score)


def test_search_finds_the_page_by_meaning(tmp_path, embedding):
    index = DocumentIndex([document(tmp_path)], embedding)
    found = index.search("How much is the rent for the storage building?", 3)
    assert found[0].page_index == 0
    assert found[0].page_label == "1"
    assert found[0].document == "facts"
    assert found[0].score > found[1].score > found[2].score
    assert found[0].text == TOPICS[0]


def test_passages_never_cross_a_page_and_lose_nothing(tmp_path, embedding):
    words = [" ".join(f"word{i}-{page}" for i in range(400)) for page in range(2)]
    pages = tuple(Page(i, str(i + 1), text) for i, text in enumerate(words))
    index = DocumentIndex([Document(tmp_path / "long.pdf", pages)], embedding)
    found = index.search("word", index.n_passages)
    assert len(found) == index.n_passages > 2
    for page in range(2):
        held = {word for p in found if p.page_index == page for word in p.text.split()}
        assert held == set(words[page].split())


def test_progress_is_reported(tmp_path, embedding):
    seen = []
    DocumentIndex([document(tmp_path)], embedding, on_passages=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3, 3)


def count_words(text):
    return len(text.split())


def test_packing_keeps_to_the_budget_and_prefers_the_best():
    ranked = [passage(f"{'x ' * 10}{i}", page=9 - i, score=1 - i / 10) for i in range(8)]
    for budget in (0, 20, 45, 1000):
        packed = pack_passages(ranked, budget, count_words)
        assert count_words(format_passages(packed)) <= budget
        best = ranked[: len(packed)]
        assert {id(p) for p in packed} == {id(p) for p in best}
        assert [p.page_index for p in packed] == sorted(p.page_index for p in packed)


def test_a_passage_that_does_not_fit_does_not_keep_a_smaller_one_out():
    ranked = [passage("a " * 50), passage("b b")]
    assert pack_passages(ranked, 20, count_words) == [ranked[1]]


def test_passages_are_headed_by_document_and_page():
    assert format_passages([passage("Text.", page=4)]) == "[facts, page 5]\nText."


@pytest.mark.parametrize(
    ("answer", "pages"),
    [
        ("It costs 82,400 crowns.", [0]),
        ("At the kiosk by the lighthouse.", [1]),
        ("It costs 91,700 crowns a year for the warehouse.", []),
        ("Nothing whatever holds these verbs.", []),
        ("", []),
    ],
)
def test_citations(answer, pages):
    passages = [passage(text, page=i) for i, text in enumerate(TOPICS)]
    assert [c.page_index for c in cite(answer, "What is it?", passages)] == pages


def test_words_of_the_question_do_not_earn_a_citation():
    passages = [passage("The yearly rent of the warehouse is fixed in Annex B.", 0), passage("Rent: 82,400.", 1)]
    cited = cite("The yearly rent of the warehouse is 82,400.", "What is the yearly rent of the warehouse?", passages)
    assert [c.page_index for c in cited] == [1]
    assert str(cited[0]) == "facts, page 2"


def test_evidence_decides_between_pages_and_lines_with_the_same_figure():
    fee = passage("The deposit of the cellar is 420.\nThe fee of the barn is 420.", 0)
    rent = passage("The rent of the mill is 300.\nThe rent of the barn is 420.", 1)
    question = "How much is it?"

    def cited(best_lines):
        return [(c.page_index, c.quote) for c in cite("420", question, [fee, rent], None, best_lines)]

    assert cited({}) == [(0, "The deposit of the cellar is 420."), (1, "The rent of the barn is 420.")]
    assert cited({1: "The rent of the\nbarn is 420."})[0] == (1, "The rent of the barn is 420.")
    assert cited({0: "The fee of the barn is 420."})[0] == (0, "The fee of the barn is 420.")
    # The figure decides first: evidence without it is not cited.
    assert cited({1: "The rent of the mill is 300."})[0] == (1, "The rent of the barn is 420.")
    other = passage("The rent of the mill is 300.", 1)
    assert [c.page_index for c in cite("420", question, [fee, other], None, {1: other.text})] == [0]
