"""Arithmetic by code: only over figures that stand on a page, and right to the last digit."""

import json
from decimal import Decimal

import pytest
from sra_pipelines import DocumentQA, Passage, read_document
from sra_pipelines.answering.answers import Retrieval
from sra_pipelines.checks.arithmetic import computed
from sra_pipelines.checks.calculations import asked_operation, calculate, find_operand
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.retrieval.packing import format_passages
from sra_pipelines.samples import sample_documents

PASSAGES = [
    Passage(
        "report", 14, "15",
        "Income statement, £ million 2025 2024\nRevenue 518.2 472.9\nCost of sales (301.4) (280.0)\n"
        "Operating margin 14.6% 13.9%\nDividends paid nil 0",
    ),
    Passage("report", 3, "4", "Revenue in North America was £131.8 million in 2025 and £118.2 million in 2024."),
]  # fmt: skip


def operand(label, figure, passages=PASSAGES):
    found = find_operand(label, figure, passages)
    assert found is not None, (label, figure)
    return found


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("By how much did revenue change from 2024 to 2025?", "difference"),
        ("What is the difference between the two?", "difference"),
        ("What was revenue growth in 2025?", "growth"),
        ("By what percentage did revenue increase?", "growth"),
        ("What is the % change in net sales?", "growth"),
        ("What is the quick ratio?", "ratio"),
        ("What was the operating margin?", "ratio"),
        ("What is the average of the three years?", "average"),
        ("What are both segments combined?", "sum"),
        ("What percentage of 2025 revenue was gross profit?", "ratio"),
        ("By how much did revenue grow from 2021 to 2025?", "difference"),
        ("By what percentage did revenue grow?", "growth"),
        ("What does Good Industry Practice mean?", None),
        ("Who are the directors?", None),
        ("When does the agreement end?", None),
    ],
)
def test_questions_that_ask_for_arithmetic_are_told(question, expected):
    assert asked_operation(question) == expected


@pytest.mark.parametrize(
    ("operation", "operands", "result", "text"),
    [
        ("difference", [("Revenue 2024", "472.9"), ("Revenue 2025", "518.2")], "45.3",
         "518.2 - 472.9 = 45.3 (£ million)"),
        ("difference", [("Revenue 2025", "518.2"), ("Revenue 2024", "472.9")], "45.3",
         "518.2 - 472.9 = 45.3 (£ million)"),
        ("growth", [("Revenue 2024", "472.9"), ("Revenue 2025", "518.2")], "9.58", "(518.2 - 472.9) / 472.9 = 9.58%"),
        ("ratio", [("Cost of sales", "(301.4)"), ("Revenue", "518.2")], "-0.5816",
         "(301.4) / 518.2 = -0.5816 (-58.16%)"),
        ("sum", [("Revenue", "518.2"), ("Revenue", "472.9")], "991.1", "518.2 + 472.9 = 991.1 (£ million)"),
        ("average", [("Revenue", "518.2"), ("Revenue", "472.9")], "495.55", "(518.2 + 472.9) / 2 = 495.55 (£ million)"),
        (
            "difference",
            [("Revenue North America 2024", "£118.2 million"), ("Revenue North America 2025", "£131.8 million")],
            "13.6", "£131.8 million - £118.2 million = £13.6 million",
        ),
        ("difference", [("Cost of sales", "(280.0)"), ("Cost of sales", "(301.4)")], "21.4",
         "301.4 - 280.0 = 21.4 (£ million)"),
        ("growth", [("Cost of sales", "(280.0)"), ("Cost of sales", "(301.4)")], "7.64",
         "(301.4 - 280.0) / 280.0 = 7.64%"),
        ("difference", [("Operating margin 2024", "13.9%"), ("Operating margin 2025", "14.6%")], "0.7",
         "14.6% - 13.9% = 0.7 percentage points"),
    ],
)  # fmt: skip
def test_results_are_exact(operation, operands, result, text):
    found = calculate(operation, [operand(*one) for one in operands])
    assert found.result == Decimal(result)
    assert found.text == text
    assert json.loads(json.dumps(found.to_dict()))["result"] == result


def test_an_operand_names_its_place_as_it_is_written_there():
    found = operand("North America revenue", "131.8 million")
    assert (found.document, found.page_index, found.page_label) == ("report", 3, "4")
    assert found.figure.text == "£131.8 million"
    assert str(found) == "North America revenue: £131.8 million (2025; £ million; report, page 4)"
    assert str(operand("Revenue", "472.9")) == "Revenue: 472.9 (2024; £ million; report, page 15)"


@pytest.mark.parametrize(
    ("label", "figure"),
    [
        ("Revenue", "519.2"),  # stands nowhere
        ("Operating profit", "518.2"),  # stands in a line about something else
        ("Revenue", "518.2 472.9"),  # two
        ("Revenue", "many"),
        ("", "518.2"),
        ("Revenue 2025", "472.9"),  # the column of another year
        ("Revenue 2023", "472.9"),
        ("North America revenue 2024", "131.8"),  # the year of another figure
    ],
)
def test_a_figure_that_cannot_be_verified_is_no_operand(label, figure):
    assert find_operand(label, figure, PASSAGES) is None


@pytest.mark.parametrize(
    ("operation", "operands"),
    [
        ("difference", [("Revenue", "518.2")]),
        ("difference", [("Revenue", "518.2"), ("Revenue", "518.2")]),  # the same place twice
        ("difference", [("Revenue", "518.2"), ("Operating margin", "14.6%")]),
        ("sum", [("Revenue", "518.2"), ("North America revenue", "£131.8 million")]),  # scales differ
        ("ratio", [("Revenue", "518.2"), ("Dividends paid", "0")]),
        ("growth", [("Dividends paid", "0"), ("Revenue", "518.2")]),
        ("difference", [("Revenue", "518.2"), ("Revenue", "472.9"), ("Cost of sales", "(280.0)")]),
        ("product", [("Revenue", "518.2"), ("Revenue", "472.9")]),
    ],
)
def test_what_does_not_go_together_is_not_computed(operation, operands):
    assert calculate(operation, [operand(*one) for one in operands]) is None


def test_nothing_is_asked_of_the_model_where_no_arithmetic_is(tiny_engine):
    found = Retrieval("Who are the directors?", tuple(PASSAGES), format_passages(PASSAGES))
    tiny_engine.generate = None  # would fail
    assert computed(tiny_engine, found, None) is None


@pytest.mark.slow
def test_the_embedded_model_names_figures_and_code_verifies_them(engine):
    found = Retrieval(
        "By how much did revenue in North America change from 2024 to 2025?",
        (PASSAGES[1],),
        format_passages(PASSAGES[1:]),
    )
    calculation = computed(engine, found, None)
    if calculation is not None:  # a model of this size often names others
        assert calculation.result in {Decimal("13.6"), Decimal("-13.6")}
        assert all(o.figure.text in PASSAGES[1].text for o in calculation.operands)


@pytest.mark.slow
def test_financial_answers_carry_what_was_checked(engine, embedding):
    [report] = [path for path in sample_documents() if "report" in path.name]
    index = DocumentIndex([read_document(report)], embedding)
    qa = DocumentQA(index, engine, preset="financial", context_tokens=600)
    answer = qa.ask("By how much did revenue change from 2024 to 2025?", max_new_tokens=24)
    values = answer.to_dict()
    assert set(values) >= {"calculation", "notes"}
    json.dumps(values["calculation"])
    if answer.calculation is not None:
        texts = {p.text for p in answer.passages}
        for one in answer.calculation.operands:
            assert any(one.line in text for text in texts)
