"""What of an answer stands in the passages, where it is quoted from, and when it is no answer."""

from decimal import Decimal

import pytest
from sra_pipelines.checks.abstention import abstains
from sra_pipelines.checks.amounts import find_amounts, find_dates, same_amount
from sra_pipelines.checks.citations import Citation, cite, stands
from sra_pipelines.checks.support import check_support, mark_unsupported
from sra_pipelines.values import Passage

PAGE = (
    "Cash flows (Millions)\nPurchases of property, plant and equipment (1,577)\nNet income 5,363\n"
    "Margin 34.6% in 2022.\nThe lease with Harl Shipping began on 1 March 2024. It ends in 2031."
)
PASSAGES = [
    Passage("report", 4, "5", PAGE, start=0, end=len(PAGE)),
    Passage("report", 5, "6", "Ferry tickets.", end=14),
]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("$1,577 million", [("$1,577 million", 1577, 6, False)]),
        ("(1,577) and -4.2%", [("(1,577)", -1577, 0, False), ("-4.2%", "-4.2", 0, True)]),
        (
            "2024 - 2023 and 12 -5",
            [("2024", 2024, 0, False), ("2023", 2023, 0, False), ("12", 12, 0, False), ("-5", -5, 0, False)],
        ),
        ("FY2018 (in 2017)", [("2018", 2018, 0, False), ("2017", 2017, 0, False)]),
        ("13-15", [("13", 13, 0, False), ("15", 15, 0, False)]),
        ("12.3. Then 3bn", [("12.3", "12.3", 0, False), ("3bn", 3, 9, False)]),
        ("no figure", []),
    ],
)
def test_figures_as_written(text, values):
    found = [(f.text, f.value, f.scale, f.percent) for f in find_amounts(text)]
    assert found == [(t, Decimal(str(v)), s, p) for t, v, s, p in values]
    assert all(text[f.start : f.end] == f.text for f in find_amounts(text))


@pytest.mark.parametrize(
    ("said", "written", "same"),
    [
        ("1,577", "1577", True),
        ("$1,577 million", "1,577", True),
        ("1.6 billion", "1,577", True),
        ("1.5 billion", "1,577", False),
        ("1.577 billion", "1,577 million", True),
        ("8.7 million", "8.7 billion", False),
        ("1,577", "(1,577)", True),
        ("(1,577)", "1,577", False),
        ("34.6%", "34.6", True),
        ("34.6%", "34.6 million", False),
        ("34.60%", "34.6 percent", True),
        ("34%", "34.6%", False),
        ("157", "1,577", False),
    ],
)
def test_what_says_the_same(said, written, same):
    assert same_amount(find_amounts(said)[0], find_amounts(written)[0]) is same


def test_dates_in_several_spellings():
    spellings = ["1 March 2024", "March 1, 2024", "1st of March 2024", "2024-03-01", "Mar. 1, 2024"]
    assert len({find_dates(text)[0][0] for text in spellings}) == 1
    assert find_dates("31 February 2024") == []


def claims(answer, question="What is it?"):
    return {c.text: c.supported for c in check_support(answer, question, PASSAGES).claims}


def test_each_figure_date_and_name_is_looked_up():
    answer = "Harl Shipping paid $1,577 million, not 1,600, from March 1, 2024 to 2 March 2024, said Orrin Port."
    assert claims(answer) == {
        "Harl Shipping": True, "$1,577 million": True, "1,600": False, "March 1, 2024": True, "2 March 2024": False,
        "Orrin Port": False,
    }  # fmt: skip


def test_what_is_no_claim_of_the_answer():
    assert claims("1. In FY2019 it was 5,363.\n2. See page 77 and [report, page 9].", "And in FY2019?") == {
        "2019": True, "5,363": True,
    }  # fmt: skip


def test_sentences_stand_where_their_words_and_figures_do():
    support = check_support("Net income was 5,363. Net income was 9,999. Otters swim in rivers.", "What?", PASSAGES)
    assert [(s.text[:10], s.supported, s.passages) for s in support.sentences] == [
        ("Net income", True, (0,)),
        ("Net income", False, ()),
        ("Otters swi", False, ()),
    ]
    assert not support.whole
    assert not support.none
    assert check_support("5,363", "What?", PASSAGES).whole


def test_unsupported_figures_are_marked():
    answer = "It was 5,363, then 9,999 and 1,577."
    assert mark_unsupported(answer, check_support(answer, "What?", PASSAGES)) == (
        "It was 5,363, then 9,999[?] and 1,577."
    )


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("The documents do not say.", "model says so"),
        ("The passages don\u2019t mention a penalty.", "model says so"),
        ("This is not stated in the report.", "model says so"),
        ("There is no information about that in the context.", "model says so"),
        ("It cannot be determined.", "model says so"),
        ("Otters swim in 44 rivers.", "nothing supported"),
        ("", "nothing supported"),
        ("Net income was 5,363.", None),
        ("The lease does not end before 2031.", None),
    ],
)
def test_when_an_answer_is_none(answer, why):
    assert abstains(answer, check_support(answer, "What?", PASSAGES)) == why


def test_the_quote_stands_on_the_page():
    pages = {("report", 4): PASSAGES[:1]}
    [citation] = cite("Purchases were 1,577.", "What?", PASSAGES, pages)
    assert citation.quote == "Purchases of property, plant and equipment (1,577)"
    assert PAGE[citation.start : citation.end] == citation.quote
    assert cite("Purchases were 1,577.", "What?", PASSAGES, {("report", 4): PASSAGES[1:]}) == []
    moved = Citation("report", 4, "5", 1.0, citation.quote, citation.start + 1, citation.end + 1)
    assert stands(citation, PASSAGES[:1])
    assert not stands(moved, PASSAGES[:1])
