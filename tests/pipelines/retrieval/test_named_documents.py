"""Documents that a question names are preferred and hide no others."""

from pathlib import Path

import pytest
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.retrieval.named_documents import named_documents
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.values import Document, Page

NAMES = [
    "3M_2017_10K", "3M_2018_10K", "BESTBUY_2024Q2_10Q", "MGMRESORTS_2022Q4_EARNINGS", "harbour_lease", "notes-final",
]  # fmt: skip


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is 3M's revenue of FY2018?", ["3M_2018_10K"]),
        ("How did the revenue of 3M develop?", ["3M_2017_10K", "3M_2018_10K"]),
        ("How many stores has Best Buy?", ["BESTBUY_2024Q2_10Q"]),
        ("Which category performed best for those who buy?", []),
        ("What is the EBITDAR of MGM?", ["MGMRESORTS_2022Q4_EARNINGS"]),
        ("Which of 3M and Best Buy sold more?", ["3M_2017_10K", "3M_2018_10K", "BESTBUY_2024Q2_10Q"]),
        ("Who signed the harbour lease?", ["harbour_lease"]),
        ("What was paid in 2022?", ["MGMRESORTS_2022Q4_EARNINGS"]),
        ("What does the annual report say?", []),
        ("Which of the two companies is larger?", NAMES),
        ("What is the revenue?", []),
    ],
)
def test_which_documents_a_question_names(question, expected):
    assert named_documents(question, NAMES) == expected


def test_nothing_is_named_where_nothing_is_to_choose():
    assert named_documents("What is 3M's revenue of FY2018?", ["3M_2018_10K"]) == []
    assert named_documents("What is the revenue of 2018?", ["3M_2018_10K", "BESTBUY_2018_10K"]) == []


@pytest.fixture(scope="module")
def shelf(word_embedding):
    pages = "The ferry line {} sold {} tickets at the kiosk."
    texts = {
        "ORRIN_2023": [pages.format("Orrin", n) for n in range(6)],
        "TOLVA_2023": [pages.format("Tolva", n) for n in range(6)],
        "NERA_2023": ["Nera sails on Sundays.", "The tickets of Nera are sold on board."],
    }
    documents = [
        Document(Path(f"/{name}.pdf"), tuple(Page(i, str(i + 1), text) for i, text in enumerate(pages)))
        for name, pages in texts.items()
    ]
    return DocumentIndex(documents, word_embedding)


def documents_of(passages):
    return [passage.document for passage in passages]


def test_a_named_document_comes_first_and_hides_none(shelf):
    question = "How many tickets did the ferry line sell at the kiosk"
    retriever = Retriever(shelf)
    named = documents_of(retriever.search(f"{question}, according to Nera?"))
    assert named[0] == "NERA_2023"
    assert set(named) == {"NERA_2023", "ORRIN_2023", "TOLVA_2023"}
    assert retriever.search(f"{question}?") == Retriever(shelf, vocabulary=()).search(f"{question}?")


def test_a_question_about_two_companies_finds_pages_of_each(shelf):
    found = Retriever(shelf).search("Which of Tolva and Nera sold more tickets at the kiosk?")
    assert set(documents_of(found)[:2]) == {"TOLVA_2023", "NERA_2023"}
    several = Retriever(shelf).search("Which of the three companies sold the most tickets at the kiosk?")
    assert set(documents_of(several)[:3]) == {"TOLVA_2023", "NERA_2023", "ORRIN_2023"}
