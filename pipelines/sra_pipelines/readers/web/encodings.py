"""The encoding of an HTML file, found as browsers find it (WHATWG Encoding Standard)."""

from __future__ import annotations

import codecs
import re

__all__ = ["declared_encoding"]

_SEARCHED = 4096  # bytes; browsers search 1,024
_META = re.compile(rb"<meta[^>]{0,300}?\bcharset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_XML = re.compile(rb"^\s*<\?xml[^>]{0,100}?\bencoding\s*=\s*[\"']([\w.:-]+)[\"']", re.IGNORECASE)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# Labels stand for larger encodings; a declaration that can be read as ASCII is not UTF-16.
_READ_AS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "utf-16": "utf-8",
    "utf-16-le": "utf-8",
    "utf-16-be": "utf-8",
}


def declared_encoding(data: bytes) -> str | None:
    """Return the Python name of the encoding that a file declares; None if it declares none that is known."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    head = data[:_SEARCHED]
    match = _XML.search(head) or _META.search(head)
    if match is None:
        return None
    try:
        name = codecs.lookup(match[1].decode("ascii").lower().removeprefix("x-")).name
    except LookupError:
        return None
    return _READ_AS.get(name, name)
