"""Accuracy of PDF readers on rows of tables, on pages that contain answers to real questions, and their time.

    python benchmarks/pdf_readers.py FOLDER

FOLDER contains `questions.jsonl` (document, evidence: [{page, text}]) and `pdfs/`, like the open sample of
FinanceBench. Rows are taken from the gold evidence: a label and the amounts after it, up to the next label. A row is
kept if one line of the reader's output contains the last word of the label and after it all amounts, in order. An
amount is kept if it is anywhere on the page. The gold pages and every N-th other page are read.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pdfplumber
import pypdf
import pypdfium2
from pdfminer.high_level import extract_text
from sra_pipelines.readers.pdf import page_text

Reader = Callable[[Path, list[int]], list[str]]

_AMOUNT = re.compile(r"\d[\d,]*(?:\.\d+)?")
_YEAR = re.compile(r"(?:19|20)\d\d")
_WORD = re.compile(r"[^\W\d_]{2,}")
_FOOTNOTE = re.compile(r"\(\d\)")  # the mark of a footnote, or one digit in brackets: ignored on both sides
_LEAST_AMOUNTS = 2  # of a row of a table; a single number after a word is usually a page number


def read_pdfium(path: Path, pages: list[int]) -> list[str]:
    """Return the text in the order of the file, with the lines of PDFium."""
    with pypdfium2.PdfDocument(path) as pdf:
        return [pdf[i].get_textpage().get_text_bounded() for i in pages]


def read_pdfium_rows(path: Path, pages: list[int]) -> list[str]:
    """Return the text as sra-rag reads it: PDFium, with lines at the same height joined."""
    with pypdfium2.PdfDocument(path) as pdf:
        return [page_text(pdf[i]) for i in pages]


def read_pdfplumber(path: Path, pages: list[int]) -> list[str]:
    """Return the words, grouped into lines by their height on the page."""
    with pdfplumber.open(path) as pdf:
        return [pdf.pages[i].extract_text() for i in pages]


def read_pdfminer(path: Path, pages: list[int]) -> list[str]:
    """Return the text boxes of a layout analysis."""
    return [extract_text(path, page_numbers=[i]) for i in pages]


def read_pypdf(path: Path, pages: list[int]) -> list[str]:
    """Return the text in the order of the file."""
    reader = pypdf.PdfReader(path)
    return [reader.pages[i].extract_text() for i in pages]


def read_pypdf_layout(path: Path, pages: list[int]) -> list[str]:
    """Return the text with the layout of the page."""
    reader = pypdf.PdfReader(path)
    return [reader.pages[i].extract_text(extraction_mode="layout") for i in pages]


READERS: dict[str, Reader] = {
    "pypdfium2": read_pdfium,
    "pypdfium2, rows joined": read_pdfium_rows,
    "pdfplumber": read_pdfplumber,
    "pdfminer.six": read_pdfminer,
    "pypdf": read_pypdf,
    "pypdf, layout": read_pypdf_layout,
}


def rows_of(evidence: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the last word of the label and the amounts of each row of a table that has one cell per line."""
    label = ""
    amounts: list[str] = []
    for line in _FOOTNOTE.sub("", evidence).splitlines():
        words = _WORD.findall(line)
        if words:
            if label and len(amounts) >= _LEAST_AMOUNTS:
                yield label, amounts
            label, amounts = words[-1], []
        else:
            amounts += [amount for amount in _AMOUNT.findall(line) if not _YEAR.fullmatch(amount)]
    if label and len(amounts) >= _LEAST_AMOUNTS:
        yield label, amounts


def keeps(label: str, amounts: list[str], lines: list[str]) -> bool:
    """Return whether one line contains the last word of the label and after it the amounts, in order."""
    cells = "".join(rf".*?(?<![\d,.]){re.escape(amount)}(?!\d)" for amount in amounts)
    pattern = re.compile(rf"\b{re.escape(label)}\b{cells}")
    return any(pattern.search(line) for line in lines)


def main() -> None:
    """Measure all readers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with questions.jsonl and pdfs/")
    parser.add_argument("--every", type=int, default=25, help="also read every N-th page (default: 25)")
    parser.add_argument("--show-lost", metavar="READER", help="print the rows that this reader does not keep")
    options = parser.parse_args()
    gold: dict[str, dict[int, set[str]]] = {}
    for line in (options.folder / "questions.jsonl").read_text(encoding="utf-8").splitlines():
        question = json.loads(line)
        for evidence in question["evidence"]:
            gold.setdefault(question["document"], {}).setdefault(evidence["page"], set()).add(evidence["text"])

    print("| reader | rows kept | amounts kept | seconds per page |")
    print("|---|---|---|---|")
    for name, read in READERS.items():
        rows = kept_rows = amounts = kept_amounts = n_pages = 0
        seconds = 0.0
        for document, texts in gold.items():
            path = options.folder / "pdfs" / document
            with pypdfium2.PdfDocument(path) as pdf:
                pages = sorted(set(texts) | set(range(0, len(pdf), options.every)))
            started = time.process_time()
            read_pages = dict(zip(pages, read(path, pages), strict=True))
            seconds += time.process_time() - started
            n_pages += len(pages)
            for page, evidence_texts in texts.items():
                lines = [_FOOTNOTE.sub("", " ".join(line.split())) for line in read_pages[page].splitlines()]
                held = set(_AMOUNT.findall(read_pages[page]))
                for label, *values in {(label, *values) for text in evidence_texts for label, values in rows_of(text)}:
                    rows += 1
                    kept = keeps(label, values, lines)
                    kept_rows += kept
                    amounts += len(values)
                    kept_amounts += sum(value in held for value in values)
                    if not kept and name == options.show_lost:
                        print(f"lost: {document} page {page}: {label} {' '.join(values)}")
        print(
            f"| {name} | {kept_rows} of {rows}: {kept_rows / rows:.1%} | "
            f"{kept_amounts} of {amounts}: {kept_amounts / amounts:.1%} | {seconds / n_pages:.3f} |"
        )


if __name__ == "__main__":
    main()
