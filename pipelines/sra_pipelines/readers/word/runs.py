"""The text of runs in a Word file as Word shows it: symbols, equations, form boxes, superscripts, no hidden text."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from docx.oxml.ns import qn

from sra_pipelines.readers.notation.equations import equation_text
from sra_pipelines.readers.notation.superscripts import lowered, raised, struck
from sra_pipelines.readers.word.symbols import is_symbol_font, symbol
from sra_pipelines.readers.word.xml_values import (
    BREAK,
    REFERENCES,
    is_on,
    is_page_break,
    is_passed_over,
    number_of,
    value_of,
)

__all__ = ["TEXT_BOX", "Runs", "text_boxes"]

TEXT_BOX = qn("w:txbxContent")
_WORD_ART = "{urn:schemas-microsoft-com:vml}textpath"
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_R, _RPR, _T, _TAB, _BR, _CR, _HYPHEN, _SYM, _FIELD = (
    qn(f"w:{name}") for name in ("r", "rPr", "t", "tab", "br", "cr", "noBreakHyphen", "sym", "fldChar")
)
_RUBY, _PPR, _FONTS = qn("w:ruby"), qn("w:pPr"), ("w:ascii", "w:hAnsi", "w:cs")
# What `_Look` depends on.
_LOOKS = {qn(f"w:{name}") for name in ("vanish", "rFonts", "vertAlign", "rStyle", "position", "strike", "dstrike")}
_DEEPEST = 32  # styles based on other styles; Word has a lower limit
_LEAST_RISE = 4  # half-points; less is for the look of a line
_SOFT_HYPHEN = "\u00ad"


@dataclasses.dataclass(frozen=True, slots=True)
class _Look:
    """How text is shown; None if the properties do not state it."""

    hidden: bool | None = None
    script: str | None = None
    font: str | None = None

    def over(self, other: _Look) -> _Look:
        """Return these properties, completed by others."""
        return _Look(
            other.hidden if self.hidden is None else self.hidden,
            other.script if self.script is None else self.script,
            other.font if self.font is None else self.font,
        )


_PLAIN = _Look()


class Runs:
    """Reads the text of paragraphs and other elements with runs.

    Parameters
    ----------
    styles
        Root of the styles part.
    """

    def __init__(self, styles: Any) -> None:
        self._styles = {style.get(qn("w:styleId"), ""): style for style in styles.iterchildren(qn("w:style"))}
        self._looks: dict[str, _Look] = {}

    def text(self, element: Any) -> str:
        """Return the text of an element, without that of text boxes in it; see `text_boxes`."""
        base = self._base(element)
        parts: list[str] = []
        script = "baseline"
        pending: list[str] = []
        for text, kind in [*self._pieces(element, base), ("", "baseline")]:
            if kind != script or not text:
                _append(parts, "".join(pending), script)
                pending, script = [], kind
            pending.append(text)
        _append(parts, "".join(pending), script)
        return "".join(parts)

    def is_hidden(self, paragraph: Any) -> bool:
        """Return whether the end of a paragraph is hidden; Word shows and numbers no line if its text is hidden too."""
        properties = paragraph.find(_PPR)
        mark = None if properties is None else properties.find(_RPR)
        look = _look(mark).over(self._base(paragraph)) if mark is not None else self._base(paragraph)
        return bool(look.hidden)

    def _base(self, element: Any) -> _Look:
        properties = next(element.iterchildren(_PPR), None)
        return _PLAIN if properties is None else self._styled(value_of(properties, "w:pStyle"))

    def _pieces(self, element: Any, look: _Look) -> Iterator[tuple[str, str]]:
        for child in element.iterchildren():
            if child.tag == _R:
                own = self._run_look(child, look)
                if not own.hidden:
                    yield from self._run(child, own)
            elif is_passed_over(child) or child.tag == TEXT_BOX:
                continue
            elif child.tag == f"{_MATH}oMath":
                yield equation_text(child), "baseline"
            elif child.tag == _WORD_ART:
                yield f" {child.get('string', '')} ", "baseline"
            else:
                yield from self._pieces(child, look)

    def _run_look(self, run: Any, base: _Look) -> _Look:
        properties = next(run.iterchildren(_RPR), None)
        for child in () if properties is None else properties:
            if child.tag in _LOOKS:
                break
        else:
            return base
        return _look(properties).over(self._styled(value_of(properties, "w:rStyle"))).over(base)

    def _run(self, run: Any, look: _Look) -> Iterator[tuple[str, str]]:
        """Yield the parts of a run with their vertical position."""
        script = look.script or "baseline"
        if script != "baseline" and next(run.iterchildren(*REFERENCES), None) is not None:
            script = "baseline"
        for child in run.iterchildren():
            tag = child.tag
            if tag == _T:
                yield _shown(child.text or "", look.font), script
            elif tag == _RPR:
                continue
            elif is_page_break(child):
                yield BREAK, "baseline"
            elif tag in REFERENCES:
                yield f"\x02{REFERENCES[tag]} {child.get(qn('w:id'))}\x03", "baseline"
            elif tag == _SYM:
                code = _hexadecimal(child.get(qn("w:char")))
                yield "" if code is None else symbol(child.get(qn("w:font")), code), script
            elif tag == _FIELD:
                yield _form_value(child), "baseline"
            elif tag in _FIXED:
                yield _FIXED[tag], script
            elif tag == _RUBY:
                yield from self._ruby(child, look)
            elif not is_passed_over(child) and tag != TEXT_BOX:
                yield from self._pieces(child, look)

    def _ruby(self, ruby: Any, look: _Look) -> Iterator[tuple[str, str]]:
        """Yield a word, and its pronunciation in brackets."""
        for tag in ("w:rubyBase", "w:rt"):
            text = "".join(text for part in ruby.iterchildren(qn(tag)) for text, _ in self._pieces(part, look))
            yield f"({text})" if tag == "w:rt" and text else text, "baseline"

    def _styled(self, name: str | None) -> _Look:
        look = _Look()
        if name is None:
            return look
        if name not in self._looks:
            style = self._styles.get(name)
            for _ in range(_DEEPEST):
                if style is None:
                    break
                properties = style.find(_RPR)
                look = look.over(_look(properties)) if properties is not None else look
                style = self._styles.get(value_of(style, "w:basedOn") or "")
            self._looks[name] = look
        return self._looks[name]


_FIXED = {_TAB: "\t", _BR: "\n", _CR: "\n", _HYPHEN: "-"}


def text_boxes(element: Any) -> Iterator[Any]:
    """Yield the text boxes and shapes with text in a paragraph, without those within other ones."""
    for child in element.iterchildren():
        if is_passed_over(child):
            continue
        if child.tag == TEXT_BOX:
            yield child
        else:
            yield from text_boxes(child)


def _append(parts: list[str], text: str, script: str) -> None:
    if script == "superscript":
        text = raised("".join(parts[-2:])[-20:], text)
    elif script == "subscript":
        text = lowered("".join(parts[-2:])[-20:], text)
    elif script == "struck":
        text = struck("", text)
    if text:
        parts.append(text)


def _look(properties: Any) -> _Look:
    vanish = properties.find(qn("w:vanish"))
    fonts = properties.find(qn("w:rFonts"))
    font = None
    if fonts is not None:
        names = [fonts.get(qn(name)) for name in _FONTS]
        font = next((name for name in names if is_symbol_font(name)), names[0])
    return _Look(None if vanish is None else is_on(properties, "w:vanish"), _script(properties), font)


def _script(properties: Any) -> str | None:
    if is_on(properties, "w:strike") or is_on(properties, "w:dstrike"):
        return "struck"
    rise = number_of(properties, "w:position") or 0  # half-points
    by_position = "superscript" if rise >= _LEAST_RISE else "subscript" if rise <= -_LEAST_RISE else None
    return value_of(properties, "w:vertAlign") or by_position


def _shown(text: str, font: str | None) -> str:
    if font is not None and is_symbol_font(font):
        return "".join(symbol(font, ord(character)) for character in text)
    return text.replace(_SOFT_HYPHEN, "")


def _form_value(field: Any) -> str:
    """Return the value of a form field that has no text: a check box, or the chosen entry of a list."""
    box = field.find(f"{qn('w:ffData')}/{qn('w:checkBox')}")
    if box is not None:
        state = "w:checked" if box.find(qn("w:checked")) is not None else "w:default"
        return "☒" if is_on(box, state) else "☐"
    chosen = field.find(f"{qn('w:ffData')}/{qn('w:ddList')}")
    if chosen is None:
        return ""
    entries = [entry.get(qn("w:val"), "") for entry in chosen.iterchildren(qn("w:listEntry"))]
    index = number_of(chosen, "w:result")
    index = number_of(chosen, "w:default") if index is None else index
    return entries[index or 0] if 0 <= (index or 0) < len(entries) else ""


def _hexadecimal(text: str | None) -> int | None:
    try:
        return int(text or "", 16) if text and len(text) <= 6 else None
    except ValueError:
        return None
