"""Random tables, written by each library and read back: each amount stands with the names of its row and column."""

import datetime

import docx
import openpyxl
import xlwt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pptx import Presentation
from pptx.util import Inches
from sra_pipelines.readers import read_document

FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=9).map(str.capitalize)
# Number format, value and how the program shows it.
AMOUNTS = st.one_of(
    st.integers(-10_000, 99_999).map(lambda n: ("#,##0", n, f"{n:,}")),
    st.integers(0, 99_999).map(lambda n: ("0.00", n / 100, f"{n / 100:.2f}")),
    st.integers(1, 999).map(lambda n: ("0.0%", n / 1000, f"{n / 10:.1f}%")),
    st.integers(0, 9_999).map(lambda n: ("00000", n, f"{n:05}")),
    st.integers(1, 99).map(lambda n: ('0" kg"', n, f"{n} kg")),
    st.integers(1, 9_999).map(lambda n: ("#,##0.00\\ [$€-407]", n, f"{n:,}.00 €")),
    st.integers(1, 999).map(lambda n: ("[h]:mm", datetime.timedelta(minutes=n), f"{n // 60}:{n % 60:02}")),
)


@st.composite
def tables(draw):
    """Draw a table: labels, periods above (with groups of columns or not), cells, and rows whose label is merged."""
    groups = draw(st.sampled_from([["2023"], ["2023", "2022"], ["2024", "2023", "2022"]]))
    parts = draw(st.sampled_from([[], ["Actual", "Plan"]]))
    labels = draw(st.lists(WORDS, min_size=2, max_size=5, unique=True))
    columns = [f"{group} {part}" for group in groups for part in parts] if parts else groups
    cells = [[draw(st.none() | AMOUNTS) for _ in columns] for _ in labels]
    for number, row in enumerate(cells):
        if not any(row):
            row[draw(st.integers(0, len(columns) - 1))] = ("#,##0", 1000 + number, f"{1000 + number:,}")
    for column in range(len(columns)):  # no column is empty: a column that holds nothing has no kind
        if not any(row[column] for row in cells):
            cells[0][column] = ("#,##0", 7, "7")
    merged = draw(st.booleans())  # the first label spans two rows
    return groups, parts, labels, columns, cells, merged


def written(table):
    """Return the rows as texts, number of heading rows, and merged ranges (row, column, rows, columns), zero-based."""
    groups, parts, labels, columns, cells, merged = table
    head, spans = [["Item", *columns]], []
    if parts:
        head = [["", *[text for group in groups for text in (group, *[""] * (len(parts) - 1))]],
                ["Item", *parts * len(groups)]]  # fmt: skip
        spans = [(0, 1 + i * len(parts), 1, len(parts)) for i in range(len(groups))]
    rows = [[label, *row] for label, row in zip(labels, cells, strict=True)]
    if merged:
        rows[1][0] = ""
        spans.append((len(head), 0, 2, 1))
    return head, rows, spans


def expected(table):
    _, _, labels, columns, cells, merged = table
    names = [labels[0], labels[0], *labels[2:]] if merged else labels
    return [
        " | ".join([f"Item: {name}", *[f"{c}: {a[2]}" for c, a in zip(columns, row, strict=True) if a is not None]])
        for name, row in zip(names, cells, strict=True)
    ]


def lines(path, table):
    return read_document(path).pages[0].text.split("\n")[-len(table[2]) :]


@FEW
@given(table=tables())
def test_excel(tmp_path, table):
    book = openpyxl.Workbook()
    sheet = book.active
    head, rows, spans = written(table)
    for number, row in enumerate([*head, *rows], start=1):
        for column, value in enumerate(row, start=1):
            if isinstance(value, tuple):
                sheet.cell(number, column, value[1]).number_format = value[0]
            elif value:
                sheet.cell(number, column, int(value) if value.isdecimal() else value)
    for row, column, height, width in spans:
        sheet.merge_cells(start_row=row + 1, start_column=column + 1, end_row=row + height, end_column=column + width)
    book.save(tmp_path / "a.xlsx")
    assert lines(tmp_path / "a.xlsx", table) == expected(table)


@FEW
@given(table=tables())
def test_excel_before_2007(tmp_path, table):
    book = xlwt.Workbook()
    sheet = book.add_sheet("A")
    head, rows, spans = written(table)
    starts = {(row, column): (row + height - 1, column + width - 1) for row, column, height, width in spans}
    for number, row in enumerate([*head, *rows]):
        for column, value in enumerate(row):
            if isinstance(value, tuple):
                days = value[1] / datetime.timedelta(days=1) if isinstance(value[1], datetime.timedelta) else value[1]
                sheet.write(number, column, days, xlwt.easyxf(num_format_str=value[0]))
            elif value:
                content = int(value) if value.isdecimal() else value
                last_row, last_column = starts.get((number, column), (number, column))
                sheet.write_merge(number, last_row, column, last_column, content)
    book.save(str(tmp_path / "a.xls"))
    assert lines(tmp_path / "a.xls", table) == expected(table)


def fill(grid, table):
    """Write a table into a grid of Word or PowerPoint."""
    head, rows, spans = written(table)
    for number, row in enumerate([*head, *rows]):
        for column, value in enumerate(row):
            text = value[2] if isinstance(value, tuple) else value
            if text:
                grid.cell(number, column).text = text
    for row, column, height, width in spans:
        grid.cell(row, column).merge(grid.cell(row + height - 1, column + width - 1))


def size(table):
    head, rows, _ = written(table)
    return len(head) + len(rows), len(rows[0])


@FEW
@given(table=tables())
def test_word(tmp_path, table):
    document = docx.Document()
    rows, columns = size(table)
    fill(document.add_table(rows=rows, cols=columns), table)
    document.save(tmp_path / "a.docx")
    assert lines(tmp_path / "a.docx", table) == expected(table)


@FEW
@given(table=tables())
def test_slides(tmp_path, table):
    slides = Presentation()
    slide = slides.slides.add_slide(slides.slide_layouts[6])
    fill(slide.shapes.add_table(*size(table), Inches(1), Inches(1), Inches(8), Inches(4)).table, table)
    slides.save(tmp_path / "a.pptx")
    assert lines(tmp_path / "a.pptx", table) == expected(table)


@FEW
@given(table=tables())
def test_html(tmp_path, table):
    head, rows, spans = written(table)
    covered = {
        (row + r, column + c) for row, column, height, width in spans for r in range(height) for c in range(width)
    } - {(row, column) for row, column, _, _ in spans}
    sizes = {(row, column): f' rowspan="{height}" colspan="{width}"' for row, column, height, width in spans}
    source = "<table>"
    for number, row in enumerate([*head, *rows]):
        source += "<tr>"
        for column, value in enumerate(row):
            text = value[2] if isinstance(value, tuple) else value or ""
            if (number, column) not in covered:
                source += f"<td{sizes.get((number, column), '')}>{text}</td>"
        source += "</tr>"
    (tmp_path / "a.html").write_text(f"{source}</table>", encoding="utf-8")
    assert lines(tmp_path / "a.html", table) == expected(table)


@FEW
@given(table=tables().filter(lambda table: not table[5]))
def test_pdf_keeps_each_row_on_one_line(tmp_path, table):
    from fpdf import FPDF

    pdf = FPDF()
    pdf.set_font("Helvetica", size=8)
    pdf.add_page()
    head, rows, _ = written(table)
    with pdf.table() as grid:
        for row in [*head, *rows]:
            out = grid.row()
            for value in row:
                out.cell((value[2] if isinstance(value, tuple) else value or "").replace("€", "EUR"))
    pdf.output(str(tmp_path / "a.pdf"))
    text = read_document(tmp_path / "a.pdf").pages[0].text.split("\n")
    for row in rows:
        shown = [row[0], *[value[2].replace("€", "EUR") for value in row[1:] if value is not None]]
        assert " ".join(shown) in [" ".join(line.split()) for line in text]
