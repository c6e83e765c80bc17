"""Questions about the annual report; every figure of an answer comes from the company's model."""

from __future__ import annotations

from .annual_report import STEM, report_facts
from .company import (
    LUMENFLOW,
    REGION_REVENUE,
    REVENUE,
    SEGMENT_PROFIT,
    Company,
    quarter_revenue,
)
from .markup import amount, percent
from .questions import DraftQuestion, Span


def report_questions(company: Company) -> list[DraftQuestion]:
    """Return the questions about the annual report."""
    return [*_tables(company), *_calculations(company), *_extractions(company), *_unanswerable()]


def _ask(slug: str, kind: str, question: str, answer: str, *spans: Span | str) -> DraftQuestion:
    placed = tuple(Span(span) if isinstance(span, str) else span for span in spans)
    return DraftQuestion(f"report-{slug}", STEM, kind, question, answer, placed)


def _millions(tenths: int) -> str:
    return f"£{amount(tenths)} million"


def _line(label: str, *values: int) -> str:
    return " ".join((label, *(amount(value) for value in values)))


def _tables(company: Company) -> list[DraftQuestion]:
    now, prior = company.years
    america = tuple(REGION_REVENUE[n][2] for n in (2025, 2024, 2023))
    quarters = quarter_revenue(2025)[1]
    profits = tuple(SEGMENT_PROFIT[n][2] for n in (2025, 2024, 2023, 2022, 2021))
    return [
        _ask(
            "total-assets-2025",
            "table",
            "What were Tarnbrook's total assets at 30 September 2025?",
            _millions(now.closing.total_assets),
            _line("Total assets", now.closing.total_assets, prior.closing.total_assets),
        ),
        _ask(
            "administrative-expenses-2024",
            "table",
            "What were administrative expenses in the income statement for the 2024 financial year?",
            _millions(prior.administration),
            _line("Administrative expenses", -now.administration, -prior.administration),
        ),
        _ask(
            "north-america-2024",
            "table",
            "What was Tarnbrook's revenue in North America in the 2024 financial year?",
            _millions(america[1]),
            _line("North America", *america),
        ),
        _ask(
            "sensing-third-quarter-2025",
            "table",
            "What revenue did Industrial Sensing report for the third quarter of financial year 2025?",
            _millions(quarters[2]),
            _line("Industrial Sensing", *quarters, sum(quarters)),
        ),
        _ask(
            "analytics-profit-2022",
            "table",
            "What was the segment profit of Flow Analytics in 2022?",
            _millions(profits[3]),
            _line("Flow Analytics", *profits),
        ),
        _ask(
            "own-shares-2025",
            "table",
            "How much did Tarnbrook spend on buying its own shares in 2025, according to the cash-flow statement?",
            _millions(now.flows.own_shares),
            _line("Purchase of own shares", -now.flows.own_shares, -prior.flows.own_shares),
        ),
        _ask(
            "cash-end-2024",
            "table",
            "How much cash did the group hold at the end of the 2024 financial year?",
            _millions(prior.closing.cash),
            _line("Cash at the end of the year", now.closing.cash, prior.closing.cash),
        ),
        _ask(
            "lumenflow-goodwill",
            "table",
            "How much goodwill arose on the acquisition of Lumenflow AB?",
            _millions(LUMENFLOW.goodwill),
            _line("Goodwill arising", LUMENFLOW.goodwill),
        ),
        _ask(
            "venlo-lease",
            "table",
            "When does the lease of the warehouse at Venlo expire?",
            "October 2029",
            "Venlo, Netherlands Warehouse 9,600 Leasehold October 2029",
        ),
        _ask(
            "garrow-bonus-2024",
            "table",
            "What annual bonus did Elspeth Garrow receive for 2024?",
            "£331 thousand",
            "Annual bonus 606 558 360 331",
        ),
        _ask(
            "debt-two-years-2025",
            "table",
            "At 30 September 2025, what amount of borrowings was due in one to two years?",
            _millions(650),
            "Borrowings due in one to two years 65.0 5.0",
        ),
    ]


def _calculations(company: Company) -> list[DraftQuestion]:
    now, prior = company.years
    gained = now.profit_before_tax - prior.profit_before_tax
    water = REVENUE[2025][0] - REVENUE[2021][0]
    ratio = percent(now.flows.capital_expenditure, now.total_revenue)
    waters = tuple(REVENUE[n][0] for n in (2025, 2024, 2023, 2022, 2021))
    revenue = Span(_line("Revenue", now.total_revenue, prior.total_revenue), "Cost of sales")
    spending = Span(
        _line(
            "Purchase of property, plant and equipment",
            -now.flows.capital_expenditure,
            -prior.flows.capital_expenditure,
        )
    )
    return [
        _ask(
            "profit-before-tax-rise",
            "calculation",
            "By how much did Tarnbrook's profit before tax rise from 2024 to 2025?",
            _millions(gained),
            Span(
                _line("Profit before tax", now.profit_before_tax, prior.profit_before_tax),
                "Cost of sales",
            ),
        ),
        _ask(
            "water-revenue-2021-2025",
            "calculation",
            "By how much did annual revenue in Water Metering grow from 2021 to 2025?",
            _millions(water),
            _line("Water Metering", *waters),
        ),
        _ask(
            "capital-expenditure-share",
            "calculation",
            "What percentage of 2025 revenue was spent on property, plant and equipment?",
            ratio,
            revenue,
            spending,
        ),
    ]


def _extractions(company: Company) -> list[DraftQuestion]:
    facts = report_facts(company)
    undrawn = facts["undrawn"]
    return [
        _ask(
            "undrawn-facilities",
            "extraction",
            "How much in undrawn committed facilities did the group have at the 2025 year end?",
            f"£{int(str(undrawn)) / 10:.1f} million",
            f"undrawn committed facilities of £{int(str(undrawn)) / 10:.1f} million",
        ),
        _ask(
            "auditor",
            "extraction",
            "Which firm is Tarnbrook's auditor?",
            "Ashdown Merrick LLP",
            "Ashdown Merrick LLP has been auditor since 2018",
        ),
        _ask(
            "veldhaus-hearing",
            "extraction",
            "On what date is the European Patent Office's oral hearing in the Veldhaus matter fixed?",
            "16 June 2026",
            "oral hearing is fixed for 16 June 2026",
        ),
        _ask(
            "single-source-stock",
            "extraction",
            "How many weeks of safety stock does Tarnbrook hold of single-sourced parts?",
            "26 weeks",
            "We now hold 26 weeks of safety stock of each single-sourced part",
        ),
        _ask(
            "irrigation-price",
            "extraction",
            "For what price did Tarnbrook agree to sell its irrigation-controls product line?",
            "£12.5 million",
            "to Fennimore Agritech for £12.5 million in cash",
        ),
        _ask(
            "injury-rate",
            "extraction",
            "What was the lost-time injury rate per 100,000 hours worked in 2025?",
            "0.31",
            "The lost-time injury rate rose to 0.31 per 100,000 hours worked",
        ),
        _ask(
            "ultrasonic-meter-meaning",
            "definition",
            "How does the glossary of the annual report define an ultrasonic meter?",
            "A meter without moving parts, which infers flow from the difference in travel time of "
            "sound sent with and against the current",
            "A meter without moving parts, which infers flow from the difference in travel time of "
            "sound sent with and against the current",
        ),
    ]


def _unanswerable() -> list[DraftQuestion]:
    asked = {
        "latin-america-2025": "What was Tarnbrook's revenue in Brazil in the 2025 financial year?",
        "credit-rating": "Which credit rating did the rating agencies give Tarnbrook in 2025?",
        "halden-4-launch": "When will the Halden 4 domestic meter be launched?",
        "garrow-age": "How old was Elspeth Garrow at the end of the 2025 financial year?",
        "ireland-employees": "How many people did Tarnbrook employ in Ireland in 2025?",
        "quarter-2023": "What was Tarnbrook's revenue in the second quarter of financial year 2023?",
    }
    return [DraftQuestion(f"report-{slug}", STEM, "unanswerable", question) for slug, question in asked.items()]
