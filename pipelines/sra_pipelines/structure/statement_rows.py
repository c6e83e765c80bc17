"""The titles and typical rows of financial statements, in the words of US GAAP and IFRS, also in German and French."""

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
        Pattern of its title, applied to a lower-case line without spaces, punctuation and accents. PDF files often
        contain stray spaces inside a title ("Balance Shee t").
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
            r"|gewinnundverlustrechnung|gesamtergebnisrechnung|ergebnisrechnung|comptederesultat"
        ),
        _rows(
            r"(?:total |net )*(?:operating )?(?:revenues?|sales|turnover)\b|net interest income|total interest income"
            r"|umsatz(?:erlöse)?\b|chiffre d.affaires|produits des activités",
            r"(?:total )?costs? (?:of|and)\b|costs? applicable|total (?:costs|operating expenses|benefits)"
            r"|umsatzkosten|herstellungskosten|materialaufwand|co[uû]ts? des (?:ventes|produits)|achats consommés",
            r"gross (?:profit|margin)|bruttoergebnis|marge brute|rohertrag",
            r"selling, |general and administrative|administrative expenses|marketing|non-?interest expense"
            r"|vertriebskosten|(?:allgemeine )?verwaltungskosten|personalaufwand|frais (?:commerciaux"
            r"|administratifs|généraux)"
            r"|charges de personnel",
            r"research(?:,| and) |total non-?interest|forschungs-? ?(?:und|aufw|kosten)|frais de recherche",
            rf"(?:total )?operating (?:income|profit|earnings|{_LOSS})|{_LOSS}?[ /]*(?:income|profit|earnings|loss)"
            r"[^\d$]{0,12} from (?:continuing )?operations|result from operating"
            r"|betriebsergebnis|operatives ergebnis|ergebnis der betrieblichen|ebit\b|résultat (?:opérationnel"
            r"|d.exploitation)",
            r"interest (?:and debt )?(?:expense|income|\()|finance (?:costs?|income)|interest "
            r"|finanz(?:erträge|aufwendungen|ergebnis)|zins(?:erträge|aufwendungen|ergebnis)|co[uû]t de l.endettement"
            r"|(?:charges|produits|résultat) financi",
            rf"(?:{_LOSS}[ /]*)?(?:income|profit|earnings|loss)[^\d$]{{0,50}}before[^\d$]{{0,50}}tax"
            r"|ergebnis vor (?:ertrag)?steuern|résultat (?:courant )?avant imp[oô]t",
            r"(?:provision|benefit|\(provision\)|\(benefit\))[^\d$]{0,30}tax|income tax|tax(?:es|ation)?\b"
            r"|ertragsteuern|steuern vom einkommen|imp[oô]ts? sur les (?:bénéfices|résultats)|charge d.imp[oô]t",
            rf"(?:{_LOSS}[ /]*)?net (?:income|earnings|profit|loss|\(loss\))|(?:profit|loss) for the "
            r"(?:year|period)|profit attributable|(?:konzern)?(?:jahresüberschuss|jahresfehlbetrag|ergebnis)\b"
            r"|periodenergebnis"
            r"|résultat net\b(?! par)",
            r"(?:net )?(?:\(?loss\)?[ /]*)?(?:income|earnings|profit|loss)[^\d$]{0,30} per |basic\b|diluted\b"
            r"|(?:unverwässertes |verwässertes )?ergebnis je aktie|résultat[^\d$]{0,30} par action",
        ),
    ),
    "balance_sheet": StatementForm(
        re.compile(
            rf"balancesheets?|{_OF}(?:financial)?(?:position|condition)|{_OF}assetsandliabilities"
            r"|bilanz(?!ierung|summe|gewinn|stichtag)|^bilan(?:consolide)?(?!z)|(?:etat"
            r"|situation)(?:dela)?situationfinanciere"
        ),
        _rows(
            r"total (?:current )?assets|kurzfristige vermögenswerte|umlaufvermögen|actifs? (?:non )?courants?"
            r"|total (?:de l.)?actif",
            r"total non-?current assets|property|premises|goodwill|intangible"
            r"|langfristige vermögenswerte|anlagevermögen|sachanlagen|geschäfts- oder|immaterielle"
            r"|immobilisations|écarts? d.acquisition",
            r"cash (?:and|&)|cash\b|zahlungsmittel|flüssige mittel|kassenbestand|trésorerie|disponibilités",
            r"inventor(?:y|ies)|(?:accounts|trade|notes)[^\d$]{0,20} receivable|receivables|loans"
            r"|vorräte|forderungen|stocks\b|créances",
            r"total (?:current )?liabilities|kurzfristige (?:schulden|verbindlichkeiten)|passifs? courants?",
            r"(?:accounts|trade) (?:and other )?payables?|deposits|total deposits"
            r"|verbindlichkeiten aus lieferungen|dettes fournisseurs|fournisseurs",
            r"total non-?current liabilities|long-term debt|borrowings"
            r"|langfristige (?:schulden|finanz)|passifs? non courants?|emprunts",
            r"total [^\d$]{0,60}(?:equity|deficit|investment|capital)\b(?! and)|total equity|eigenkapital"
            r"|capitaux propres",
            r"retained earnings|accumulated (?:deficit|other)|additional paid|share (?:capital|premium)"
            r"|gezeichnetes kapital|grundkapital|kapitalrücklage|gewinnrücklage|capital social|réserves",
            r"total liabilities[^\d$]{0,20} and|total equity and|bilanzsumme|total (?:du |des )?passif",
        ),
    ),
    "cash_flow_statement": StatementForm(
        re.compile(rf"{_OF}cashflows?|cashflows?statements?|kapitalflussrechnung|fluxdetresorerie"),
        _rows(
            r"depreciation|amortization|abschreibungen|(?:dotations aux )?amortissements",
            r"(?:net )?cash[^\d$]{0,60} operating|cash generated from operations"
            r"|(?:mittel|cashflow|cash-?flow)[^\d$]{0,40} (?:laufende|betriebliche|operative)"
            r"|flux[^\d$]{0,50} (?:activité|opérat|exploit)",
            r"(?:net )?cash[^\d$]{0,60} investing|(?:mittel|cashflow|cash-?flow)[^\d$]{0,40} investition"
            r"|flux[^\d$]{0,50} investi",
            r"(?:net )?cash[^\d$]{0,60} financing|(?:mittel|cashflow|cash-?flow)[^\d$]{0,40} finanzierung"
            r"|flux[^\d$]{0,50} financement",
            r"capital expenditures?|purchases? of property|(?:additions|payments|expenditures)[^\d$]{0,25}property"
            r"|acquisitions? of property|auszahlungen für (?:investitionen|sachanlagen|den erwerb)"
            r"|(?:acquisitions?|achats?) d.immobilisations",
            r"dividends paid|cash dividends|payments? of (?:cash )?dividends|payments? for dividends"
            r"|gezahlte dividende|dividenden(?:zahlung)?|dividendes (?:versés|payés)",
            r"(?:repayments?|payments?|proceeds|issuance)[^\d$]{0,40}(?:debt|borrowings|notes|loans)"
            r"|(?:tilgung|aufnahme|rückzahlung)[^\d$]{0,30}(?:verbindlichkeit|kredit|darlehen|anleihe)"
            r"|(?:souscription|remboursement|émission)s? d.emprunt",
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
