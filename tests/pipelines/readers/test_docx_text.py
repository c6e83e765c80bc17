"""What Word shows beside plain text: text boxes, symbols, equations, form boxes, superscripts; no hidden text."""

import docx
import pytest
from docx.oxml import parse_xml
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
