"""The tables of the annual report's front half: products, people, properties, pay, review."""

from __future__ import annotations

from .company import CENTRAL_EMPLOYEES, EMPLOYEES, REVENUE, SEGMENT_PROFIT, SEGMENTS, Company
from .fiscal_year import Year
from .layout import Row, Table
from .markup import percent
from .statement_tables import two_years

EMISSIONS_BASELINE = 21_600
# Tonnes of carbon dioxide equivalent in 2025, 2024, 2023.
SCOPE_1 = (8_940, 10_260, 10_610)
SCOPE_2 = (4_310, 4_570, 5_180)


def report_tables(company: Company) -> dict[str, Table]:
    """Return the tables by the name under which the text places them."""
    return {
        "products": _words(
            "Principal product families",
            ("Measures", "Since", "Units shipped 2025"),
            (46, 22, 32),
            ("Halden 3 domestic meter", "Flow, 15 to 40 mm", "2022", "1,392,000"),
            ("Halden 2 domestic meter", "Flow, 15 to 25 mm", "2016", "568,000"),
            ("Lorton bulk meter", "Flow, 50 to 1,200 mm", "2009", "74,300"),
            ("Clearcap retrofit radio", "Pulse reading by radio", "2025", "86,000"),
            ("Pascal 7 transmitter", "Pressure, to 700 bar", "2014", "312,000"),
            ("Tor radar gauge", "Level, to 35 m", "2018", "58,400"),
            ("Calyx hygienic probe", "Turbidity, conductivity", "2024", "21,700"),
        ),
        "emissions": _figures(
            "Greenhouse-gas emissions (tonnes of carbon dioxide equivalent)",
            ("2025", "2024", "2023"),
            ("Scope 1", *(f"{x:,}" for x in SCOPE_1)),
            ("Scope 2, market-based", *(f"{x:,}" for x in SCOPE_2)),
            ("Scopes 1 and 2", *(f"{a + b:,}" for a, b in zip(SCOPE_1, SCOPE_2, strict=True))),
            ("Scope 2, location-based", "11,480", "11,730", "12,090"),
            ("Scope 3, purchased goods and transport", "148,600", "151,900", "156,400"),
        ),
        "people": _people(),
        "properties": _words(
            "Principal properties",
            ("Use", "Square metres", "Tenure", "Lease expiry"),
            (44, 26, 22, 25),
            ("Kirkby Tarn, England", "Meters, head office", "38,400", "Freehold", "-"),
            ("Brno, Czech Republic", "Foundry, transmitters", "31,700", "Freehold", "-"),
            ("Dayton, Ohio", "Bulk meter finishing", "14,900", "Leasehold", "May 2032"),
            ("Penang, Malaysia", "Radio and circuit boards", "17,300", "Leasehold", "March 2041"),
            ("Aldercombe, England", "Closed, for sale", "6,800", "Freehold", "-"),
            ("Venlo, Netherlands", "Warehouse", "9,600", "Leasehold", "October 2029"),
            ("Gothenburg, Sweden", "Software laboratory", "1,150", "Leasehold", "June 2028"),
            ("Leeds, England", "Software and support", "2,900", "Leasehold", "January 2031"),
        ),
        "segment_review": _segment_review(),
        "adjusting": two_years(
            company,
            "Adjusted and statutory operating profit",
            [
                ("Adjusted operating profit", lambda y: y.adjusted_operating_profit),
                ("Amortisation of acquired intangibles", lambda y: -y.flows.acquired_amortisation),
                ("Restructuring costs", lambda y: -y.flows.restructuring),
                ("Statutory operating profit=", lambda y: y.operating_profit),
            ],
        ),
        "free_cash": two_years(
            company,
            "Free cash flow",
            [
                ("Operating cash after tax", lambda y: y.operating_cash),
                ("Capital expenditure less proceeds", _net_spending),
                ("Development capitalised", lambda y: -y.flows.development_capitalised),
                ("Net interest paid, with leases", _net_interest),
                ("Lease principal", lambda y: -y.flows.lease_principal),
                ("Free cash flow=", lambda y: y.free_cash_flow),
            ],
        ),
        "directors": _words(
            "Directors and committees",
            ("Role", "Appointed", "Committees", "Meetings"),
            (44, 26, 34, 20),
            ("Harriet Colquhoun", "Chair", "May 2020", "N", "8 of 8"),
            ("Tomasz Wieland", "Chief Executive", "October 2019", "-", "8 of 8"),
            ("Elspeth Garrow", "Chief Financial Officer", "January 2022", "-", "8 of 8"),
            ("Ingrid Solvang", "Senior independent", "June 2018", "R (chair), A, N", "8 of 8"),
            ("Marcus Thiele", "Non-executive", "March 2019", "A (chair), N", "8 of 8"),
            ("Ruth Abernethy", "Workforce director", "July 2021", "R, N", "8 of 8"),
            ("Chidi Okonjo", "Non-executive", "February 2021", "A, R", "7 of 8"),
            ("Paul Vandermeer", "Non-executive", "September 2022", "A, N", "8 of 8"),
            ("Dr Amara Nwachukwu", "Non-executive", "April 2025", "R, N", "3 of 4"),
        ),
        "pay": _pay(),
        "fees": _figures(
            "Fees of non-executive directors (£ thousand)",
            ("2025", "2024"),
            ("Harriet Colquhoun", "248", "240"),
            ("Ingrid Solvang", "86", "79"),
            ("Marcus Thiele", "84", "81"),
            ("Ruth Abernethy", "74", "71"),
            ("Chidi Okonjo", "66", "64"),
            ("Paul Vandermeer", "66", "64"),
            ("Dr Amara Nwachukwu (from 7 April 2025)", "32", "-"),
            ("Sir Duncan Ferreby (until 12 February 2025)", "29", "78"),
        ),
    }


def _words(title: str, columns: tuple[str, ...], widths: tuple[float, ...], *lines: tuple[str, ...]) -> Table:
    rows = tuple(Row(label, tuple(cells)) for label, *cells in lines)
    return Table(title, columns, rows, widths=widths)


def _figures(title: str, columns: tuple[str, ...], *lines: tuple[str, ...]) -> Table:
    return Table(title, columns, tuple(Row(label, tuple(cells)) for label, *cells in lines))


def _net_spending(year: Year) -> int:
    return year.flows.disposal_proceeds - year.flows.capital_expenditure


def _net_interest(year: Year) -> int:
    return year.flows.finance_income - year.interest_paid - year.flows.lease_interest


def _people() -> Table:
    numbers = (2025, 2024, 2023)
    rows = [Row(name, tuple(f"{EMPLOYEES[n][index]:,}" for n in numbers)) for index, name in enumerate(SEGMENTS)]
    rows.append(Row("Central functions", tuple(f"{CENTRAL_EMPLOYEES[n]:,}" for n in numbers)))
    totals = tuple(f"{sum(EMPLOYEES[n]) + CENTRAL_EMPLOYEES[n]:,}" for n in numbers)
    rows.append(Row("Average number of employees", totals, total=True))
    return Table("Employees by segment", tuple(str(n) for n in numbers), tuple(rows))


def _segment_review() -> Table:
    rows: list[Row] = []
    for index, name in enumerate(SEGMENTS):
        now, before = REVENUE[2025][index], REVENUE[2024][index]
        profit, profit_before = SEGMENT_PROFIT[2025][index], SEGMENT_PROFIT[2024][index]
        change = percent(now - before, before)
        cells = (change, percent(profit, now), percent(profit_before, before))
        rows.append(Row(name, cells))
    columns = ("Growth 2025", "Margin 2025", "Margin 2024")
    return Table("Growth in revenue and segment margin", columns, tuple(rows))


def _pay() -> Table:
    parts: tuple[tuple[str, tuple[int, int, int, int]], ...] = (
        ("Salary", (612, 591, 436, 421)),
        ("Benefits", (24, 23, 17, 17)),
        ("Pension", (43, 41, 31, 29)),
        ("Annual bonus", (606, 558, 360, 331)),
        ("Performance shares", (487, 402, 268, 0)),
    )
    rows = [Row(name, tuple(f"{x:,}" if x else "-" for x in values)) for name, values in parts]
    totals = (sum(column) for column in zip(*(values for _, values in parts), strict=True))
    rows.append(Row("Total", tuple(f"{x:,}" for x in totals), total=True))
    columns = ("Wieland 2025", "Wieland 2024", "Garrow 2025", "Garrow 2024")
    return Table("Pay of executive directors (£ thousand)", columns, tuple(rows))
