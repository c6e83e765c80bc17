"""Office Open XML in the variants that the libraries do not know: Strict files, and templates.

Word and Excel write both. A Strict file has other names for the same elements (ISO/IEC 29500-1), and a template only
another content type.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["transitional"]

_STRICT = b"http://purl.oclc.org/ooxml/"
_CONTENT_TYPES = "[Content_Types].xml"
_TEMPLATE = re.compile(
    rb"(officedocument\.(?:wordprocessingml|spreadsheetml|presentationml)\.)(?:template|slideshow)\.main\+xml"
)
_MAIN = {b"wordprocessingml.": b"document", b"spreadsheetml.": b"sheet", b"presentationml.": b"presentation"}
_SPACES = {
    b"officeDocument/relationships": b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    b"officeDocument/": b"http://schemas.openxmlformats.org/officeDocument/2006/",
    b"wordprocessingml/main": b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    b"spreadsheetml/main": b"http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    b"presentationml/main": b"http://schemas.openxmlformats.org/presentationml/2006/main",
    b"drawingml/": b"http://schemas.openxmlformats.org/drawingml/2006/",
}
_NAME = re.compile(re.escape(_STRICT) + rb"(" + rb"|".join(map(re.escape, _SPACES)) + rb")")


@contextmanager
def transitional(path: Path) -> Iterator[IO[bytes]]:
    """Open a DOCX, XLSX or PPTX file; a Strict file or a template is rewritten in memory as an ordinary one."""
    with path.open("rb") as file:
        if not _is_other(file):
            file.seek(0)
            yield file
            return
        yield _rewritten(file)


def _is_other(file: IO[bytes]) -> bool:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        types = archive.read(_CONTENT_TYPES) if _CONTENT_TYPES in names else b""
        relationships = archive.read("_rels/.rels") if "_rels/.rels" in names else b""
    return bool(_TEMPLATE.search(types)) or _STRICT in relationships


def _rewritten(file: IO[bytes]) -> IO[bytes]:
    copy = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(copy, "w") as new:
        for part in old.infolist():
            data = old.read(part)
            if part.filename == _CONTENT_TYPES:
                data = _TEMPLATE.sub(lambda match: match[1] + _MAIN[match[1].split(b".", 1)[1]] + b".main+xml", data)
            elif part.filename.endswith((".xml", ".rels")):
                data = _NAME.sub(lambda match: _SPACES[match[1]], data)
            new.writestr(part.filename, data)
    copy.seek(0)
    return copy
