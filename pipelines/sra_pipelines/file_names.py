"""File names as text: what a name holds that is not UTF-8 is escaped where it is shown.

A file system accepts almost any bytes as a name. Python represents those that are not UTF-8 as lone surrogates, which
no terminal, tokenizer, database or JSON file accepts as text.
"""

from __future__ import annotations

import re

__all__ = ["printable"]

_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTES = range(0xDC80, 0xDD00)  # what `os.fsdecode` makes of the bytes 0x80 to 0xFF


def printable(text: str) -> str:
    r"""Return text that can be encoded: lone surrogates are escaped, ``\xe9`` where one represents a byte.

    Parameters
    ----------
    text
        A file name, a path or a message that quotes one.
    """
    return _SURROGATE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if code in _BYTES else f"\\u{code:04x}"
