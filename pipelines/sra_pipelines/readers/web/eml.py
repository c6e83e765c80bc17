"""Reader for e-mail messages (EML): the main headers, the text, and the names of attachments."""

from __future__ import annotations

import email.errors
import email.message
import email.policy
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sra_pipelines.readers.html import html_pages
from sra_pipelines.values import DocumentError, Page

__all__ = ["read"]

_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_LOST_PART = re.compile(r"^--\S+\s*\nContent-[\w-]+:|^--(?=\S*\w)\S{10,}--\s*$", re.MULTILINE | re.IGNORECASE)
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
    body = [part for part in (message.get_body((kind,)) for kind in ("html", "plain")) if part is not None]
    lines = [f"{name}: {' '.join(str(message[name]).split())}" for name in _HEADERS if message[name]]
    lines += ["", *_lines(body, path)]
    others = [part for part in message.walk() if not part.is_multipart() and part not in body]
    lines += [f"Attachment that was not read: {part.get_filename() or part.get_content_type()}" for part in others]
    if on_page is not None:
        on_page(1, 1)
    return [Page(0, "1", "\n".join(lines).strip())]


def _lines(body: Sequence[email.message.MIMEPart], path: Path) -> Iterator[str]:
    """Yield the lines of the text; HTML is preferred if it has tables, which the plain text of a message breaks."""
    sources = {part.get_content_subtype(): str(part.get_content()) for part in body}
    html = sources.get("html", "")
    if html and ("plain" not in sources or "<table" in html.lower()):
        for page in html_pages(html, path):
            yield from page.text.split("\n")
    else:
        yield from sources.get("plain", "").strip().split("\n")


def _require_complete(data: bytes, message: email.message.EmailMessage) -> None:
    """Raise if parts of a message are missing or damaged."""
    if not _END_OF_HEADERS.search(data):
        raise ValueError("the message ends within its headers")
    for part in message.walk():
        if part.is_multipart():
            for text in (part.preamble, part.epilogue):
                if _LOST_PART.search(text or ""):
                    raise ValueError("a part of the message is outside its boundaries")
        elif _LOST_PART.search(str(part.get_content()) if part.get_content_maintype() == "text" else ""):
            raise ValueError("a part of the message has lost its headers")
        else:
            part.get_payload(decode=True)  # finds defects
        for defect in part.defects:
            if isinstance(defect, _INCOMPLETE):
                raise ValueError(f"the message is not complete: {type(defect).__name__}")
