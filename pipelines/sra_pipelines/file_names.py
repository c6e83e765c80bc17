"""File names as text: what a name holds that is not UTF-8 is escaped where it is shown.

A file system accepts almost any bytes as a name. Python represents those that are not UTF-8 as lone surrogates, which
no terminal, tokenizer, database or JSON file accepts as text. A name may also hold control characters, which a terminal
would obey; they are escaped too.
"""

from __future__ import annotations

import re

__all__ = ["printable", "visible", "visible_name"]

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BREAK = re.compile("[\t\n\u2028\u2029]")
_BYTES = range(0xDC80, 0xDD00)  # what `os.fsdecode` makes of the bytes 0x80 to 0xFF


def printable(text: str) -> str:
    r"""Return text that can be encoded: lone surrogates are escaped, ``\xe9`` where one represents a byte.

    Parameters
    ----------
    text
        A file name, a path or a message that quotes one.
    """
    return _SURROGATE.sub(_escaped, text)


def visible(text: str) -> str:
    r"""Return `printable` text for a terminal: control characters are escaped too, except line breaks and tabs.

    A terminal obeys control characters, and those for the direction of text change the order in which it is shown.
    """
    return _CONTROL.sub(_escaped, printable(text))


def visible_name(name: str) -> str:
    r"""Return a name as one line of text: `visible`, and line breaks and tabs are escaped too."""
    return _BREAK.sub(_escaped, visible(name))


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    code = code - 0xDC00 if code in _BYTES else code
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
