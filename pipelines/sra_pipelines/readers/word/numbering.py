"""Automatic numbers of paragraphs in a Word file: ``2.1``, ``(a)``, ``Article IV``, ``Schedule 1``.

They are counted as specified in ECMA-376, part 1, 17.9, and otherwise as in Word: a skipped level is started, so that
``1.1`` may come first, followed by ``2``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from docx.oxml.ns import qn

from sra_pipelines.readers.word.lists import LEVELS, Lists, NumberedList
from sra_pipelines.readers.word.number_formats import format_number
from sra_pipelines.readers.word.xml_values import number_of, value_of

__all__ = ["BULLET", "Numbering"]

BULLET = "- "
_PPR, _LEVEL = qn("w:pPr"), "w:numPr/w:ilvl"
_NO_LEVEL = -1  # a level that no list has
_DEEPEST = 32  # maximum depth of styles based on other styles; Word has a lower limit
_PLACE = re.compile(r"%([1-9])")


@dataclasses.dataclass(frozen=True, slots=True)
class _Properties:
    """Numbering properties of a paragraph (without a name) or of a style.

    `list` is 0 if an inherited number is removed. `list` and `level` are None if they are not set.
    """

    name: str
    based_on: str | None
    list: int | None
    level: int | None


_NUMPR, _UNSTATED = qn("w:numPr"), _Properties("", None, None, None)


class Numbering:
    """Counts numbered paragraphs.

    Parameters
    ----------
    numbering
        Root of the numbering part; None for a file without one.
    styles
        Root of the styles part.
    """

    def __init__(self, numbering: Any | None, styles: Any) -> None:
        self._styles: dict[str, _Properties] = {}
        self._default: str | None = None
        for style in styles.iterchildren(qn("w:style")):
            name = style.get(qn("w:styleId"), "")
            self._styles[name] = _numbering_properties(style.find(qn("w:pPr")), name, value_of(style, "w:basedOn"))
            if style.get(qn("w:type")) == "paragraph" and style.get(qn("w:default")) in ("1", "true", "on"):
                self._default = name
        of_styles = {name: own.list for name, own in self._styles.items() if own.list is not None}
        self._lists = Lists(numbering, of_styles)
        self._place_of = cache(self._place_by)  # most paragraphs have one of a few styles and no properties
        self._counts: dict[int, list[int | None]] = {}
        self._begun: set[tuple[int, int]] = set()

    def number(self, paragraph: Any) -> str:
        """Count the next paragraph of the document, and return its number.

        Returns
        -------
        number
            The number with a trailing space, such as ``"2.1 "``; `BULLET` for any bullet; empty for a paragraph without
            number.
        """
        place = self._place(paragraph)
        if place is None:
            return ""
        of, index = place
        counts = self._count(of, index)
        level = of.levels[index]
        if level.kind == "bullet":
            return BULLET if level.text else ""
        text = _PLACE.sub(lambda match: _shown(int(match[1]) - 1, of, index, counts), level.text).lstrip()
        if level.hidden or not text:
            return ""
        return f"{text.rstrip()} " if level.separated else text

    def _place(self, paragraph: Any) -> tuple[NumberedList, int] | None:
        """Return list and level of a paragraph, from its own properties, its style, or the styles it is based on."""
        properties = next(paragraph.iterchildren(_PPR), None)
        style = value_of(properties, "w:pStyle")
        own = _numbering_properties(properties)
        return self._place_of(own, style if style in self._styles else self._default)

    def _place_by(self, stated: _Properties, style: str | None) -> tuple[NumberedList, int] | None:
        """Return list and level of a paragraph from its own properties and its style."""
        inherited = [stated, *self._styled(style)]
        number = next((own.list for own in inherited if own.list is not None), 0)
        of = self._lists.get(number) if number else None
        if of is None:
            return None
        for own in inherited:
            linked = of.level_of(own.name) if own.name else None  # takes precedence over the level of the style
            index = own.level if linked is None else linked
            if index is None and own.list is not None:
                index = 0
            if index is not None:
                return (of, index) if index in of.levels else None
        return None

    def _styled(self, style: str | None) -> Iterator[_Properties]:
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
        self._begun.add((of.number, index))  # from now on, the list continues
        return of.start(index)


def _shown(index: int, of: NumberedList, own: int, counts: list[int | None]) -> str:
    """Return the number of a level in the number of a paragraph on level `own`."""
    count = counts[index]
    if index not in of.levels or count is None:  # a level below that of the paragraph has not started
        return ""
    kind = of.levels[index].kind
    if of.levels[own].legal and kind not in ("none", "bullet", "decimalZero"):
        kind = "decimal"
    return format_number(count, kind)


def _numbering_properties(properties: Any | None, name: str = "", based_on: str | None = None) -> _Properties:
    if properties is not None and not name and next(properties.iterchildren(_NUMPR), None) is None:
        return _UNSTATED
    level = number_of(properties, _LEVEL)
    if level is None and value_of(properties, _LEVEL) is not None:
        level = _NO_LEVEL
    return _Properties(name, based_on, number_of(properties, "w:numPr/w:numId"), level)
