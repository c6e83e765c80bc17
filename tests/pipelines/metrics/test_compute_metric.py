"""Metrics from the rows of statements: right to the last digit, or a note that says what is missing."""

import dataclasses
from decimal import Decimal
from pathlib import Path

import pytest
from sra_pipelines import DocumentIndex, DocumentQA, Passage
from sra_pipelines.answering.answers import Retrieval
from sra_pipelines.checks.run_checks import run_checks
from sra_pipelines.checks.support import check_support
from sra_pipelines.metrics.compute_metric import computed_metric
from sra_pipelines.presets import load_preset
from sra_pipelines.reading.splitting import Splitting
from sra_pipelines.retrieval.packing import format_passages
from sra_pipelines.retrieval.placing import PlacedStatement
from sra_pipelines.values import Document, Page

from sra_rag import Engine

FILING = (Path(__file__).parents[1] / "structure" / "filing.txt").read_text(encoding="utf-8").split("\n\f\n")
METRICS = load_preset("financial").metrics
PAGES = {4: "income_statement", 5: "balance_sheet", 6: "balance_sheet", 7: "cash_flow_statement"}
HEADING = "Orrin Ferries, Inc.\nBalance sheets\n$ million\nAs of December 31, 2023 2022\n"


def passage(text, page_index=0, document="orrin"):
    return Passage(document, page_index, str(page_index + 1), text, end=len(text))


PASSAGES = [passage(FILING[index], index) for index in PAGES]
STATEMENTS = [PlacedStatement("orrin", index, kind) for index, kind in PAGES.items()]


def compute(question, passages=PASSAGES, statements=STATEMENTS):
    return computed_metric(question, passages, statements, METRICS)


def balance(rows, question):
    return compute(question, [passage(HEADING + rows)], [PlacedStatement("orrin", 0, "balance_sheet")])


@pytest.mark.parametrize(
    ("question", "result", "text"),
    [
        ("What was the gross margin in FY2023?", "40.03", "gross margin 2023: (300.5 - 180.2) / 300.5 = 40.03%"),
        ("Does Orrin Ferries have an improving operating margin as of FY2023?", "20.03",
         "operating margin 2022: 46.7 / 275.1 = 16.98%; 2023: 60.2 / 300.5 = 20.03%; change = +3.06 percentage points"),
        ("What was Orrin's capex in 2023?", "31.0", "capital expenditure 2023: 31.0 (million)"),
        ("By what percentage did revenue grow in 2023?", "9.23",
         "revenue 2022: 275.1 (million); 2023: 300.5 (million); change = +25.4 (+9.23%)"),
        ("By how much did net sales increase from 2022 to 2023?", "25.4",
         "revenue 2022: 275.1 (million); 2023: 300.5 (million); change = +25.4 (+9.23%)"),
        ("What is the effective tax rate of 2023?", "19.93", "effective tax rate 2023: 11.0 / 55.2 = 19.93%"),
        ("What was the quick ratio at the end of 2022?", "1.13", "quick ratio 2022: (58.4 - 11.9) / 41.0 = 1.13"),
        ("What was free cash flow in 2023?", "39.1", "free cash flow 2023: 70.1 - 31.0 = 39.1 (million)"),
        ("What was return on assets in 2023?", "15.62",
         "return on assets 2023: 44.2 / ((278.6 + 287.3) / 2) = 15.62%"),
        ("What was the 2022 to 2023 average of the net margin?", "13.35",
         "net margin 2022: 33.0 / 275.1 = 12.00%; 2023: 44.2 / 300.5 = 14.71%; average = 13.35%"),
        ("What is the FY2023 debt rate? The debt rate is defined as: FY2023 total liabilities / FY2023 total assets.",
         "0.47", "debt rate 2023: 134.0 / 287.3 = 0.47"),
    ],
)  # fmt: skip
def test_what_is_computed(question, result, text):
    calculation, note = compute(question)
    assert (calculation.text, note) == (text, "")
    assert calculation.result == Decimal(result)
    assert calculation.operation == "metric"


def test_operands_name_their_row_page_period_and_unit():
    calculation, _ = compute("What was the gross margin in FY2023?")
    assert [str(operand) for operand in calculation.operands] == [
        "Net sales: $ 300.5 (2023; million; orrin, page 5)", "Cost of sales: (180.2) (2023; million; orrin, page 5)",
    ]  # fmt: skip
    assert all(operand.line in FILING[4] for operand in calculation.operands)


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ("What was the gross margin in FY2021?", "gross margin 2021: income statement, row 'Net sales': there is no "
         "column for 2021"),
        ("What was the gross margin of Orrin?", "gross margin: the question names no financial year"),
        ("What was return on assets in 2022?", "there is no column for 2021"),
        ("What was SG&A to R&D in 2023?", "the income statement in the passages has no row for research"),
        ("What was the gross margin in Q2 of 2023?", "there is no column for Q2 2023"),
        ("What was the gross margin YTD 2023?", "but not which part of which year"),
        ("What was X in 2023? X is defined as: wages / revenue.", "the definition in the question cannot be used"),
        ("What was the gross margin in 2017, 2018, 2019, 2020, 2021, 2022 and 2023?", "names 7 years; at most 6"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(question, problem):
    calculation, note = compute(question)
    assert calculation is None
    assert note.startswith("not computed: ")
    assert problem in note


@pytest.mark.parametrize(
    "question",
    ["What was the gross margin of Tanker Lines in 2023?", "What was ticket revenue in 2023?", "Who is the auditor?"],
)
def test_questions_about_something_else_are_left_alone(question):
    assert compute(question) is None


def test_no_statement_and_statements_of_several_documents():
    assert "no page of a statement is among the passages" in compute("What was revenue in 2023?", PASSAGES, [])[1]
    other = passage(FILING[4], 4, "skerry")
    both = [*PASSAGES, other], [*STATEMENTS, PlacedStatement("skerry", 4, "income_statement")]
    assert (
        "statements of several documents are among the passages (orrin, skerry); name one"
        in compute("What was revenue in 2023?", *both)[1]
    )
    calculation, _ = compute("What was Skerry's revenue in 2023?", *both)
    assert {operand.document for operand in calculation.operands} == {"skerry"}


def test_rows_that_differ_are_ambiguous():
    rows = "Total assets 9.0 8.0\nOther\nTotal assets 7.0 8.0\nTotal equity 2.0 1.0"
    assert (
        "different rows for total assets in 2023: 'Total assets' and 'Total assets'"
        in balance(rows, "What were total assets in 2023?")[1]
    )
    assert balance(rows, "What were total assets in 2022?")[0].result == 8


@pytest.mark.parametrize(
    ("rows", "result"),
    [
        ("Finished goods 5.0 4.0\nRaw materials 2.0 1.0\nPrepaid 1.0 1.0", "7.0"),
        ("Finished goods 5.0 4.0\nRaw materials 2.0 1.0\nLess LIFO reserve (1.0) 0.5", None),
        ("Finished goods 5.0 4.0\nRaw materials 2.0 1.0\n...\nTotal assets 9.0 8.0", None),  # rows were left out
        ("Finished goods 5.0 4.0\nPrepaid 1.0 1.0", None),  # one part only
        ("Finished goods 5.0 4.0\nTotal inventories 6.0 4.5", "6.0"),
        ("Finished goods 5.0 4.0\nWork in process 3.0\nRaw materials 2.0 1.0\nPrepaid 1.0 1.0", None),  # a missing cell
        ("Finished goods 5.0 —\nRaw materials — 1.0\nPrepaid 1.0 1.0", None),  # an empty cell
    ],
)
def test_a_sum_of_rows_needs_all_of_them(rows, result):
    calculation, note = balance(rows, "What was inventory in 2023?")
    assert (None if calculation is None else str(calculation.result)) == result
    assert bool(note) == (result is None)


@pytest.mark.parametrize(
    ("label", "amount", "net", "rate"),
    [
        ("Provision for income taxes", "11.0", "44.0", "20.00"),
        ("Provision for income taxes", "(11.0)", "43.0", "20.00"),  # about: another row is between
        ("Provision for income taxes", "(11.0)", "66.0", "-20.00"),
        ("Provision for income taxes", "11.0", "66.0", "-20.00"),
        ("Provision for income taxes", "11.0", "", "20.00"),
        ("Provision for income taxes", "(11.0)", "", None),  # an expense or a benefit?
        ("Provision for income taxes", "11.0", "55.0", None),
        ("Income tax (expense)/benefit", "(11.0)", "", "20.00"),
        ("Income tax (expense)/benefit", "11.0", "", "-20.00"),
        ("Provision for (benefit from) income taxes", "(11.0)", "", "-20.00"),
        ("Income tax benefit", "11.0", "66.0", "-20.00"),
        ("Income tax benefit", "(11.0)", "66.0", "-20.00"),  # in a column of expenses
        ("Income tax benefit", "(11.0)", "", None),
        ("Income tax benefit", "11.0", "", None),
        ("(Provision for) benefit from income taxes", "(11.0)", "44.0", "20.00"),
        ("Income tax (benefit) expense", "11.0", "44.0", "20.00"),
        ("Provision for (benefit from) income taxes", "(11.0)", "44.0", None),
        ("Income tax (expense)/benefit", "11.0", "44.0", None),  # the label and the rows contradict each other
    ],
)
def test_the_sign_of_income_taxes(label, amount, net, rate):
    rows = f"Income before taxes 55.0 41.0\n{label} {amount} 8.0" + (f"\nNet income {net} 33.0" if net else "")
    text = f"$ million\nYears ended December 31, 2023 2022\n{rows}"
    statements = [PlacedStatement("orrin", 0, "income_statement")]
    calculation, note = compute("What is the effective tax rate of 2023?", [passage(text)], statements)
    if rate is None:
        assert "is an expense or a benefit is not certain" in note
    else:
        assert str(calculation.result) == rate


def test_a_loss_is_negative_and_units_must_agree():
    text = "$ million\nYears ended December 31, 2023 2022\nNet sales 50.0 40.0\nNet loss 5.0 (4.0)"
    income = passage(text)
    one = [PlacedStatement("orrin", 0, "income_statement")]
    assert str(compute("What was the net margin in 2023?", [income], one)[0].result) == "-10.00"
    thousands = passage("$ thousand\nAs of December 31, 2023 2022\nTotal assets 100.0 90.0", 1)
    two = [*one, PlacedStatement("orrin", 1, "balance_sheet")]
    assert (
        "the units differ: $ million, $ thousand"
        in compute("What was the asset turnover in 2023?", [income, thousands], two)[1]
    )


def test_a_preset_without_metrics_computes_none():
    assert computed_metric("What was revenue in 2023?", PASSAGES, STATEMENTS, load_preset("legal").metrics) is None


@pytest.fixture(scope="module")
def filing(word_embedding):
    pages = tuple(Page(i, str(i + 1), text) for i, text in enumerate(FILING))
    return DocumentIndex([Document(Path("/orrin.pdf"), pages)], word_embedding, splitting=Splitting(60, 8))


def test_an_answer_has_the_calculation_and_its_rows_are_in_the_passages(filing, tiny):
    engine = Engine(tiny, context_window=4096)
    qa = DocumentQA(filing, engine, preset="financial", context_tokens=900)
    found = qa.retrieve("What was the effective tax rate of Orrin Ferries in 2023?")
    assert "income_statement" in {statement.kind for statement in found.statements}
    answer = qa.ask(found, max_new_tokens=4)
    assert answer.calculation.text == "effective tax rate 2023: 11.0 / 55.2 = 19.93%"
    for operand in answer.calculation.operands:
        assert any(operand.line in passage.text for passage in answer.passages)
    assert answer.to_dict()["calculation"]["operation"] == "metric"


def test_a_note_says_why_nothing_was_computed_and_the_model_is_not_asked(tiny_engine):
    found = Retrieval(
        "What was the gross margin in FY2021?", tuple(PASSAGES), format_passages(PASSAGES), statements=tuple(STATEMENTS)
    )
    generation = tiny_engine.generate(found.messages(), max_new_tokens=2)
    engine = dataclasses.make_dataclass("NoEngine", [])()  # has no method to generate
    notes, calculation = run_checks(
        ("arithmetic",), engine, found, generation, (), check_support("", "", ()), {}, metrics=METRICS
    )  # fmt: skip
    assert calculation is None
    [note] = notes
    assert note.startswith("not computed: gross margin 2021: income statement, row 'Net sales'")


@pytest.mark.parametrize(
    ("heading", "problem"),
    [
        ("$ million, convenience translation in €\n2023 2022", "the heading names several currencies"),
        ("$ million\nAs reported As restated\n2023 2022 2022", "several columns are for 2022"),
        ("$ million\nPro forma\n2022 2022", "several columns are for 2022"),
    ],
)
def test_columns_that_are_not_certain(heading, problem):
    cells = "9 8 7" if "restated" in heading else "9 8"
    text = f"{heading}\nNet sales {cells}\nNet income {cells}"
    calculation, note = compute(
        "What was revenue in 2022?", [passage(text)], [PlacedStatement("orrin", 0, "income_statement")]
    )
    assert calculation is None
    assert problem in note


def test_restated_amounts_of_one_column_are_those_of_the_statement():
    text = "£ thousand\nYears ended 31 December 2023 2022 (restated)\nTurnover 1,200 1,150\nProfit for the year (40) 12"
    one = [PlacedStatement("orrin", 0, "income_statement")]
    calculation, _ = compute("What was the net margin in 2023?", [passage(text)], one)
    assert calculation.text == "net margin 2023: (40) / 1,200 = -3.33%"
    assert compute("What was revenue in 2022?", [passage(text)], one)[0].text == "revenue 2022: 1,150 (£ thousand)"


def test_a_shortened_statement_is_read_whole_if_its_page_is_known():
    text = "$ million\n2023 2022\nNet sales 50 40\nCost of sales 30 26\nGross profit 20 14"
    short = passage("$ million\n2023 2022\nNet sales 50 40\n...")
    one = [PlacedStatement("orrin", 0, "income_statement")]
    question = "What was gross profit in 2023?"
    assert computed_metric(question, [short], one, METRICS)[0] is None
    calculation, _ = computed_metric(question, [short], one, METRICS, pages={("orrin", 0): [passage(text)]})
    assert calculation.result == 20
