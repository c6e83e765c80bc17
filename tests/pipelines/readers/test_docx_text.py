"""What Word shows beside plain text: text boxes, symbols, equations, form boxes, superscripts; no hidden text."""

import io

import docx
import pytest
from docx.opc.constants import CONTENT_TYPE, RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from PIL import Image
from pptx.chart.data import CategoryChartData
from pptx.chart.xmlwriter import ChartXmlWriter
from pptx.enum.chart import XL_CHART_TYPE
from sra_pipelines.readers import read_document

SPACES = " ".join(
    f'xmlns:{prefix}="{name}"'
    for prefix, name in {
        "w": "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        "m": "http://schemas.openxmlformats.org/officeDocument/2006/math",
        "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
        "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
        "v": "urn:schemas-microsoft-com:vml",
    }.items()
)


def run(text, properties=""):
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def read(tmp_path, *paragraphs):
    document = docx.Document()
    style = document.styles.add_style("Secret", docx.enum.style.WD_STYLE_TYPE.PARAGRAPH)
    style.font.hidden = True
    for inner in paragraphs:
        document.element.body.insert(-1, parse_xml(f"<w:p {SPACES}>{inner}</w:p>"))
    document.save(tmp_path / "a.docx")
    return read_document(tmp_path / "a.docx").pages[0].text.split("\n")


def test_paragraphs_of_a_text_box_stand_apart(tmp_path):
    box = (
        "<w:txbxContent>"
        + "".join(f"<w:p>{run(t)}</w:p>" for t in ("Total rent: 100", "200 deposit"))
        + "</w:txbxContent>"
    )
    shape = (
        f"<w:r><mc:AlternateContent><mc:Choice Requires='wps'><wps:wsp><wps:txbx>{box}</wps:txbx></wps:wsp></mc:Choice>"
        f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r>"
    )
    old = f"<w:r><w:pict><v:textbox>{box}</v:textbox></w:pict></w:r>"
    expected = ["Before after.", "Total rent: 100", "200 deposit"]
    assert read(tmp_path, run("Before ") + shape + run("after.")) == expected
    assert read(tmp_path, run("Before ") + old + run("after.")) == expected


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ('<w:r><w:sym w:font="Wingdings" w:char="F0FE"/></w:r>', "☒"),
        ('<w:r><w:sym w:font="Wingdings" w:char="F0A8"/></w:r>', "☐"),
        ('<w:r><w:sym w:font="Symbol" w:char="F0A3"/></w:r>', "≤"),
        ('<w:r><w:sym w:font="Arial" w:char="20AC"/></w:r>', "€"),
        ('<w:r><w:sym w:font="Wingdings" w:char="F021"/></w:r>', "\ufffd"),  # unknown, but not lost
        (run("\uf0b3", '<w:rFonts w:ascii="Symbol" w:hAnsi="Symbol"/>'), "≥"),
        ("<w:r><w:fldChar><w:ffData><w:checkBox><w:checked/></w:checkBox></w:ffData></w:fldChar></w:r>", "☒"),
        ("<w:r><w:fldChar><w:ffData><w:checkBox><w:default w:val='0'/></w:checkBox></w:ffData></w:fldChar></w:r>", "☐"),
        (
            "<w:r><w:fldChar><w:ffData><w:ddList><w:result w:val='1'/><w:listEntry w:val='monthly'/>"
            "<w:listEntry w:val='yearly'/></w:ddList></w:ffData></w:fldChar></w:r>",
            "yearly",
        ),
        (run("100") + run("2", '<w:vertAlign w:val="superscript"/>') + run(" m"), "100² m"),
        (
            run("10")
            + run("-", '<w:vertAlign w:val="superscript"/>') * 1
            + run("6", '<w:vertAlign w:val="superscript"/>'),
            "10^-6",
        ),
        (run("seen") + run(" unseen 999", "<w:vanish/>"), "seen"),
        ('<w:pPr><w:pStyle w:val="Secret"/></w:pPr>' + run("unseen ") + run("seen", '<w:vanish w:val="0"/>'), "seen"),
        (run("after\u00adwards"), "afterwards"),
        (
            "<w:r><w:ruby><w:rt>" + run("とう") + "</w:rt><w:rubyBase>" + run("東") + "</w:rubyBase></w:ruby></w:r>",
            "東(とう)",
        ),
    ],
)
def test_text_of_runs(tmp_path, inner, text):
    assert read(tmp_path, f"{run('x ')}{inner}" if "pStyle" not in inner else inner)[-1].removeprefix("x ") == text


def m(name, inner):
    return f"<m:{name}>{inner}</m:{name}>"


def letters(text):
    return m("r", m("t", text))


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        (letters("P=0.05") + letters("×N"), "P=0.05×N"),
        (m("f", m("num", letters("a+b")) + m("den", letters("2"))), "(a+b)/2"),
        (m("sSup", m("e", letters("x")) + m("sup", letters("2"))), "x^2"),
        (m("sSubSup", m("e", letters("x")) + m("sub", letters("i")) + m("sup", letters("n+1"))), "x_i^(n+1)"),
        (m("rad", m("deg", "") + m("e", letters("x"))), "√(x)"),
        (m("d", m("e", letters("a+b"))), "(a+b)"),
        (
            "<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr>"
            + m("sub", letters("i=1")) + m("sup", letters("n")) + m("e", letters("x")) + "</m:nary>",
            "∑_(i=1)^n x",
        ),
    ],
)  # fmt: skip
def test_equations_are_written_on_one_line(tmp_path, inner, text):
    assert read(tmp_path, run("Due: ") + m("oMath", inner)) == [f"Due: {text}"]


@pytest.mark.parametrize("depth", [3, 70])
@pytest.mark.parametrize("kind", ["d", "m", "rad", "func"])
def test_equations_in_equations_take_linear_time(tmp_path, kind, depth):
    inner = letters("17")
    for _ in range(depth):  # else the time is a power of the depth
        part = m("e", inner)
        inner = m("m", m("mr", part)) if kind == "m" else m(kind, part)
    (text,) = read(tmp_path, run("Due: ") + m("oMath", inner))
    assert text.startswith("Due: ")
    assert "17" in text
    if depth == 3:
        marks = {"d": "(((17)))", "m": "[[[17]]]", "rad": "√(√(√(17)))", "func": "(((17)))"}
        assert text == f"Due: {marks[kind]}"


def test_struck_text_is_marked_and_does_not_join_the_amount_after_it(tmp_path):
    inner = run("Rent ") + run("7", "<w:strike/>") + run("00", "<w:strike/><w:b/>") + run("800 crowns")
    assert read(tmp_path, inner, run("Fee ") + run("5 ", "<w:dstrike/>") + run("6", "<w:strike w:val='0'/>")) == [
        "Rent ~~700~~800 crowns",
        "Fee ~~5~~ 6",
    ]


def test_digits_that_are_raised_by_their_position_do_not_join_the_number_before_them(tmp_path):
    up, down = run("3", '<w:position w:val="8"/>'), run("2", '<w:position w:val="-6"/>')
    assert read(tmp_path, run("77") + up, run("15") + down, run("77") + run("3", '<w:position w:val="1"/>')) == [
        "77³",
        "15₂",
        "773",
    ]


def test_comments_follow_their_paragraph(tmp_path):
    document = docx.Document()
    paragraph = document.add_paragraph("Rent 500")
    document.add_comment(paragraph.runs, text="Check 333", author="A")
    document.add_paragraph("End")
    document.save(tmp_path / "a.docx")
    page = read_document(tmp_path / "a.docx").pages[0]
    assert page.text.split("\n") == ["Rent 500", "Comment: Check 333", "End"]


def test_word_art_is_text(tmp_path):
    shape = '<w:r><w:pict><v:shape><v:textpath string="DRAFT 321"/></v:shape></w:pict></w:r>'
    assert read(tmp_path, run("Rent") + shape) == ["Rent DRAFT 321"]


def test_deleted_rows_are_left_out(tmp_path):
    document = docx.Document()
    table = document.add_table(3, 2)
    for row, texts in zip(table.rows, [("Item", "Amount"), ("Old", "999"), ("Rent", "500")], strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    table.rows[1]._tr.get_or_add_trPr().append(parse_xml(f'<w:del {SPACES} w:id="9" w:author="a"/>'))
    document.save(tmp_path / "a.docx")
    page = read_document(tmp_path / "a.docx").pages[0]
    assert page.text.split("\n") == ["Item | Amount", "Item: Rent | Amount: 500"]


def test_the_values_of_a_chart_are_rows_after_its_paragraph(tmp_path):
    data = CategoryChartData(number_format="0.0%")
    data.categories = ["North", "South"]
    data.add_series("2023", (0.123, 0.456))
    data.add_series("2022", (0.1, None))
    title = (
        "<c:title><c:tx><c:rich><a:bodyPr/><a:p><a:r><a:t>Share of sales</a:t></a:r></a:p></c:rich></c:tx></c:title>"
    )
    xml = ChartXmlWriter(XL_CHART_TYPE.COLUMN_CLUSTERED, data).xml.replace(
        "<c:autoTitleDeleted", f"{title}<c:autoTitleDeleted"
    )
    document = docx.Document()
    package = document.part.package
    part = Part(PackURI("/word/charts/chart1.xml"), CONTENT_TYPE.DML_CHART, xml.encode(), package)
    name = document.part.relate_to(part, RELATIONSHIP_TYPE.CHART)
    paragraph = document.add_paragraph("See the chart.")
    paragraph._p.append(
        parse_xml(
            f"<w:r {SPACES} xmlns:c='http://schemas.openxmlformats.org/drawingml/2006/chart' "
            "xmlns:r='http://schemas.openxmlformats.org/officeDocument/2006/relationships'>"
            f"<w:drawing><c:chart r:id='{name}'/></w:drawing></w:r>"
        )
    )
    document.add_paragraph("End")
    document.save(tmp_path / "a.docx")
    assert read_document(tmp_path / "a.docx").pages[0].text.split("\n") == [
        "See the chart.",
        "Chart: Share of sales",
        "2023 | 2022",
        "North | 2023: 12.3% | 2022: 10.0%",
        "South | 2023: 45.6%",
        "End",
    ]


def test_pictures_are_counted_in_a_notice(tmp_path):
    picture = io.BytesIO()
    Image.new("RGB", (5, 5)).save(picture, "PNG")
    document = docx.Document()
    document.add_paragraph("Rent 500")
    document.save(tmp_path / "none.docx")
    document.add_picture(picture)
    document.save(tmp_path / "one.docx")
    document.add_picture(picture)
    document.save(tmp_path / "two.docx")
    notices = [read_document(tmp_path / f"{name}.docx").notices for name in ("none", "one", "two")]
    assert notices == [(), ("1 picture is not read",), ("2 pictures are not read",)]


def test_the_texts_of_a_diagram_follow_its_paragraph(tmp_path):
    texts = ("Sign", "Pay 500")
    points = "".join(f"<dgm:pt><dgm:t><a:p><a:r><a:t>{text}</a:t></a:r></a:p></dgm:t></dgm:pt>" for text in texts)
    names = "".join(
        f" xmlns:{prefix}='http://schemas.openxmlformats.org/drawingml/2006/{name}'"
        for prefix, name in (("dgm", "diagram"), ("a", "main"))
    )
    document = docx.Document()
    xml = f"<dgm:dataModel{names}><dgm:ptLst>{points}</dgm:ptLst></dgm:dataModel>"
    part = Part(PackURI("/word/diagrams/data1.xml"), CONTENT_TYPE.DML_DIAGRAM_DATA, xml.encode(), document.part.package)
    name = document.part.relate_to(part, RELATIONSHIP_TYPE.DIAGRAM_DATA)
    paragraph = document.add_paragraph("Steps:")
    space = "xmlns:r='http://schemas.openxmlformats.org/officeDocument/2006/relationships'"
    inner = f"<w:r {SPACES}{names} {space}><w:drawing><dgm:relIds r:dm='{name}'/></w:drawing></w:r>"
    paragraph._p.append(parse_xml(inner))
    document.add_paragraph("End")
    document.save(tmp_path / "a.docx")
    assert read_document(tmp_path / "a.docx").pages[0].text.split("\n") == ["Steps:", "Sign", "Pay 500", "End"]
