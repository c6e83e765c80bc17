"""Documents of several formats with the same text and tables, for `benchmarks/reading.py`.

Each writer takes a path and a number of pages. A page (sheet, slide) has a paragraph and a table of 20 rows, or as many
rows or paragraphs of what the name of the document says: cells with formats, formatted runs, tables of filings.
"""

from __future__ import annotations

import datetime
import email.message
from collections.abc import Callable
from pathlib import Path

__all__ = ["WRITERS"]

ROWS = 20
TEXT = "The tenant pays the rent for the warehouse in Orrin in advance, on the first working day of each month. " * 4


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


def write_markdown(path: Path, pages: int) -> None:
    """Write a Markdown file."""
    parts = []
    for page in range(pages):
        head, *others = (f"| {' | '.join(row)} |" for row in rows(page))
        parts.append("\n".join([f"## Part {page}\n\n{TEXT}\n", head, "|---" * 4 + "|", *others]))
    path.write_text("\n\n".join(parts), encoding="utf-8")


def write_prose(path: Path, pages: int) -> None:
    """Write an HTML file of paragraphs with inline elements."""
    paragraph = f"<p>The <b>tenant</b> pays the <i>rent</i> for the warehouse. {TEXT}</p>"
    path.write_text(f"<html><body>{paragraph * ROWS * pages}</body></html>", encoding="utf-8")


def write_filing(path: Path, pages: int) -> None:
    """Write an HTML file as companies file reports: cells that span columns, and separate ones for signs."""
    parts = []
    for page in range(pages):
        table = [
            '<tr><td></td><td></td><td colspan="7" style="text-align:center"><b>Year ended December 31,</b></td></tr>'
            '<tr><td></td><td></td><td colspan="3">2023</td><td></td><td colspan="3">2022</td></tr>'
        ]
        for row in range(ROWS):
            first, second = f"{page * 1000 + row * 10:,}", f"{page * 100 + row:,}"
            table.append(
                f'<tr style="background:#cef"><td style="padding:2px">Item {page}.{row}</td><td></td><td>$</td>'
                f'<td style="text-align:right">{first}</td><td></td><td></td><td>$</td><td>({second}</td><td>)</td>'
                "</tr>"
            )
        text = f'<div style="font-size:10pt"><span style="font-weight:bold">Part {page}.</span> {TEXT}</div>'
        parts.append(f'{text}<table style="width:100%">{"".join(table)}</table>')
    path.write_text(f"<html><body>{''.join(parts)}</body></html>", encoding="utf-8")


def write_wide_csv(path: Path, pages: int) -> None:
    """Write a CSV file with 20 columns of numbers."""
    lines = [",".join(["Item", *(f"Column {number}" for number in range(ROWS - 1))])]
    for row in range(ROWS * pages):
        lines.append(",".join([f"Item {row}", *(str((row * 7919 + n * 104729) % 10**6) for n in range(ROWS - 1))]))
    path.write_text("\n".join(lines), encoding="utf-8")


def write_letters_csv(path: Path, pages: int) -> None:
    """Write a CSV file with a text in each row."""
    lines = ["Id,Customer,Amount,Date,Text"]
    for row in range(ROWS * pages):
        lines.append(f'{row},Customer {row % 77},"{row * 37 % 10**6:,}",2023-0{1 + row % 9}-11,"{TEXT[:103]}"')
    path.write_text("\n".join(lines), encoding="utf-8")


def write_wide_xlsx(path: Path, pages: int) -> None:
    """Write a workbook with one sheet, which has 20 columns of numbers."""
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["Item", *(f"Column {number}" for number in range(ROWS - 1))])
    for row in range(ROWS * pages):
        sheet.append([f"Item {row}", *((row * 7919 + number * 104729) % 10**6 for number in range(ROWS - 1))])
    book.save(path)


def write_formatted_xlsx(path: Path, pages: int) -> None:
    """Write a workbook with one sheet, whose cells have formats of numbers and dates."""
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["Item", "Rate", "Price", "Date", "Time", "Weight", "Change"])
    formats = ["General", "0.0%", '#,##0.00 "€"', "yyyy-mm-dd", "yyyy-mm-dd hh:mm", '0.0" kg"', "#,##0;(#,##0)"]
    first = datetime.datetime(2020, 1, 1)
    for row in range(ROWS * pages):
        share = (row * 7919 % 99991) / 99991
        day, minute = first + datetime.timedelta(row % 2000), first + datetime.timedelta(minutes=row * 97)
        sheet.append([f"Item {row}", share, share * 1e4, day, minute, share * 100, row % 1000 - 500])
        for column, number_format in enumerate(formats, start=1):
            sheet.cell(row + 2, column).number_format = number_format
    book.save(path)


def write_runs(path: Path, pages: int) -> None:
    """Write a Word file of paragraphs that have several runs with formats."""
    import docx

    document = docx.Document()
    for _ in range(10 * pages):
        paragraph = document.add_paragraph()
        for number in range(6):
            run = paragraph.add_run("The tenant pays the rent for the warehouse ")
            run.bold, run.italic = number % 2 == 0, number % 3 == 0
    document.save(str(path))


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "tables.pdf": write_pdf,
    "tables.docx": write_docx,
    "runs.docx": write_runs,
    "tables.xlsx": write_xlsx,
    "wide.xlsx": write_wide_xlsx,
    "formatted.xlsx": write_formatted_xlsx,
    "tables.html": write_html,
    "filing.html": write_filing,
    "prose.html": write_prose,
    "tables.csv": write_csv,
    "wide.csv": write_wide_csv,
    "letters.csv": write_letters_csv,
    "tables.txt": write_text,
    "tables.md": write_markdown,
    "tables.pptx": write_pptx,
    "tables.xls": write_xls,
    "tables.eml": write_eml,
}
"""Writers by name of the document."""
