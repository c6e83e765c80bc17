"""Reader for e-mail messages (EML): the main headers, the text, and the names of attachments."""

from __future__ import annotations

import email.errors
import email.message
import email.policy
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sra_pipelines.readers.encoding import decode_html, decode_text
from sra_pipelines.readers.html import html_pages
from sra_pipelines.values import DocumentError, Page

__all__ = ["read"]

_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_LOST_PART = re.compile(r"^--\S+\s*\nContent-[\w-]+:|^--(?=\S*\w)\S{10,}--\s*$", re.MULTILINE | re.IGNORECASE)
_TEXTS = ("text/plain", "text/html")
_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_INCOMPLETE = (
    email.errors.StartBoundaryNotFoundDefect,
    email.errors.CloseBoundaryNotFoundDefect,
    email.errors.NoBoundaryInMultipartDefect,
    email.errors.MultipartInvariantViolationDefect,
    email.errors.InvalidBase64CharactersDefect,
    email.errors.InvalidBase64LengthDefect,
    email.errors.InvalidBase64PaddingDefect,
    email.errors.MissingHeaderBodySeparatorDefect,
)


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read a message as one page.

    Raises
    ------
    DocumentError
        If the file is no message, or a message that is not complete.
    """
    data = path.read_bytes()
    message = email.message_from_bytes(data, policy=email.policy.default)
    if not any(message[name] for name in ("From", "Date", "Subject", "Received")):
        raise DocumentError(f"{path}: this is no e-mail message, as its suffix indicates. Rename it.")
    _require_complete(data, message)
    lines = _message_lines(message, path)
    if on_page is not None:
        on_page(1, 1)
    return [Page(0, "1", "\n".join(lines).strip())]


def _message_lines(message: email.message.Message, path: Path) -> list[str]:
    """Return the headers of a message, its texts, the messages attached to it, and the names of other attachments."""
    lines = [f"{name}: {' '.join(str(message[name]).split())}" for name in _HEADERS if message[name]]
    attached: list[str] = []
    return [*lines, "", *_lines(message, path, attached), *attached]


def _lines(part: email.message.Message, path: Path, attached: list[str]) -> Iterator[str]:
    """Yield the lines that a mail program shows of a part, and add those of attachments to `attached`."""
    kind = part.get_content_type()
    inner = _parts(part)
    if kind == "message/rfc822" and inner:
        attached += ["", "Attached message:", *(line for message in inner for line in _message_lines(message, path))]
    elif kind == "multipart/alternative" and inner:
        yield from _best_of(inner, path, attached)
    elif part.is_multipart():
        for one in inner:
            yield from _lines(one, path, attached)
    elif part.get_filename() or part.get_content_disposition() == "attachment" or kind not in _TEXTS:
        attached.append(f"Attachment that was not read: {part.get_filename() or kind}")
    elif kind == "text/html":
        for page in html_pages(_text(part), path):
            yield from page.text.split("\n")
    else:
        yield from _text(part).strip().split("\n")


def _parts(part: email.message.Message) -> list[email.message.Message]:
    payload = part.get_payload()
    return [inner for inner in payload if isinstance(inner, email.message.Message)] if isinstance(payload, list) else []


def _best_of(parts: Sequence[email.message.Message], path: Path, attached: list[str]) -> Iterator[str]:
    """Yield one of several forms of a text: HTML if it has tables, which the plain text of a message breaks."""
    plain = [part for part in parts if part.get_content_type() == "text/plain"]
    others = [part for part in parts if part not in plain]
    rich = [part for part in others if any(inner.get_content_type() == "text/html" for inner in part.walk())]
    pages = [inner for part in rich for inner in part.walk() if inner.get_content_type() == "text/html"]
    has_table = any("<table" in _text(page).lower() for page in pages)
    chosen = rich[-1:] if rich and (has_table or not plain) else plain[-1:] or parts[-1:]
    for part in chosen:
        yield from _lines(part, path, attached)
    for part in others:
        if part not in chosen:  # its pictures, or a form that is no text, such as a calendar
            _name_attachments(part, attached)


def _name_attachments(part: email.message.Message, attached: list[str]) -> None:
    for inner in part.walk():
        if not inner.is_multipart() and inner.get_content_type() not in _TEXTS:
            attached.append(f"Attachment that was not read: {inner.get_filename() or inner.get_content_type()}")


def _text(part: email.message.Message) -> str:
    """Return the text of a part in the encoding that it states, or else in the one that its bytes show."""
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    try:
        return data.decode(part.get_content_charset("ascii"))
    except (LookupError, UnicodeError):
        return decode_html(data) if part.get_content_subtype() == "html" else decode_text(data)


def _require_complete(data: bytes, message: email.message.EmailMessage) -> None:
    """Raise if parts of a message are missing or damaged."""
    if not _END_OF_HEADERS.search(data):
        raise ValueError("the message ends within its headers")
    for part in message.walk():
        if part.is_multipart():
            for text in (part.preamble, part.epilogue):
                if _LOST_PART.search(text or ""):
                    raise ValueError("a part of the message is outside its boundaries")
        elif _LOST_PART.search(_text(part) if part.get_content_maintype() == "text" else ""):
            raise ValueError("a part of the message has lost its headers")
        else:
            part.get_payload(decode=True)  # finds defects
        for defect in part.defects:
            if isinstance(defect, _INCOMPLETE):
                raise ValueError(f"the message is not complete: {type(defect).__name__}")
