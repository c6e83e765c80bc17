"""The lists of a Word file: their levels, and the format of the numbers on each level.

See ECMA-376, part 1, 17.9: a list (``w:num``) takes its levels from a definition (``w:abstractNum``), which may take
them from the list of a style, and may override some. Invalid lists of damaged or manipulated files are ignored.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from docx.oxml.ns import qn

from sra_pipelines.readers.word.xml_values import integer, is_on, number_of, value_of

__all__ = ["LEVELS", "Level", "Lists", "NumberedList"]

LEVELS = 9
_MOST_LINKS = 8
_LONGEST = 255  # characters of the text of a level; Word accepts 31


@dataclasses.dataclass(frozen=True, slots=True)
class Level:
    """How paragraphs on one level are numbered.

    Parameters
    ----------
    start
        First number.
    kind
        Format of the number, see `format_number`.
    text
        Template of the number, with ``%1`` for the number of the first level.
    separated
        Whether there is a space between number and text.
    restart
        One-based level: a paragraph on this level or a higher one restarts the numbering; 0 for never, None for any
        higher level.
    legal
        Whether the numbers of all levels are shown in decimal.
    hidden
        Whether the number is not shown.
    style
        The style whose paragraphs are on this level.
    """

    start: int
    kind: str
    text: str
    separated: bool
    restart: int | None
    legal: bool
    hidden: bool
    style: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class NumberedList:
    """A list with its levels.

    Parameters
    ----------
    number, definition
        Ids of the list and of its definition; lists with the same definition share their counters.
    levels
        Levels by zero-based index.
    starts
        First numbers that override the shared counters, by level.
    """

    number: int
    definition: int
    levels: Mapping[int, Level]
    starts: Mapping[int, int]

    def start(self, index: int) -> int:
        """Return the first number of a level."""
        return self.starts.get(index, self.levels[index].start if index in self.levels else 1)

    def level_of(self, style: str) -> int | None:
        """Return the level that is linked to a style."""
        return next((index for index, level in sorted(self.levels.items()) if level.style == style), None)


class Lists:
    """The lists of a file by their number.

    Parameters
    ----------
    numbering
        Root of the numbering part; None for a file without one.
    of_styles
        Number of the list of each style.
    """

    def __init__(self, numbering: Any | None, of_styles: Mapping[str, int]) -> None:
        self._definitions = _by_number(numbering, "w:abstractNum", "w:abstractNumId")
        self._nums = _by_number(numbering, "w:num", "w:numId")
        self._of_styles = of_styles
        # Cached, so that a manipulated file with many lists and one large definition is not slow.
        self._levels, self._changes, self._make = cache(_levels), cache(_changes), cache(self._read)

    def get(self, number: int) -> NumberedList | None:
        """Return a list; None if the file has none of this number."""
        return self._make(number)

    def _read(self, number: int) -> NumberedList | None:
        levels: dict[int, Level] = {}
        starts: dict[int, int] = {}
        num = self._nums.get(number)
        for _ in range(_MOST_LINKS):
            definition = number_of(num, "w:abstractNumId")
            abstract = None if definition is None else self._definitions.get(definition)
            if num is None or definition is None or abstract is None:
                return None
            changed, begun = self._changes(num)
            levels, starts = changed | levels, begun | starts
            linked = self._of_styles.get(value_of(abstract, "w:numStyleLink") or "")
            if linked is None:
                return NumberedList(number, definition, self._levels(abstract) | levels, starts)
            num = self._nums.get(linked)
        return None


def _changes(num: Any) -> tuple[dict[int, Level], dict[int, int]]:
    """Return the levels that a list overrides, and the first numbers that it overrides."""
    levels: dict[int, Level] = {}
    starts: dict[int, int] = {}
    for override in num.iterchildren(qn("w:lvlOverride")):
        levels.update(_levels(override))
        index, start = _index(override), number_of(override, "w:startOverride")
        if index is not None and start is not None:
            starts[index] = start
    return levels, starts


def _levels(parent: Any) -> dict[int, Level]:
    """Return the levels in a definition, or in an override of a list."""
    levels = {}
    for element in parent.iterchildren(qn("w:lvl")):
        index = _index(element)
        if index is not None:
            levels[index] = _level(element)
    return levels


def _index(element: Any) -> int | None:
    index = integer(element.get(qn("w:ilvl")))
    return index if index in range(LEVELS) else None


def _level(element: Any) -> Level:
    text = re.sub(r"\s", " ", value_of(element, "w:lvlText") or "")
    return Level(
        start=number_of(element, "w:start") or 0,
        kind=_kind(element),
        text=text if len(text) <= _LONGEST else "",
        separated=value_of(element, "w:suff") != "nothing",
        restart=number_of(element, "w:lvlRestart"),
        legal=is_on(element, "w:isLgl"),
        hidden=is_on(element, "w:rPr/w:vanish"),
        style=value_of(element, "w:pStyle"),
    )


def _kind(element: Any) -> str:
    form = element.find(f".//{qn('w:numFmt')}")  # a custom format is nested in alternate content
    if form is None:
        return "decimal"
    kind = form.get(qn("w:val"), "decimal")
    return kind if kind != "custom" else form.get(qn("w:format"), "").split(",")[0].strip()


def _by_number(parent: Any | None, tag: str, attribute: str) -> dict[int, Any]:
    children = () if parent is None else parent.iterchildren(qn(tag))
    numbered = ((integer(element.get(qn(attribute))), element) for element in children)
    return {number: element for number, element in numbered if number is not None}
