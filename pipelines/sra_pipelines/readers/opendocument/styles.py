"""What the styles of an OpenDocument file say about its text: page breaks, hidden text, superscripts, list numbers."""

from __future__ import annotations

import dataclasses
from typing import Any

__all__ = ["ListLevel", "Styles"]

_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_FO = "{urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0}"
_KINDS = {"1": "decimal", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman", "": "none"}
_DEEPEST = 32


@dataclasses.dataclass(frozen=True, slots=True)
class ListLevel:
    """How items on a level of a list are numbered.

    Parameters
    ----------
    kind
        Name of the number format, as in `format_number`; ``"bullet"`` for a sign.
    prefix, suffix
        Text before and after the number.
    shown
        Number of levels whose numbers are shown.
    start
        First number.
    """

    kind: str = "bullet"
    prefix: str = ""
    suffix: str = ""
    shown: int = 1
    start: int = 1


class Styles:
    """The styles of a file.

    Parameters
    ----------
    parts
        Roots of the parts with styles; None for one that does not exist.
    """

    def __init__(self, *parts: Any | None) -> None:
        self._styles: dict[str, Any] = {}
        self._lists: dict[str, dict[int, ListLevel]] = {}
        self.outline: dict[int, ListLevel] = {}
        for part in parts:
            if part is None:
                continue
            for style in part.iter(f"{_STYLE}style"):
                self._styles.setdefault(style.get(f"{_STYLE}name", ""), style)
            for style in part.iter(f"{_TEXT}list-style"):
                self._lists.setdefault(style.get(f"{_STYLE}name", ""), _levels(style))
            for style in part.iter(f"{_TEXT}outline-style"):
                self.outline = self.outline or _levels(style)

    def hides(self, name: str | None) -> bool:
        """Return whether a style hides a sheet or a text."""
        return self._property(name, "table-properties", f"{_TABLE}display") == "false" or (
            self._property(name, "text-properties", f"{_TEXT}display") == "none"
        )

    def breaks_before(self, name: str | None) -> bool:
        """Return whether a paragraph of a style starts a page."""
        return self._property(name, "paragraph-properties", f"{_FO}break-before") == "page"

    def script(self, name: str | None) -> str:
        """Return ``"super"``, ``"sub"`` or ``"struck"`` for raised, lowered or struck text, else an empty text."""
        if self._property(name, "text-properties", f"{_STYLE}text-line-through-style") not in (None, "none"):
            return "struck"
        position = (self._property(name, "text-properties", f"{_STYLE}text-position") or "").split(" ")[0]
        if position in ("super", "sub"):
            return position
        percent = position.removesuffix("%")
        if percent.lstrip("-").isdecimal() and int(percent):
            return "sub" if percent.startswith("-") else "super"
        return ""

    def level(self, name: str | None, depth: int) -> ListLevel:
        """Return how a list style numbers a level."""
        return self._lists.get(name or "", {}).get(depth, ListLevel())

    def _property(self, name: str | None, group: str, attribute: str) -> str | None:
        for _ in range(_DEEPEST):
            style = self._styles.get(name or "")
            if style is None:
                return None
            for properties in style.iterchildren(f"{_STYLE}{group}"):
                if properties.get(attribute) is not None:
                    return str(properties.get(attribute))
            name = style.get(f"{_STYLE}parent-style-name")
        return None


def _levels(style: Any) -> dict[int, ListLevel]:
    levels: dict[int, ListLevel] = {}
    for element in style:
        depth = _integer(element.get(f"{_TEXT}level"), 1)
        number = element.get(f"{_STYLE}num-format")
        if number is None or element.tag == f"{_TEXT}list-level-style-bullet":
            levels[depth] = ListLevel()
            continue
        levels[depth] = ListLevel(
            kind=_KINDS.get(number, "decimal"),
            prefix=element.get(f"{_STYLE}num-prefix", ""),
            suffix=element.get(f"{_STYLE}num-suffix", ""),
            shown=_integer(element.get(f"{_TEXT}display-levels"), 1),
            start=_integer(element.get(f"{_TEXT}start-value"), 1),
        )
    return levels


def _integer(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdecimal() and len(text) <= 9 else default
