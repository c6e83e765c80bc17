"""PDF pages read as they look: figures beside labels, columns, fields, raised digits and broken words."""

from pathlib import Path

import matplotlib
import pypdf
import pytest
from fpdf import FPDF
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    FloatObject,
    NameObject,
    NumberObject,
    StreamObject,
    TextStringObject,
)
from sra_pipelines.readers import read_document
from sra_pipelines.readers.layout.hyphens import join_broken_words


def page_of(path):
    (page,) = read_document(path).pages
    return page.text


def drawn(path, *texts, size=10):
    """Draw texts, each with its left edge and height on the page, in the order in which they are given."""
    pdf = FPDF()
    pdf.set_font("Helvetica", size=size)
    pdf.add_page()
    for x, y, text in texts:
        pdf.text(x, y, text)
    pdf.output(str(path))
    return path


# -- order -------------------------------------------------------------------------------------------------------------

ROWS = [("Item", "2023", "2022"), ("Revenue", "5,363", "4,869"), ("Costs", "(300)", "250"), ("Margin", "12.5%", "9%")]
CELLS = [
    [(20 + 40 * column, 40 + 8 * row, cell) for column, cell in enumerate(cells)] for row, cells in enumerate(ROWS)
]


@pytest.mark.parametrize(
    "texts",
    [
        [cell for row in CELLS for cell in row],
        [cell for row in CELLS for cell in reversed(row)],
        [cell for column in zip(*CELLS, strict=True) for cell in column],
        [cell for column in reversed([*zip(*CELLS, strict=True)]) for cell in column],
        [cell for row in reversed(CELLS) for cell in row],
    ],
    ids=["rows", "rows from the right", "columns", "columns from the right", "rows from below"],
)
def test_figures_are_beside_their_labels_in_any_order_of_drawing(tmp_path, texts):
    assert page_of(drawn(tmp_path / "a.pdf", *texts)).split("\n") == [" ".join(row) for row in ROWS]


@pytest.mark.parametrize("last", ["7", "19"])
@pytest.mark.parametrize("step", [4, 8])
def test_figures_below_each_other_stay_two(tmp_path, last, step):
    """PDFium takes a figure that begins below the one before it for its continuation: 217."""
    columns = [("Item", "Rent", "Tax", "Fees"), ("2023", "500", "21", last), ("5", "7", "8", "9")]
    texts = [(20 + 40 * x, 40 + step * y, text) for x, column in enumerate(columns) for y, text in enumerate(column)]
    assert page_of(drawn(tmp_path / "a.pdf", *texts)).split("\n") == [
        "Item 2023 5",
        "Rent 500 7",
        "Tax 21 8",
        f"Fees {last} 9",
    ]


def test_negative_exponents_are_not_part_of_the_number(tmp_path):
    pdf = FPDF()
    pdf.set_font("Helvetica", size=11)
    pdf.add_page()
    for position, text in [("LINE", "Rate 10"), ("SUP", "-6"), ("LINE", " in 2023-24")]:
        pdf.char_vpos = position
        pdf.write(6, text)
    pdf.output(str(tmp_path / "a.pdf"))
    assert page_of(tmp_path / "a.pdf") == "Rate 10⁻⁶ in 2023-24"


def test_a_figure_that_is_drawn_late_is_put_between_the_columns_beside_it(tmp_path):
    texts = [(20, 40, "Revenue"), (100, 40, "300"), (20, 48, "Costs"), (100, 48, "100"), (60, 40, "500")]
    assert page_of(drawn(tmp_path / "a.pdf", *texts)) == "Revenue 500 300\nCosts 100"


LEFT = [
    "The tenant pays the rent to",
    "the landlord on the first day",
    "of each month without any",
    "deduction whatsoever.",
]
RIGHT = [
    "The landlord keeps the roof",
    "and the walls in good repair",
    "and insures the building for",
    "its full market value.",
]


@pytest.mark.parametrize("by_rows", [True, False])
@pytest.mark.parametrize("lower", [0, 2.5])
def test_columns_of_text_are_read_one_after_the_other(tmp_path, by_rows, lower):
    left = [(20, 50 + 6 * i, text) for i, text in enumerate(LEFT)]
    right = [(110, 50 + lower + 6 * i, text) for i, text in enumerate(RIGHT)]
    columns = [text for pair in zip(left, right, strict=True) for text in pair] if by_rows else [*left, *right]
    title = (20, 40, "General terms of the lease between both of the parties, as agreed in the spring of 2024")
    text = page_of(drawn(tmp_path / "a.pdf", title, *columns))
    assert text.split("\n") == [title[2], *LEFT, *RIGHT]


def test_a_cell_of_several_lines_is_read_as_drawn(tmp_path):
    texts = [(20, 40, "Number of"), (20, 45, "shares"), (60, 40, "Average"), (60, 45, "price"), (20, 55, "1,200")]
    assert page_of(drawn(tmp_path / "a.pdf", *texts)) == "Number of\nshares\nAverage\nprice\n1,200"


def test_a_footer_that_is_drawn_first_is_read_last(tmp_path):
    texts = [(20, 280, "Page one of two"), (20, 40, "Rent is due monthly."), (20, 48, "It is 500 crowns.")]
    assert page_of(drawn(tmp_path / "a.pdf", *texts)) == "Rent is due monthly.\nIt is 500 crowns.\nPage one of two"


# -- raised digits, broken words ---------------------------------------------------------------------------------------


def test_raised_digits_are_not_part_of_the_number(tmp_path):
    pdf = FPDF()
    pdf.set_font("Helvetica", size=12)
    pdf.add_page()
    for pieces in (
        [("Revenue of 500", ""), ("2", "SUP"), (" million", "")],
        [("An area of 100 m", ""), ("2", "SUP")],
        [("Up to 10", ""), ("6", "SUP"), (" crowns", "")],
        [("Net sales", ""), ("12", "SUP"), (" 2023", "")],
        [("A sum of 1,500", ""), ("1", "SUP"), (" and 12.5", ""), ("3", "SUP"), (" percent", "")],
        [("CO", ""), ("2", "SUB"), (" and x10", ""), ("2", "SUB")],
    ):
        for text, position in pieces:
            pdf.char_vpos = position or "LINE"
            pdf.write(8, text)
        pdf.ln()
    pdf.output(str(tmp_path / "a.pdf"))
    assert page_of(tmp_path / "a.pdf").split("\n") == [
        "Revenue of 500² million",
        "An area of 100 m²",
        "Up to 10⁶ crowns",
        "Net sales¹² 2023",
        "A sum of 1,500¹ and 12.5³ percent",
        "CO2 and x10₂",
    ]


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("immediate termi=\nnation of it", "immediate termination\nof it"),
        ("a long=\nterm lease", "a long-term\nlease"),
        ("a short=\nage of space", "a shortage\nof space"),
        ("cloud=\nbased", "cloud-based"),
        ("an available=\nfor-sale asset", "an available-for-sale\nasset"),
        ("state-of-the=\nart", "state-of-the-art"),
        ("2020=\n2021 and Anglo=\nAmerican", "2020-2021\nand Anglo-American"),
        (
            "the cofound=\ner. A co-founder, a re-cord, the wel=\nfare",
            "the cofounder.\nA co-founder, a re-cord, the welfare",
        ),
        ("a co=\nfounder and another co-founder", "a co-founder\nand another co-founder"),
        ("inter=\nna=\ntional law", "international\nlaw"),
        ("ends in a dash=\n", "ends in a dash-"),
    ],
)
def test_words_broken_at_line_ends_are_joined(text, joined):
    assert join_broken_words([text.replace("=", "\ufffe")], "\ufffe") == [joined]


def test_the_rest_of_the_document_says_whether_a_word_has_a_hyphen():
    pages = ["a sub\ufffe\nlease", "one sub-lease", "a sur\ufffe\nety", "one surety"]
    assert join_broken_words(pages, "\ufffe") == ["a sub-lease", "one sub-lease", "a surety", "one surety"]


def test_soft_hyphens_and_broken_words_of_a_pdf(tmp_path):
    pdf = FPDF()
    pdf.add_font("DejaVu", fname=Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf")
    pdf.set_font("DejaVu", size=10)
    pdf.add_page()
    for y, text in ((40, "It ends by notice of termi-"), (46, "nation in wri\u00adting."), (60, "Last line.")):
        pdf.text(20, y, text)
    pdf.output(str(tmp_path / "a.pdf"))
    assert page_of(tmp_path / "a.pdf") == "It ends by notice of termination\nin writing.\nLast line."


# -- fields and annotations --------------------------------------------------------------------------------------------


def annotated(source, target, *annotations, fields=True):
    """Write annotations, each a dictionary of names and values, onto the first page of a PDF file."""
    writer = pypdf.PdfWriter(clone_from=source)
    page = writer.pages[0]
    held = []
    for values in annotations:
        entries = {NameObject(f"/{name}"): value for name, value in values.items()}
        held.append(writer._add_object(DictionaryObject({NameObject("/Type"): NameObject("/Annot"), **entries})))
    page[NameObject("/Annots")] = ArrayObject(held)
    if fields:
        form = {NameObject("/Fields"): ArrayObject(held), NameObject("/DA"): TextStringObject("/Helv 0 Tf 0 g")}
        writer._root_object[NameObject("/AcroForm")] = writer._add_object(DictionaryObject(form))
    writer.write(target)
    return target


def place(left, bottom, right, top):
    return ArrayObject([FloatObject(value) for value in (left, bottom, right, top)])


def field(name, box, **values):
    entries = {"Subtype": "/Widget", "T": name, **values}
    shown = {key: NameObject(value) if value[0] == "/" else TextStringObject(value) for key, value in entries.items()}
    return {**shown, "Rect": place(*box), "F": NumberObject(4)}


def test_values_of_fields_are_beside_their_labels(tmp_path):
    labels = [(20, 40 + 10 * i, text) for i, text in enumerate(["Tenant:", "Rent:", "Furnished:", "Pets:", "Code:"])]
    top = 842 - 40 * 72 / 25.4  # points from below
    boxes = [(130, top - 28.3 * i - 3, 300, top - 28.3 * i + 11) for i in range(5)]
    form = annotated(
        drawn(tmp_path / "a.pdf", *labels),
        tmp_path / "form.pdf",
        field("tenant", boxes[0], FT="/Tx", V="Brisk Ltd"),
        field("rent", boxes[1], FT="/Tx", V="82,400 crowns"),
        field("furnished", boxes[2], FT="/Btn", V="/Yes", AS="/Yes"),
        field("pets", boxes[3], FT="/Btn", V="/Off", AS="/Off"),
        field("code", boxes[4], FT="/Tx", V="secret") | {"Ff": NumberObject(1 << 13)},
    )
    lines = page_of(form).split("\n")
    assert lines[:2] == ["Tenant: Brisk Ltd", "Rent: 82,400 crowns"]
    assert lines[3] == "Pets: ☐"
    assert "secret" not in page_of(form)


def test_texts_on_the_page_and_comments_are_read(tmp_path):
    source = drawn(tmp_path / "a.pdf", (20, 40, "Offer to Alba Ltd"))
    text = {"Contents": TextStringObject("Discount of 15 percent"), "Rect": place(56, 600, 300, 620)}
    notes = annotated(
        source,
        tmp_path / "b.pdf",
        {"Subtype": NameObject("/FreeText"), "DA": TextStringObject("/Helv 10 Tf 0 g"), **text},
        {"Subtype": NameObject("/Text"), "Rect": place(300, 700, 320, 720), "Contents": TextStringObject("Ask Anna")},
        {"Subtype": NameObject("/Link"), "Rect": place(0, 0, 9, 9), "Contents": TextStringObject("a link")},
        {"Subtype": NameObject("/FreeText"), "F": NumberObject(2), **text, "Contents": TextStringObject("hidden")},
        fields=False,
    )
    assert page_of(notes) == "Offer to Alba Ltd\nDiscount of 15 percent\nComment: Ask Anna"


# -- symbol fonts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("font", "shown"),
    [
        ("/ABCDEF+Wingdings-Regular", "☒ ☐ \uf041"),  # 0x41 has no meaning that is known
        ("/OpenSymbol", "ξ ο Α"),
        ("/ABCDEF+Arial", "\uf078 \uf06f \uf041"),
    ],
)
def test_ticks_and_signs_of_symbol_fonts_are_unicode(tmp_path, font, shown):
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=10)
    pdf.text(20, 40, "Furnished:")
    pdf.set_font("Courier", size=10)
    pdf.text(45, 40, "x o A")
    pdf.output(str(tmp_path / "plain.pdf"))
    writer = pypdf.PdfWriter(clone_from=tmp_path / "plain.pdf")
    (symbols,) = [
        value.get_object()
        for value in writer.pages[0]["/Resources"]["/Font"].values()
        if value.get_object()["/BaseFont"] == "/Courier"
    ]
    meanings = StreamObject()
    meanings.set_data(
        b"1 begincodespacerange <00> <ff> endcodespacerange "
        b"4 beginbfchar <78> <F078> <6F> <F06F> <41> <F041> <20> <0020> endbfchar"
    )
    symbols[NameObject("/BaseFont")] = NameObject(font)
    symbols[NameObject("/ToUnicode")] = writer._add_object(meanings)
    writer.write(tmp_path / "a.pdf")
    assert page_of(tmp_path / "a.pdf") == f"Furnished: {shown}"


def test_characters_without_a_meaning_are_counted_in_a_notice(tmp_path):
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=10)
    pdf.text(20, 40, "Costs of the house: 1")
    pdf.set_font("Courier", size=10)
    pdf.text(60, 40, "23")
    pdf.output(str(tmp_path / "plain.pdf"))
    writer = pypdf.PdfWriter(clone_from=tmp_path / "plain.pdf")
    for value in writer.pages[0]["/Resources"]["/Font"].values():
        if value.get_object()["/BaseFont"] == "/Courier":
            meanings = StreamObject()
            meanings.set_data(
                b"1 begincodespacerange <00> <ff> endcodespacerange 2 beginbfchar <32> <0007> <33> <0008> endbfchar"
            )
            value.get_object()[NameObject("/ToUnicode")] = writer._add_object(meanings)
    writer.write(tmp_path / "a.pdf")
    (page,) = read_document(tmp_path / "a.pdf").pages
    assert page.text == "Costs of the house: 1"
    (notice,) = page.notices
    assert notice.startswith("2 characters are left out, because their font does not state what they mean")
    assert read_document(tmp_path / "plain.pdf").pages[0].notices == ()
