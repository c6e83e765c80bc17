"""Automatic numbers of a Word file's paragraphs, which no text holds: ``2.1``, ``(a)``, ``Article IV``, ``Schedule 1``.

They are counted as ECMA-376, part 1, 17.9 has it and, where that is silent, as Word does: a level that is passed over
begins all the same, so that ``1.1`` may come first and ``2`` after it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from docx.oxml.ns import qn

from sra_pipelines.readers.word.lists import LEVELS, Lists, NumberedList
from sra_pipelines.readers.word.number_formats import format_number
from sra_pipelines.readers.word.xml_values import number_of, value_of

__all__ = ["BULLET", "Numbering"]

BULLET = "- "
_LEVEL = "w:numPr/w:ilvl"
_NO_LEVEL = -1  # which no list has
_DEEPEST = 32  # styles based on one another; Word stops far earlier
_PLACE = re.compile(r"%([1-9])")


@dataclasses.dataclass(frozen=True, slots=True)
class _Says:
    """What a paragraph (without a name) or a style says of its number.

    `list` is 0 where an inherited number is taken away, and None, as `level`, where nothing is said.
    """

    name: str
    based_on: str | None
    list: int | None
    level: int | None


class Numbering:
    """Counts paragraphs.

    Parameters
    ----------
    numbering
        Root of the part that holds the lists; None for a file without one.
    styles
        Root of the part that holds the styles.
    """

    def __init__(self, numbering: Any | None, styles: Any) -> None:
        self._styles: dict[str, _Says] = {}
        self._default: str | None = None
        for style in styles.iterchildren(qn("w:style")):
            name = style.get(qn("w:styleId"), "")
            self._styles[name] = _says(style.find(qn("w:pPr")), name, value_of(style, "w:basedOn"))
            if style.get(qn("w:type")) == "paragraph" and style.get(qn("w:default")) in ("1", "true", "on"):
                self._default = name
        of_styles = {name: says.list for name, says in self._styles.items() if says.list is not None}
        self._lists = Lists(numbering, of_styles)
        self._counts: dict[int, list[int | None]] = {}
        self._begun: set[tuple[int, int]] = set()

    def number(self, paragraph: Any) -> str:
        """Count a paragraph, the next of the document, and return what stands in front of its text.

        Returns
        -------
        number
            Such as ``"2.1 "``, with the space behind it; `BULLET` for any bullet; empty for a paragraph without number.
        """
        place = self._place(paragraph)
        if place is None:
            return ""
        of, index = place
        counts = self._count(of, index)
        level = of.levels[index]
        if level.kind == "bullet":
            return BULLET if level.text else ""
        text = _PLACE.sub(lambda found: _shown(int(found[1]) - 1, of, index, counts), level.text).lstrip()
        if level.hidden or not text:
            return ""
        return f"{text.rstrip()} " if level.separated else text

    def _place(self, paragraph: Any) -> tuple[NumberedList, int] | None:
        """Return list and level of a paragraph: what it says itself or else its style, or the one that is based on."""
        properties = paragraph.find(qn("w:pPr"))
        style = value_of(properties, "w:pStyle")
        said = [_says(properties), *self._styled(style if style in self._styles else self._default)]
        number = next((says.list for says in said if says.list is not None), 0)
        of = self._lists.get(number) if number else None
        if of is None:
            return None
        for says in said:
            linked = of.level_of(says.name) if says.name else None  # counts more than the level that the style says
            index = says.level if linked is None else linked
            if index is None and says.list is not None:
                index = 0
            if index is not None:
                return (of, index) if index in of.levels else None
        return None

    def _styled(self, style: str | None) -> Iterator[_Says]:
        for _ in range(_DEEPEST):
            if style not in self._styles:
                return
            yield self._styles[style]
            style = self._styles[style].based_on

    def _count(self, of: NumberedList, index: int) -> list[int | None]:
        """Count a paragraph on a level and return the numbers of all levels."""
        counts = self._counts.setdefault(of.definition, [None] * LEVELS)
        for upper in range(index):
            if counts[upper] is None:
                counts[upper] = self._begin(of, upper)
        count = counts[index]
        begins = count is None or (index in of.starts and (of.number, index) not in self._begun)
        counts[index] = self._begin(of, index) if begins or count is None else count + 1
        for lower in range(index + 1, LEVELS):
            restart = of.levels[lower].restart if lower in of.levels else None
            if restart is None or index < restart:
                counts[lower] = None
        return counts

    def _begin(self, of: NumberedList, index: int) -> int:
        self._begun.add((of.number, index))  # from now on the list counts on
        return of.start(index)


def _shown(index: int, of: NumberedList, own: int, counts: list[int | None]) -> str:
    """Return the number of a level as a paragraph on the level `own` shows it."""
    count = counts[index]
    if index not in of.levels or count is None:  # none has begun below the paragraph's own level
        return ""
    kind = of.levels[index].kind
    if of.levels[own].legal and kind not in ("none", "bullet", "decimalZero"):
        kind = "decimal"
    return format_number(count, kind)


def _says(properties: Any | None, name: str = "", based_on: str | None = None) -> _Says:
    level = number_of(properties, _LEVEL)
    if level is None and value_of(properties, _LEVEL) is not None:
        level = _NO_LEVEL
    return _Says(name, based_on, number_of(properties, "w:numPr/w:numId"), level)
