"""Footnotes and endnotes of Word files, read where the text refers to them."""

import docx
import pytest
from docx.enum.text import WD_BREAK
from docx.opc.constants import CONTENT_TYPE, RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn
from sra_pipelines.checks.table_amounts import read_amounts
from sra_pipelines.readers import read_document
from sra_pipelines.reading.splitting import split_document


class Word:
    """A Word file in the making with notes; `texts` are its pages as the reader under test has them."""

    def __init__(self, path):
        self.path = path / "a.docx"
        self.document = docx.Document()
        self.notes = {"footnote": [], "endnote": []}

    def refer(self, paragraph, text, kind="footnote", *, identity=None, mark=None):
        """Refer to a note, which is made unless one of that identity is named."""
        if identity is None:
            identity = len(self.notes[kind]) + 1
            body = "".join(f"<w:p><w:r><w:t>{part}</w:t></w:r></w:p>" for part in text.split("\n"))
            self.notes[kind].append(f'<w:{kind} w:id="{identity}">{body}</w:{kind}>')
        attributes = {qn("w:id"): str(identity)} | ({qn("w:customMarkFollows"): "1"} if mark else {})
        run = paragraph.add_run()
        run._r.append(OxmlElement(f"w:{kind}Reference", attributes))
        if mark:
            run.add_text(mark)
        return paragraph

    def rule(self, where, kind="footnote", **rules):
        inner = "".join(f'<w:{name} w:val="{value}"/>' for name, value in rules.items())
        where.insert(0, parse_xml(f"<w:{kind}Pr {nsdecls('w')}>{inner}</w:{kind}Pr>"))

    def texts(self):
        for kind, notes in self.notes.items():
            if notes:
                line = f'<w:{kind} w:type="separator" w:id="0"><w:p><w:r><w:t>---</w:t></w:r></w:p></w:{kind}>'
                self.attach(kind, f"<w:{kind}s {nsdecls('w')}>{line}{''.join(notes)}</w:{kind}s>")
        self.document.save(self.path)
        return [page.text for page in read_document(self.path).pages]

    def attach(self, kind, xml):
        upper = f"{kind.upper()}S"
        name, content = PackURI(f"/word/{kind}s.xml"), getattr(CONTENT_TYPE, f"WML_{upper}")
        part = Part(name, content, xml.encode(), self.document.part.package)
        self.document.part.relate_to(part, getattr(RELATIONSHIP_TYPE, upper))


@pytest.fixture
def word(tmp_path):
    return Word(tmp_path)


def test_notes_stand_below_the_paragraph_that_refers_to_them(word):
    paragraph = word.document.add_paragraph("The price")
    word.refer(paragraph, "Net of tax.").add_run(" is 5 crowns")
    word.refer(paragraph, "Of Orrin.\nNot of Alba.").add_run(".")
    word.refer(word.document.add_paragraph("Paid monthly."), "See the annex.", "endnote")
    word.refer(word.document.add_paragraph("Or yearly."), "If agreed.")
    assert word.texts() == [
        "The price is 5 crowns.\nFootnote 1: Net of tax.\nFootnote 2: Of Orrin. Not of Alba.\n"
        "Paid monthly.\nEndnote i: See the annex.\nOr yearly.\nFootnote 3: If agreed."
    ]


def test_headings_and_passages_keep_their_place(word):
    word.refer(word.document.add_heading("Price", 1), "Net of tax.")
    word.refer(word.document.add_paragraph("Five crowns."), "Of Orrin.")
    word.document.add_heading("Term", 1)
    word.texts()
    document = read_document(word.path)
    (page,) = document.pages
    assert [h.text for h in page.headings] == ["Price", "Term"]
    for heading in page.headings:
        assert page.text[heading.start :].split("\n")[0] == heading.text
    for passage in split_document(document):
        assert page.text[passage.start : passage.end] == passage.text


def test_notes_stand_on_the_page_that_refers_to_them(word):
    paragraph = word.refer(word.document.add_paragraph("one"), "On the first.")
    paragraph.add_run().add_break(WD_BREAK.PAGE)
    word.refer(paragraph, "On the second.").add_run("two")
    assert word.texts() == ["one\nFootnote 1: On the first.", "two\nFootnote 2: On the second."]


def test_notes_of_a_table_leave_its_rows_together(word):
    table = word.document.add_table(rows=3, cols=3)
    rows = [("", "2023", "2022"), ("Rent", "82,400", "79,100"), ("Tax", "7,000", "6,000")]
    for row, cells in zip(table.rows, rows, strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    word.refer(table.cell(1, 0).paragraphs[0], "Of Orrin.")
    word.refer(table.cell(1, 1).paragraphs[0], "Restated.")
    word.refer(table.cell(2, 0).add_table(rows=1, cols=1).cell(0, 0).paragraphs[0], "In a table in a cell.")
    word.document.add_paragraph("After.")
    (text,) = word.texts()
    assert text.split("\n") == [
        "2023 | 2022", "Rent | 2023: 82,400 | 2022: 79,100", "Tax | 2023: 7,000 | 2022: 6,000",
        "Footnote 1: Of Orrin.", "Footnote 2: Restated.", "Footnote 3: In a table in a cell.", "After.",
    ]  # fmt: skip
    found = [(one.label, one.amount.text, one.period) for one in read_amounts(text)][:4]
    assert found == [
        ("Rent", "82,400", "2023"), ("Rent", "79,100", "2022"), ("Tax", "7,000", "2023"), ("Tax", "6,000", "2022")
    ]  # fmt: skip


def test_notes_of_a_table_over_two_pages(word):
    table = word.document.add_table(rows=2, cols=1)
    word.refer(table.cell(0, 0).paragraphs[0], "On the first.").add_run("one")
    second = table.cell(1, 0).paragraphs[0]
    second.add_run()._r.append(OxmlElement("w:lastRenderedPageBreak"))
    word.refer(second, "On the second.").add_run("two")
    assert word.texts() == ["one\nFootnote 1: On the first.", "two\nFootnote 2: On the second."]


# -- their numbers -----------------------------------------------------------------------------------------------------


def test_numbers_by_the_rules_of_the_document(word):
    word.rule(word.document.settings.element, numFmt="upperLetter", numStart=3)
    word.rule(word.document.settings.element, "endnote", numFmt="chicago")
    for text in ("one", "two"):
        word.refer(word.refer(word.document.add_paragraph(text), "foot"), "end", "endnote")
    assert word.texts() == ["one\nFootnote C: foot\nEndnote *: end\ntwo\nFootnote D: foot\nEndnote †: end"]


@pytest.mark.parametrize(
    ("restart", "numbers"), [("continuous", ["1", "2", "iii", "iv"]), ("eachSect", ["1", "2", "i", "ii"])]
)
def test_numbers_by_the_rules_of_sections(word, restart, numbers):
    for index in range(4):
        paragraph = word.refer(word.document.add_paragraph(), "note")
        if index == 1:  # it still belongs to the section that it ends
            end = OxmlElement("w:sectPr")
            word.rule(end, numRestart=restart)
            paragraph._p.get_or_add_pPr().append(end)
    word.rule(word.document.element.body.sectPr, numFmt="lowerRoman", numRestart=restart)
    assert word.texts() == ["\n".join(f"Footnote {number}: note" for number in numbers)]


def test_numbers_that_begin_anew_on_each_page(word):
    word.rule(word.document.settings.element, numRestart="eachPage")
    for _ in range(2):
        word.refer(word.refer(word.document.add_paragraph(), "a"), "b").add_run().add_break(WD_BREAK.PAGE)
    assert word.texts() == ["Footnote 1: a\nFootnote 2: b"] * 2


def test_a_mark_of_ones_own_is_not_counted(word):
    word.refer(word.document.add_paragraph("one"), "* By law.", mark="*")
    word.refer(word.document.add_paragraph("two"), "By contract.")
    assert word.texts() == ["one*\nFootnote: * By law.\ntwo\nFootnote 1: By contract."]


def test_a_deleted_reference_is_not_counted(word):
    deleted = word.refer(word.document.add_paragraph("one"), "gone")
    change = OxmlElement("w:del")
    change.append(deleted.runs[-1]._r)
    deleted._p.append(change)
    word.refer(word.document.add_paragraph("two"), "left")
    assert word.texts() == ["one\ntwo\nFootnote 1: left"]


# -- bad files ---------------------------------------------------------------------------------------------------------


def test_references_to_notes_that_are_not_there(word):
    paragraph = word.document.add_paragraph("one")
    for identity in (99, 0, "x"):  # 0 is the line above the notes
        word.refer(paragraph, "", identity=identity)
    word.refer(word.document.add_paragraph("two"), "", "endnote", identity=1)
    word.refer(word.document.add_paragraph("three"), "fourth")
    assert word.texts() == ["one\ntwo\nthree\nFootnote 4: fourth"]


def test_a_note_is_read_once_however_often_it_is_referred_to(word):
    paragraph = word.refer(word.document.add_paragraph("one"), "only")
    for _ in range(50):
        word.refer(paragraph, "", identity=1)
    word.refer(word.document.add_paragraph("two"), "next")
    assert word.texts() == ["one\nFootnote 1: only\ntwo\nFootnote 2: next"]


def test_a_note_that_refers_to_itself(word):
    word.refer(word.document.add_paragraph("one"), "")
    word.notes["footnote"] = [
        '<w:footnote w:id="1"><w:p><w:r><w:t>self</w:t><w:footnoteReference w:id="1"/></w:r></w:p></w:footnote>'
    ]
    assert word.texts() == ["one\nFootnote 1: self"]
