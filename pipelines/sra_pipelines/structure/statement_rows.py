"""The titles and typical rows of financial statements, in the words of US GAAP and IFRS."""

from __future__ import annotations

import dataclasses
import re

__all__ = ["STATEMENTS", "StatementForm"]


@dataclasses.dataclass(frozen=True, slots=True)
class StatementForm:
    """How one kind of statement is recognized.

    Parameters
    ----------
    title
        Pattern of its title, applied to a lower-case line without spaces and punctuation. PDF files often contain
        stray spaces inside a title ("Balance Shee t").
    rows
        Patterns of its typical rows, applied to the beginning of a lower-case row.
    least
        Number of different typical rows that a page with the title needs.
    """

    title: re.Pattern[str]
    rows: tuple[re.Pattern[str], ...]
    least: int = 3


_OF = "statements?of(?:the)?(?:condensed|consolidated|combined|group|unaudited|results|of)*"
_LOSS = r"(?:\(loss(?:es)?\)|loss|\(deficit\)|\(expense\))"


def _rows(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"(?:(?:consolidated|group|less:?) )?(?:{pattern})") for pattern in patterns)


STATEMENTS: dict[str, StatementForm] = {
    "income_statement": StatementForm(
        re.compile(
            rf"(?:{_OF}(?:net|\(loss\)|lossand|lossor)*(?:income|operations?|earnings|profit|loss)|incomestatements?"
            r"|profitandlossaccounts?|resultsofoperationsstatement)(?!.*(?:selected|sheet))"
        ),
        _rows(
            r"(?:total |net )*(?:operating )?(?:revenues?|sales|turnover)\b|net interest income|total interest income",
            r"(?:total )?costs? (?:of|and)\b|costs? applicable|total (?:costs|operating expenses|benefits)",
            r"gross (?:profit|margin)",
            r"selling, |general and administrative|administrative expenses|marketing|non-?interest expense",
            r"research(?:,| and) |total non-?interest",
            rf"(?:total )?operating (?:income|profit|earnings|{_LOSS})|{_LOSS}?[ /]*(?:income|profit|earnings|loss)"
            r"[^\d$]{0,12} from (?:continuing )?operations|result from operating",
            r"interest (?:and debt )?(?:expense|income|\()|finance (?:costs?|income)|interest ",
            rf"(?:{_LOSS}[ /]*)?(?:income|profit|earnings|loss)[^\d$]{{0,50}}before[^\d$]{{0,50}}tax",
            r"(?:provision|benefit|\(provision\)|\(benefit\))[^\d$]{0,30}tax|income tax|tax(?:es|ation)?\b",
            rf"(?:{_LOSS}[ /]*)?net (?:income|earnings|profit|loss|\(loss\))|(?:profit|loss) for the "
            r"(?:year|period)|profit attributable",
            r"(?:net )?(?:\(?loss\)?[ /]*)?(?:income|earnings|profit|loss)[^\d$]{0,30} per |basic\b|diluted\b",
        ),
    ),
    "balance_sheet": StatementForm(
        re.compile(rf"balancesheets?|{_OF}(?:financial)?(?:position|condition)|{_OF}assetsandliabilities"),
        _rows(
            r"total (?:current )?assets",
            r"total non-?current assets|property|premises|goodwill|intangible",
            r"cash (?:and|&)|cash\b",
            r"inventor(?:y|ies)|(?:accounts|trade|notes)[^\d$]{0,20} receivable|receivables|loans",
            r"total (?:current )?liabilities",
            r"(?:accounts|trade) (?:and other )?payables?|deposits|total deposits",
            r"total non-?current liabilities|long-term debt|borrowings",
            r"total [^\d$]{0,60}(?:equity|deficit|investment|capital)\b(?! and)|total equity",
            r"retained earnings|accumulated (?:deficit|other)|additional paid|share (?:capital|premium)",
            r"total liabilities[^\d$]{0,20} and|total equity and",
        ),
    ),
    "cash_flow_statement": StatementForm(
        re.compile(rf"{_OF}cashflows?|cashflows?statements?"),
        _rows(
            r"depreciation|amortization",
            r"(?:net )?cash[^\d$]{0,60} operating|cash generated from operations",
            r"(?:net )?cash[^\d$]{0,60} investing",
            r"(?:net )?cash[^\d$]{0,60} financing",
            r"capital expenditures?|purchases? of property|(?:additions|payments|expenditures)[^\d$]{0,25}property"
            r"|acquisitions? of property",
            r"dividends paid|cash dividends|payments? of (?:cash )?dividends|payments? for dividends",
            r"(?:repayments?|payments?|proceeds|issuance)[^\d$]{0,40}(?:debt|borrowings|notes|loans)",
            r"(?:net )?(?:\()?(?:increase|decrease|change)[^\d$]{0,30}cash",
            r"cash[^\d$]{0,70} (?:at )?(?:the )?(?:beginning|end)\b|cash[^\d$]{0,60}(?:period|year)",
            r"effects? of (?:foreign )?(?:exchange|currency)",
            r"stock-based|share-based|deferred (?:income )?tax",
        ),
    ),
    "comprehensive_income": StatementForm(
        re.compile(rf"{_OF}(?:other)?comprehensive(?:income|loss|earnings|\(loss\))"),
        _rows(
            r"(?:total )?(?:other )?comprehensive (?:income|loss|\(loss\)|earnings)|total comprehensive",
            r"[^\d$]{0,25}(?:currency|translation)",
            r"[^\d$]{0,60}(?:hedge|hedging|unrealized|derivative)",
            r"[^\d$]{0,60}(?:pension|postretirement|actuarial|defined benefit|remeasurement)",
            r"net (?:income|earnings|loss)|profit for",
        ),
        2,
    ),
    "equity_statement": StatementForm(
        re.compile(
            rf"{_OF}(?:changesin)?(?:total|redeemable\w*and|stock|share|members?|partners?|owners?|common)*"
            r"(?:holders?|owners?)?(?:equity|deficit|investment|capital)"
            r"|(?:stock|share)holdersequitystatements?"
        ),
        _rows(
            r"(?:opening |beginning )?balance",
            r"net (?:income|earnings|loss)|profit for",
            r"[^\d$]{0,20}dividends?",
            r"[^\d$]{0,40}(?:repurchase|treasury|purchase of|buy)",
            r"[^\d$]{0,20}(?:stock|share)-based|[^\d$]{0,30}stock (?:compensation|options?|plans?)|issuance|issue",
            r"[^\d$]{0,10}other comprehensive|total comprehensive",
        ),
        2,
    ),
}
