"""What of an answer stands in the passages, where it is quoted from, and when it is no answer."""

from decimal import Decimal

import pytest
from sra_pipelines.checks.abstention import abstains
from sra_pipelines.checks.amounts import find_amounts, same_amount
from sra_pipelines.checks.citations import Citation, cite, stands
from sra_pipelines.checks.dates import find_dates, find_months
from sra_pipelines.checks.grounding import is_grounded
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


def of(text):
    return Passage("d", 0, "1", text, start=0, end=len(text))


@pytest.mark.parametrize(
    ("passage", "answer"),
    [
        ("The rent is 1.234,56 \u20ac a month.", "The rent is 9.999,99[?] \u20ac a month."),
        ("Revenue rose by 12,5 % in the year.", "Revenue rose by 99,9 %[?] in the year."),
        ("Revenue of \u20b912,34,567 last year.", "Revenue was \u20b999,99,999[?] last year."),
        ("N\u00e1jemn\u00e9 je 1.234,56 K\u010d.", "N\u00e1jemn\u00e9 je 9,5[?] K\u010d."),
        ("The rent is CHF 1'234.50.", "CHF 9'999.50[?]"),
        ("The price is 1 234,56 \u20ac.", "1,234.56[?] USD"),
        ("by giving not less than six months' notice", "Six[?] weeks."),
        ("Contact: 01632 960 807, or 01632 960 141.", "01632 960 999[?]"),
        ("The price is \u00a316.2 million.", "It is in Clause 16.2[?]."),
        ("The lease expires in October 2029.", "In March 2029[?]."),
        ("It ends on 12/05/2027.", "6 December 2027[?]"),
        ("82 and 400 crowns", "82 400[?] crowns"),
    ],
)
def test_invented_numbers_are_marked_in_any_writing(passage, answer):
    plain = answer.replace("[?]", "")
    assert mark_unsupported(plain, check_support(plain, "What?", [of(passage)])) == answer


@pytest.mark.parametrize(
    ("passage", "answer"),
    [
        ("The rent is 1.234,56 \u20ac a month.", "1,234.56 euros"),
        ("Revenue rose by 12,5 %.", "It rose by 12.5%."),
        ("The rent is 82 400 crowns.", "82,400 crowns"),
        ("The rent is 82,400 crowns.", "82 400 crowns"),
        ("The rent is 82\u202f400 crowns.", "82,400 crowns"),
        ("The lease ends on 31/03/2027.", "It ends on 31 March 2027."),
        ("The lease ends on 31.03.2027.", "It ends on 31 March 2027."),
        ("Der Vertrag endet am 31. M\u00e4rz 2027.", "31 March 2027"),
        ("It ends on 12/05/2027.", "12 May 2027, or 5 December 2027"),
        ("Net loss was ( 500 ) in 2023.", "It was -500."),
        ("by giving not less than six months' notice", "6 months"),
        ("within 24 hours", "Within twenty-four hours."),
        ("limited to 150 per cent", "one hundred and fifty per cent"),
        ("15.2 The term ends.", "See Clause 15.2."),
        ("Contact: 01632 960 807.", "01632 960 807"),
        ("Annual bonus 606 558 360 331", "606 558 360 331"),
        ("The lease expires in October 2029.", "October 2029"),
        ("version 4.2.1", "4.2.1"),
        ("revenue of \u20b95 crore", "\u20b950 million"),
        ("契約の通知期間は三か月です。", "通知期間は三か月です。"),
    ],
)
def test_right_numbers_are_found_in_any_writing(passage, answer):
    support = check_support(answer, "What?", [of(passage)])
    assert mark_unsupported(answer, support) == answer
    assert abstains(answer, support) is None
    assert support.unchecked == ()


def test_what_cannot_be_read_is_unchecked():
    support = check_support("It is number 4.2.7.", "What?", [of("number 4.2.1")])
    assert [claim.text for claim in support.unchecked] == ["4.2.7"]
    assert support.unsupported_figures == ()


def test_months_are_read_in_other_languages():
    spellings = ["March 2027", "mars 2027", "marzo 2027", "b\u0159ezna 2027", "31. M\u00e4rz 2027", "Mar. 2027"]
    assert {find_months(text)[0][0] for text in spellings} == {(2027, 3)}


@pytest.mark.parametrize(
    ("question", "answer", "grounded"),
    [
        ("What was net income?", "Net income was 5,363.", True),
        ("What was net income?", "Net income was 9,999.", False),
        ("How old was she at the end of 2022?", "The answer is: 2022.", False),
        ("What was net income?", "The answer is: 2022.", False),
        ("When does the lease end?", "In 2031.", True),
        ("Who leases?", "Harl Shipping", True),
        ("Who leases?", "Orrin Port Authority", False),
        ("What are ferries?", "A ferry is a ship that carries people across water.", False),
        ("What is bought?", "Purchases of property, plant and equipment", True),
        ("What was net income?", "It was 5,363, after 9,999 and 8,888.", False),
    ],
)
def test_only_supported_answers_have_sources(question, answer, grounded):
    assert is_grounded(question, PASSAGES, check_support(answer, question, PASSAGES)) is grounded


AGREEMENT = (
    'Services Agreement between Northmere Analytics Ltd (the "Supplier") and the Harl Shipping Authority.\n'
    "The Supplier shall provide the Services from its office in Leeds, under the laws of England and Wales.\n"
    "The Customer's representative is Elspeth Garrow, ops@northmere.example, DE89 3704 0044 0532 0130 00.\n"
    "The term ends on 31 March 2029. Notices must be sent by registered post."
)
RUSSIAN = (
    "\u041f\u043e\u0441\u0442\u0430\u0432\u0449\u0438\u043a: \u043e\u0431\u0449\u0435\u0441\u0442\u0432\u043e "
    "\u00ab\u0421\u0435\u0432\u0435\u0440\u043d\u044b\u0439 \u0432\u0435\u0442\u0435\u0440\u00bb. "
    "\u0414\u043e\u0433\u043e\u0432\u043e\u0440 \u0434\u0435\u0439\u0441\u0442\u0432\u0443\u0435\u0442 "
    "\u0434\u043e 31 \u043c\u0430\u0440\u0442\u0430 2029 \u0433\u043e\u0434\u0430."
)
SUPPLIER = (
    "\u041f\u043e\u0441\u0442\u0430\u0432\u0449\u0438\u043a \u2014 \u043e\u0431\u0449\u0435\u0441\u0442\u0432\u043e "
)
NORTH = "\u00ab\u0421\u0435\u0432\u0435\u0440\u043d\u044b\u0439 \u0432\u0435\u0442\u0435\u0440\u00bb"
SOUTH = "\u00ab\u042e\u0436\u043d\u044b\u0439 \u0432\u0435\u0442\u0435\u0440\u00bb"
JAPANESE = "本契約は東京地方裁判所の管轄に服する。通知は書留郵便で送付する。"
LAW = "\u0642\u0648\u0627\u0646\u064a\u0646 \u062f\u0628\u064a"
ARABIC = f"\u064a\u062e\u0636\u0639 \u0627\u0644\u0639\u0642\u062f \u0644{LAW}"


@pytest.mark.parametrize(
    ("passage", "question", "answer", "has_sources"),
    [
        (AGREEMENT, "Who supplies?", "The Supplier of the Services, under the laws of England, is Zentrix.", False),
        (AGREEMENT, "Who supplies?", "The Supplier of the Services is Northmere Analytics Ltd.", True),
        (AGREEMENT, "Where?", "The Supplier shall provide the Services from its office in London.", False),
        (AGREEMENT, "Where?", "The Supplier shall provide the Services from its office in Leeds.", True),
        (AGREEMENT, "Where?", "Under the Contract, services are provided from the office in Leeds.", True),
        (AGREEMENT, "Who represents?", "The representative is Ms. Garrow.", True),
        (AGREEMENT, "Until when?", "It is with Orrin Port until 31 March 2029.", False),
        (AGREEMENT, "Until when?", "It is with Northmere Analytics Ltd until 31 March 2029.", True),
        (AGREEMENT, "Until when?", "The Term of the Services, and the Notices, end on 31 March 2029.", True),
        (AGREEMENT, "Who represents?", "The Customer's representative is Jean-Luc.", False),
        (AGREEMENT, "Which e-mail?", "ops@northmere.example", True),
        (AGREEMENT, "Which e-mail?", "sales@northmere.example", False),
        (AGREEMENT, "Which account?", "DE89370400440532013000", True),
        (AGREEMENT, "Which account?", "DE89 3704 0044 0532 0130 01", False),
        (AGREEMENT, "When does it end?", "On March 31st.", True),
        (AGREEMENT, "When does it end?", "On 31 May.", False),
        (RUSSIAN, "?", f"{SUPPLIER}{NORTH}.", True),
        (RUSSIAN, "?", f"{SUPPLIER}{SOUTH}.", False),
        (RUSSIAN, "?", "31 \u043c\u0430\u0440\u0442\u0430 2029 \u0433\u043e\u0434\u0430", True),
        (RUSSIAN, "?", "31 \u043c\u0430\u0440\u0442\u0430 2030 \u0433\u043e\u0434\u0430", False),
        (RUSSIAN, "?", "31, 2030", False),
        (JAPANESE, "管轄は？", "東京地方裁判所", True),
        (JAPANESE, "管轄は？", "大阪地方裁判所", False),
        (JAPANESE, "通知は？", "書留郵便で送付します。", True),
        (ARABIC, "?", LAW, True),
    ],
)
def test_invented_names_and_days_have_no_sources(passage, question, answer, has_sources):
    passages = [of(passage)]
    support = check_support(answer, question, passages)
    assert (abstains(answer, support) is None and is_grounded(question, passages, support)) is has_sources


@pytest.mark.parametrize(
    ("passage", "answer"),
    [
        ("Der Vertrag endet im Oktober.", "Der Vertrag hat eine K\u00fcndigungsfrist."),  # all nouns are capitalised
        ("The tax is due.", "The tax, VAT, is due on Monday or in October."),
    ],
)
def test_capitalised_words_that_are_no_names(passage, answer):
    claims = check_support(answer, "What?", [of(passage)]).claims
    assert [claim.text for claim in claims if claim.kind == "name"] == []


@pytest.mark.parametrize(
    ("lines", "answer", "quoted"),
    [
        (  # the sentence goes on where the amount of the answer is
            ["The Customer may terminate this Agreement at any time by giving not less than", "six months' notice."],
            "The Customer may terminate this Agreement at any time by not less than six months' notice.",
            [0, 1],
        ),
        (  # and begins in the line before
            [
                "Tarnbrook agreed to sell its irrigation line for",
                "£12.5 million in cash to Fennimore Agritech Limited.",
            ],
            "It agreed to sell the line to Fennimore Agritech Limited for £12.5 million in cash.",
            [0, 1],
        ),
        (  # a row of a table does not go on in the next one
            ["Purchases of property, plant and equipment 1,577", "Purchases of intangible assets and goodwill 310"],
            "The purchases of property, plant and equipment and of goodwill were 1,577.",
            [0],
        ),
        (  # a line without a further word of the answer is not needed
            ["The premises were inspected in the spring and again", "after the works were complete."],
            "The premises were inspected in the spring.",
            [0],
        ),
    ],
)
def test_a_quote_follows_its_sentence_over_line_ends_to_the_words_of_the_answer(lines, answer, quoted):
    [citation] = cite(answer, "Why?", [of("\n".join(["A heading", *lines, "Another matter."]))])
    assert citation.quote == "\n".join(lines[number] for number in quoted)
