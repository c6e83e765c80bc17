"""Amounts and dates in unusual writing: invented ones are marked, right ones in another writing are not."""

import pytest
from sra_pipelines.checks.abstention import abstains
from sra_pipelines.checks.amounts import find_amounts
from sra_pipelines.checks.dates import find_dates, find_months
from sra_pipelines.checks.ideographic_numbers import find_ideographic_numbers
from sra_pipelines.checks.support import check_support, mark_unsupported
from sra_pipelines.checks.worded_numbers import find_number_words
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
        ("Umsatz 500 T\u20ac.", "Revenue was 500 Mio. \u20ac."),
        ("Revenue of 5 MEUR.", "It was 5 thousand euros."),
        ("It rose 1.5 pp.", "It rose by 15bp."),
        ("It rose by 1.5 percentage points.", "It rose by 1.5 million."),
        ("Net income 500.", "It was minus 500."),
        ("It costs $5 million.", "It costs $5."),
        ("It costs $5 million.", "It costs $5,000."),
        ("Net loss 500.", "It was -600."),
        ("The rent is 82,400 crowns.", "The rent is 82.4 crowns."),
        ("The rent is 82,400 crowns.", "It is eighty-two thousand five hundred crowns."),
        ("The rate is twelve and a half per cent.", "It is twelve and three quarters per cent."),
        ("It owns a quarter of the shares.", "It owns a third of the shares."),
        ("The term is 3 years.", "The term is 30 months."),
        ("It is 10 km away.", "It is 10 miles away."),
        ("The plant has 5 MW.", "The plant has 50,000 kW."),
        ("Die K\u00fcndigungsfrist betr\u00e4gt drei Monate.", "Die K\u00fcndigungsfrist betr\u00e4gt sechs Monate."),
        ("Le pr\u00e9avis est de trois mois.", "Le pr\u00e9avis est de 3 ans."),
        ("6 Monate", "6 Jahre"),
        ("thirty (30) days", "30 hours"),
        ("契約の通知期間は三か月です。", "契約の通知期間は六か月です。"),
        ("契約の通知期間は3か月です。", "契約の通知期間は3年です。"),
        ("費用は百五十万円です。", "費用は百六十万円です。"),
        ("費用は150万円です。", "費用は160万円です。"),
        ("利率百分之五", "利率百分之六"),
        ("Signed on the third of April 2026.", "It was signed on the fourth of April 2026."),
        ("Signed on 3 April 2026.", "Signed on 3-Apr-25."),
        ("Signed on 3 April 2026.", "Signed 20260503."),
        ("It ends in June 2027.", "It ends in 07/2027."),
        ("It ends in June 2027.", "It ends in 2027-07."),
        ("FY26", "FY27"),
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
        ("Umsatz 500 T\u20ac.", "Revenue was \u20ac500,000."),
        ("Revenue of 5 MEUR.", "It was \u20ac5 million."),
        ("Zinssatz 4,250 %", "4.25%"),
        ("It costs $5 million.", "It costs 5 (in millions of dollars)."),
        ("It costs $5 million.", "It costs $5,000,000."),
        ("Balance: 4.500,00-", "It was -4,500."),
        ("It rose 150bp.", "It rose by 1.5 percentage points."),
        ("It fell by minus 3.2 per cent.", "It was -3.2%."),
        ("A loss of EUR 500 was made.", "It was -500."),
        ("Net loss (note 4): 500 600", "It was -600."),
        ("10 to 12 per cent", "10%-12%"),
        ("between 10 and 12 euros", "10 \u20ac-12 \u20ac"),
        ("Eighty-two thousand four hundred crowns.", "The rent is 82,400 crowns."),
        ("The rate is twelve and a half per cent.", "12.5%"),
        ("two and a half million euros", "\u20ac2.5 million"),
        ("half a million dollars", "$500,000"),
        ("It owns three quarters of the shares.", "It owns 75% of them."),
        ("zero per cent", "0%"),
        ("The term is 24 months.", "The term is 2 years."),
        ("It takes 1\u00bd years.", "It takes 18 months."),
        ("Two weeks.", "14 days"),
        ("The plant has 5 MW.", "The plant has 5,000 kW."),
        ("Die Frist betr\u00e4gt drei Monate.", "The period is 3 months."),
        ("Le pr\u00e9avis est de trois mois.", "Three months."),
        ("契約の通知期間は三か月です。", "The period is 3 months."),
        ("費用は百五十万円です。", "150万円"),
        ("利率百分之五", "5%"),
        ("this 3rd day of April, 2026", "3 April 2026"),
        ("on the twenty-third day of September, 2026", "23/09/2026"),
        ("Signed 3 Apr 26.", "3 April 2026"),
        ("Signed 3-Apr-26", "3 April 2026"),
        ("Signed Apr-26", "April 2026"),
        ("Signed 20260403", "3 April 2026"),
        ("Signed on 3 April 2026.", "2026-04-03T00:00:00Z"),
        ("It ends in 06/2027.", "It ends in June 2027."),
        ("It ends in 2027-06.", "It ends in June 2027."),
        ("FY26", "FY2026"),
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
        ("5%-10%, \u20ac5-\u20ac7, 5 \u20ac-7 \u20ac, 9 minus 4", ["5", "10", "5", "7", "5", "7", "9", "4"]),
        ("1,500.00- and 12- or 24-month terms", ["1500", "12", "24"]),
        ("\u00bd and 4\u00bd", ["0.5", "4.5"]),
        ("(\uff15\uff0e\uff15\uff05)", ["-5.5"]),
    ],
)
def test_what_is_read_as_one_number(text, values):
    amounts = find_amounts(text)
    assert [f"{amount.value.normalize():f}" for amount in amounts] == values
    assert all(text[amount.start : amount.end] == amount.text for amount in amounts)


@pytest.mark.parametrize(
    "text",
    [
        "one of the parties and several thousand reasons, the twenty-first century, a third party, the second month",
        "\u4e00\u822c\u306b\u4e07\u4e00\u306e\u5834\u5408", "a hundredth, the fiftieth time, six further parties",
    ],
)  # fmt: skip
def test_words_that_are_no_amount(text):
    assert find_number_words(text) == []
    assert find_ideographic_numbers(text) == []


@pytest.mark.parametrize("text", ["in 2025-26", "from 2010-12", "on 3 April 26 people came", "12/2024/7", "3.2026"])
def test_periods_of_years_and_other_numbers_are_no_months_or_dates(text):
    assert find_months(text) == []
    assert find_dates(text) == []


def test_a_date_that_does_not_exist_is_unchecked_and_not_supported():
    support = check_support("It ends on 31.04.2027.", "When?", [Passage("d", 0, "1", "It ends on 2027-03-31.", end=22)])
    assert [claim.text for claim in support.unchecked] == ["31.04.2027"]
