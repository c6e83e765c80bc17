"""Precision and recall of the recognized kinds of pages, compared with labels made by hand.

    python benchmarks/page_kinds.py PDFS

PDFS is the folder with the filings that are labelled in `page_kinds.json`, in the folder of this file. Labelled are the
pages of the statements (of the group and of its parts), the cover page, and the first page of each note and each item.
Page numbers start at 0.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sra_pipelines.readers import read_document
from sra_pipelines.structure.page_kinds import PageKind, find_page_kinds

_NUMBERED = ("note", "item")


def main() -> None:
    """Recognize the pages of all labelled filings and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pdfs", type=Path, help="folder with the filings")
    options = parser.parse_args()
    labels = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    right: Counter[str] = Counter()
    n_hits: Counter[str] = Counter()
    labelled: Counter[str] = Counter()
    seconds, n_pages = 0.0, 0
    for name, own in labels.items():
        pages = {page.index: page.text for page in read_document(options.pdfs / f"{name}.pdf").pages}
        started = time.process_time()
        kinds = find_page_kinds(pages)
        seconds, n_pages = seconds + time.process_time() - started, n_pages + len(pages)
        hits, gold = recognized(kinds), expected(own)
        right.update(kind for kind, _ in hits & gold)
        n_hits.update(kind for kind, _ in hits)
        labelled.update(kind for kind, _ in gold)
        for kind, where in sorted(hits ^ gold, key=str):
            print(f"{name}: {kind} {where} {'missed' if (kind, where) in gold else 'wrong'}")
    print(f"\n| {len(labels)} filings, {n_pages} pages | labelled | precision | recall |\n|---|---|---|---|")
    for kind, total in labelled.items():
        print(f"| {kind} | {total} | {right[kind] / max(1, n_hits[kind]):.0%} | {right[kind] / total:.0%} |")
    print(f"\n{1000 * seconds / n_pages:.2f} ms of CPU time per page")


def recognized(kinds: list[PageKind]) -> set[tuple[str, Any]]:
    """Return pairs of kind and page; for notes and items, pairs of kind and (number, first page)."""
    first: dict[tuple[str, str, str], int] = {}
    for page in kinds:
        if page.kind in _NUMBERED:
            first.setdefault((page.kind, page.number, page.title), page.page_index)
    numbered = {(kind, (number, index)) for (kind, number, _), index in first.items()}
    return numbered | {(page.kind, page.page_index) for page in kinds if page.kind.endswith(_OTHERS)}


def expected(labels: dict[str, list[Any]]) -> set[tuple[str, Any]]:
    """Return the labels of a filing in the form of `recognized`."""
    return {(kind, tuple(v) if kind in _NUMBERED else v) for kind, values in labels.items() for v in values}


_OTHERS = ("statement", "balance_sheet", "comprehensive_income", "cover_page")

if __name__ == "__main__":
    main()
