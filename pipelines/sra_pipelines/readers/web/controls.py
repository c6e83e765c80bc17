"""The values of form controls and the numbers of list items, as a browser shows them."""

from __future__ import annotations

from typing import Any

from sra_pipelines.readers.word.number_formats import format_number

__all__ = ["ListNumbers", "control_text"]

_NOT_SHOWN = {"hidden", "password", "submit", "button", "reset", "image", "file"}
_STYLES = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman", "1": "decimal"}
_WIDEST = 9  # digits


def control_text(element: Any) -> str:
    """Return the value of a form control, ``meter`` or ``progress`` element; empty if the page shows none."""
    if element.tag == "textarea":
        return str(element.text or "")
    if element.tag == "select":
        return ", ".join(_selected(element))
    if element.tag in ("meter", "progress"):
        return " ".join(element.xpath("string()").split()) or str(element.get("value") or "")
    kind = (element.get("type") or "text").lower()
    if kind in ("checkbox", "radio"):
        return "☒ (checked)" if element.get("checked") is not None else "☐ (not checked)"
    return "" if kind in _NOT_SHOWN else str(element.get("value") or "")


def _selected(element: Any) -> list[str]:
    options = [option for option in element.iter("option") if option.get("disabled") is None or _is_selected(option)]
    chosen = [option for option in options if _is_selected(option)]
    if element.get("multiple") is None:
        chosen = chosen[-1:] or options[:1]  # a browser shows the first one
    return [text for text in (" ".join((o.get("label") or o.xpath("string()")).split()) for o in chosen) if text]


def _is_selected(option: Any) -> bool:
    return option.get("selected") is not None


class ListNumbers:
    """Counts the items of one list.

    Parameters
    ----------
    element
        The ``ol``, ``ul`` or ``menu`` element.
    numbering
        How its style numbers the items, see `Style`.
    """

    def __init__(self, element: Any, numbering: str) -> None:
        self._ordered = element.tag == "ol"
        self._kind = _kind(element, numbering, "1" if self._ordered else "")
        self._step = 1
        self._next = _integer(element.get("start"), 1)
        if self._ordered and element.get("reversed") is not None:
            self._step = -1
            self._next = _integer(element.get("start"), sum(1 for _ in element.iterchildren("li")))

    def mark(self, item: Any, numbering: str) -> str:
        """Return the mark before an item, with the numbering that its own style states: ``3. ``, ``(a) ``, ``- ``."""
        kind = _kind(item, numbering, self._kind)
        if not kind or not self._ordered:
            return "- " if kind != "none" else ""
        number = _integer(item.get("value"), self._next)
        self._next = number + self._step
        if kind == "none":
            return ""
        text = format_number(number, _STYLES.get(kind, "decimal"))
        return f"({text}) " if text.isalpha() else f"{text}. "


def _kind(element: Any, stated: str, default: str) -> str:
    kind = stated or element.get("type") or ""
    return kind if kind in _STYLES or kind == "none" else default


def _integer(text: str | None, default: int) -> int:
    try:
        return int(text) if text and len(text) <= _WIDEST else default
    except ValueError:
        return default
