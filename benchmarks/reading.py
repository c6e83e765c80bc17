"""Processor seconds and memory that each format takes to read, on documents written here with the same text and tables.

    python benchmarks/reading.py [--pages 200] [--repeat 3] [--json results.json]

Each document has `--pages` pages (sheets, slides) with a paragraph and a table of 20 rows. A file is read `--repeat`
times, each time in a new process. The printed table has the shortest time, and the smallest growth of the peak memory
after a document of one page was read. The peak is that of the process itself (``VmHWM``, Linux only): the maximum that
``getrusage`` returns includes that of the process which started it.
"""

from __future__ import annotations

import argparse
import email.message
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROWS = 20
TEXT = "The tenant pays the rent for the warehouse in Orrin in advance, on the first working day of each month. " * 4

_CHILD = r"""
import json, re, sys, time
from pathlib import Path
from sra_pipelines.readers import read_document
small, large = map(Path, sys.argv[1:])
def peak():
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
read_document(small)
before = peak()
start = time.process_time()
document = read_document(large)
seconds = time.process_time() - start
after = peak()
characters = sum(len(page.text) for page in document.pages)
print(json.dumps({
    "seconds": seconds, "megabytes": (after - before) / 1024, "peak": after / 1024, "characters": characters
}))
"""


def rows(page: int) -> list[list[str]]:
    """Return the table of a page."""
    head = ["Item", "2021", "2022", "2023"]
    return [
        head,
        *[[f"Item {page}.{row}", *[f"{page * 1000 + row * 10 + i:,}" for i in range(3)]] for row in range(ROWS)],
    ]


def html(pages: int) -> str:
    """Return the text as HTML."""
    parts = []
    for page in range(pages):
        cells = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows(page))
        parts.append(f"<h2>Part {page}</h2><p>{TEXT}</p><ol><li>One</li><li>Two</li></ol><table>{cells}</table>")
    return f"<html><body>{''.join(parts)}</body></html>"


def write_html(path: Path, pages: int) -> None:
    """Write an HTML file."""
    path.write_text(html(pages), encoding="utf-8")


def write_csv(path: Path, pages: int) -> None:
    """Write a CSV file."""
    lines = [",".join(f'"{cell}"' for cell in row) for page in range(pages) for row in rows(page)[page > 0 :]]
    path.write_text("\n".join(lines), encoding="utf-8")


def write_text(path: Path, pages: int) -> None:
    """Write a text file."""
    tables = ["\n".join(" ".join(row) for row in rows(page)) for page in range(pages)]
    path.write_text("\f".join(f"{TEXT}\n{table}" for table in tables), encoding="utf-8")


def write_docx(path: Path, pages: int) -> None:
    """Write a Word file."""
    import docx

    document = docx.Document()
    for page in range(pages):
        document.add_heading(f"Part {page}", 1)
        document.add_paragraph(TEXT)
        table = document.add_table(rows=ROWS + 1, cols=4)
        for cells, row in zip(table.rows, rows(page), strict=True):
            for cell, text in zip(cells.cells, row, strict=True):
                cell.text = text
    document.save(str(path))


def write_xlsx(path: Path, pages: int) -> None:
    """Write an Excel workbook."""
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    for page in range(pages):
        sheet = book.create_sheet(f"Sheet {page}")
        for row in rows(page):
            sheet.append([int(cell.replace(",", "")) if cell[0].isdigit() else cell for cell in row])
    book.save(path)


def write_pptx(path: Path, pages: int) -> None:
    """Write a PowerPoint file."""
    from pptx import Presentation
    from pptx.util import Inches

    slides = Presentation()
    for page in range(pages):
        slide = slides.slides.add_slide(slides.slide_layouts[5])
        slide.shapes.title.text = f"Part {page}"
        table = slide.shapes.add_table(ROWS + 1, 4, Inches(1), Inches(1), Inches(8), Inches(5)).table
        for number, row in enumerate(rows(page)):
            for column, text in enumerate(row):
                table.cell(number, column).text = text
    slides.save(path)


def write_xls(path: Path, pages: int) -> None:
    """Write a workbook in the format before 2007."""
    import xlwt

    book = xlwt.Workbook()
    for page in range(pages):
        sheet = book.add_sheet(f"Sheet {page}")
        for number, row in enumerate(rows(page)):
            for column, text in enumerate(row):
                sheet.write(number, column, text)
    book.save(str(path))


def write_eml(path: Path, pages: int) -> None:
    """Write a message with an HTML text."""
    message = email.message.EmailMessage()
    message["From"], message["Subject"] = "a@example.com", "Rent"
    message.set_content("Plain")
    message.add_alternative(html(pages), subtype="html")
    path.write_bytes(bytes(message))


def write_pdf(path: Path, pages: int) -> None:
    """Write a PDF file."""
    from fpdf import FPDF

    pdf = FPDF()
    pdf.set_font("Helvetica", size=9)
    for page in range(pages):
        pdf.add_page()
        pdf.multi_cell(0, 5, TEXT)
        for row in rows(page):
            for cell in row:
                pdf.cell(45, 5, cell)
            pdf.ln()
    pdf.output(str(path))


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "pdf": write_pdf,
    "docx": write_docx,
    "xlsx": write_xlsx,
    "html": write_html,
    "csv": write_csv,
    "txt": write_text,
    "pptx": write_pptx,
    "xls": write_xls,
    "eml": write_eml,
}


def measure(suffix: str, pages: int, repeat: int) -> dict[str, float]:
    """Return seconds, megabytes and characters of one format."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / f"small.{suffix}", Path(folder) / f"large.{suffix}"
        WRITERS[suffix](small, 1)
        WRITERS[suffix](large, pages)
        runs = []
        for _ in range(repeat):
            command = [sys.executable, "-c", _CHILD, str(small), str(large)]
            runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))  # noqa: S603
        best = min(runs, key=lambda run: run["seconds"])
        return {
            **best,
            **{key: min(run[key] for run in runs) for key in ("megabytes", "peak")},
            "file": large.stat().st_size / 1e6,
        }


def main() -> None:
    """Measure the formats and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--formats", nargs="*", default=list(WRITERS), choices=list(WRITERS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {suffix: measure(suffix, options.pages, options.repeat) for suffix in options.formats}
    print(
        f"{platform.machine()}, Python {platform.python_version()}, {options.pages} pages, best of {options.repeat}\n"
    )
    print("| format | file, MB | characters | seconds | seconds a page | memory, MB | peak, MB |\n" + "|---" * 7 + "|")
    for suffix, result in results.items():
        print(
            f"| {suffix} | {result['file']:.2f} | {result['characters']:,} | {result['seconds']:.2f} | "
            f"{result['seconds'] / options.pages:.4f} | {result['megabytes']:.0f} | {result['peak']:.0f} |"
        )
    if options.json:
        options.json.write_text(json.dumps({"pages": options.pages, "results": results}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
