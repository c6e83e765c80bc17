"""Decode bytes of unknown encoding: plain text as people write it, HTML as browsers decode it.

UTF-8 comes first, because other text is almost never valid UTF-8 by accident. Detectors guess badly from one or two
bytes: "Rent £500" was taken for Big5. So text whose bytes above ASCII are all signs (£, €, °, quotation marks, dashes)
and not letters in windows-1252 is decoded with it, and only other text is given to chardetng, the detector of Firefox.
"""

from __future__ import annotations

import codecs
import re

import chardetng_py

from sra_pipelines.values import DocumentError

__all__ = ["decode_html", "decode_text", "unmarked_utf16"]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HIGH = re.compile(rb"[\x80-\xff]+")
# Characters of windows-1252 above ASCII that are signs, as bytes: no letters, and none of its undefined bytes.
_SIGNS = frozenset(
    b"\x80\x82\x84\x85\x86\x87\x88\x89\x8b\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9b\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8"
    b"\xa9\xaa\xab\xac\xad\xae\xaf\xb0\xb1\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xbb\xbc\xbd\xbe\xbf\xd7\xf7"
)
# Two of them in a row are rare in windows-1252 and common in East Asian encodings, which use pairs of such bytes.
_PAIRED = re.compile(rb"[\xa1-\xbf]{2}")
# A sign between two letters is a letter of another encoding: "zosta\xb3a".
_IN_WORD = re.compile(rb"[A-Za-z][\x80\x82-\x8f\x95\x99\xa1-\xac\xae-\xb3\xb5-\xb6\xb8-\xbf\xd7\xf7][A-Za-z]")
# What letters of DOS and of old Mac OS turn into in windows-1252: control characters, capitals after small letters, and
# signs between two letters.
_MISREAD = re.compile(
    r"[\x80-\x9f]|(?<=[a-z])[ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞŠŒŽŸ]|(?<=[^\W\d_])[„†‡ˆ‰‹›•˜™¢£¤¥¦§¨©«¬®¯°±²³¶¸¹»¼½¾¿÷](?=[^\W\d_])"  # noqa: RUF001
)
_LETTERS_OR_SIGNS = re.compile(r"[^\W_]|[\s!-/:-@[-`{-~€£§©®°±«»–—‘’“”„•…½¼¾²³µ]")  # noqa: RUF001
_BEFORE_WINDOWS = ("cp850", "mac-roman")
# Of the letters of Spanish, only the n with a tilde has another letter in its place in windows-1250.
_SPANISH = re.compile(r"[ÁÉÍÓÚÜÑáéíóúüñ¿¡ºª€«»–—‘’“”…\x00-\x7f\xa0]*")  # noqa: RUF001
_MOSTLY = 4  # valid sequences of UTF-8 for each invalid one, for text that was damaged in a few places
_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_SAMPLE = 4_096
_ONLY_IN_WINDOWS = re.compile(rb"[\x80-\x9f]")
# The encoding of a <meta> element or XML declaration, as in the WHATWG prescan.
_META = re.compile(rb"<meta\b[^>]*?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_XML = re.compile(rb"\s*<\?xml\b[^>]*?encoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
# Labels that browsers map to another encoding than Python's codec of that name (https://encoding.spec.whatwg.org).
_AS_BROWSERS = {
    **dict.fromkeys(
        ("ascii", "us-ascii", "iso-8859-1", "iso8859-1", "iso88591", "iso_8859-1", "latin1", "l1", "x-cp1252", "ansi"),
        "cp1252",
    ),
    **dict.fromkeys(("iso-8859-9", "iso8859-9", "latin5", "l5"), "cp1254"),
    **dict.fromkeys(("iso-8859-11", "tis-620"), "cp874"),
    **dict.fromkeys(("gb2312", "gb_2312-80", "gbk", "x-gbk", "chinese"), "gb18030"),
    **dict.fromkeys(("ks_c_5601-1987", "ksc5601", "euc-kr", "korean"), "cp949"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "ms_kanji"), "cp932"),
    **dict.fromkeys(("big5", "x-x-big5", "cn-big5"), "big5hkscs"),
    # The declaration could be read as ASCII, so it is not UTF-16.
    **dict.fromkeys(("utf-16", "utf-16le", "utf-16be", "unicode"), "utf-8"),
    "x-mac-roman": "mac-roman",
    "macintosh": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "utf8": "utf-8",
}


def decode_text(data: bytes) -> str:
    """Return the text of a file of unknown encoding, without a byte order mark.

    Raises
    ------
    DocumentError
        If it is no text in any known encoding; the message does not name the file.
    """
    text = _certain(data)
    return text if text is not None else _guessed(data)


def decode_html(data: bytes) -> str:
    """Return the source of an HTML file, decoded as browsers do: with its mark, as declared, or else as detected.

    Browsers decode "iso-8859-1" and "us-ascii" as windows-1252, and so does this. Source that is valid UTF-8 is decoded
    as such whatever it declares, because such declarations are wrong far more often than such bytes.

    Raises
    ------
    DocumentError
        If it is no text in any known encoding; the message does not name the file.
    """
    declared = _declared(data)
    if declared is not None and declared.startswith("iso2022_"):  # ASCII bytes that are not ASCII text
        return data.decode(declared, "replace")
    text = _certain(data)
    if text is not None:
        return text
    if declared is None or declared == "utf-8":
        return _guessed(data)
    return _decoded(data, declared)


def _certain(data: bytes) -> str | None:
    """Decode text that has a byte order mark, is UTF-16 without one, or is UTF-8; return None for other text."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    wide = unmarked_utf16(data)
    if wide is not None:
        return data.decode(wide, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    text = data.decode("utf-8", "replace")
    if len(_SEQUENCE.findall(data)) >= _MOSTLY * text.count("\ufffd"):
        return text
    return None


def unmarked_utf16(data: bytes) -> str | None:
    """Return the encoding of UTF-16 text without a mark, in which every other byte is mostly zero; otherwise None."""
    sample = data[:_SAMPLE]
    half = len(sample) // 2
    if half < 2 or b"\0" not in sample:
        return None
    even, odd = sample[0 : 2 * half : 2].count(0), sample[1 : 2 * half : 2].count(0)
    if even == 0 and 2 * odd > half:
        return "utf-16-le"
    return "utf-16-be" if odd == 0 and 2 * even > half else None


def _guessed(data: bytes) -> str:
    runs = _HIGH.findall(data)
    signs = all(_SIGNS.issuperset(run) for run in runs) and not any(_PAIRED.search(run) for run in runs)
    if signs and not _IN_WORD.search(data):
        return data.decode(_western(data))
    try:
        encoding = codecs.lookup(chardetng_py.detect(data, allow_utf8=False)).name
    except LookupError:
        raise DocumentError("the file is not text in any known encoding. Save it as UTF-8.") from None
    encoding = _western(data) if encoding == "cp1252" else encoding
    western = _decoded(data, "cp1252")
    if encoding == "cp1250" and _SPANISH.fullmatch(western):
        return western
    text = _decoded(data, encoding)
    if encoding.startswith("cp125") and _MISREAD.search(text):
        return _of_old_systems(data) or text
    return text


def _western(data: bytes) -> str:
    """Return the encoding of western text: nobody writes ¤, whose byte is the euro in ISO-8859-15."""
    return "iso8859-15" if b"\xa4" in data and not _ONLY_IN_WINDOWS.search(data) else "cp1252"


def _of_old_systems(data: bytes) -> str | None:
    """Return text in the encoding of DOS or of old Mac OS if it has no strange characters in one of them."""
    for encoding in _BEFORE_WINDOWS:
        text = data.decode(encoding)
        if not _LETTERS_OR_SIGNS.sub("", text) and not _MISREAD.search(text):
            return text
    return None


def _decoded(data: bytes, encoding: str) -> str:
    """Decode as browsers do: bytes without a character in windows encodings are control characters, not errors."""
    return data.decode(encoding, "sra-as-browsers" if encoding.startswith("cp125") else "replace")


def _as_browsers(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("sra-as-browsers", _as_browsers)


def _declared(data: bytes) -> str | None:
    """Return the Python name of the encoding that HTML declares in its first bytes, or None."""
    head = _COMMENT.sub(b"", data[:_SAMPLE])
    match = _META.search(head) or _XML.match(head)
    if match is None:
        return None
    label = match[1].decode("ascii").lower()
    try:
        return codecs.lookup(_AS_BROWSERS.get(label, label)).name
    except (LookupError, ValueError):
        return None
