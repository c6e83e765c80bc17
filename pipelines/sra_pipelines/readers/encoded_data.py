"""Leave out pictures and files that are written into a text as base64, which is no text.

An 800 KB picture in a Markdown file is thousands of passages that no question is about.
"""

from __future__ import annotations

import re

__all__ = ["without_encoded_data"]

_SHORTEST_WORD = 1000  # characters, see `_LONG_WORD`
_BASE64 = "A-Za-z0-9+/_=-"
# Possessive, and only at the start of a run, so that the time is linear in the length of the text.
_DATA_URI = re.compile(rf"data:(?P<type>[\w.+-]*+/?[\w.+-]*+)(?:;(?!base64,)[\w.+=-]*+)*+;base64,\s?[{_BASE64}]*+")
_LONG_WORD = re.compile(rf"(?<![{_BASE64}])[{_BASE64}]{{{_SHORTEST_WORD},}}+")
_BLOCK = re.compile(
    rf"(?<![{_BASE64}])(?:[{_BASE64}]{{60,}}+[ \t]*+\n[ \t]*+){{9,}}+"
    rf"(?:(?:[{_BASE64}]{{4}})++(?=[ \t]*+(?:\n|\Z)))?+"  # the last line, and no word of a text
)
_LINE = re.compile(rf"\n[ \t]*+[{_BASE64}]{{60}}")  # all lines of a block but the first begin so
_SHORTEST = 30  # characters; shorter text has no encoded data
_LEAST_KINDS = (0.15, 0.15, 0.05)  # share of upper-case letters, lower-case letters and digits; base64 has .41 .41 .16


def without_encoded_data(text: str) -> tuple[str, tuple[str, ...]]:
    """Return text without its base64 data, and a notice if there was any.

    Data is the content of ``data:`` addresses, and long words and blocks of lines of the base64 alphabet in which
    upper-case letters, lower-case letters and digits are mixed as in encoded bytes. Other long words stay.
    """
    if len(text) < _SHORTEST or not _may_have_data(text):
        return text, ()
    left_out = [0, 0]

    def note(data: str) -> None:
        left_out[0] += 1
        left_out[1] += len(data)

    def address(match: re.Match[str]) -> str:
        note(match[0])
        return f"[{'picture' if match['type'].startswith('image/') else 'data'} left out]"

    def mixed(match: re.Match[str]) -> str:
        if not _is_mixed(match[0]):
            return match[0]
        note(match[0])
        return f"[data left out]{match[0][len(match[0].rstrip()) :]}"

    if ";base64," in text:
        text = _DATA_URI.sub(address, text)
    text = _BLOCK.sub(mixed, _LONG_WORD.sub(mixed, text))
    if not left_out[0]:
        return text, ()
    what = "1 encoded picture or file is" if left_out[0] == 1 else f"{left_out[0]} encoded pictures or files are"
    return text, (f"{what} left out ({left_out[1]:,} characters of base64)",)


def _may_have_data(text: str) -> bool:
    """Return whether a text has the address of data, a very long word, or a line that begins as one of base64."""
    return ";base64," in text or _has_long_piece(text) or _LINE.search(text) is not None


def _has_long_piece(text: str) -> bool:
    """Return whether a piece as long as a word of data has no space and no line break."""
    start = 0
    while (end := start + _SHORTEST_WORD) <= len(text):
        last = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
        if last < 0:
            return True
        start = last + 1
    return False


def _is_mixed(data: str) -> bool:
    upper, lower, digits = (len(re.findall(kind, data)) for kind in ("[A-Z]", "[a-z]", "[0-9]"))
    return all(n >= least * len(data) for n, least in zip((upper, lower, digits), _LEAST_KINDS, strict=True))
