"""Figures of a page with row, period and unit; and those that a question asks to compute with."""

import pytest
from sra_pipelines import Passage, read_document
from sra_pipelines.checks.asked_amounts import asked_amounts
from sra_pipelines.checks.calculations import asked_operation, calculate
from sra_pipelines.checks.table_amounts import read_amounts
from sra_pipelines.samples import sample_documents

PAGE = """Balance sheet
£ million Note 2025 2024
Inventories 12.4 11.9
Fees of directors (£ thousand)
2025 2024
Ada Orrin 86 79
Bo Harl (from 7 April 2025) 32 -
Quarterly results
€ million Q1 2025 Q2 2025 Year
Revenue
North 10.5 11.5 22.0
Per-share figures
$ million 2025 2024
Earnings per share 30.4 27.4
Margin 14.6% 13.9%
Net sales | 1,204 | (987)
Three values 1 2 3
Revenue rose by 5.6% to £612.6 million (2024: £580.3 million), of which £6.9 million in 2025 was new.
Years ended December 31,
(Millions) 2018 2017
Net income $ 5,363 $ 4,869
Costs (£ million)
Item | FY 2025 | 2024
Item: Rent | FY 2025: 8.2 | 2024 Actual: $ (7.1)
Item: Days open | FY 2025: 300
Wages | | 5.5
"""


def read(text=PAGE):
    return {(f.label, f.amount.text): (f.period, f.unit) for f in read_amounts(text)}


@pytest.mark.parametrize(
    ("label", "figure", "period", "unit"),
    [
        ("Inventories", "12.4", "2025", "£ million"),
        ("Ada Orrin", "79", "2024", "£ thousand"),
        ("North", "11.5", "Q2 2025", "€ million"),
        ("North", "22.0", "", "€ million"),  # a column without a period of its own
        ("Earnings per share", "30.4", "2025", ""),  # not in the table's unit
        ("Margin", "13.9%", "2024", "%"),
        ("Net sales", "(987)", "2024", "$ million"),
        ("Three values", "2", "", "$ million"),  # more figures than columns
        ("Net income", "$ 4,869", "2017", "million"),
        ("Rent", "8.2", "FY 2025", "£ million"),  # named cells
        ("Rent", "(7.1)", "2024", "£ million"),
        ("Days open", "300", "FY 2025", ""),
        ("Wages", "5.5", "2024", "£ million"),  # below an empty cell
        ("", "5.6%", "", "%"),
        ("", "£612.6 million", "", "£ million"),
        ("", "£580.3 million", "2024", "£ million"),
        ("", "£6.9 million", "2025", "£ million"),
    ],
)
def test_what_a_page_says_of_its_figures(label, figure, period, unit):
    assert read()[label, figure] == (period, unit)


def test_figures_stand_in_their_lines():
    for found in read_amounts(PAGE):
        assert found.amount.text in PAGE[found.start : found.end]
    assert next(f for f in read_amounts(PAGE) if f.label == "North").heading == ("Quarterly results", "Revenue")


def test_an_empty_cell_keeps_the_others_in_their_columns():
    rows = "£ million 2025 2024 2023\nDividends - 3.0 2.5\nFees 4.0 nil 1.0"
    assert {key[1]: value[0] for key, value in read(rows).items()} == {
        "3.0": "2024", "2.5": "2023", "4.0": "2025", "1.0": "2023",
    }  # fmt: skip


@pytest.fixture(scope="module")
def report():
    [path] = [path for path in sample_documents() if "report" in path.name]
    document = read_document(path)
    return [Passage(document.name, p.index, p.label, p.text, end=len(p.text)) for p in document.pages]


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("By how much did Tarnbrook's profit before tax rise from 2024 to 2025?", "60.9 - 55.1 = 5.8 (£ million)"),
        ("By how much did annual revenue in Water Metering grow from 2021 to 2025?",
         "318.4 - 249.8 = 68.6 (£ million)"),
        ("By what percentage did revenue grow in 2025?", "(612.6 - 580.3) / 580.3 = 5.57%"),
        ("By how much did administrative expenses rise in 2025?", "73.3 - 64.1 = 9.2 (£ million)"),
        ("What percentage of 2025 revenue was gross profit?", "255.7 / 612.6 = 0.4174 (41.74%)"),
        ("What is the ratio of total liabilities to total assets in 2025?", "364.6 / 692.5 = 0.5265 (52.65%)"),
        ("What was average R&D expense from 2023 to 2025?", "(40.1 + 43.6 + 47.2) / 3 = 43.63 (£ million)"),
    ],
)  # fmt: skip
def test_figures_of_the_sample_report_are_found_and_computed(report, question, text):
    operation = asked_operation(question)
    operands = asked_amounts(question, operation, report)
    calculation = calculate(operation, operands)
    assert calculation.text == text
    pages = {passage.page_index: passage.text for passage in report}
    for operand in operands:
        assert operand.figure.text in operand.line
        assert operand.line in pages[operand.page_index]


@pytest.mark.parametrize(
    "question",
    [
        "By how much did zebra revenue rise from 2024 to 2025?",  # no such row
        "By how much did revenue rise from 2014 to 2015?",  # no such columns
        "By how much did revenue rise?",  # when?
        "How much did inventories change from 2024 to 2025?",  # balance sheet and cash flows differ
        "What percentage of 2025 revenue was spent on property, plant and equipment?",  # the row is called otherwise
        "What was the operating margin in 2025?",
    ],
)
def test_a_doubt_leaves_nothing(report, question):
    assert asked_amounts(question, asked_operation(question), report) == []
