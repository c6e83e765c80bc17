"""Numbers of paragraphs in Word files, read as Word shows them."""

import docx
import pytest
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_BREAK
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn
from sra_pipelines.checks.citations import cite
from sra_pipelines.checks.sections_and_units import cited_sections
from sra_pipelines.readers import read_document
from sra_pipelines.readers.word.number_formats import format_number
from sra_pipelines.reading.splitting import split_document

LEGAL = ("%1.", "%1.%2", "(%3)", "(%4)"), ("decimal", "decimal", "lowerLetter", "lowerRoman")


def lvl(index, text, kind="decimal", extra="", start=1):
    return (
        f'<w:lvl w:ilvl="{index}"><w:start w:val="{start}"/><w:numFmt w:val="{kind}"/>{extra}'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
    )


def levels(texts=LEGAL[0], kinds=LEGAL[1]):
    return "".join(lvl(i, text, kind) for i, (text, kind) in enumerate(zip(texts, kinds, strict=True)))


class Word:
    """A Word file in the making; `texts` are read from it by the reader under test."""

    def __init__(self, path):
        self.path = path / "a.docx"
        self.document = docx.Document()
        self.numbering = self.document.part.numbering_part.element

    def define(self, content, *, number=50):
        """Add a definition and a list that uses it, both of this number."""
        xml = f'<w:abstractNum {nsdecls("w")} w:abstractNumId="{number}">{content}</w:abstractNum>'
        self.numbering.insert(0, parse_xml(xml))
        self.use(number, number)
        return self

    def use(self, number, definition, changes=""):
        xml = f'<w:num {nsdecls("w")} w:numId="{number}"><w:abstractNumId w:val="{definition}"/>{changes}</w:num>'
        self.numbering.append(parse_xml(xml))

    def add(self, text="", level=None, number=50, style=None, to=None):
        paragraph = (to or self.document).add_paragraph(text, style)
        if level is not None:
            set_number(paragraph._p, number, level)
        return paragraph

    def style(self, name, number=None, level=None, based_on=None):
        styles = self.document.styles
        style = styles[name] if name in styles else styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
        if based_on:
            style.base_style = styles[based_on]
        set_number(style.element, number, level)
        return style

    def read(self):
        self.document.save(self.path)
        return read_document(self.path)

    def lines(self):
        return [line for page in self.read().pages for line in page.text.split("\n")]


def set_number(element, number, level):
    says = element.get_or_add_pPr().get_or_add_numPr()
    for tag, value in (("w:ilvl", level), ("w:numId", number)):
        if value is not None:
            child = OxmlElement(tag, {qn("w:val"): str(value)})
            says.append(child)


@pytest.fixture
def word(tmp_path):
    return Word(tmp_path)


# -- counting ----------------------------------------------------------------------------------------------------------


def test_clauses_of_a_contract(word):
    word.define(levels())
    texts = [
        "Rent",
        "The tenant pays:",
        "monthly",
        "by transfer",
        "in cash",
        "in advance",
        "Interest.",
        "Term",
        "Two",
        "Or",
    ]
    for text, level in zip(texts, (0, 1, 2, 3, 3, 2, 1, 0, 1, 2), strict=True):
        word.add(text, level)
    assert word.lines() == [
        "1. Rent", "1.1 The tenant pays:", "(a) monthly", "(i) by transfer", "(ii) in cash",
        "(b) in advance", "1.2 Interest.", "2. Term", "2.1 Two", "(a) Or",
    ]  # fmt: skip


def test_numbers_go_on_after_paragraphs_without_and_count_empty_ones(word):
    word.define(levels())
    for text, level in [("One", 0), ("Between", None), ("", 0), ("", None), ("Three", 0)]:
        word.add(text, level)
    assert word.lines() == ["1. One", "Between", "2.", "3. Three"]


def test_a_paragraph_that_only_ends_a_section_is_not_counted(word):
    word.define(levels())
    word.add("One", 0)
    word.add("", 0)._p.get_or_add_pPr().append(OxmlElement("w:sectPr"))
    word.add("Two", 0)
    assert word.lines() == ["1. One", "2. Two"]


def test_a_level_that_was_passed_over_has_begun(word):
    word.define(levels())
    for level in (1, 1, 0, 2, 1):
        word.add("x", level)
    assert word.lines() == ["1.1 x", "1.2 x", "2. x", "(a) x", "2.2 x"]


def test_start(word):
    word.define(lvl(0, "%1.", start=7) + lvl(1, "%1.%2", start=0))
    for level in (0, 1, 1, 0, 1):
        word.add("x", level)
    assert word.lines() == ["7. x", "7.0 x", "7.1 x", "8. x", "8.0 x"]


def test_lists_of_one_definition_count_together_unless_one_begins_anew(word):
    word.define(levels())
    word.use(51, 50)
    word.use(52, 50, '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride>')
    for number, level in [(50, 0), (51, 0), (52, 0), (52, 1), (52, 0), (50, 0), (52, 0)]:
        word.add("x", level, number)
    assert word.lines() == ["1. x", "2. x", "5. x", "5.1 x", "6. x", "7. x", "8. x"]


def test_lists_of_two_definitions_count_apart(word):
    word.define(levels()).define(levels(), number=60)
    for number in (50, 60, 50, 60):
        word.add("x", 0, number)
    assert word.lines() == ["1. x", "1. x", "2. x", "2. x"]


def test_a_list_changes_a_level(word):
    word.define(levels())
    word.use(51, 50, f'<w:lvlOverride w:ilvl="1">{lvl(1, "%1-%2", "upperRoman")}</w:lvlOverride>')
    for number, level in [(50, 0), (51, 1), (50, 1)]:
        word.add("x", level, number)
    assert word.lines() == ["1. x", "1-I x", "1.2 x"]


@pytest.mark.parametrize(
    ("restart", "third"),
    [
        ("", ["(a)", "(a)", "(a)"]),
        ('<w:lvlRestart w:val="0"/>', ["(a)", "(b)", "(c)"]),  # never
        ('<w:lvlRestart w:val="1"/>', ["(a)", "(b)", "(a)"]),  # only after the first level
        ('<w:lvlRestart w:val="9"/>', ["(a)", "(a)", "(a)"]),  # says nothing
    ],
)
def test_when_a_level_restarts(word, restart, third):
    word.define(lvl(0, "%1.") + lvl(1, "%1.%2") + lvl(2, "(%3)", "lowerLetter", restart))
    for level in (0, 1, 2, 1, 2, 0, 1, 2):
        word.add("x", level)
    assert [line.split()[0] for line in word.lines() if line.startswith("(")] == third


# -- what numbers look like --------------------------------------------------------------------------------------------


def test_legal_levels_show_all_in_decimal(word):
    word.define(lvl(0, "Article %1", "upperRoman") + lvl(1, "%1.%2", extra="<w:isLgl/>") + lvl(2, "%1.%2.%3"))
    for level in (0, 0, 0, 0, 1, 2):
        word.add("x", level)
    assert word.lines()[3:] == ["Article IV x", "4.1 x", "IV.1.1 x"]


def test_legal_may_be_turned_off(word):
    word.define(lvl(0, "%1", "upperRoman") + lvl(1, "%1.%2", extra='<w:isLgl w:val="0"/>'))
    word.add("x", 1)
    assert word.lines() == ["I.1 x"]


def test_what_stands_between_number_and_text(word):
    suffixes = ["nothing", "space", "tab"]
    word.define("".join(lvl(i, f"%{i + 1}:", extra=f'<w:suff w:val="{s}"/>') for i, s in enumerate(suffixes)))
    for level in range(3):
        word.add("\tx" if level else "x", level)
    assert word.lines() == ["1:x", "1: x", "1: x"]


def test_a_number_and_its_title_on_two_lines(word):
    word.define(lvl(0, "ARTICLE %1", "upperRoman", '<w:suff w:val="nothing"/>'))
    word.style("Heading 1", 50)
    word.document.add_heading("\nDefinitions", 1)
    (page,) = word.read().pages
    assert page.text == "ARTICLE I\nDefinitions"
    assert [(h.start, h.text) for h in page.headings] == [(0, "ARTICLE I Definitions")]


def test_schedules_whose_only_text_is_their_number(word):
    word.define(lvl(0, "Schedule %1"))
    word.style("Heading 1", 50)
    word.document.add_heading("", 1)
    word.add("Services")
    (page,) = word.read().pages
    assert page.text == "Schedule 1\nServices"
    assert [h.text for h in page.headings] == ["Schedule 1"]


def test_bullets(word):
    word.define(lvl(0, "\uf0b7", "bullet") + lvl(1, "", "bullet") + lvl(2, "%1%3.", "decimal"))
    for text, level in [("first", 0), ("", 0), ("plain", 1), ("numbered", 2)]:
        word.add(text, level)
    word.add("of a style", style="List Bullet")
    assert word.lines() == ["- first", "plain", "1. numbered", "- of a style"]


def test_levels_without_a_number(word):
    word.define(lvl(0, "", "none") + lvl(1, "%1.%2", "decimal") + lvl(2, "Note", "none") + lvl(3, "%4.", "decimal"))
    word.numbering.find(f".//{qn('w:lvl')}[4]").append(parse_xml(f"<w:rPr {nsdecls('w')}><w:vanish/></w:rPr>"))
    for level in range(4):
        word.add("x", level)
    assert word.lines() == ["x", ".1 x", "Note x", "x"]


def test_a_custom_format_in_a_choice_of_renderings(word):
    namespace = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    word.define(
        f'<w:lvl w:ilvl="0"><w:start w:val="9"/><mc:AlternateContent xmlns:mc="{namespace}"><mc:Choice Requires="w14">'
        '<w:numFmt w:val="custom" w:format="001, 002, 003, ..."/></mc:Choice><mc:Fallback><w:numFmt w:val="decimal"/>'
        '</mc:Fallback></mc:AlternateContent><w:lvlText w:val="[%1]"/></w:lvl>'
    )
    for _ in range(2):
        word.add("x", 0)
    assert word.lines() == ["[009] x", "[010] x"]


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ("decimal", {0: "0", 7: "7", -1: "-1"}),
        ("decimalZero", {0: "00", 7: "07", 107: "107"}),
        ("0001", {7: "0007", 12345: "12345"}),
        ("lowerLetter", {1: "a", 26: "z", 27: "aa", 28: "bb", 53: "aaa", 780: "z" * 30, 781: "a", 0: "0"}),
        ("upperLetter", {2: "B", 27: "AA"}),
        ("lowerRoman", {1: "i", 4: "iv", 9: "ix", 44: "xliv", 1990: "mcmxc", 0: "0", 10**9: "1000000000"}),
        ("upperRoman", {3: "III", 99: "XCIX"}),
        ("ordinal", {1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 21: "21st", 111: "111th"}),
        ("cardinalText", {1: "One", 13: "Thirteen", 20: "Twenty", 42: "Forty-two", 100: "100"}),
        ("ordinalText", {1: "First", 12: "Twelfth", 20: "Twentieth", 29: "Twenty-ninth", 100: "100th"}),
        ("chicago", {1: "*", 2: "†", 5: "**"}),
        ("none", {1: ""}),
        ("bullet", {1: ""}),
        ("hebrew1", {7: "7"}),  # not known
    ],
)
def test_formats(kind, numbers):
    assert {number: format_number(number, kind) for number in numbers} == numbers


# -- where a paragraph's number comes from -----------------------------------------------------------------------------


def linked_headings(word):
    word.define(
        lvl(0, "%1.", extra='<w:pStyle w:val="Heading1"/>') + lvl(1, "%1.%2", extra='<w:pStyle w:val="Heading2"/>')
    )
    word.style("Heading 1", 50)
    word.style("Heading 2", 50)  # on the second level by the link alone
    return word


def test_headings_carry_their_number(word):
    linked_headings(word)
    for text, level in [("Rent", 1), ("Amount", 2), ("Due date", 2), ("Term", 1), ("Renewal", 2)]:
        word.document.add_heading(text, level)
        word.add("Words.")
    (page,) = word.read().pages
    assert [h.text for h in page.headings] == ["1. Rent", "1.1 Amount", "1.2 Due date", "2. Term", "2.1 Renewal"]
    for heading in page.headings:
        assert page.text[heading.start :].startswith(f"{heading.text}\nWords.")


def test_the_clause_of_a_citation(word):
    linked_headings(word)
    word.document.add_heading("Rent", 1)
    word.style("Clause", 50, 1)
    word.add("The tenant pays 400 crowns.", style="Clause")
    word.add("Interest is 7 crowns.", style="Clause")
    document = word.read()
    passages = split_document(document)
    for passage in passages:
        assert document.pages[0].text[passage.start : passage.end] == passage.text
    citations = cite("7 crowns", "What is the interest?", passages)
    assert cited_sections(citations, {("a", 0): passages}) == ["a, page 1: under '1. Rent', 1.2"]


def test_numbers_of_styles(word):
    word.define(levels())
    word.use(0, 50)  # what takes a number away is no list, though one be called so
    word.style("Base", 50, 1)
    word.style("Derived", based_on="Base")
    word.style("Deeper", level=2, based_on="Derived")
    word.style("Unnumbered", 0, based_on="Base")
    word.style("First", 50, based_on="Deeper")  # a list without a level means the first
    for style in ("Base", "Derived", "Deeper", "Unnumbered", "First"):
        word.add("x", style=style)
    assert word.lines() == ["1.1 x", "1.2 x", "(a) x", "x", "2. x"]


def test_a_paragraph_says_more_than_its_style(word):
    linked_headings(word)
    word.define(lvl(0, "Part %1", "upperLetter"), number=60)
    word.document.add_heading("Rent", 1)
    set_number(word.document.add_heading("Unnumbered", 1)._p, 0, 0)
    set_number(word.document.add_heading("Other", 1)._p, 60, None)
    set_number(word.document.add_heading("Second level", 1)._p, None, 1)
    assert word.lines() == ["1. Rent", "Unnumbered", "Part A Other", "1.1 Second level"]


def test_a_level_linked_to_the_style_that_one_is_based_on(word):
    linked_headings(word)
    word.style("Mine", based_on="Heading 2")
    word.add("x", style="Mine")
    assert word.lines() == ["1.1 x"]


def test_the_default_style_may_be_numbered(word):
    word.define(levels())
    word.style("Normal", 50)
    word.add("no style")
    word.add("unknown style")._p.get_or_add_pPr().get_or_add_pStyle().val = "Unknown"
    word.add("another style", style="Title")
    assert word.lines() == ["1. no style", "2. unknown style", "3. another style"]


def test_a_list_style(word):
    word.define(levels() + '<w:styleLink w:val="Clauses"/>')
    word.define('<w:numStyleLink w:val="Clauses"/>', number=60)
    word.use(61, 60, '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="9"/></w:lvlOverride>')
    style = f'<w:style {nsdecls("w")} w:type="numbering" w:styleId="Clauses"><w:name w:val="Clauses"/>'
    style += '<w:pPr><w:numPr><w:numId w:val="50"/></w:numPr></w:pPr></w:style>'
    word.document.styles.element.append(parse_xml(style))
    for number, level in [(60, 0), (60, 1), (50, 1), (61, 0)]:
        word.add("x", level, number)
    assert word.lines() == ["1. x", "1.1 x", "1.2 x", "9. x"]


# -- where it stands ---------------------------------------------------------------------------------------------------


def test_numbers_in_tables(word):
    word.define(levels())
    word.add("before", 0)
    table = word.document.add_table(rows=3, cols=2)
    for row, text in zip(table.rows, ["Hosting", "Support", "Hosting"], strict=True):
        set_number(row.cells[0].paragraphs[0]._p, 50, 0)
        row.cells[1].text = text
    inner = table.cell(2, 1).add_table(rows=1, cols=1).cell(0, 0)
    set_number(inner.paragraphs[0]._p, 50, 1)
    inner.paragraphs[0].add_run("inner")
    word.add("after", 0)
    assert word.lines() == ["1. before", "2. | Hosting", "3. | Support", "4. | Hosting 4.1 inner", "5. after"]


def test_cells_below_a_merged_one_are_not_counted(word):
    word.define(levels())
    table = word.document.add_table(rows=3, cols=2)
    table.cell(0, 0).merge(table.cell(1, 0))
    for row, text in zip(table._tbl.tr_lst, ["a", "b", "c"], strict=True):
        set_number(row.tc_lst[0].p_lst[0], 50, 0)
        row.tc_lst[1].p_lst[0].add_r().text = text
    assert word.lines() == ["1. | a", "1. | b", "2. | c"]  # the merged cell is repeated, and counted once


def test_a_number_stands_on_the_page_of_its_text(word):
    word.define(levels())
    word.add("One", 0)
    broken = word.add("", 0)
    broken.add_run().add_break(WD_BREAK.PAGE)
    broken.add_run("Two").add_break(WD_BREAK.PAGE)
    broken.add_run("goes on")
    assert [page.text for page in word.read().pages] == ["1. One", "2. Two", "goes on"]


def test_controls_and_tracked_insertions(word):
    word.define(levels())
    control, body = OxmlElement("w:sdt"), OxmlElement("w:sdtContent")
    control.append(body)
    word.document.element.body.insert(0, control)
    body.append(word.add("in a control", 0)._p)
    inserted = word.add("", 0)
    change = OxmlElement("w:ins")
    change.append(inserted.add_run("inserted")._r)
    inserted._p.append(change)
    assert word.lines() == ["1. in a control", "2. inserted"]


@pytest.mark.parametrize("change", ["w:del", "w:moveFrom"])
def test_deleted_paragraphs(word, change):
    word.define(levels())

    def delete_end(paragraph):
        properties = paragraph._p.get_or_add_pPr()
        properties.append(parse_xml(f"<w:rPr {nsdecls('w')}><{change}/></w:rPr>"))

    word.add("One", 0)
    gone = word.add("", 0)
    runs = OxmlElement(change)
    runs.append(gone.add_run("deleted")._r)
    gone._p.append(runs)
    delete_end(gone)
    delete_end(word.add("Two is ", 0))
    word.add("one with the next", 1)
    word.add("Two", 0)
    delete_end(word.add("before a table", 0))
    cell = word.document.add_table(rows=1, cols=1).cell(0, 0)
    cell.text = "cell"
    delete_end(cell.paragraphs[0])
    delete_end(word.add("the last"))
    assert word.lines() == ["1. One", "1.1 Two is one with the next", "2. Two", "before a table", "cell", "the last"]


# -- bad files ---------------------------------------------------------------------------------------------------------


def test_no_numbering_part(word):
    word.add("x", 0)
    part = word.document.part
    (relationship,) = [one for one in part.rels.values() if one.reltype == RELATIONSHIP_TYPE.NUMBERING]
    del part.rels[relationship.rId]
    word.add("y", style="List Number")
    assert word.lines() == ["x", "y"]


@pytest.mark.parametrize(
    ("number", "level"),
    [(99, 0), (51, 0), (50, 9), (50, -1), (50, 10**30), (50, 4), ("one", 0), (50, "one"), (10**30, 0)],
)
def test_numbers_of_lists_and_levels_that_are_not_there(word, number, level):
    word.define(levels())
    word.use(51, 77)
    word.add("before", 0)
    word.add("x", level, number)
    word.add("after", 0)
    assert word.lines() == ["1. before", "x", "2. after"]


def test_styles_based_on_one_another_in_a_ring(word):
    word.define(levels())
    for name, base in (("A", "B"), ("B", "A"), ("C", "C")):
        word.style(name)
        word.style(base)
    for name, base in (("A", "B"), ("B", "A"), ("C", "C")):
        word.style(name, based_on=base)
    for name in "ABC":
        word.add("x", style=name)
    assert word.lines() == ["x", "x", "x"]


@pytest.mark.parametrize("level", [-1, 9, 10_000])
def test_levels_beyond_the_nine(word, level):
    word.define(levels() + lvl(level, "%1."))
    word.add("x", level)
    assert word.lines() == ["x"]


def test_list_styles_in_a_ring(word):
    word.define('<w:numStyleLink w:val="Ring"/>')
    word.style("Ring", 50)
    word.add("x", 0)
    word.add("y", style="Ring")
    assert word.lines() == ["x", "y"]


def test_a_level_of_absurd_length_has_no_number(word):
    word.define(
        lvl(0, "%1" * 10_000) + lvl(1, "%1%3%9%0%") + lvl(2, "") + '<w:lvl w:ilvl="3"/><w:lvl/><w:lvl w:ilvl="x"/>'
    )
    for level in range(4):
        word.add("x", level)
    assert word.lines() == ["x", "1%0% x", "x", "x"]


@pytest.mark.parametrize("start", [2**31 - 1, 10**4_000], ids=["32 bits", "4,000 digits"])
@pytest.mark.parametrize("kind", ["decimal", "lowerLetter", "lowerRoman", "cardinalText", "chicago", "0" * 5000])
def test_a_start_of_absurd_size_takes_no_room(word, kind, start):
    word.define(lvl(0, "%1.", kind, start=start))
    word.add("x", 0)
    assert len(word.lines()[0]) < 100


def test_numbers_without_values(word):
    word.define('<w:lvl w:ilvl="0"><w:start/><w:numFmt/><w:suff/><w:lvlRestart/><w:lvlText w:val="%1."/></w:lvl>')
    word.numbering.append(OxmlElement("w:num"))
    word.numbering.append(OxmlElement("w:abstractNum"))
    word.add("x", 0)
    assert word.lines() == ["0. x"]
