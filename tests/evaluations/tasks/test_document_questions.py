"""Questions about documents: the samples, a folder of filings, and an index."""

import math
import re

import pytest
from sra_evaluations.metrics import score

from sra_rag.errors import ConfigError
from tests.evaluations.tasks.task_examples import DATA, count_tokens, examples_of, needs, write_rows


def test_questions_about_the_sample_documents():
    examples = examples_of("documents:tokens=900", 6)
    assert len({example.id for example in examples}) == 6
    assert any(example.gold for example in examples)
    for example in examples:
        assert example.passages
        assert all(passage.text in example.context for passage in example.passages)
        assert count_tokens(example.context) <= 1000
        assert len(example.gold_spans()) == len(example.gold)
        assert len(example.passage_scores) == len(example.passages)
        assert max(example.passage_scores) == 0  # the first passage of the search
        assert all(passage.document.startswith(example.features["document"]) for passage in example.passages)
        assert bool(example.gold) == (example.features.get("gold page") == "in the context")


FILINGS = {
    "ACME.Q2.2023": ["ACME Corporation. Quarterly report.", "Capital expenditure was $1,577 million in 2023."],
    "BOLT_2022_10K": ["Bolt makes bolts. Its seat is Estrova.", "Revenue was $12.3 billion in 2022."],
}
FILED_QUESTIONS = [
    {"financebench_id": "fb_1", "company": "ACME", "doc_name": "ACME.Q2.2023", "answer": "$1577.00",
     "question": "What was capital expenditure in USD millions?",
     "evidence": [{"evidence_text": "Capital expenditure", "doc_name": "ACME.Q2.2023", "evidence_page_num": 1}]},
    {"id": "fb_2", "document": "BOLT_2022_10K.pdf", "question": "Where is the seat of Bolt?", "answer": "Estrova",
     "question_type": "text", "evidence": [{"page": 0, "text": "seat"}]},
    {"id": "fb_3", "document": "BOLT_2022_10K.pdf", "question": "Who audits Bolt?", "answer": None, "evidence": None},
]  # fmt: skip


@pytest.fixture
def filings(tmp_path):
    """A folder in the form of FinanceBench: questions, and PDFs in a folder of their own."""
    from fpdf import FPDF

    (tmp_path / "bench" / "pdfs").mkdir(parents=True)
    for name, pages in FILINGS.items():
        pdf = FPDF()
        pdf.set_font("Helvetica", size=12)
        for text in pages:
            pdf.add_page()
            pdf.multi_cell(0, 6, text)
        pdf.output(str(tmp_path / "bench" / "pdfs" / f"{name}.pdf"))
    write_rows(tmp_path / "bench" / "questions.jsonl", FILED_QUESTIONS)
    return tmp_path / "bench"


@pytest.mark.parametrize("kept", ["", pytest.param(",keep=KEEP", marks=pytest.mark.slow)])
def test_a_folder_of_filings_is_asked_document_by_document(filings, tmp_path, kept):
    for _ in range(2 if kept else 1):
        first, second, third = examples_of(f"documents:folder={filings}{kept.replace('KEEP', str(tmp_path / 'kept'))}")
        assert [first.id, second.id, third.id] == ["fb_1", "fb_2", "fb_3"]
        assert {passage.document for passage in first.passages} == {"ACME.Q2.2023"}
        assert first.gold_pages == (("ACME.Q2.2023", 1),)
        assert first.gold == (FILINGS["ACME.Q2.2023"][1],)
        assert first.features["gold page"] == "in the context"
        assert {passage.document for passage in third.passages} == {"BOLT_2022_10K"}
        assert (third.answers, third.gold_pages) == ((), ())
        said = score("Capital expenditure was $1,577 million in 2023.", first)
        assert (said["right"], said["citation_precision"], said["citation_recall"]) == (1, 1, 1)
        assert score("The seat of Bolt is Estrova.", second)["right"] == 1


def test_documents_without_their_gold_pages_are_not_answerable(filings):
    whole = {example.id: example for example in examples_of(f"documents:folder={filings}")}
    absent = examples_of(f"documents:folder={filings},gold=false")
    assert [example.id for example in absent] == ["fb_1-absent", "fb_2-absent"]
    for example in absent:
        original = whole[example.id.removesuffix("-absent")]
        assert (example.answers, example.gold) == ((), ())
        assert 0 < len(example.passages) < len(original.passages)
        scores = dict(zip(original.passages, original.passage_scores, strict=True))
        assert example.passage_scores == tuple(scores[passage] for passage in example.passages)
        assert not any(gold in example.context for gold in original.gold)
        assert score("The documents do not say.", example)["right"] == 1
    # What another page says too can be answered, so it is left out.
    write_rows(filings / "questions.jsonl", [FILED_QUESTIONS[1] | {"evidence": [{"page": 1}]}])
    assert examples_of(f"documents:folder={filings},gold=false") == []


def test_questions_can_be_asked_of_an_index(filings, tmp_path):
    from sra_pipelines.index.embedding import load_embedding
    from sra_pipelines.index.writer import add_documents

    add_documents(tmp_path / "index", [filings / "pdfs"], load_embedding, embedding_name="embedded", workers=0)
    examples = examples_of(f"documents:folder={filings / 'questions.jsonl'},index={tmp_path / 'index'}")
    assert all({passage.document for passage in example.passages} == set(FILINGS) for example in examples)
    assert [example.gold for example in examples] == [(FILINGS["ACME.Q2.2023"][1],), (FILINGS["BOLT_2022_10K"][0],), ()]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"document": "NONE.pdf"}, "the document 'NONE.pdf' of the questions is neither here nor in pdfs/"),
        ({"evidence": [{"text": "x"}]}, "has no 'page'"),
        ({"evidence": ["x"]}, "'evidence' is a list of objects"),
        ({"question": ...}, "has no 'question'"),
        ({"answer": ...}, "has no 'answer'"),
    ],
)
def test_questions_about_documents_that_cannot_be_used_say_why(filings, change, says):
    row = {name: value for name, value in (FILED_QUESTIONS[1] | change).items() if value is not ...}
    write_rows(filings / "questions.jsonl", [row])
    with pytest.raises(ConfigError, match=re.escape(says)):
        examples_of(f"documents:folder={filings}")


@pytest.mark.slow
@needs(DATA / "financebench" / "questions.jsonl")
def test_real_filings(tmp_path):
    folder = DATA / "financebench"
    examples = examples_of(f"documents:folder={folder},keep={tmp_path},tokens=1500", 6)
    found = [example.features["gold page"] == "in the context" for example in examples]
    assert len(found) == 6
    assert any(found)
    for example in examples:
        assert len(example.gold_spans()) == len(example.gold)
        assert math.isfinite(example.features.get("position", 0))
