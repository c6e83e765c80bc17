"""A number supports an amount only if both can be of one kind: money, a percentage, a measure, or things counted."""

import pytest
from sra_pipelines.checks.number_forms.counted import counted_after, states_percentages, states_scales
from sra_pipelines.checks.support import check_support
from sra_pipelines.values import Passage


def amounts_are_supported(answer, text, question="What is it?"):
    support = check_support(answer, question, [Passage("d", 0, "1", text, end=len(text))])
    claims = [claim for claim in support.claims if claim.kind != "name"]
    assert claims
    return all(claim.supported for claim in claims)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("It cost \u00a32.5 million.", "The hotel is a 2.5 star house."),
        ("It has 2.5 stars.", "The building cost \u00a32.5 million."),
        ("25%", "The firm has 25 employees."),
        ("25 employees", "The margin is 25%."),
        ("$14", "Notice is given 14 days before."),
        ("14 days", "The firm has 14 employees."),
        ("14 employees", "Notice is given within 14 days."),
        ("45 km", "It has 45 rooms."),
        ("45 rooms", "It is 45 km from the sea."),
        ("\u00a35 million", "A coffee costs \u00a35."),
        ("\u00a35", "The plant cost \u00a35 million."),
        ("5 million", "There are 5 chapters."),
        ("\u20ac30", "There are 30 pages."),
        ("\u20ac30", "See page 30."),
        ("30%", "See p. 30."),
        ("30 pages", "It costs \u20ac30."),
        ("8 kg", "It has 8 wheels and weighs little."),
        ("3 per cent", "See section 3 of the terms."),
        ("12 per cent", "Figures for 12 branches are included."),
        ("120 volts", "It costs $120."),
        ("$120", "It runs on 120 volts."),
        ("170 degrees", "The fee is 170 euros."),
        ("170 euros", "Bake at 170 degrees."),
        ("75 mg", "The ward has 75 beds."),
        ("4 million euros", "The team of 4 engineers met."),
        ("2.5 million", "It has a rating of 2.5"),
        ("40 million", "The report has 40 pages. All amounts are in thousands."),
        ("25%", "It costs $25."),
        ("$25", "The margin is 25%."),
        ("14%", "14 days"),
        ("14 days", "14%"),
        ("50 pence", "50 cents"),
        ("2 litres", "$2"),
        ("$2", "2 litres"),
    ],
)
def test_a_number_of_another_kind_does_not_support_an_amount(answer, text):
    assert not amounts_are_supported(answer, text)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("$0.50", "50 cents"),
        ("50 cents", "0.50 dollars"),
        ("$2 per litre", "$2 per litre"),
        ("2% a year", "2% per year"),
        ("30 euros a month", "30 euros/month"),
        ("$1.5 million a year", "$1.5 million"),
        ("\u00a3527.40", "Total 527.40"),
        ("$8.70 billion", "(in millions)\nPurchases of property 8,698 9,000"),
        ("$8.7 million", "In millions\nRevenue 8.7 9.1"),
        ("8.7 million dollars", "USD millions\nRevenue | 8.7 | 9.1"),
        ("25%", "Share (%)\nNorth 25\nSouth 75"),
        ("25%", "percentage of sales\nNorth | 25"),
        ("14 days", "within fourteen (14) days"),
        ("14 days", "within 14 business days"),
        ("14 days", "within 14 consecutive calendar days"),
        ("82,400 crowns", "The rent is CZK 82,400."),
        ("CZK 82,400", "The rent is 82,400 crowns."),
        ("82,400 crowns", "The rent is 82,400 a year."),
        ("$1,240", "A budget of 1,240 was approved."),
        ("$1,240", "1,240 approved for the greenhouse"),
        ("\u20b91,50,000", "Fee 150000 only"),
        ("45 employees", "We employ 45 people."),
        ("45", "We employ 45 people."),
        ("2.5 million customers", "2,500,000 customers"),
        ("2.5 million", "2.5 million customers"),
        ("5%", "an interest rate of 0.05"),
        ("12 months", "a term of one year"),
        ("170 degrees", "Bake at 170 \u00b0C."),
        ("170\u00b0C", "Bake at 170 degrees."),
        ("120 V", "runs on 120 volts"),
        ("20 mm", "20 mm"),
        ("$20", "twenty dollars"),
        ("30 USD", "The fee: 30"),
        ("$45", "45 net of tax"),
        ("$45", "45 each"),
        ("$45", "45 monthly"),
        ("$1,577", "Cash used 1,577 Net"),
        ("1,577 million", "Purchases of plant 1,577 Acquisitions 3\nin millions"),
        ("38 hours", "38-hour week"),
        ("85 points", "85 points"),
        ("3 kilometres", "3 km"),
        ("60 instalments of 333.20 euros", "60 instalments of 333.20 euros"),
        ("15,000 shares", "15,000 ordinary shares"),
        ("$15,000", "15,000 (2023: 14,000)"),
    ],
)
def test_a_number_of_the_same_kind_or_of_none_does(answer, text):
    assert amounts_are_supported(answer, text)


def test_the_heading_with_the_scale_may_be_in_another_passage():
    heading, row = "All amounts in thousands of pounds", "Total for the year: 2.5"
    passages = [Passage("d", n, str(n), text, end=len(text)) for n, text in enumerate((heading, row))]
    assert check_support("2.5 million", "Total?", passages).claims[0].passages == (1,)
    assert check_support("2.5 million", "Total?", passages[1:]).claims[0].passages == ()
    assert check_support("2.5 million", "Total in millions?", passages[1:]).claims[0].passages == (0,)


@pytest.mark.parametrize(
    ("text", "noun"),
    [
        ("45 rooms", "rooms"), ("45 double rooms are let", "rooms"), ("a 2.5 star house", "star"),
        ("45 people", "people"), ("45 a day", ""), ("45, rooms", ""), ("45 Rooms", ""),
        ("45 approved for rooms", ""), ("an excess of 45 applies", ""), ("45 crowns", ""),
        ("45 thousand rooms", ""), ("45 days", ""), ("45 \u4e2a\u6708", ""), ("45", ""),
    ],
)  # fmt: skip
def test_what_a_number_counts_is_the_plural_noun_after_it(text, noun):
    assert counted_after(text, text.index("45" if "45" in text else ".5") + 2) == noun


def test_scales_and_percentages_are_found_without_a_number():
    assert all(map(states_scales, ["(in Millions)", "$000", "in '000s", "EUR bn", "\u5104\u5186"]))
    assert not any(map(states_scales, ["A coffee costs 5.", "1,000 rooms", "10.000"]))
    assert all(map(states_percentages, ["Share", "in %", "Prozent", "percentage of sales", "interest: 4.2"]))
    assert not any(map(states_percentages, ["It costs 5.", "Section 3"]))
