"""PPTX, XLS, ODT, ODS, EPUB and EML: read as a user would read them, and refused if they are damaged."""

import email.message
import random
import time
import zipfile
from collections import Counter

import fpdf
import pytest
import xlwt
from pptx import Presentation
from pptx.util import Inches
from sra_pipelines.readers import read_document
from sra_pipelines.readers.limits import ReadingLimits, require_within
from sra_pipelines.values import DocumentError


def read(path):
    return [(page.label, page.text.split("\n")) for page in read_document(path).pages]


# -- PowerPoint and Excel before 2007 ----------------------------------------------------------------------------------


def make_slides(path):
    slides = Presentation()
    slide = slides.slides.add_slide(slides.slide_layouts[5])
    slide.shapes.title.text = "Results"
    table = slide.shapes.add_table(4, 3, Inches(1), Inches(2), Inches(6), Inches(2)).table
    for row, cells in enumerate(["Region|2022|2023", "North||500", "|120|", "South|1|2"]):
        for column, text in enumerate(cells.split("|")):
            table.cell(row, column).text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    box = slide.shapes.add_textbox(Inches(1), Inches(5), Inches(4), Inches(1)).text_frame
    box.text = "Total: 100"
    box.add_paragraph().text = "200 deposit"
    slide.notes_slide.notes_text_frame.text = "Say it slowly."
    second = slides.slides.add_slide(slides.slide_layouts[1])
    second.shapes.title.text, second.placeholders[1].text = "Outlook", "rent\ntax"
    second._element.set("show", "0")  # hidden
    slides.save(path)
    return path


def test_slides(tmp_path):
    path = make_slides(tmp_path / "a.pptx")
    assert read(path) == [
        (
            "1",
            [
                "Results",
                "Region | 2022 | 2023",
                "Region: North | 2023: 500",
                "Region: North | 2022: 120",
                "Region: South | 2022: 1 | 2023: 2",
                "Total: 100",
                "200 deposit",
                "Notes: Say it slowly.",
            ],
        ),
        ("2 (hidden slide)", ["Outlook", "- rent", "- tax"]),
    ]
    assert [heading.text for heading in read_document(path).pages[0].headings] == ["Results"]


def make_xls(path):
    book = xlwt.Workbook()
    sheet = book.add_sheet("Rates")
    rows = [["Item", "2022", "2023"], ["Rent", None, 500.5], ["Fees", 0.125, None], ["Weight", 12, 1]]
    formats = {0.125: "0.0%", 12: '0" kg"'}
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            if value is not None:
                sheet.write(number, column, value, xlwt.easyxf(num_format_str=formats.get(value, "General")))
    sheet.write_merge(4, 5, 0, 0, "North")
    sheet.write(4, 1, 1)
    sheet.write(5, 2, 2)
    hidden = book.add_sheet("Old")
    hidden.write(0, 0, "Rent")
    hidden.write(0, 1, 4)
    hidden.visibility = 1
    book.save(str(path))
    return path


def test_xls(tmp_path):
    assert read(make_xls(tmp_path / "a.xls")) == [
        (
            "Rates",
            [
                "Item | 2022 | 2023",
                "Item: Rent | 2023: 500.5",
                "Item: Fees | 2022: 12.5%",
                "Item: Weight | 2022: 12 kg | 2023: 1",
                "Item: North | 2022: 1",
                "Item: North | 2023: 2",
            ],
        ),
        ("Old (hidden sheet)", ["Rent | 4"]),
    ]


# -- OpenDocument ------------------------------------------------------------------------------------------------------

SPACES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in {
        "office": "office",
        "text": "text",
        "table": "table",
        "style": "style",
        "draw": "drawing",
        "fo": "xsl-fo-compatible",
    }.items()
)


def write_open_document(path, kind, body, styles="", manifest="<manifest/>"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        archive.writestr("META-INF/manifest.xml", manifest)
        archive.writestr(
            "content.xml",
            f"<office:document-content {SPACES}><office:automatic-styles>{styles}</office:automatic-styles>"
            f"<office:body>{body}</office:body></office:document-content>",
        )
    return path


def p(text):
    return f"<text:p>{text}</text:p>"


def cell(text="", attributes=""):
    return f"<table:table-cell {attributes}>{p(text) if text else ''}</table:table-cell>"


def row(*cells, attributes=""):
    return f"<table:table-row {attributes}>{''.join(cells)}</table:table-row>"


def make_ods(path):
    remark = f"<office:annotation>{p('no VAT')}</office:annotation>"
    rates = "".join(
        [
            row(cell("Item"), cell("2022"), cell("2023"), cell("", 'table:number-columns-repeated="1021"')),
            row(cell("Rent"), cell(), cell("500 Kč")),
            row(cell("North", 'table:number-rows-spanned="2"'), cell("1"), cell("2")),
            row("<table:covered-table-cell/>", cell("3", 'table:number-columns-repeated="2"')),
            row(cell("Tax"), f"<table:table-cell>{remark}{p('5')}</table:table-cell>"),
            row(cell("Sum"), '<table:table-cell table:formula="of:=SUM([.B2:.B3])"/>'),
            row(cell("", 'table:number-columns-repeated="1024"'), attributes='table:number-rows-repeated="1048000"'),
        ]
    )
    return write_open_document(
        path,
        "spreadsheet",
        f'<office:spreadsheet><table:table table:name="Rates">{rates}</table:table>'
        f'<table:table table:name="Old" table:style-name="ta">{row(cell("x"), cell("4"))}</table:table>'
        "</office:spreadsheet>",
        '<style:style style:name="ta"><style:table-properties table:display="false"/></style:style>',
    )


def test_ods(tmp_path):
    assert read(make_ods(tmp_path / "a.ods")) == [
        (
            "Rates",
            [
                "Item | 2022 | 2023",
                "Item: Rent | 2023: 500 Kč",
                "Item: North | 2022: 1 | 2023: 2",
                "Item: North | 2022: 3 | 2023: 3",
                "Item: Tax | 2022: 5 (comment: no VAT)",
                "Item: Sum | 2022: =SUM([.B2:.B3])",
            ],
        ),
        ("Old (hidden sheet)", ["x | 4"]),
    ]


def item(inner):
    return f"<text:list-item>{inner}</text:list-item>"


def make_odt(path):
    note = (
        "<text:note text:note-class='footnote'><text:note-citation>1</text:note-citation>"
        f"<text:note-body>{p('Net.')}</text:note-body></text:note>"
    )
    items = item(p("one")) + item(p("two") + f"<text:list>{item(p('in writing'))}</text:list>")
    body = "".join(
        [
            "<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>",
            '<text:h text:outline-level="1">Terms</text:h>',
            p(f'The rent{note} is 100<text:span text:style-name="T1">2</text:span><text:s/>m.'),
            f'<text:list text:style-name="L1">{items}</text:list>',
            p(f"<draw:frame><draw:text-box>{p('Total: 100')}{p('200 deposit')}</draw:text-box></draw:frame>"),
            "<table:table>",
            row(cell("Item"), cell("2022"), cell("2023")) + row(cell("Rent"), cell(), cell("500")),
            "</table:table>",
            '<text:p text:style-name="P2">Next page</text:p><text:p text:style-name="T2">unseen</text:p>',
        ]
    )
    styles = (
        '<style:style style:name="T1"><style:text-properties style:text-position="super 58%"/></style:style>'
        '<style:style style:name="T2"><style:text-properties text:display="none"/></style:style>'
        '<style:style style:name="P2"><style:paragraph-properties fo:break-before="page"/></style:style>'
        '<text:list-style style:name="L1"><text:list-level-style-number text:level="1" '
        'style:num-format="1" style:num-suffix="."/>'
        '<text:list-level-style-number text:level="2" style:num-format="a" style:num-prefix="(" style:num-suffix=")"/>'
        "</text:list-style>"
    )
    return write_open_document(path, "text", f"<office:text>{body}</office:text>", styles)


def test_odt(tmp_path):
    assert read(make_odt(tmp_path / "a.odt")) == [
        (
            "1",
            [
                "Terms",
                "The rent is 100² m.",
                "Footnote 1: Net.",
                "1. one",
                "2. two",
                "(a) in writing",
                "Total: 100",
                "200 deposit",
                "Item | 2022 | 2023",
                "Item: Rent | 2023: 500",
            ],
        ),
        ("2", ["Next page"]),
    ]


def test_what_a_text_editor_shows_of_an_odt_file(tmp_path):
    style = '<style:style style:name="S"><style:text-properties style:text-line-through-style="solid"/></style:style>'
    comment = f"<office:annotation>{p('Check 333')}</office:annotation>"
    body = "".join(
        [
            p(f'Rent{comment} <text:span text:style-name="S">700</text:span>800'),
            f'<text:section text:display="none">{p("unseen")}</text:section><text:section>{p("seen")}</text:section>',
            p("<text:ruby><text:ruby-base>漢</text:ruby-base><text:ruby-text>kan</text:ruby-text></text:ruby>"),
        ]
    )
    path = write_open_document(tmp_path / "a.odt", "text", f"<office:text>{body}</office:text>", style)
    assert read(path) == [("1", ["Rent ~~700~~800", "Comment: Check 333", "seen", "漢(kan)"])]


def test_an_encrypted_open_document_is_refused(tmp_path):
    path = write_open_document(tmp_path / "a.odt", "text", "", manifest="<manifest:encryption-data/>")
    with pytest.raises(DocumentError, match="encrypted.*remove the password"):
        read_document(path)


# -- EPUB and e-mail ---------------------------------------------------------------------------------------------------


def make_epub(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
        )
        items = "".join(
            f'<item id="{name}" href="{name}%20x.xhtml" media-type="application/xhtml+xml"/>' for name in "ba"
        )
        archive.writestr(
            "OEBPS/book.opf",
            f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}'
            '<item id="css" href="book.css" media-type="text/css"/></manifest>'
            '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>',
        )
        archive.writestr("OEBPS/book.css", ".note {vertical-align: super} .off {display: none}")
        for name in "ab":
            archive.writestr(
                f"OEBPS/{name} x.xhtml",
                '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>no</title>'
                f"</head><body><h1>Chapter {name}</h1><p>Rent é 500<span class='note'>2</span>."
                "<i class='off'>No</i></p></body></html>",
            )
    return path


def test_a_book_without_its_style_sheet_says_so(tmp_path):
    path = make_epub(tmp_path / "a.epub")
    assert not any(page.notices for page in read_document(path).pages)
    data = path.read_bytes()
    at = data.rindex(b"OEBPS/book.css")  # in the list of the parts
    path.write_bytes(data[:at] + b"OEBPS/bool.css" + data[at + 14 :])
    first, second = read_document(path).pages
    assert first.notices == (
        "the style sheet 'OEBPS/book.css' is missing from the archive, so raised or hidden text cannot be recognized",
    )
    assert second.notices == ()


def test_a_book_is_read_in_the_order_of_its_spine(tmp_path):
    assert read(make_epub(tmp_path / "a.epub")) == [
        ("1", ["Chapter a", "Rent é 500²."]),
        ("2", ["Chapter b", "Rent é 500²."]),
    ]


def make_message(path, html="<table><tr><th>Item</th><th>2023</th></tr><tr><td>Rent</td><td>500</td></tr></table>"):
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", "Rent č. 5"
    message.set_content("Plain text é")
    message.add_alternative(html, subtype="html")
    message.add_attachment(b"x" * 300, maintype="application", subtype="pdf", filename="lease.pdf")
    path.write_bytes(bytes(message))
    return path


def test_a_message_is_read_with_its_headers_and_names_its_attachments(tmp_path):
    head = ["From: a@example.com", "To: b@example.com", "Subject: Rent č. 5", ""]
    end = ["Attachment that was not read: lease.pdf"]
    table = [*head, "Item | 2023", "Item: Rent | 2023: 500", *end]
    assert read(make_message(tmp_path / "a.eml")) == [("1", table)]
    assert read(make_message(tmp_path / "b.eml", "<p>Plain</p>")) == [("1", [*head, "Plain text é", *end])]


@pytest.mark.parametrize(
    ("charset", "body"),
    [("utf-7", b"Rent +2AA- 500"), ("raw_unicode_escape", b"Rent \\ud800 500"), ("utf-7", b"Rent +3AA- 500")],
)
def test_half_a_surrogate_pair_of_a_message_is_a_replacement_character(tmp_path, charset, body):
    head = f"From: a@example.com\nSubject: x\nContent-Type: text/plain; charset={charset}\n\n"
    (tmp_path / "a.eml").write_bytes(head.encode() + body + b"\n")
    [(_, lines)] = read(tmp_path / "a.eml")
    assert lines[-1] == "Rent \ufffd 500"


def test_all_texts_of_a_message_are_read_and_the_messages_attached_to_it(tmp_path):
    inner = email.message.EmailMessage()
    inner["From"], inner["Subject"] = "c@example.com", "Inner"
    inner.set_content("Inner rent 900")
    message = email.message.EmailMessage()
    message["From"] = "a@example.com"
    message.set_content("First 100")
    message.add_attachment("Second 200", disposition="inline")
    message.add_attachment("<p>Third 300</p>", subtype="html", disposition="inline")
    message.add_attachment("notes", filename="notes.txt")
    message.add_attachment(inner)
    (tmp_path / "a.eml").write_bytes(bytes(message))
    assert read(tmp_path / "a.eml") == [
        (
            "1",
            [
                *["From: a@example.com", "", "First 100", "Second 200", "Third 300"],
                "Attachment that was not read: notes.txt",
                *["", "Attached message:", "From: c@example.com", "Subject: Inner", "", "Inner rent 900"],
            ],
        )
    ]


@pytest.mark.parametrize("charset", ["unknown-8bit", "us-ascii", "no-such-charset"])
def test_a_message_with_a_wrong_encoding_is_read_and_is_no_damage(tmp_path, charset):
    head = f"From: a@example.com\nContent-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: 8bit\n\n"
    (tmp_path / "a.eml").write_bytes(head.encode() + "The rent is £500 – due.\n".encode("cp1252"))
    assert read(tmp_path / "a.eml")[0][1][-1] == "The rent is £500 – due."


# -- damaged files -----------------------------------------------------------------------------------------------------

MAKERS = {".pptx": make_slides, ".xls": make_xls, ".ods": make_ods, ".odt": make_odt, ".epub": make_epub,
          ".eml": make_message}  # fmt: skip


@pytest.mark.parametrize("suffix", MAKERS)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_file_whose_end_is_missing_is_refused(tmp_path, suffix, kept):
    data = MAKERS[suffix](tmp_path / f"good{suffix}").read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DocumentError):
        read_document(path)


@pytest.mark.parametrize("suffix", [".pptx", ".ods", ".odt", ".epub"])
def test_a_file_with_changed_bytes_is_read_whole_or_refused(tmp_path, suffix):
    path = MAKERS[suffix](tmp_path / f"good{suffix}")
    data, whole = path.read_bytes(), read(path)
    refused = 0
    for place in range(40, len(data), max(1, len(data) // 40)):
        path.write_bytes(data[:place] + bytes(255 - byte for byte in data[place : place + 3]) + data[place + 3 :])
        try:
            assert read(path) == whole
        except DocumentError:
            refused += 1
    assert refused > 10


def make_pdf_file(path):
    pdf = fpdf.FPDF()
    pdf.set_font("Helvetica", size=9)
    for page in range(3):
        pdf.add_page()
        for row in range(40):
            pdf.cell(60, 6, f"Item {page}.{row}")
            pdf.cell(60, 6, f"{row * 1037:,}")
            pdf.ln()
    pdf.output(str(path))
    return path


def test_a_pdf_file_with_changed_bytes_or_without_a_part_says_so(tmp_path):
    path = make_pdf_file(tmp_path / "a.pdf")
    data, whole = path.read_bytes(), read(path)
    rng, counts = random.Random(3), Counter()
    for number in range(160):
        place = rng.randrange(len(data) - 3)
        end = place + 3 if number % 2 else min(len(data), place + rng.randrange(1, len(data) // 3))
        between = bytes(255 - byte for byte in data[place:end]) if number % 2 else b""
        path.write_bytes(data[:place] + between + data[end:])
        try:
            pages = read_document(path).pages
        except DocumentError:
            counts["refused"] += 1
            continue
        notices = [notice for page in pages for notice in page.notices]
        if [(page.label, page.text.split("\n")) for page in pages] != whole:
            noted = any("damaged" in notice or "left out" in notice for notice in notices)
            assert noted or not all(page.text for page in pages), (place, end)  # pages without text are reported
            counts["noted"] += noted
    assert counts["refused"] > 10
    assert counts["noted"] > 10


def test_a_pdf_file_with_thousands_of_parts_without_an_end_is_refused_at_once(tmp_path):
    path = tmp_path / "a.pdf"
    part = b"4 0 obj\n<< /Length 148 >>\nstream\nBT /F1 11 Tf 200 780 Td (500) Tj ET\n" + b"0 " * 20
    path.write_bytes(b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n" + part * 20_000 + b"\n%%EOF")
    start = time.process_time()
    with pytest.raises(DocumentError, match="20,000 of its parts have no end"):
        read_document(path)
    with pytest.raises(DocumentError, match="20,000 of its parts have no end"):
        require_within(path, ReadingLimits())
    assert time.process_time() - start < 5  # PDFium takes minutes


def test_a_name_in_an_archive_that_is_no_text_is_damage(tmp_path):
    path = make_odt(tmp_path / "a.odt")
    data = path.read_bytes()
    at = data.rindex(b"content.xml")
    flags = data.rindex(b"PK\x01\x02", 0, at) + 8
    path.write_bytes(data[:flags] + (0x800).to_bytes(2, "little") + data[flags + 2 : at] + b"\xff" + data[at + 1 :])
    with pytest.raises(DocumentError, match="archive"):
        read_document(path)
