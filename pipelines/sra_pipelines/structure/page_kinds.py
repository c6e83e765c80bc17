"""The kinds of the pages of a document: statements, cover page, notes, items of a filing, clauses, titled tables."""

from __future__ import annotations

import dataclasses
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from sra_pipelines.structure.financial_statements import find_statements
from sra_pipelines.structure.page_lines import Line, page_lines
from sra_pipelines.structure.statement_rows import STATEMENTS

__all__ = ["DOCUMENT_TYPES", "KINDS", "TITLED", "PageKind", "document_types", "find_page_kinds"]

TITLED = ("note", "item", "clause", "table")
DOCUMENT_TYPES = ("filing", "contract")
KINDS = (*STATEMENTS, "cover_page", *TITLED)

_NOTE = re.compile(
    r"(?:notes?)\s+\(?(?P<number>\d{1,2}[A-Z]?)\)?(?:\s*[-.:)\u2013\u2014]+\s*|\s+)(?P<title>(?-i:[A-Z])[^.;]{2,150})\.?",
    re.I,
)
_UPPER, _LETTERS = "A-Z\u00c0-\u00d6\u00d8-\u00de", "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff"
_NUMBERED_NOTE = re.compile(
    rf"\(?(?P<number>\d{{1,2}})[.)]\)?\s+(?P<title>[{_UPPER}][{_LETTERS},&'\u2019 /()-]{{3,80}})"
)
_ITEM = re.compile(
    r"items?\s+(?P<number>\d{1,2}(?:\.\d\d|[A-C])?)\s*[\s.:\u2013\u2014-]+(?P<title>(?-i:[A-Z])[^;]{2,150}?)\.?", re.I
)
_CLAUSE = re.compile(
    r"(?:(?:article|section|clause|schedule|§|artikel|ziffer)\s*)?(?P<number>\d{1,2}(?:\.\d{1,2}){0,2}|[IVX]{1,6})"
    rf"(?:[.:)]\s*|\s+|\s*[-\u2013\u2014]\s*)(?P<title>(?-i:[{_UPPER}])[{_LETTERS},&'\u2019;/ -]{{3,80}}?)\.?",
    re.I,
)
_CONTENTS_LINE = re.compile(r"(?:\s|\.{2,}|…)\s*\d{1,3}\s*$")
_NOTES_PAGE = re.compile(
    r"notes to (?:the )?(?:condensed |consolidated |unaudited |interim |financial )+"
    r"|anhang zum (?:konzern|jahres)abschluss|(?:annexes?|notes) aux (?:comptes|états)",
    re.I,
)
_COVER = (
    re.compile(r"securities and exchange commission", re.I),
    re.compile(r"section 1[23] ?(?:\(b\)|or)|exact name of registrant|commission file n", re.I),
    re.compile(r"form\s+(?:10-?[kq]|8-?k|20-?f|6-?k|40-?f)", re.I),
    re.compile(r"state or other jurisdiction|employer identification|telephone number", re.I),
)
_COVER_PAGES = 3  # pages from the start that can be a cover page
_COVER_MARKS = 3
_LEAST_CLAUSES = 5  # numbered clauses that make a document a contract
_CONTRACT = re.compile(
    r"this (?:[a-z]+ )?(?:agreement|contract|lease|deed)\b|hereinafter|\bparties\b|\bhereby\b"
    r"|vertragspart(?:eien|ner)|nachfolgend|(?:miet|kauf|liefer|dienst|arbeits|werk|rahmen)vertrag\b"
    r"|ci-après|présent (?:contrat|bail|accord)|les soussigné",
    re.I,
)
_TABLE_ROWS = 3
_TITLE_LINES = 3
_COLUMNS = re.compile(r"\d{4}|in (?:millions|thousands)|(?:months|weeks|years?) ended", re.I)
_START = re.compile(
    r"(?:items?|notes?|article|section|clause|schedule|artikel|ziffer|§)\s|\(?\d{1,2}[.)\s]|[IVX]{1,6}[.:)\s]", re.I
)
_LEAST_CONTENTS = 4  # more lines "Item ... page" make a table of contents
_LEAST_HEADING, _LONGEST_HEADING, _LONGEST_CLAUSE = 6, 170, 9  # characters, characters, words


@dataclasses.dataclass(frozen=True, slots=True)
class PageKind:
    """What a page is, or contains.

    Parameters
    ----------
    page_index
        Zero-based position of the page.
    kind
        One of `KINDS`.
    number
        Number of the note, item or clause; empty for other kinds.
    title
        Title of the statement, note, item, clause or table; empty if it has none.
    """

    page_index: int
    kind: str
    number: str = ""
    title: str = ""


def find_page_kinds(pages: Mapping[int, str]) -> list[PageKind]:
    """Return the kinds of the pages of a document.

    The statements come first, the main page of each kind before others. A page can have several kinds, and a note or an
    item continues on the pages that follow until the next one.

    Parameters
    ----------
    pages
        Text of the pages by their index, with one line for each table row.
    """
    lines = {index: page_lines(text) for index, text in pages.items()}
    kinds = [PageKind(page.page_index, page.kind, "", page.title) for page in find_statements(lines)]
    statements = {kind.page_index for kind in kinds}
    kinds += [PageKind(index, "cover_page") for index in sorted(pages)[:_COVER_PAGES] if _is_cover(pages[index])]
    kinds += _sections(lines, statements)
    for index, page in lines.items():
        kinds += [PageKind(index, "table", "", title) for title in _table_titles(page)]
    return kinds


def document_types(pages: Mapping[int, str], kinds: list[PageKind]) -> frozenset[str]:
    """Return ``"filing"`` for a document with statements or the cover page of a filing, ``"contract"`` for clauses."""
    types = set()
    names = {kind.kind for kind in kinds}
    if names & {"income_statement", "balance_sheet", "cash_flow_statement", "cover_page"}:
        types.add("filing")
    elif sum(kind.kind == "clause" for kind in kinds) >= _LEAST_CLAUSES and any(map(_CONTRACT.search, pages.values())):
        types.add("contract")
    return frozenset(types)


def _is_cover(text: str) -> bool:
    return sum(bool(mark.search(text)) for mark in _COVER) >= _COVER_MARKS


def _sections(pages: Mapping[int, Sequence[Line]], statements: set[int]) -> Iterator[PageKind]:
    """Yield notes, items and clauses, each for every page on which it is."""
    current: dict[str, tuple[str, str]] = {}
    numbered = not any(_NOTE.fullmatch(line.text) for lines in pages.values() for line in lines)
    in_notes = False
    for index in sorted(pages):
        lines = pages[index]
        here: list[PageKind] = []
        before = {} if index in statements else dict(current)
        in_notes = index not in statements and (in_notes or any(map(_NOTES_PAGE.search, (x.text for x in lines[:5]))))
        for line in lines if not _is_contents(lines) else ():
            heading = _heading(line, int(current.get("note", ("0", ""))[0]) + 1 if in_notes and numbered else 0)
            if heading is not None:
                kind, number, title = heading
                here.append(PageKind(index, kind, number, title))
                if kind == "item":
                    current.pop("note", None)
                    in_notes = False
                if kind != "clause":
                    current[kind] = number, title
        yield from (PageKind(index, kind, *named) for kind, named in before.items())
        yield from here


def _is_contents(lines: Sequence[Line]) -> bool:
    return sum(line.label.startswith("item") for line in lines) > _LEAST_CONTENTS


def _heading(line: Line, next_note: int) -> tuple[str, str, str] | None:
    """Return kind, number and title of a heading; `next_note` is the number that a note without "Note" must have."""
    text = line.text
    if not _LEAST_HEADING <= len(text) <= _LONGEST_HEADING or line.label or not _START.match(text):
        return None
    for kind, pattern in (("item", _ITEM), ("note", _NOTE)):
        match = pattern.fullmatch(text)
        if match is not None:
            number = match["number"].upper()
            return kind, number if kind == "item" else number.strip("ABCDEFGH"), " ".join(match["title"].split())
    if next_note:
        match = _NUMBERED_NOTE.fullmatch(text)
        if match is not None and int(match["number"]) == next_note:
            return "note", match["number"], " ".join(match["title"].split())
        return None
    match = _CLAUSE.fullmatch(text)
    if match is None or len(match["title"].split()) > _LONGEST_CLAUSE:
        return None
    return "clause", match["number"], " ".join(match["title"].split())


def _table_titles(lines: Sequence[Line]) -> Iterator[str]:
    """Yield the title of each table: the last lines before its rows, without those that name periods."""
    above: deque[str] = deque(maxlen=_TITLE_LINES)
    rows = 0
    for line in lines:
        if line.label:
            rows += 1
            if rows == _TABLE_ROWS and above:
                yield " ".join(above)[:_LONGEST_HEADING]
        elif not _COLUMNS.search(line.text) and any(character.isalpha() for character in line.text):
            if rows:
                above.clear()
            rows = 0
            above.append(line.text)
