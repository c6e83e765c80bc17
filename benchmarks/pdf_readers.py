"""How well PDF readers keep the rows of tables, on pages that answer real questions, and how long they take.

    python benchmarks/pdf_readers.py FOLDER

FOLDER holds `questions.jsonl` (document, evidence: [{page, text}]) and `pdfs/`, as FinanceBench's open sample does.
Rows are taken from the gold evidence: a label and the figures that follow it, up to the next label. A row survives if
one line of the reader's page holds the last words of the label and then all of its figures, in order. A figure
survives if it stands anywhere on the page. Read are the gold pages and every N-th other page.
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

_FIGURE = re.compile(r"\d[\d,]*(?:\.\d+)?")
_YEAR = re.compile(r"(?:19|20)\d\d")
_WORD = re.compile(r"[^\W\d_]{2,}")
_FOOTNOTE = re.compile(r"\(\d\)")  # a footnote's mark, or a number of one figure in brackets: left out on both sides
_LEAST_FIGURES = 2  # a row of a table; single figures behind words are page numbers more often than not


def read_pdfium(path: Path, pages: list[int]) -> list[str]:
    """Text in the order of the file, lines found by PDFium."""
    with pypdfium2.PdfDocument(path) as pdf:
        return [pdf[i].get_textpage().get_text_bounded() for i in pages]


def read_pdfium_rows(path: Path, pages: list[int]) -> list[str]:
    """What sra-rag does: PDFium, with the lines that stand at one height joined again."""
    with pypdfium2.PdfDocument(path) as pdf:
        return [page_text(pdf[i]) for i in pages]


def read_pdfplumber(path: Path, pages: list[int]) -> list[str]:
    """Words grouped into lines by their height on the page."""
    with pdfplumber.open(path) as pdf:
        return [pdf.pages[i].extract_text() for i in pages]


def read_pdfminer(path: Path, pages: list[int]) -> list[str]:
    """Text boxes found by layout analysis."""
    return [extract_text(path, page_numbers=[i]) for i in pages]


def read_pypdf(path: Path, pages: list[int]) -> list[str]:
    """Text in the order of the file."""
    reader = pypdf.PdfReader(path)
    return [reader.pages[i].extract_text() for i in pages]


def read_pypdf_layout(path: Path, pages: list[int]) -> list[str]:
    """Text laid out as on the page."""
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
    """Yield the label's last word and the figures of each row of a table whose cells stand one to a line."""
    label = ""
    figures: list[str] = []
    for line in _FOOTNOTE.sub("", evidence).splitlines():
        words = _WORD.findall(line)
        if words:
            if label and len(figures) >= _LEAST_FIGURES:
                yield label, figures
            label, figures = words[-1], []
        else:
            figures += [figure for figure in _FIGURE.findall(line) if not _YEAR.fullmatch(figure)]
    if label and len(figures) >= _LEAST_FIGURES:
        yield label, figures


def survives(label: str, figures: list[str], lines: list[str]) -> bool:
    """Whether one line holds the label's last word and then the figures, in order."""
    cells = "".join(rf".*?(?<![\d,.]){re.escape(figure)}(?!\d)" for figure in figures)
    pattern = re.compile(rf"\b{re.escape(label)}\b{cells}")
    return any(pattern.search(line) for line in lines)


def main() -> None:
    """Measure all readers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of questions.jsonl and pdfs/")
    parser.add_argument("--every", type=int, default=25, help="read every N-th page beside the gold ones (default: 25)")
    parser.add_argument("--show-lost", metavar="READER", help="print the rows that this reader loses")
    options = parser.parse_args()
    gold: dict[str, dict[int, set[str]]] = {}
    for line in (options.folder / "questions.jsonl").read_text(encoding="utf-8").splitlines():
        question = json.loads(line)
        for evidence in question["evidence"]:
            gold.setdefault(question["document"], {}).setdefault(evidence["page"], set()).add(evidence["text"])

    print("| reader | rows that survive | figures that survive | seconds a page |")
    print("|---|---|---|---|")
    for name, read in READERS.items():
        rows = kept_rows = figures = kept_figures = n_pages = 0
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
                held = set(_FIGURE.findall(read_pages[page]))
                for label, *values in {(label, *values) for text in evidence_texts for label, values in rows_of(text)}:
                    rows += 1
                    kept = survives(label, values, lines)
                    kept_rows += kept
                    figures += len(values)
                    kept_figures += sum(value in held for value in values)
                    if not kept and name == options.show_lost:
                        print(f"lost: {document} page {page}: {label} {' '.join(values)}")
        print(
            f"| {name} | {kept_rows} of {rows}: {kept_rows / rows:.1%} | "
            f"{kept_figures} of {figures}: {kept_figures / figures:.1%} | {seconds / n_pages:.3f} |"
        )


if __name__ == "__main__":
    main()
