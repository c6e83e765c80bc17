"""The lists that a Word file defines: which levels each has, and what numbers look like there.

After ECMA-376, part 1, 17.9: a list (``w:num``) takes its levels from a definition (``w:abstractNum``), which may take
them from the list of a style, and changes some. What a damaged or forged file leaves in doubt is no list.
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
_LONGEST = 255  # characters of a level's text; Word takes 31


@dataclasses.dataclass(frozen=True, slots=True)
class Level:
    """How paragraphs on one level are numbered.

    Parameters
    ----------
    start
        Where they begin.
    kind
        The format of their number, as `format_number` takes it.
    text
        What is shown, with ``%1`` for the number of the first level.
    separated
        Whether anything stands between number and text.
    restart
        One-based level at which, or above which, a paragraph makes this level begin again; 0 for none at all. None for
        any level above.
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
        The list's own, and that of its definition: lists of one definition count together.
    levels
        Zero-based.
    starts
        Numbers that its levels begin with, though lists of the same definition have counted on.
    """

    number: int
    definition: int
    levels: Mapping[int, Level]
    starts: Mapping[int, int]

    def start(self, index: int) -> int:
        """Return what a level begins with."""
        return self.starts.get(index, self.levels[index].start if index in self.levels else 1)

    def level_of(self, style: str) -> int | None:
        """Return the level that is linked to a style."""
        return next((index for index, level in sorted(self.levels.items()) if level.style == style), None)


class Lists:
    """The lists of a file by their number.

    Parameters
    ----------
    numbering
        Root of the part that holds them; None for a file without one.
    of_styles
        Number of the list that a style has, by the style.
    """

    def __init__(self, numbering: Any | None, of_styles: Mapping[str, int]) -> None:
        self._definitions = _by_number(numbering, "w:abstractNum", "w:abstractNumId")
        self._nums = _by_number(numbering, "w:num", "w:numId")
        self._of_styles = of_styles
        # Each element is read once, or a forged file of many lists with one large definition would take for ever.
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
    """Return the levels that a list changes, and what it makes levels begin with."""
    levels: dict[int, Level] = {}
    starts: dict[int, int] = {}
    for override in num.iterchildren(qn("w:lvlOverride")):
        levels.update(_levels(override))
        index, start = _index(override), number_of(override, "w:startOverride")
        if index is not None and start is not None:
            starts[index] = start
    return levels, starts


def _levels(parent: Any) -> dict[int, Level]:
    """Return the levels that stand in a definition, or in what a list changes."""
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
    form = element.find(f".//{qn('w:numFmt')}")  # a custom one stands in a choice of renderings
    if form is None:
        return "decimal"
    kind = form.get(qn("w:val"), "decimal")
    return kind if kind != "custom" else form.get(qn("w:format"), "").split(",")[0].strip()


def _by_number(parent: Any | None, tag: str, attribute: str) -> dict[int, Any]:
    children = () if parent is None else parent.iterchildren(qn(tag))
    found = ((integer(element.get(qn(attribute))), element) for element in children)
    return {number: element for number, element in found if number is not None}
