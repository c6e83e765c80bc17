"""Rows and metrics of statements that code computes: how many are right, wrong and not computed.

    python benchmarks/statement_metrics.py FOLDER --cache CACHE

FOLDER and CACHE are those of `retrieval_filings.py`. Each row and metric of the preset `financial` is asked of each of
the nine filings, for one year and for the change from the year before, with 1,500 tokens of passages. The right amounts
are those of `statement_metrics.json` in the folder of this file: the rows of the statements, copied by hand (null where
a statement has no such row); the right metrics are computed from them here, without the code that is measured. Three
filings are for shorter periods or have an ambiguous year: whatever is computed for them counts as wrong.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from financebench import near
from retrieval_filings import by_filing
from sra_pipelines import DocumentQA
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.metrics.compute_metric import computed_metric
from sra_pipelines.presets import load_preset
from transformers.utils import logging as transformers_logging

from sra_rag import Engine, load_model

PRESET = load_preset("financial")
Rows = Callable[[str, int], float]  # the amount of a row, 0 years or 1 year before; raises KeyError if there is none


def _average(rows: Rows, name: str, before: int) -> float:
    return (rows(name, before) + rows(name, before + 1)) / 2


def _gross(rows: Rows, before: int) -> float:
    try:
        return rows("gross profit", before)
    except KeyError:
        return rows("revenue", before) - rows("cost of sales", before)


RIGHT: dict[str, Callable[[Rows, int], float]] = {
    "gross margin": lambda r, b: 100 * _gross(r, b) / r("revenue", b),
    "operating margin": lambda r, b: 100 * r("operating income", b) / r("revenue", b),
    "net margin": lambda r, b: 100 * r("net income", b) / r("revenue", b),
    "effective tax rate": lambda r, b: 100 * r("income tax expense", b) / r("income before taxes", b),
    "quick ratio": lambda r, b: (
        (r("total current assets", b) - r("inventories", b)) / r("total current liabilities", b)
    ),
    "current ratio": lambda r, b: r("total current assets", b) / r("total current liabilities", b),
    "working capital": lambda r, b: r("total current assets", b) - r("total current liabilities", b),
    "free cash flow": lambda r, b: r("cash from operating activities", b) - r("capital expenditure", b),
    "free cash flow conversion": lambda r, b: 100 * RIGHT["free cash flow"](r, b) / r("net income", b),
    "operating cash flow ratio": lambda r, b: (
        r("cash from operating activities", b) / r("total current liabilities", b)
    ),
    "EBITDA": lambda r, b: r("operating income", b) + r("depreciation and amortization", b),
    "EBITDA margin": lambda r, b: 100 * RIGHT["EBITDA"](r, b) / r("revenue", b),
    "equity ratio": lambda r, b: 100 * r("total equity", b) / r("total assets", b),
    "capital intensity": lambda r, b: 100 * r("capital expenditure", b) / r("revenue", b),
    "days payable outstanding": lambda r, b: 365 * _average(r, "payables", b) / r("cost of sales", b),
    "days of inventory": lambda r, b: 365 * _average(r, "inventories", b) / r("cost of sales", b),
    "days of sales": lambda r, b: 365 * _average(r, "receivables", b) / r("revenue", b),
    "inventory turnover": lambda r, b: r("cost of sales", b) / _average(r, "inventories", b),
    "fixed asset turnover": lambda r, b: r("revenue", b) / _average(r, "property, plant and equipment, net", b),
    "asset turnover": lambda r, b: r("revenue", b) / _average(r, "total assets", b),
    "return on assets": lambda r, b: 100 * r("net income", b) / _average(r, "total assets", b),
    "return on equity": lambda r, b: 100 * r("net income", b) / _average(r, "total equity", b),
}
NOT_FOR_PARTS = {  # of a year: they compare an amount of a period with balances
    "operating cash flow ratio", "days payable outstanding", "days of inventory", "days of sales", "inventory turnover",
    "fixed asset turnover", "asset turnover", "return on assets", "return on equity",
}  # fmt: skip
CALLED = {"receivables": "accounts receivable", "payables": "accounts payable", "total equity": "shareholders' equity"}
COMPANIES = {"ULTABEAUTY": "Ulta Beauty", "BESTBUY": "Best Buy", "MGMRESORTS": "MGM"}


def main() -> None:
    """Ask all rows and metrics and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of pdfs/")
    parser.add_argument("--cache", type=Path, required=True, help="folder for indexes")
    parser.add_argument("--context-tokens", type=int, default=1500, help="tokens of passages (default: 1500)")
    options = parser.parse_args()
    transformers_logging.disable_progress_bar()

    filings = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    engine = Engine(load_model("embedded"))
    counts: dict[str, Counter[str]] = {}
    notes: Counter[str] = Counter()
    for index, [filing] in by_filing(
        options.folder, options.cache, [{"document": n} for n in filings], load_embedding()
    ):
        labels = filings[filing["document"]]
        qa = DocumentQA(index, engine, context_tokens=options.context_tokens, preset=PRESET)
        asked = [(filing["document"], *pair) for pair in questions(filing["document"], labels)]
        asked += [
            (f"{filing['document']}, parts of years", *pair) for pair in part_questions(filing["document"], labels)
        ]
        for kind, question, right in asked:
            own = counts.setdefault(kind, Counter())
            found = qa.retrieve(question)
            calculated = computed_metric(
                question, found.passages, found.statements, PRESET.metrics, pages=qa.retriever.pages()
            )
            result = None if calculated is None or calculated[0] is None else float(calculated[0].result)
            verdict = judged(result, right)
            own[verdict] += 1
            if verdict == "wrong":
                print(f"wrong: {question} {result} instead of {right}: {calculated and calculated[0]}", flush=True)
            elif right is not None and verdict == "not computed":
                reason = calculated[1].split(": ", 2)[-1] if calculated else "the question was not understood"
                notes[reason] += 1
                print(f"not computed: {question} {reason}", flush=True)
    print("\n| filing | questions | right | wrong | not computed | of these without a right amount |")
    print("|---" * 6 + "|")
    for name, own in counts.items():
        cells = (own["right"], own["wrong"], own["not computed"] + own["nothing to compute"], own["nothing to compute"])
        print(f"| {name} | {sum(own.values())} | {' | '.join(map(str, cells))} |")


def questions(document: str, labels: dict[str, Any]) -> list[tuple[str, float | None]]:
    """Return questions about a year with their right results: None if a row is missing."""
    year = labels["year"]
    return _questions(document, labels["rows"], f"FY{year}", f"FY{year - 1}", frozenset())


def part_questions(document: str, labels: dict[str, Any]) -> list[tuple[str, float | None]]:
    """Return questions about quarters and half-years with their right results."""
    return [
        pair
        for part in labels.get("parts", [])
        for pair in _questions(document, part["rows"], part["period"], part["before"], frozenset(NOT_FOR_PARTS))
    ]


def _questions(
    document: str, amounts: dict[str, Any], now: str, before: str, excluded: frozenset[str]
) -> list[tuple[str, float | None]]:
    company = document.split("_")[0]
    company = COMPANIES.get(company, company.capitalize())

    def row(name: str, years: int) -> float:
        values = amounts.get(name)
        if values is None or years >= len(values):
            raise KeyError(name)
        return float(values[years])

    asked = []
    names = [(r.name, lambda r, b, name=r.name: r(name, b), True) for r in PRESET.metrics.rows]
    names += [(name, right, False) for name, right in RIGHT.items()]
    for name, right, is_row in names:
        called = CALLED.get(name, name)
        last, first = (None if name in excluded else _or_none(right, row, years) for years in (0, 1))
        asked.append((f"What was {company}'s {called} in {now}?", last))
        if last is None or first is None or not is_row:
            asked.append(
                (f"Did {company}'s {called} improve from {before} to {now}?", last if first is not None else None)
            )
        else:
            asked.append((f"By how much did {company}'s {called} change from {before} to {now}?", last - first))
    return asked


def _or_none(right: Callable[[Rows, int], float], row: Rows, before: int) -> float | None:
    try:
        return right(row, before)
    except KeyError:
        return None


def judged(result: float | None, right: float | None) -> str:
    """Return whether a result is right, wrong or not computed."""
    if result is None:
        return "nothing to compute" if right is None else "not computed"
    return "right" if right is not None and (near(result, right) or abs(result - right) < 0.006) else "wrong"


if __name__ == "__main__":
    main()
