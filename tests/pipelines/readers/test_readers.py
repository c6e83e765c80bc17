"""Each format read as a user would read it, and every bad file refused in one line."""

import csv
import shutil
import zipfile

import docx
import openpyxl
import pytest
from docx.enum.text import WD_BREAK
from docx.oxml import OxmlElement
from sra_pipelines.readers import FORMATS, content, read_document
from sra_pipelines.readers.headings import plain_headings
from sra_pipelines.readers.tables import table_lines
from sra_pipelines.reading.finding import document_names, find_documents
from sra_pipelines.values import DocumentError


def headings(page):
    for heading in page.headings:  # each points at what it says
        assert page.text[heading.start :].split("\n")[0].strip("# ").startswith(heading.text[:10])
    return [heading.text for heading in page.headings]


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


# -- PDF ---------------------------------------------------------------------------------------------------------------


def test_a_row_of_a_pdf_table_is_one_line_though_its_figures_stand_a_little_lower(tmp_path):
    from fpdf import FPDF

    pdf = FPDF()
    pdf.set_font("Helvetica", size=10)
    pdf.add_page()
    for height, cells in (
        (40, ["Revenue", "5,363", "4,869"]),
        (50, ["Proceeds from sale of businesses", "846", "1,065"]),
    ):
        pdf.text(20, height, cells[0])
        for column, cell in enumerate(cells[1:]):
            pdf.text(110 + 30 * column, height + (1.2 if height == 50 else 0), cell)
    pdf.output(str(tmp_path / "table.pdf"))
    lines = read_document(tmp_path / "table.pdf").pages[0].text.split("\n")
    assert [" ".join(line.split()) for line in lines] == [
        "Revenue 5,363 4,869",
        "Proceeds from sale of businesses 846 1,065",
    ]


def test_lines_of_a_pdf_paragraph_stay_apart(make_pdf):
    text = " ".join(["The supplier delivers the goods to the warehouse."] * 8)
    lines = read_document(make_pdf("a.pdf", text)).pages[0].text.split("\n")
    assert len(lines) > 2
    assert " ".join(" ".join(lines).split()) == text


def test_headings_of_a_pdf_come_from_its_outline(tmp_path):
    from fpdf import FPDF

    pdf = FPDF()
    pdf.set_font("Helvetica", size=12)
    for title in ("Who we are", "What we do", "How it went"):
        pdf.add_page()
        pdf.start_section(title)
        pdf.multi_cell(0, 6, f"Preface\n{title}\nText below.")
    pdf.output(str(tmp_path / "outline.pdf"))
    pages = read_document(tmp_path / "outline.pdf").pages
    assert [headings(page) for page in pages] == [["Who we are"], ["What we do"], ["How it went"]]
    assert pages[0].headings[0].start > 0


@pytest.mark.parametrize(
    ("line", "is_heading"),
    [
        ("Item 7. Management's Discussion and Analysis", True),
        ("ITEM 1A. RISK FACTORS", True),
        ("Note 3 - New Accounting Guidance", True),
        ("ARTICLE IV", True),
        ("4.2 Termination for cause", True),
        ("12. Governing Law", True),
        ("CONSOLIDATED BALANCE SHEETS", True),
        ("Item 7. Management's Discussion and Analysis 25", False),  # a table of contents
        ("Item 3.", False),
        ("3.6 % 3.5 % 4.0 %", False),
        ("Net sales 5,363 4,869", False),
        ("12. The supplier shall deliver the goods; it bears the risk.", False),
        ("We, the undersigned, agree.", False),
        ("EBITDA", False),
    ],
)
def test_plain_headings(line, is_heading):
    found = plain_headings(f"Some text before.\n  {line}\nSome text behind.")
    assert [heading.text for heading in found] == ([line] if is_heading else [])
    assert all(heading.start == 20 for heading in found)


def test_a_running_head_is_no_heading(make_pdf):
    pages = read_document(
        make_pdf("a.pdf", *[f"ACME HOLDINGS INC.\nNOTE {i} - Topic\nText." for i in range(1, 9)])
    ).pages
    assert [headings(page) for page in pages] == [[f"NOTE {i} - Topic"] for i in range(1, 9)]


# -- Word --------------------------------------------------------------------------------------------------------------


def make_docx(path):
    document = docx.Document()
    document.add_heading("Services Agreement", 0)
    document.add_paragraph("Between Alba and Brisk.")
    document.add_heading("Fees", 1)
    table = document.add_table(rows=2, cols=3)
    for row, cells in zip(table.rows, [("Item", "2022", "2023"), ("Hosting", "1,200", "1,350")], strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    document.add_paragraph("Due in 30 days.").add_run().add_break(WD_BREAK.PAGE)
    document.add_heading("Termination", 1)
    paragraph = document.add_paragraph("Either party may end it ")
    for tag, inner, text in (("w:ins", "w:t", "with 90 days' notice"), ("w:del", "w:delText", "at once")):
        change, run, words = OxmlElement(tag), OxmlElement("w:r"), OxmlElement(inner)
        words.text = text
        run.append(words)
        change.append(run)
        paragraph._p.append(change)
    control, body = OxmlElement("w:sdt"), OxmlElement("w:sdtContent")
    control.append(body)
    document.element.body.insert(-1, control)
    body.append(document.add_paragraph("Signed in Orrin.")._p)
    document.save(path)
    return path


def test_word(tmp_path):
    pages = read_document(make_docx(tmp_path / "agreement.docx")).pages
    assert [page.text for page in pages] == [
        "Services Agreement\nBetween Alba and Brisk.\n"
        "Fees\nItem | 2022 | 2023\nItem: Hosting | 2022: 1,200 | 2023: 1,350\nDue in 30 days.",
        "Termination\nEither party may end it with 90 days' notice\nSigned in Orrin.",
    ]
    assert [headings(page) for page in pages] == [["Services Agreement", "Fees"], ["Termination"]]
    assert [page.label for page in pages] == ["1", "2"]


def test_merged_cells_and_tables_in_cells_are_read_once(tmp_path):
    document = docx.Document()
    table = document.add_table(rows=2, cols=3)
    table.cell(0, 0).merge(table.cell(0, 1)).text = "wide"
    table.cell(0, 2).text = "narrow"
    inner = table.cell(1, 0).add_table(rows=1, cols=2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "in", "side"
    table.cell(1, 1).text = "out"
    document.save(tmp_path / "t.docx")
    lines = [" ".join(line.split()) for line in read_document(tmp_path / "t.docx").pages[0].text.split("\n")]
    assert lines == ["wide | narrow", "in | side | out"]


# -- HTML, Markdown, text ----------------------------------------------------------------------------------------------

HTML = """<html><head><title>no</title><style>p {}</style></head><body>
<h1>Annual <b>report</b></h1><p>Net sales<br>rose by <i>3</i>%.</p><script>no()</script>
<div style="display:none">hidden <p>no</p></div><!-- no -->
<table><tr><th>Item</th><th>2022</th><td></td></tr><tr><td>Net<br>sales</td><td><p>$</p>5,363</td></tr></table>
<ul><li>first</li><li>second</li></ul><div style="page-break-after:always"></div>
<h2>Outlook</h2><pre>a  b
c</pre>tail</body></html>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_html(tmp_path, encoding):
    pages = read_document(write(tmp_path / "report.html", HTML, encoding)).pages
    assert [page.text.split("\n") for page in pages] == [
        [
            "Annual report",
            "Net sales",
            "rose by 3%.",
            "Item | 2022",
            "Item: Net sales | 2022: $ 5,363",
            "- first",
            "- second",
        ],
        ["Outlook", "a  b", "c", "tail"],
    ]
    assert [headings(page) for page in pages] == [["Annual report"], ["Outlook"]]


def test_html_is_decoded_as_it_declares(tmp_path):
    declared = '<html><head><meta charset="windows-1252"></head><body>Gebühr: 5 €</body></html>'
    assert read_document(write(tmp_path / "a.htm", declared, "windows-1252")).pages[0].text == "Gebühr: 5 €"
    assert read_document(write(tmp_path / "b.htm", "<p>Gebühr: 5 €</p>")).pages[0].text == "Gebühr: 5 €"


def test_html_nested_deeply_is_read_whole_or_refused(tmp_path):
    def nested(depth):
        return write(tmp_path / "deep.html", "<p>first</p>" + "<div>" * depth + "core" + "</div>" * depth)

    assert read_document(nested(1500)).pages[0].text == "first\ncore"
    refused(nested(5000), "nested too deeply")


def test_markdown_keeps_its_source(tmp_path):
    source = "Top\n===\n\n## Fees *due*\n\n| Item | 2022 |\n|---|---|\n| Rent | 82,400 |\n\n```\n# no heading\n```"
    (page,) = read_document(write(tmp_path / "a.md", source)).pages
    assert page.text == source
    assert [h.text for h in page.headings] == ["Top", "Fees *due*"]
    assert source[page.headings[1].start :].startswith("## Fees")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
def test_text_in_any_encoding(tmp_path, encoding):
    text = "Die Gebühr für die Prüfung beträgt fünf Kronen. Später wird sie höher.\r\n" * 5
    pages = read_document(write(tmp_path / "a.txt", f"{text}\f{text}", encoding)).pages
    assert [page.text for page in pages] == [text.replace("\r\n", "\n").strip()] * 2


# -- tables ------------------------------------------------------------------------------------------------------------


def test_rows_stand_under_the_names_of_their_columns():
    rows = [["", "Report of 2023"], ["Item", "2023", "2022"], [], ["Net sales", "82,400", ""], ["Cost", "1", "2", "x"]]
    assert list(table_lines(rows)) == [
        "Report of 2023",
        "Item | 2023 | 2022",
        "Item: Net sales | 2023: 82,400",
        "Item: Cost | 2023: 1 | 2022: 2 | x",
    ]
    assert list(table_lines([["a", "1"], ["b", "2"]])) == ["a | 1", "b | 2"]


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("b.csv", ";"), ("c.tsv", "\t")])
def test_csv(tmp_path, name, separator):
    with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows(
            [["Region", "Sales"], ["North\nWest", "82,400"], ["South", "7"]]
        )
    (page,) = read_document(tmp_path / name).pages
    assert page.text == "Region | Sales\nRegion: North West | Sales: 82,400\nRegion: South | Sales: 7"


def test_a_long_csv_has_pages(tmp_path):
    write(tmp_path / "a.csv", "Item,Value\n" + "".join(f"row{i},{i}\n" for i in range(250)))
    pages = read_document(tmp_path / "a.csv").pages
    assert [page.label for page in pages] == ["1", "2", "3"]
    assert pages[2].text.split("\n")[-1] == "Item: row249 | Value: 249"


def test_excel(tmp_path):
    import datetime

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Income"
    for row in [["Item", 2023, 2022], ["Net sales", 82400, 79100.5], ["Margin", 0.125, None]]:
        sheet.append(row)
    sheet["B2"].number_format = "#,##0"
    sheet["B3"].number_format = "0.0%"
    other = book.create_sheet("Dates")
    other.append(["Ends", "On"])
    other.append([datetime.datetime(2024, 3, 1), True])
    book.save(tmp_path / "a.xlsx")
    pages = read_document(tmp_path / "a.xlsx").pages
    assert [(page.index, page.label) for page in pages] == [(0, "Income"), (1, "Dates")]
    assert pages[0].text.split("\n") == [
        "Item | 2023 | 2022",
        "Item: Net sales | 2023: 82,400 | 2022: 79100.5",
        "Item: Margin | 2023: 12.5%",
    ]
    assert pages[1].text.split("\n")[1] == "Ends: 2024-03-01 | On: TRUE"


# -- bad files ---------------------------------------------------------------------------------------------------------


def refused(path, says):
    with pytest.raises(DocumentError, match=says) as caught:
        read_document(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


def test_wrong_names(tmp_path, make_pdf):
    word = make_docx(tmp_path / "a.docx")
    refused(word.rename(tmp_path / "a.pdf"), r"not a PDF file.*but a Word file.*Rename")
    refused(make_pdf("x.pdf", "x").rename(tmp_path / "x.txt"), r"not a text file.*but a PDF.*Rename")
    refused(write(tmp_path / "b.xlsx", "just text"), r"not a Excel|not an? Excel.*but text")
    assert read_document((tmp_path / "x.txt").rename(tmp_path / "x")).pages[0].text == "x"
    assert read_document((tmp_path / "a.pdf").rename(tmp_path / "a.unknown")).pages


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.docx", b"PK\x03\x04 torn", "archive"),
        (
            "a.xlsx",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "encrypted.*remove the password",
        ),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "an old Office file"),
        (
            "a.doc",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
            "damaged and cannot be read as Office before 2007",
        ),
        ("a.rtf", b"{\\rtf1 text}", "'.rtf' is not supported. Save it as DOCX"),
        ("a.docm", b"PK\x03\x04", "macros are not opened"),
        ("a.mp4", b"\xff\xd8\xff", "'.mp4' is not supported.*Supported: PDF"),
        ("a.txt", b"abc\0\1\2", "something else"),
        ("a.txt", b" \n\n ", "contains no text"),
        ("a.html", b"<html></html>", "no pages|no text"),
        ("a.csv", b"", "empty"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, data, says):
    (tmp_path / name).write_bytes(data)
    refused(tmp_path / name, says)


def repack(source, target, change):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, change(part.filename, old.read(part)))


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx"])
def test_a_damaged_archive(tmp_path, name):
    make_docx(tmp_path / "good.docx")
    openpyxl.Workbook().save(tmp_path / "good.xlsx")
    main = {"a.docx": "word/document.xml", "a.xlsx": "xl/workbook.xml"}[name]
    good = tmp_path / name.replace("a", "good")
    repack(good, tmp_path / name, lambda part, data: data[: len(data) // 2] if part == main else data)
    refused(tmp_path / name, "damaged")


def test_a_zip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    make_docx(tmp_path / "good.docx")
    zeros = b"0" * 3_000_000
    shutil.copy(tmp_path / "good.docx", tmp_path / "bomb.docx")
    with zipfile.ZipFile(tmp_path / "bomb.docx", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/media/bomb.bin", zeros)
    assert (tmp_path / "bomb.docx").stat().st_size < 100_000
    assert read_document(tmp_path / "bomb.docx").pages
    monkeypatch.setattr(content, "MOST_UNPACKED", 2_000_000)
    refused(tmp_path / "bomb.docx", "unpacks to 4 MB.*at most 2 MB")


def test_entities_are_not_expanded(tmp_path):
    make_docx(tmp_path / "good.docx")
    entities = '<!DOCTYPE x [<!ENTITY a "' + "ha" * 50 + '">' + "".join(
        f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 20}">' for i in range(8)
    ) + "]>"  # fmt: skip

    def change(part, data):
        if part != "word/document.xml":
            return data
        head, _, body = data.decode().partition("?>")
        return f"{head}?>{entities}{body.replace('Between Alba', '&i;')}".encode()

    repack(tmp_path / "good.docx", tmp_path / "laughs.docx", change)
    refused(tmp_path / "laughs.docx", "damaged")


# -- finding and naming ------------------------------------------------------------------------------------------------


def test_folders_are_searched_for_every_format(tmp_path):
    (tmp_path / ".git").mkdir()
    names = [f"a{suffix}" for suffix in FORMATS]
    for name in [*names, "~$a.docx", ".hidden.txt", ".git/a.txt", "a.mp4"]:
        write(tmp_path / name, "x")
    assert {path.name for path in find_documents([tmp_path])} == set(names)


def test_no_two_documents_are_called_alike(tmp_path):
    paths = [tmp_path / name for name in ("a.pdf", "b.pdf", "b.docx", "x/c.pdf", "y/c.pdf")]
    assert document_names(paths) == ["a", "b.pdf", "b.docx", "c.pdf", "y/c.pdf"]
    assert document_names([tmp_path / "a.pdf"], taken=["a"]) == ["a.pdf"]
