"""The committed sample documents are what the generator writes, and every gold answer stands in them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from pypdf import PdfReader
from sra_pipelines.samples import (
    SAMPLES_DIR,
    SampleQuestion,
    demo_questions,
    sample_documents,
    sample_questions,
)

from tools.sample_documents.generate import main
from tools.sample_documents.questions import EvidenceError, Span, locate

QUESTIONS = sample_questions()
ANSWERED = [q for q in QUESTIONS if q.answer is not None]
UNANSWERABLE = [q for q in QUESTIONS if q.answer is None]
QUOTED = [q for q in ANSWERED if q.question_type in ("extraction", "table")]
FIGURE = re.compile(r"\(?\d[\d,]*\.?\d*\)?")


def squeeze(text: str) -> str:
    return " ".join(text.split())


@cache
def pages(stem: str) -> tuple[str, ...]:
    reader = PdfReader(SAMPLES_DIR / f"{stem}.pdf")
    return tuple(page.extract_text() for page in reader.pages)


def figures(stem: str, page_title: str, label: str) -> list[float]:
    """Read the figures of one table row on the page that holds a title and that row."""
    for text in pages(stem)[2:]:
        if page_title not in text:
            continue
        after = text[text.index(page_title) :]
        for line in after.splitlines():
            if re.fullmatch(rf"{label}( [(]?[\d,.]+[)]?| -)+\s*", line):
                return [_number(word) for word in FIGURE.findall(line.removeprefix(label))]
    raise LookupError(f"no row {label!r} below {page_title!r}")


def _number(word: str) -> float:
    value = float(word.strip("()").replace(",", ""))
    return -value if word.startswith("(") else value


def test_regenerating_gives_the_committed_bytes(tmp_path: Path) -> None:
    main(["--to", str(tmp_path)])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["annual_report.pdf", "questions.jsonl", "services_agreement.pdf"]
    for name in names:
        assert (tmp_path / name).read_bytes() == (SAMPLES_DIR / name).read_bytes(), name


def test_page_counts() -> None:
    assert [path.stem for path in sample_documents()] == ["annual_report", "services_agreement"]
    assert len(pages("annual_report")) >= 28
    assert len(pages("services_agreement")) >= 14


@pytest.mark.parametrize("stem", ["annual_report", "services_agreement"])
def test_page_numbers_are_printed_and_no_page_is_nearly_empty(stem: str) -> None:
    for number, text in enumerate(pages(stem)[1:], start=2):
        assert f"Page {number}" in text
        assert len(text.split()) > 120, number


@pytest.mark.parametrize("stem", ["annual_report", "services_agreement"])
def test_contents_name_the_page_of_each_section(stem: str) -> None:
    entries = re.findall(r"^(.+?) (\d{1,2})$", pages(stem)[1], flags=re.MULTILINE)
    sections = [(title, int(page)) for title, page in entries if title != "Page"]
    assert len(sections) >= 20
    for title, page in sections:
        assert title in pages(stem)[page - 1]


def test_question_ids_are_unique_and_a_fifth_is_unanswerable() -> None:
    assert len({q.id for q in QUESTIONS}) == len(QUESTIONS) >= 48
    assert len(UNANSWERABLE) >= len(QUESTIONS) / 5
    for question in UNANSWERABLE:
        assert (question.question_type, question.evidence) == ("unanswerable", ())


@pytest.mark.parametrize("question", ANSWERED, ids=lambda q: q.id)
def test_evidence_stands_on_its_page(question: SampleQuestion) -> None:
    assert question.evidence
    for evidence in question.evidence:
        page = pages(question.document)[evidence.page]
        assert squeeze(evidence.text) in squeeze(page)


@pytest.mark.parametrize("question", QUOTED, ids=lambda q: q.id)
def test_answer_stands_in_its_evidence(question: SampleQuestion) -> None:
    assert question.answer is not None
    evidence = squeeze(" ".join(e.text for e in question.evidence))
    number = FIGURE.search(question.answer)
    assert question.answer in evidence or (number is not None and number[0] in evidence)


def test_a_span_on_no_page_or_on_two_raises() -> None:
    with pytest.raises(EvidenceError):
        locate(Span("absent"), ["one page"], "x")
    with pytest.raises(EvidenceError):
        locate(Span("page"), ["page one", "page two"], "x")
    assert locate(Span("page", beside="two"), ["page one", "page two"], "x") == 1


def test_balance_sheet_balances_as_printed() -> None:
    title = "Consolidated balance sheet"
    assets = figures("annual_report", title, "Total assets")
    liabilities = figures("annual_report", title, "Total liabilities")
    equity = figures("annual_report", title, "Total equity")
    assert len(assets) == 2
    assert figures("annual_report", title, "Total equity and liabilities") == assets
    for asset, liability, own in zip(assets, liabilities, equity, strict=True):
        assert asset == pytest.approx(liability + own)


def test_cash_flow_ends_at_the_cash_in_the_balance_sheet() -> None:
    flow = "Consolidated cash-flow statement"
    end = figures("annual_report", flow, "Cash at the end of the year")
    held = figures("annual_report", "Consolidated balance sheet", "Cash and cash equivalents")
    assert end == held
    assert figures("annual_report", flow, "Cash at the start of the year")[0] == end[1]
    parts = ("Net increase in cash", "Cash at the start of the year", "Effect of exchange rates on cash")
    rows = [figures("annual_report", flow, part) for part in parts]
    for *terms, total in zip(*rows, end, strict=True):
        assert sum(terms) == pytest.approx(total)


@pytest.mark.parametrize("year", [2025, 2024])
@pytest.mark.parametrize("label", ["Water Metering", "Industrial Sensing", "Flow Analytics", "Revenue"])
def test_quarters_sum_to_the_year(year: int, label: str) -> None:
    *quarters, total = figures("annual_report", f"Quarterly results, financial year {year}", label)
    assert len(quarters) == 4
    assert sum(quarters) == pytest.approx(total)


def test_segments_and_regions_sum_to_revenue() -> None:
    revenue = figures("annual_report", "Consolidated income statement", "Revenue")
    by_region = figures("annual_report", "Revenue by region", "Revenue")
    assert by_region[:2] == revenue
    for year, total in zip((2025, 2024), revenue, strict=True):
        row = figures("annual_report", f"Segment information, {year}", "Revenue")
        assert row[-1] == total == pytest.approx(sum(row[:-1]))


def test_cross_references_of_the_agreement_exist() -> None:
    text = "\n".join(pages("services_agreement")[2:])
    numbered = set(re.findall(r"^(\d+\.\d+) [A-Z]", text, flags=re.MULTILINE))
    headed = set(re.findall(r"^(\d+)\. [A-Z]", text, flags=re.MULTILINE))
    referred = re.findall(r"Clauses?\s+(\d+(?:\.\d+)?)", text)
    assert len(referred) > 30
    assert set(referred) <= numbered | headed


def test_the_questions_of_the_demo_can_be_answered_from_the_documents():
    questions = demo_questions()
    assert [question.answer is None for question in questions] == [False] * 4 + [True]
    for question in questions:
        for span in question.evidence:
            assert squeeze(span.text) in squeeze(pages(question.document)[span.page])
