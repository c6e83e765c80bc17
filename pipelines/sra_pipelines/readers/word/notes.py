"""Footnotes, endnotes and comments of a Word file, as lines such as ``Footnote 3: Net of tax``.

The reference mark is removed from the text, where its number could be mistaken for an amount or a part of a word.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from docx.oxml.ns import qn

from sra_pipelines.readers.word.number_formats import format_number
from sra_pipelines.readers.word.runs import Runs
from sra_pipelines.readers.word.xml_values import (
    NOTE_MARK,
    REFERENCES,
    integer,
    is_page_break,
    is_passed_over,
    value_of,
)

__all__ = ["Notes"]

_PARAGRAPH, _SECTION = qn("w:p"), qn("w:sectPr")
_COUNTED = (*REFERENCES, qn("w:br"), qn("w:lastRenderedPageBreak"))
_FORMATS = {"footnote": "decimal", "endnote": "lowerRoman"}
_ORDINARY = (None, "normal")  # types of notes; other types are separator lines
_NO = (None, "0", "false", "off")


class Notes:
    """The notes of a file and their numbers.

    Parameters
    ----------
    body
        Body of the document; notes are numbered in the order of their references, by the rules of the sections.
    parts
        Roots of the parts that contain the notes, by ``"footnote"``, ``"endnote"`` and ``"comment"``.
    settings
        Root of the settings part, with the rules for all sections.
    runs
        Reads the text of the notes.
    """

    def __init__(self, body: Any, parts: dict[str, Any], settings: Any, runs: Runs) -> None:
        self._texts = {
            (kind, note.get(qn("w:id"))): _text(note, runs)
            for kind, part in parts.items()
            for note in part.iterchildren(qn(f"w:{kind}"))
            if note.get(qn("w:type")) in _ORDINARY
        }
        self._settings = settings
        self._names: dict[tuple[str, str], str] = {}
        self._counts: Counter[str] = Counter()
        if self._texts:
            self._number(body)

    def take(self, text: str) -> tuple[str, list[str]]:
        """Return a text without its note marks, and the notes that the marks refer to, one line each.

        Each note is returned only once, even if a manipulated file refers to it several times.
        """
        lines = []
        for kind, identity in NOTE_MARK.findall(text):
            note = self._texts.pop((kind, identity), "")
            if note:
                lines.append(f"{self._names.get((kind, identity), kind.capitalize())}: {note}")
        return NOTE_MARK.sub("", text), lines

    def _number(self, body: Any) -> None:
        section: list[Any] = []
        for paragraph in body.iter(_PARAGRAPH):
            counted = paragraph.iter(*_COUNTED)
            section += (element for element in counted if not any(map(is_passed_over, element.iterancestors())))
            rules = paragraph.find(f"{qn('w:pPr')}/{_SECTION}")
            if rules is not None:
                self._number_section(section, rules)
                section.clear()
        self._number_section(section, body.find(_SECTION))

    def _number_section(self, elements: list[Any], rules: Any | None) -> None:
        self._restart("eachSect", rules)
        for element in elements:
            if is_page_break(element):
                self._restart("eachPage", rules)
            elif REFERENCES.get(element.tag) in _FORMATS and element.get(qn("w:customMarkFollows")) in _NO:
                kind, identity = REFERENCES[element.tag], element.get(qn("w:id"))
                if (kind, identity) not in self._names:
                    start = integer(self._rule(kind, "w:numStart", rules))
                    number = self._counts[kind] + (1 if start is None else start)
                    form = self._rule(kind, "w:numFmt", rules) or _FORMATS[kind]
                    self._names[kind, identity] = f"{kind.capitalize()} {format_number(number, form)}"
                    self._counts[kind] += 1

    def _restart(self, when: str, rules: Any | None) -> None:
        for kind in _FORMATS:
            if self._rule(kind, "w:numRestart", rules) == when:
                self._counts[kind] = 0

    def _rule(self, kind: str, name: str, rules: Any | None) -> str | None:
        path = f"w:{kind}Pr/{name}"
        return value_of(rules, path) or value_of(self._settings, path)


def _text(note: Any, runs: Runs) -> str:
    return " ".join(" ".join(NOTE_MARK.sub("", runs.text(paragraph)) for paragraph in note.iter(_PARAGRAPH)).split())
