"""HTML as a browser shows it: inline tags, superscripts, form controls, list numbers, encodings."""

import pytest
from sra_pipelines.readers import read_document


def read(tmp_path, body, encoding="utf-8"):
    (tmp_path / "page.html").write_bytes(f"<html><body>{body}</body></html>".encode(encoding))
    return read_document(tmp_path / "page.html").pages[0].text.split("\n")


def test_tags_of_other_vocabularies_do_not_end_a_line(tmp_path):
    body = (
        "<ix:header><ix:hidden>no</ix:hidden></ix:header>"
        "<p>Net income was $<ix:nonFraction name='r'>700</ix:nonFraction>"
        " million, the <dfn>best</dfn> year so <my-tag>far</my-tag>.</p>"
        "<table><tr><td>Loss</td><td>(<ix:nonFraction sign='-'>500</ix:nonFraction>)</td></tr></table>"
        "<span style='display: block'>own line</span><div style='display:inline'>same</div> line"
    )
    assert read(tmp_path, body) == [
        "Net income was $700 million, the best year so far.",
        "Loss | (500)",
        "own line",
        "same line",
    ]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("500<sup>2</sup>", "500²"),
        ("10<sup>6</sup> and 10<sup>-6</sup>", "10^6 and 10^-6"),
        ("Revenue<sup>1</sup>", "Revenue¹"),
        ("500<sup>a</sup>", "500 (a)"),
        ("500<sup><a href='#n'>(2)</a></sup>", "500 (2)"),
        ("21<sup>st</sup>", "21st"),
        ("m<sup>2</sup>, H<sub>2</sub>O", "m², H2O"),
        ("5<sup>1</sup>/<sub>2</sub>", "5¹/₂"),
        ("term&shy;ination", "termination"),
        ("<q>so</q>", "“so”"),
        ("<math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac></math>", "(a+b)/2"),
        ("<math><msup><mi>x</mi><mn>2</mn></msup></math>", "x^2"),
    ],
)
def test_inline_text(tmp_path, html, text):
    assert read(tmp_path, f"<p>{html}</p>") == [text]


@pytest.mark.parametrize("name", ["mrow", "msqrt", "mstyle", "mfrac", "mtable", "annotation"])
def test_equations_in_equations_take_linear_time_and_lose_nothing(tmp_path, name):
    deep = f"<{name}><mn>82400</mn>" * 200 + "<mn>17</mn>" + f"</{name}>" * 200  # else 3 to the power of the depth
    (text,) = read(tmp_path, f"<p>Due <math><mi>x</mi>{deep}</math> now</p>")
    if name == "annotation":  # not part of the equation
        assert text == "Due x now"
    else:
        assert text.count("82400") == 200
        assert "17" in text


def test_values_of_form_controls_are_text(tmp_path):
    assert read(
        tmp_path,
        "<p>Tenant <input value='Brisk Ltd'></p><p>Rent <input type=number value='82400'> paid "
        "<select><option>monthly<option selected>yearly</select></p><p><input type=checkbox checked> furnished "
        "<input type=radio> pets</p><textarea>as\nagreed</textarea>"
        "<input type=hidden value=no><input type=submit value=no>"
        "<select multiple><option>A<option selected>B<option selected>C</select>"
        "<select><option>first<option>x</select>",
    ) == [
        "Tenant Brisk Ltd",
        "Rent 82400 paid yearly",
        "☒ (checked) furnished ☐ (not checked) pets",
        "as agreed B, C first",
    ]


def test_items_of_lists_have_their_numbers(tmp_path):
    assert read(
        tmp_path,
        "<ol><li>one</li><li>two<ol type=a><li>in writing</li><li>by post</li></ol></li><li value=9>nine</li>"
        "<li>ten</li></ol>"
        "<ol start=7 type=I><li>seven</li></ol><ol reversed><li>b</li><li>a</li></ol><ul><li>dot</li></ul>"
        "<ol><li><p>block</p><p>more</p></li><li></li></ol>"
        "<ol style='list-style-type: lower-roman'><li>roman</li></ol><ol style='list-style: none'><li>bare</li></ol>",
    ) == ["1. one", "2. two", "(a) in writing", "(b) by post", "9. nine", "10. ten", "(VII) seven", "2. b", "1. a",
          "- dot", "1. block", "more", "2.", "(i) roman", "bare"]  # fmt: skip


@pytest.mark.parametrize(
    ("declared", "encoding", "text"),
    [
        ("iso-8859-1", "cp1252", "Rent €500 – due"),
        ("latin1", "cp1252", "“Rent” €500"),
        ("windows-1250", "cp1250", "Nájemné činí 82 400 Kč"),
        ("shift_jis", "cp932", "賃料①"),
        ("gb2312", "gb18030", "租金龘"),
    ],
)
def test_encodings_are_read_as_browsers_read_them(tmp_path, declared, encoding, text):
    page = f'<html><head><meta charset="{declared}"></head><body><p>{text}</p></body></html>'
    (tmp_path / "page.html").write_bytes(page.encode(encoding))
    assert read_document(tmp_path / "page.html").pages[0].text == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("500<span style='vertical-align: super; font-size: 70%'>2</span>", "500²"),
        ("500<span style='VERTICAL-ALIGN:SUB'>2</span>", "500₂"),
        ("500<span style='position:relative;top:-3.5pt;vertical-align:baseline'>2</span>", "500²"),
        ("500<span style='position:relative; top:0pt'>2</span>", "5002"),
        ("500<span style='vertical-align: 30%'>2</span>", "500²"),
        ("500<span style='vertical-align: middle'>2</span>", "5002"),
        ("500<sup style='vertical-align: baseline; position: relative; top: -.4em'>2</sup>", "500²"),
        ("500<sup><span style='vertical-align: super'>2</span></sup>", "500²"),
        ("500<span class='note'>2</span> and <i class='note other'>3</i>", "500² and ³"),
        ("500<span class='other'>2</span>", "5002"),
        ("Seen <b class='off'>not 1</b><i id='name'>not 2</i><u class='off' style='display:inline'>and this</u>",
         "Seen and this"),
        ("Seen <em>not</em><em class='on'>this</em>", "Seen this"),
    ],
)  # fmt: skip
def test_styles_decide_what_is_raised_and_hidden(tmp_path, html, text):
    styles = (
        "<style>/* .other {display: none} */ span.note, i.note { vertical-align: super }"
        " .off, #name{display:none!important} p .other {display: none} em.on {display: inline} em {display: none}"
        " @media print {.other {display: none}}</style><style media='print'>.other {display: none}</style>"
    )
    assert read(tmp_path, f"{styles}<p>{html}</p>") == [text]


def test_a_style_of_a_cell_raises_no_text(tmp_path):
    cells = "<td style='vertical-align: super'>5</td><td style='position: relative; top: -2px'>6</td>"
    assert read(tmp_path, f"<table><tr><td>Rent</td>{cells}</tr></table>") == ["Rent | 5 | 6"]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("The rent is <del>500</del><ins>600</ins>.", "The rent is ~~500~~600."),
        ("Was <s>700</s> <strike> 800 </strike>900, so <s>far</s>.", "Was ~~700~~ ~~800~~ 900, so far."),
        ("<span style='text-decoration: line-through'>500</span>600", "~~500~~600"),
        ("99<span style='font-size:60%;vertical-align:text-top'>2</span>", "99²"),
        ("99<span style='vertical-align:top'>2</span>", "992"),
        ("7<meter value=0.6>60%</meter><progress value=3 max=10></progress>5", "7 60% 3 5"),
        (
            "Sales<svg><title>Icon</title><defs><text>no</text></defs><text>Item 7</text><text>8</text></svg>",
            "Sales\nItem 7\n8",
        ),
    ],
)
def test_amounts_beside_each_other_stay_two(tmp_path, html, text):
    assert "\n".join(read(tmp_path, f"<p>{html}</p>")) == text


def test_what_a_page_does_not_show_is_left_out(tmp_path):
    body = "<dialog>closed</dialog><dialog open>open</dialog><p style='visibility: collapse'>gone</p>shown"
    assert read(tmp_path, body) == ["open", "shown"]


@pytest.mark.parametrize(
    ("style", "lines"),
    [
        ("ol.c {list-style-type: lower-alpha}", ["(a) Rent", "(b) Term"]),
        (".c {list-style: upper-roman inside}", ["(I) Rent", "(II) Term"]),
        ("ol {list-style: none}", ["Rent", "Term"]),
        # With counters, the numbers are written by rules that are not read.
        ("ol {list-style: none} li::before {counter-increment: i; content: counters(i, '.')}", ["1. Rent", "2. Term"]),
    ],
)
def test_style_sheets_number_lists(tmp_path, style, lines):
    assert read(tmp_path, f"<style>{style}</style><ol class=c><li>Rent</li><li>Term</li></ol>") == lines


def test_the_foot_of_a_table_is_at_its_end_wherever_it_is_in_the_file(tmp_path):
    rows = "<tbody><tr><td>Rent<td>500<tr><td>Tax<td>21</tbody>"
    body = f"<table><thead><tr><th>Item<th>2023</thead><tfoot><tr><td>Total<td>521</tfoot>{rows}</table>"
    assert read(tmp_path, body)[1:] == ["Item: Rent | 2023: 500", "Item: Tax | 2023: 21", "Item: Total | 2023: 521"]
