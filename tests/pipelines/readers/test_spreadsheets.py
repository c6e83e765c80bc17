"""Excel workbooks: values as Excel shows them, merged cells, comments, formulas without a value, hidden sheets."""

import datetime
import zipfile

import openpyxl
import pytest
import xlsxwriter
from openpyxl.comments import Comment
from openpyxl.styles import Font
from PIL import Image
from sra_pipelines.readers import read_document
from sra_pipelines.readers.sheets.number_format import shown_value
from sra_pipelines.values import DocumentError

DAY = datetime.datetime(2027, 3, 31)


@pytest.mark.parametrize(
    ("value", "number_format", "shown"),
    [
        (21, '0"%"', "21%"),
        (21, "0\\%", "21%"),
        (0.125, "0.0%", "12.5%"),
        (5, '0;-0;"0%"', "5"),
        (1234.5, '"$"#,##0.00', "$1,234.50"),
        (1234.5, "#,##0.00\\ [$€-407]", "1,234.50 €"),
        (-1234.5, '_-* #,##0.00\\ "Kč"_-;\\-* #,##0.00\\ "Kč"_-', "-1,234.50 Kč"),
        (-5, "#,##0_);(#,##0)", "(5)"),
        (0, '#,##0;(#,##0);"-"', "-"),
        (-5, "[Red]0;[Blue]-0", "-5"),
        (1234, "00000", "01234"),
        (5551234, "000\\-0000", "555-1234"),
        (5551234567, "(000) 000-0000", "(555) 123-4567"),
        (1234.5, '"CHF "#\'##0.00', "CHF 1'234.50"),
        (-12345.678, "#\\ ##0.0", "-12 345.7"),
        (12, "00-00", "00-12"),
        (0.285, "0.00", "0.29"),  # a half by its digits, though the float is a little lower
        (0.285, "0%", "29%"),
        (81000678826.4383, "0.000000", "81000678826.438300"),
        (12, '0" kg"', "12 kg"),
        (1234567, '0.0,,"M"', "1.2M"),
        (5, '[<10]"low "0;"high "0', "low 5"),
        (50, '[<10]"low "0;"high "0', "high 50"),
        (0.00001234, "0.00E+00", "1.23E-05"),
        (1.23e-6, "General", "0.00000123"),
        (4e-7, "General", "0.0000004"),
        (0.1 + 0.2, "General", "0.3"),
        (2.5, "0", "3"),  # half away from zero, as in Excel
        (1234.5, "General", "1234.5"),
        (1e300, "0.00", "1e+300"),
        (12345678901.55, "General", "12345678901.55"),
        (-7, "0;;", ""),
        (datetime.timedelta(hours=30, minutes=15), "[h]:mm", "30:15"),
        (datetime.timedelta(minutes=75, seconds=5), "[mm]:ss", "75:05"),
        (datetime.timedelta(hours=12), '[h] "hours"', "12 hours"),
        (datetime.timedelta(hours=-30, minutes=-5), '[h]"h "mm"m"', "-30h 05m"),
        (datetime.time(14, 5), "h:mm AM/PM", "2:05 PM"),
        (DAY, "dd/mm/yyyy", "2027-03-31"),  # numbers only: unambiguous
        (DAY.replace(hour=9), "dd/mm/yyyy hh:mm", "2027-03-31 09:00"),
        (DAY, "d mmmm yyyy", "31 March 2027"),
        (DAY, "mmm yy", "Mar 27"),
        (True, "General", "TRUE"),
        ("A7", '@" no."', "A7 no."),
        (None, "0", ""),
    ],
)
def test_values_are_written_as_excel_shows_them(value, number_format, shown):
    assert shown_value(value, number_format) == shown


def book(rows, title="Sheet"):
    workbook = openpyxl.Workbook()
    workbook.active.title = title
    for row in rows:
        workbook.active.append(row)
    return workbook


def read(workbook, path):
    workbook.save(path)
    return [(page.label, page.text.split("\n")) for page in read_document(path).pages]


def test_merged_cells(tmp_path):
    workbook = book([["Item", 2023, None, 2022, None], [None, "Actual", "Plan", "Actual", "Plan"],
                     ["North", 110, 100, 95, 90], [None, 1, 2, 3, 4], ["South", 5, 6, 7, 8]])  # fmt: skip
    for cells in ("A1:A2", "B1:C1", "D1:E1", "A3:A4"):
        workbook.active.merge_cells(cells)
    ((_, lines),) = read(workbook, tmp_path / "a.xlsx")
    assert lines == [
        "Item | 2023 Actual | 2023 Plan | 2022 Actual | 2022 Plan",
        "Item: North | 2023 Actual: 110 | 2023 Plan: 100 | 2022 Actual: 95 | 2022 Plan: 90",
        "Item: North | 2023 Actual: 1 | 2023 Plan: 2 | 2022 Actual: 3 | 2022 Plan: 4",
        "Item: South | 2023 Actual: 5 | 2023 Plan: 6 | 2022 Actual: 7 | 2022 Plan: 8",
    ]


def test_bold_texts_name_the_columns_of_a_table_of_texts(tmp_path):
    workbook = book([["Tenant", "Landlord"], ["Brisk", "Alba"]])
    assert read(workbook, tmp_path / "a.xlsx")[0][1][-1] == "Brisk | Alba"
    for cell in workbook.active[1]:
        cell.font = Font(bold=True)
    assert read(workbook, tmp_path / "b.xlsx")[0][1][-1] == "Tenant: Brisk | Landlord: Alba"


def test_comments_follow_their_row(tmp_path):
    workbook = book([["Item", "Price"], ["Rent", 5]])
    workbook.active["B2"].comment = Comment("Without\nVAT", "me")
    assert read(workbook, tmp_path / "a.xlsx")[0][1][-1] == "Item: Rent | Price: 5 (comment on B2: Without VAT)"


def test_a_formula_without_a_saved_value_is_named(tmp_path):
    workbook = book([["Item", "Amount"], ["Rent", 100], ["Total", "=SUM(B2:B2)"]])
    ((_, lines),) = read(workbook, tmp_path / "a.xlsx")
    assert lines[2:] == [
        "Item: Total | Amount: =SUM(B2:B2)",
        "Note: 1 formula has no saved value and is shown as text. "
        "Open the workbook in Excel and save it to get the values.",
    ]


@pytest.mark.parametrize(("saved", "shown"), [("<v>350</v>", "350"), ("<v></v>", "")])
def test_a_formula_with_a_saved_value_is_that_value(tmp_path, saved, shown):
    book([["Item", "Amount"], ["Rent", 100], ["Total", "=SUM(B2:B2)"]]).save(tmp_path / "a.xlsx")
    old = '<c r="B3"><f>SUM(B2:B2)</f><v></v></c>'
    kind = ' t="str"' if not shown else ""  # an empty text is a value
    with zipfile.ZipFile(tmp_path / "a.xlsx") as source, zipfile.ZipFile(tmp_path / "b.xlsx", "w") as target:
        for name in source.namelist():
            text = source.read(name).decode("utf-8", "surrogateescape")
            assert name != "xl/worksheets/sheet1.xml" or old in text
            new = f'<c r="B3"{kind}><f>SUM(B2:B2)</f>{saved}</c>'
            target.writestr(name, text.replace(old, new).encode("utf-8", "surrogateescape"))
    last = read_document(tmp_path / "b.xlsx").pages[0].text.split("\n")[-1]
    assert last == f"Item: Total{f' | Amount: {shown}' if shown else ''}"


def test_hidden_sheets_are_named(tmp_path):
    workbook = book([["Rent", 5]], "Seen")
    workbook.create_sheet("Old").append(["Rent", 4])
    workbook["Old"].sheet_state = "hidden"
    assert [label for label, _ in read(workbook, tmp_path / "a.xlsx")] == ["Seen", "Old (hidden sheet)"]


def rewritten(source, target, change):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(*change(name, old.read(name)))


STRICT = [
    (b"http://schemas.openxmlformats.org/officeDocument/2006/", b"http://purl.oclc.org/ooxml/officeDocument/"),
    (b"http://schemas.openxmlformats.org/spreadsheetml/2006/main", b"http://purl.oclc.org/ooxml/spreadsheetml/main"),
    (b"http://schemas.openxmlformats.org/drawingml/2006/", b"http://purl.oclc.org/ooxml/drawingml/"),
]


def test_strict_files_templates_and_other_names_of_the_main_part(tmp_path):
    book([["Item", "Amount"], ["Rent", 100]]).save(tmp_path / "a.xlsx")

    def strict(name, data):
        for old, new in STRICT:
            data = data.replace(old, new)
        return name, data

    def template(name, data):
        return name, data.replace(b"spreadsheetml.sheet.main+xml", b"spreadsheetml.template.main+xml")

    def renamed(name, data):
        return name.replace("workbook.xml", "workbook2.xml"), data.replace(b"xl/workbook.xml", b"xl/workbook2.xml")

    for number, (change, suffix) in enumerate([(strict, ".xlsx"), (template, ".xltx"), (renamed, ".xlsx")]):
        path = tmp_path / f"{number}{suffix}"
        rewritten(tmp_path / "a.xlsx", path, change)
        assert read_document(path).pages[0].text.split("\n")[1] == "Item: Rent | Amount: 100", change.__name__


def test_formulas_that_xlsxwriter_did_not_compute_are_not_read_as_zero(tmp_path):
    book = xlsxwriter.Workbook(tmp_path / "a.xlsx")
    sheet = book.add_worksheet("Sum")
    for number, value in enumerate([100, 250]):
        sheet.write_row(number, 0, [f"Part {number}", value])
    sheet.write(2, 0, "Total")
    sheet.write_formula(2, 1, "=SUM(B1:B2)")
    sheet.write(3, 0, "Twice")
    sheet.write_formula(3, 1, "=B3*2", None, 700)
    sheet.insert_textbox("D1", "Prices of March")
    book.close()
    assert read_document(tmp_path / "a.xlsx").pages[0].text.split("\n") == [
        "Part 0 | 100",
        "Part 1 | 250",
        "Total | =SUM(B1:B2)",
        "Twice | 700",
        "Text box: Prices of March",
        "Note: 1 formula has no saved value and is shown as text. Open the workbook in Excel and save it to get the "
        "values.",
    ]


def test_titles_of_charts_are_read_and_pictures_and_sheets_with_only_a_chart_are_named(tmp_path):
    Image.new("RGB", (5, 5)).save(picture := tmp_path / "a.png")
    book = xlsxwriter.Workbook(tmp_path / "a.xlsx")
    sheet = book.add_worksheet("Rent")
    sheet.write_row("A1", ["Rent", 500])
    chart, other, alone = (book.add_chart({"type": "column"}) for _ in range(3))
    for one in (chart, other, alone):
        one.add_series({"values": "=Rent!$B$1:$B$1"})
    chart.set_title({"name": "Rent of 2023"})
    other.set_title({"none": True})
    sheet.insert_chart("D1", chart)
    sheet.insert_chart("D20", other)
    sheet.insert_image("A9", picture)
    sheet.insert_image("A19", picture)
    book.add_chartsheet("Alone").set_chart(alone)
    book.close()
    document = read_document(tmp_path / "a.xlsx")
    assert [page.text.split("\n") for page in document.pages] == [["Rent | 500", "Chart: Rent of 2023"]]
    assert document.notices == ("2 pictures are not read", "1 sheet with only a chart is not read")


def test_hidden_rows_and_columns_are_read_and_named(tmp_path):
    book = openpyxl.Workbook()
    for row in (["Item", "2023", "2022"], ["Rent", 500, 400], ["Old", 1, 2]):
        book.active.append(row)
    book.active.row_dimensions[3].hidden = True
    book.active.column_dimensions.group("B", "C", hidden=True)
    book.save(tmp_path / "a.xlsx")
    document = read_document(tmp_path / "a.xlsx")
    assert document.pages[0].text.split("\n")[-1] == "Item: Old | 2023: 1 | 2022: 2"
    assert document.notices == ("1 hidden row is read", "2 hidden columns are read")


def test_raised_digits_in_cells_do_not_join_the_number_before_them(tmp_path):
    book = xlsxwriter.Workbook(tmp_path / "a.xlsx")
    sheet = book.add_worksheet("Areas")
    raised, lowered = book.add_format({"font_script": 1}), book.add_format({"font_script": 2})
    sheet.write_rich_string("A1", "Area 100", raised, "2", " m")
    sheet.write_rich_string("A2", "Value x", lowered, "1", " of 10", raised, "6")
    book.close()
    assert read_document(tmp_path / "a.xlsx").pages[0].text.split("\n") == ["Area 100² m", "Value x1 of 10^6"]


def test_raised_digits_of_texts_that_are_stored_in_the_sheet_itself_do_not_join_the_number_before_them(tmp_path):
    book = xlsxwriter.Workbook(tmp_path / "a.xlsx", {"constant_memory": True})
    sheet = book.add_worksheet("Areas")
    sheet.write_rich_string("A1", "Area 500", book.add_format({"font_script": 1}), "2")
    sheet.write_row("A3", ["Rent", 500])
    book.close()
    assert read_document(tmp_path / "a.xlsx").pages[0].text.split("\n") == ["Area 500²", "Rent | 500"]


@pytest.mark.parametrize("number", [1_048_577, 99999999999999999999])
def test_a_row_beyond_the_last_one_of_a_sheet_is_damage(tmp_path, number):
    book = openpyxl.Workbook()
    book.active.append(["Ticket", 'r="99999999"'])  # a text is no number of a row
    book.save(whole := tmp_path / "whole.xlsx")
    assert [page.text for page in read_document(whole).pages] == ['Ticket | r="99999999"']
    damaged = tmp_path / "damaged.xlsx"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(damaged, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'<row r="1"', f'<row r="{number}"'.encode()))
    with pytest.raises(DocumentError, match="above 1,048,576, that of the last row of a sheet"):
        read_document(damaged)
