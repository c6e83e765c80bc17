"""Documents that a question names are preferred and hide no others."""

import random
from collections import Counter
from pathlib import Path

import pytest
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.retrieval import named_documents
from sra_pipelines.retrieval.named_documents import _YEAR, DocumentNames, _asked, _owner_words, prefer_documents
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.values import Document, Page, Passage

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
    assert DocumentNames(NAMES).in_question(question) == expected


def test_nothing_is_named_where_nothing_is_to_choose():
    assert DocumentNames(["3M_2018_10K"]).in_question("What is 3M's revenue of FY2018?") == []
    assert DocumentNames(["3M_2018_10K", "BESTBUY_2018_10K"]).in_question("What is the revenue of 2018?") == []


def named_one_by_one(question, names):
    """Return the documents that a question names, by a comparison with each name: slow, and spelled out."""
    own = {name: _owner_words(name) for name in names}
    counts = Counter(word for words in own.values() for word in words)
    asked, capitals = _asked(question)
    years, owners = set(_YEAR.findall(question)), set()
    for name in names:
        words = {word for word in own[name] if counts[word] < len(names)}
        hits = sum(word in asked or any(map(word.startswith, capitals)) for word in words)
        if words and hits >= (len(words) if len(words) <= 2 else len(words) / 2):
            owners.add(name)
    of_years = {name for name in owners or names if years & set(_YEAR.findall(name.replace("_", " ")))}
    chosen = of_years or owners
    return [name for name in names if name in chosen] if len(chosen) < len(names) or len(owners) > 1 else []


def test_the_same_documents_are_named_as_by_a_comparison_with_each_name():
    rng = random.Random(4)
    words = ["Orrin", "Orrington", "Tolva", "Nera", "Quay", "Best", "Buy", "MGM", "Report", "3M"]
    outcomes = Counter()
    for _ in range(3000):
        names = {
            "_".join([*rng.choices(words, k=rng.randint(1, 4)), str(rng.randint(2019, 2023))][rng.randint(0, 1) :])
            for _ in range(rng.randint(2, 9))
        }
        question = " ".join(rng.choices([*words, "best", "Orr", "quay", "2020", "FY2021", "of"], k=rng.randint(1, 6)))
        expected = named_one_by_one(question, sorted(names))
        assert DocumentNames(sorted(names)).in_question(question) == expected
        outcomes[len(expected)] += 1
    assert min(outcomes[n] for n in range(4)) > 50, outcomes


def test_a_question_is_compared_with_few_of_many_names(monkeypatch):
    names = DocumentNames([f"line{n}x_report" for n in range(2000)] + ["ORRIN_2023"])
    compared, named = [], named_documents._is_named
    monkeypatch.setattr(named_documents, "_is_named", lambda *own: compared.append(own) or named(*own))
    assert names.in_question("What did Orrin earn in 2023?") == ["ORRIN_2023"]
    assert len(compared) == 1


def test_documents_take_turns_and_the_scores_of_others_stay():
    ranked = [Passage(name, n, "1", "", score=0.9 - n / 10) for n, name in enumerate("abacbcab")]
    preferred = [f"{p.document}{p.page_index}" for p in prefer_documents(ranked, ["c", "b", "none"])]
    assert preferred == ["b1", "c3", "b4", "a0", "c5", "b7", "a2", "a6"]
    assert prefer_documents(ranked, []) == ranked


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
