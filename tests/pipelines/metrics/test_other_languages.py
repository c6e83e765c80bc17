"""Statements and questions in German and French: their numbers, dates, units, rows and words."""

import pytest
from sra_pipelines.metrics.compute_metric import computed_metric
from sra_pipelines.metrics.statement_table import read_tables
from sra_pipelines.presets import load_preset
from sra_pipelines.retrieval.placing import PlacedStatement
from sra_pipelines.values import Passage

METRICS = load_preset("financial").metrics
GERMAN = """Konzern-Gewinn- und Verlustrechnung
1. Januar bis 31. Dezember
in TEUR
| | Anhang | 2023 | 2022 |
| Umsatzerlöse | 4 | 412.600 | 398.150 |
| Umsatzkosten | | -300.100 | -295.000 |
| Bruttoergebnis vom Umsatz | | 112.500 | 103.150 |
| Betriebsergebnis (EBIT) | | 41.260 | 35.000 |
| Ergebnis vor Ertragsteuern | | 40.000 | 33.000 |
| Ertragsteuern | 9 | -12.000 | -9.900 |
| Konzernjahresüberschuss | | 28.000 | 23.100 |"""
GERMAN_BALANCE = """Konzernbilanz
zum 31.12.2023 und 31.12.2022
in TEUR
31.12.2023 31.12.2022
Sachanlagen 150.000 140.500
Vorräte 60.250 58.000
Kurzfristige Vermögenswerte 130.000 120.000
Bilanzsumme 280.000 260.500
Eigenkapital 126.000 110.000
Kurzfristige Schulden 65.000 60.000
Bilanzsumme 280.000 260.500"""
FRENCH = """Compte de résultat consolidé
exercice clos le 31 décembre, en millions d'euros
2023 2022
Chiffre d'affaires 1 328,4 1 211,7
Coût des ventes (949,6) (938,1)
Marge brute 378,8 273,6
Résultat opérationnel 98,8 77,8
Résultat avant impôt 90,0 70,0
Impôts sur les bénéfices (22,5) (17,5)
Résultat net 67,5 52,5"""
FRENCH_HALF = """Compte de résultat consolidé
semestre clos le 30 juin, en millions d'euros
| | 2023 | 2022 |
| Chiffre d'affaires | 1 328,4 | 1 211,7 |
| Résultat opérationnel courant | 98,8 | 77,8 |
| Résultat net | 67,5 | 52,5 |"""


def compute(question, text, kind="income_statement"):
    page = Passage("bericht", 0, "1", text, end=len(text))
    return computed_metric(question, [page], [PlacedStatement("bericht", 0, kind)], METRICS)


@pytest.mark.parametrize(
    ("question", "text", "kind", "expected"),
    [
        ("Wie hoch war der Umsatz im Geschäftsjahr 2023?", GERMAN, "income_statement",
         "revenue 2023: 412,600 (€ thousand)"),
        ("Wie hat sich die Bruttomarge 2023 gegenüber dem Vorjahr entwickelt?", GERMAN, "income_statement",
         "gross margin 2022: 103,150 / 398,150 = 25.91%; 2023: 112,500 / 412,600 = 27.27%; change = +1.36 percentage "
         "points"),
        ("Wie hoch war die EBIT-Marge 2023?", GERMAN, "income_statement",
         "operating margin 2023: 41,260 / 412,600 = 10.00%"),
        ("Wie hoch war die Steuerquote 2023?", GERMAN, "income_statement",
         "effective tax rate 2023: 12,000 / 40,000 = 30.00%"),
        ("What was the cost of sales in 2022?", GERMAN, "income_statement", "cost of sales 2022: 295,000 (€ thousand)"),
        ("Wie hoch waren die Vorräte Ende 2023?", GERMAN_BALANCE, "balance_sheet",
         "inventories 2023: 60,250 (€ thousand)"),
        ("Wie hoch war die Eigenkapitalquote 2023?", GERMAN_BALANCE, "balance_sheet",
         "equity ratio 2023: 126,000 / 280,000 = 45.00%"),
        ("Quel était le chiffre d'affaires en 2023 ?", FRENCH, "income_statement", "revenue 2023: 1,328.4 (€ million)"),
        ("Quel était le taux effectif d'impôt de l'exercice 2023 ?", FRENCH, "income_statement",
         "effective tax rate 2023: 22.5 / 90.0 = 25.00%"),
        ("De combien a augmenté le résultat net entre 2022 et 2023 ?", FRENCH, "income_statement",
         "net income 2022: 52.5 (€ million); 2023: 67.5 (€ million); change = +15.0 (+28.57%)"),
    ],
)  # fmt: skip
def test_what_is_computed(question, text, kind, expected):
    calculation, note = compute(question, text, kind)
    assert (calculation and calculation.text, note) == (expected, "")


@pytest.mark.parametrize(
    ("question", "text", "problem"),
    [
        ("Quel était le résultat net en 2023 ?", FRENCH_HALF, "is for 6 months, not for a year"),
        ("Quel était le résultat opérationnel au premier semestre 2023 ?", FRENCH_HALF, "no row for operating income"),
        ("Wie hoch war der Umsatz im 2. Quartal 2023?", GERMAN, "there is no column for Q2 2023"),
        ("Wie hoch war der Umsatz 2021?", GERMAN, "there is no column for 2021"),
        (
            "Wie hoch war der Umsatz 2022?",
            GERMAN.replace("2023 | 2022", "2022/23 | 2021/22"),
            "has no heading with years",
        ),
    ],
)
def test_what_is_missing(question, text, problem):
    calculation, note = compute(question, text)
    assert calculation is None
    assert problem in note


@pytest.mark.parametrize(
    "question",
    [
        "Wie hoch war der Umsatz mit Landmaschinen 2023?",
        "Quel était le chiffre d'affaires de la France en 2023 ?",
        "What was the value of stocks in 2023?",  # French for inventories, English for shares
    ],
)
def test_questions_about_something_else_are_left_alone(question):
    assert compute(question, GERMAN) is None


@pytest.mark.parametrize(
    ("rows", "value"),
    [
        ("Umsatzerlöse 1.234 1.100\nMaterialaufwand 900,5 800,5", "1234"),  # the other amounts have a decimal comma
        ("Revenue 1.234 1.100\nCost of sales 0.95 0.85", "1.234"),
        ("Revenue 1.234 1.100\nCost of sales 0.951 0.852", None),  # a thousand, or three decimals?
        ("Revenue 1,234 1,100\nCost of sales 951 852", "1234"),
        ("Umsatzerlöse 1,234 1,100\nMaterialaufwand 900,5 800,5", None),
        ("Chiffre d'affaires 12 345 11 100\nMarge brute 900,5 800,5", "12345"),
        ("Chiffre d'affaires 12 345 678 910\nMarge brute 900,5 800,5", None),  # 12 and 345 678 910, or others?
    ],
)
def test_numbers_with_two_readings(rows, value):
    [table] = read_tables(f"Mio.\n2023 2022\n{rows}")
    cells = table.rows[0].cells
    assert (str(cells[0].value) if cells else None) == value
