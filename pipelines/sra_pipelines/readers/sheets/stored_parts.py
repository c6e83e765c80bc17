"""What a workbook stores beside the values of its cells: merged cells, comments, formulas without a saved value."""

from __future__ import annotations

import dataclasses
import posixpath
import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import IO

from lxml import etree

from sra_pipelines.readers.notation.charts import chart_title

__all__ = ["Sheet", "has_raised_text", "sheets_of"]

_CHUNK = 1 << 20
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\b[^<>]*?\bref\s*=\s*[\"']([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})[\"']")
_FORMULA = rb"<(?:\w+:)?c\b([^<>]*)>\s*<(?:\w+:)?f\b(?:[^<>]*/>|[^<>]*>[^<]*</(?:\w+:)?f>)\s*"
_UNSAVED = re.compile(_FORMULA + rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v\s*>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>")
# XlsxWriter saves 0 for a formula that it does not compute, and asks Excel to compute all when the file is opened.
_ZERO = re.compile(_FORMULA + rb"<(?:\w+:)?v\s*>0</(?:\w+:)?v>\s*</(?:\w+:)?c>")
_ADDRESS = re.compile(rb"\br\s*=\s*[\"']([A-Z]{1,3})(\d{1,7})[\"']")
_TEXT_RESULT = re.compile(rb"\bt\s*=\s*[\"']str[\"']")  # the saved value is an empty text
_PLACE = re.compile(r"([A-Z]{1,3})(\d{1,7})")
_THREADED = re.compile(r"^\[Threaded comment\].*?Comment:\s*", re.DOTALL)  # a notice for old versions of Excel
_HIDDEN_ROW = re.compile(rb"<(?:\w+:)?row\b[^<>]*?\bhidden\s*=\s*[\"'](?:1|true)[\"']")
_HIDDEN_COLUMNS = re.compile(rb"<(?:\w+:)?col\b[^<>]*?\bhidden\s*=\s*[\"'](?:1|true)[\"'][^<>]*>")
_SPAN = re.compile(rb"\b(min|max)\s*=\s*[\"'](\d{1,5})[\"']")
_MOST_MERGED = 100_000
_LAST_ROW = 1_048_576
_LAST_COLUMN = 16_384
_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBERS = (b'0000000"', b"0000000'")  # as attributes, with each digit as a zero
_ROW_NUMBER = re.compile(rb"<(?:\w+:)?(?:row|c)\b[^<>]*?\br\s*=\s*[\"'][A-Z]{0,3}(\d{7,})[\"']")  # not in a text

Place = tuple[int, int]


@dataclasses.dataclass(slots=True)
class Sheet:
    """What is stored beside the values of a sheet, by one-based row and column.

    Parameters
    ----------
    merged
        For the first cell of each merged range, its number of rows and columns.
    unsaved
        Cells with a formula without a saved value.
    comments
        Comments by cell.
    boxes
        Paragraphs of the text boxes that are drawn on the sheet.
    charts
        Titles of its charts; empty for one without a title.
    pictures
        Number of pictures on it.
    hidden
        Number of hidden rows, and of hidden columns, which are read like others.
    has_raised_text
        Whether texts that are stored in the sheet itself have superscripts or subscripts.
    """

    merged: dict[Place, Place] = dataclasses.field(default_factory=dict)
    unsaved: set[Place] = dataclasses.field(default_factory=set)
    comments: dict[Place, str] = dataclasses.field(default_factory=dict)
    boxes: list[str] = dataclasses.field(default_factory=list)
    charts: list[str] = dataclasses.field(default_factory=list)
    pictures: int = 0
    hidden: tuple[int, int] = (0, 0)
    has_raised_text: bool = False


def sheets_of(archive: zipfile.ZipFile) -> dict[str, Sheet]:
    """Return what each worksheet of a workbook stores, by name of the sheet."""
    names = set(archive.namelist())
    workbook = _main_part(archive)
    targets = _targets(archive, workbook)
    sheets: dict[str, Sheet] = {}
    root = _parse(archive, workbook)
    computed_on_load = any(e.get("fullCalcOnLoad") in ("1", "true") for e in root.iter("{*}calcPr"))
    unsaved = (_UNSAVED, _ZERO) if computed_on_load else (_UNSAVED,)
    for element in root.iter("{*}sheet"):
        key = next((value for name, value in element.attrib.items() if name.endswith("}id")), "")
        part = targets.get(key, ("", ""))[1]
        if part in names:
            sheets[element.get("name", "")] = _sheet(archive, part, unsaved)
    return sheets


def has_raised_text(archive: zipfile.ZipFile) -> bool:
    """Return whether texts that the sheets of a workbook share have superscripts or subscripts."""
    parts = [part for part in archive.namelist() if part.lower().endswith("sharedstrings.xml")]
    return any(b"vertAlign" in archive.read(part) for part in parts)


def _sheet(archive: zipfile.ZipFile, part: str, unsaved: Sequence[re.Pattern[bytes]]) -> Sheet:
    sheet = Sheet()
    for text in _by_rows(archive.open(part)):
        if _has_long_number(text) and _has_row_beyond_last(text):
            raise ValueError(f"the number of a row in {part} is above {_LAST_ROW:,}, that of the last row of a sheet")
        for match in _MERGED.finditer(text) if b"mergeCell" in text else ():
            first, last = (int(match[2]), _column(match[1])), (int(match[4]), _column(match[3]))
            if len(sheet.merged) < _MOST_MERGED:
                sheet.merged[first] = (last[0] - first[0] + 1, last[1] - first[1] + 1)
        if b"hidden" in text:
            rows, columns = sheet.hidden
            columns += sum(_columns_of(match[0]) for match in _HIDDEN_COLUMNS.finditer(text))
            sheet.hidden = rows + len(_HIDDEN_ROW.findall(text)), columns
        sheet.has_raised_text = sheet.has_raised_text or b"vertAlign" in text
        if b"<f" not in text and b":f" not in text:
            continue
        for match in (found for pattern in unsaved for found in pattern.finditer(text)):
            address = _ADDRESS.search(match[1])
            if address is not None and not _TEXT_RESULT.search(match[1]):
                sheet.unsaved.add((int(address[2]), _column(address[1])))
    for kind, target in _targets(archive, part).values():
        if kind == "comments":  # a part that is missing raises: the directory of the archive is damaged
            sheet.comments |= dict(_comments(archive, target))
        elif kind == "drawing":
            drawing = _parse(archive, target)
            sheet.boxes += _boxes(drawing)
            sheet.pictures += sum(1 for _ in drawing.iter("{*}pic"))
            charts = [part for kind, part in _targets(archive, target).values() if kind == "chart"]
            sheet.charts += [chart_title(_parse(archive, part)) for part in charts]
    return sheet


def _columns_of(element: bytes) -> int:
    """Return the number of columns that an element describes; 0 for all those to the end of the sheet."""
    span = {name: int(number) for name, number in _SPAN.findall(element)}
    count = span.get(b"max", 1) - span.get(b"min", 1) + 1
    return count if span.get(b"max", 1) < _LAST_COLUMN else 0


def _has_long_number(text: bytes) -> bool:
    """Return whether an attribute may end with a number as long as that of the last row; only for speed."""
    zeros = text.translate(_AS_ZEROS)
    return any(number in zeros for number in _LONG_NUMBERS)


def _has_row_beyond_last(text: bytes) -> bool:
    """Return whether the number of a row is above that of the last: openpyxl would yield all empty rows before it."""
    return any(len(match[1]) > 7 or int(match[1]) > _LAST_ROW for match in _ROW_NUMBER.finditer(text))


def _by_rows(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the text of a part in pieces that end with a row."""
    rest = b""
    with file:
        while chunk := file.read(_CHUNK):
            text = rest + chunk
            end = text.rfind(b"row>") + 4
            if end > 4:
                yield text[:end]
            rest = text[end if end > 4 else 0 :]
    yield rest


def _comments(archive: zipfile.ZipFile, part: str) -> Iterator[tuple[Place, str]]:
    for comment in _parse(archive, part).iter("{*}comment"):
        place = _PLACE.fullmatch(comment.get("ref", ""))
        texts = [element.text or "" for element in comment.iter("{*}t")]
        text = " ".join(_THREADED.sub("", "".join(texts)).split())
        if place is not None and text:
            yield (int(place[2]), _column(place[1].encode())), text


def _boxes(drawing: etree._Element) -> Iterator[str]:
    for box in drawing.iter("{*}txBody"):
        for paragraph in box.iter("{*}p"):
            text = " ".join("".join(element.text or "" for element in paragraph.iter("{*}t")).split())
            if text:
                yield text


def _main_part(archive: zipfile.ZipFile) -> str:
    targets = _targets(archive, "").values()
    return next((part for kind, part in targets if kind == "officeDocument"), "xl/workbook.xml")


def _targets(archive: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """Return the kind and the part of each relationship of a part, by its id."""
    folder, name = posixpath.split(part)
    relationships = posixpath.join(folder, "_rels", f"{name}.rels")
    if relationships not in archive.namelist():
        return {}
    targets = {}
    for element in _parse(archive, relationships).iter("{*}Relationship"):
        target = posixpath.normpath(posixpath.join("/", folder, element.get("Target", ""))).lstrip("/")
        targets[element.get("Id", "")] = (element.get("Type", "").rpartition("/")[2], target)
    return targets


def _parse(archive: zipfile.ZipFile, part: str) -> etree._Element:
    with archive.open(part) as file:
        return etree.parse(file, etree.XMLParser(resolve_entities=False, no_network=True)).getroot()


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - ord("A") + 1
    return number
