"""Amounts and dates in unusual writing: invented ones are marked, right ones in another writing are not."""

import pytest
from sra_pipelines.checks.abstention import abstains
from sra_pipelines.checks.amounts import find_amounts
from sra_pipelines.checks.support import check_support, mark_unsupported
from sra_pipelines.values import Passage


def marked(passage, answer):
    support = check_support(answer, "What is it?", [Passage("d", 0, "1", passage, end=len(passage))])
    return "[?]" in mark_unsupported(answer, support), abstains(answer, support)


@pytest.mark.parametrize(
    ("passage", "answer"),
    [
        ("Rate is 4\u00bd per cent.", "The rate is 4\u00bc per cent."),
        ("Rate is 4 1/2 per cent.", "It is 4 1/4 per cent."),
        ("The fee is \u20b95,00,000.", "The fee is 6 lakh rupees."),
        ("The fee is 3 crore.", "The fee is 30 lakh."),
        ("The price is US$ 12.5bn.", "The price is 13.5 billion dollars."),
        (
            "\u5bb6\u8cc3\u306f\u6708\u984d12\u4e07\u5186\u3067\u3059\u3002",
            "\u5bb6\u8cc3\u306f130,000\u5186\u3067\u3059\u3002",
        ),
        ("The margin is 0.35%.", "It is 36 basis points."),
        ("Interest of 3\u2030.", "It is 0.4%."),
        ("It ends on 31-Mar-2027.", "It ends on 30 March 2027."),
        ("It ends on 31.03.27.", "It ends on 30 March 2027."),
        ("2027\u5e743\u670831\u65e5\u307e\u3067", "2028\u5e743\u670831\u65e5\u307e\u3067"),
        ("The loss was (\u20ac1,234).", "It was (\u20ac1,235)."),
        ("EUR 1.2 Mio.", "It is EUR 1.3 Mio."),
    ],
)
def test_an_invented_amount_is_marked(passage, answer):
    assert marked(passage, answer)[0]


@pytest.mark.parametrize(
    ("passage", "answer"),
    [
        ("Rate is 4\u00bd per cent.", "The rate is 4.5%."),
        ("Rate is 4 1/2 per cent.", "The rate is 4\u00bd per cent."),
        ("The fee is \u20b95,00,000.", "The fee is 5 lakh rupees."),
        ("The fee is 1.5 crore.", "The fee is \u20b91,50,00,000."),
        ("The fee is 3 crore.", "The fee is 300 lakhs."),
        ("The fee is Rs 5 Cr.", "The fee is 5 crore rupees."),
        ("The price is US$ 12.5bn.", "The price is 12.5 billion dollars."),
        ("There are 5 million shares.", "There are five million shares."),
        (
            "\u5bb6\u8cc3\u306f\u6708\u984d12\u4e07\u5186\u3067\u3059\u3002",
            "\u5bb6\u8cc3\u306f\u6708\u984d120,000\u5186\u3067\u3059\u3002",
        ),
        ("\u0661\u0662\u066c\u0665\u0660\u0660 riyals", "It is 12,500 riyals."),
        ("It lost \uff081,234\uff09 in the year.", "It was -1,234."),
        ("The margin is 0.35%.", "It is 35 basis points."),
        ("Interest of 3\u2030.", "It is 0.3%."),
        ("1,2 \u043c\u043b\u043d \u0440\u0443\u0431.", "It is 1.2 million rubles."),
        ("3 Mrd. \u20ac", "It is \u20ac3 billion."),
        ("It ends on 31-Mar-2027.", "It ends on 31 March 2027."),
        ("It ends on 03-31-2027.", "It ends on 31 March 2027."),
        ("It ends on 31.03.27.", "It ends on 31 March 2027."),
        ("2027\u5e743\u670831\u65e5\u307e\u3067", "It ends on 31 March 2027."),
        ("Margin of (12.5)%.", "It was -12.5%."),
        ("1\u00b4234.50 CHF", "It is CHF 1,234.50."),
        ("It lost \u2013500 in 2023.", "It was -500."),
        ("Miete: 1.200,\u2013 \u20ac", "The rent is \u20ac1,200."),
    ],
)
def test_a_right_amount_in_another_writing_is_not_marked(passage, answer):
    assert marked(passage, answer) == (False, None)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1/2 inch", ["1", "2"]),  # neither a whole number nor a sign of a fraction
        ("4 1/2/2024", ["4", "1", "2", "2024"]),
        ("between 5\u201310 and 7 \u2013 8", ["5", "10", "7", "8"]),
        ("\u00bd and 4\u00bd", ["0.5", "4.5"]),
        ("(\uff15\uff0e\uff15\uff05)", ["-5.5"]),
    ],
)
def test_what_is_read_as_one_number(text, values):
    amounts = find_amounts(text)
    assert [f"{amount.value.normalize():f}" for amount in amounts] == values
    assert all(text[amount.start : amount.end] == amount.text for amount in amounts)


def test_a_date_that_does_not_exist_is_unchecked_and_not_supported():
    support = check_support("It ends on 31.04.2027.", "When?", [Passage("d", 0, "1", "It ends on 2027-03-31.", end=22)])
    assert [claim.text for claim in support.unchecked] == ["31.04.2027"]
