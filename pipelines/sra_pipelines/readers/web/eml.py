"""Reader for e-mail messages (EML): the main headers, the text, and the names of attachments."""

from __future__ import annotations

import email.errors
import email.message
import email.policy
from collections.abc import Callable, Iterator
from pathlib import Path

from sra_pipelines.readers.html import html_pages
from sra_pipelines.values import DocumentError, Page

__all__ = ["read"]

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
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    if not any(message[name] for name in ("From", "Date", "Subject", "Received")):
        raise DocumentError(f"{path}: this is no e-mail message, as its suffix indicates. Rename it.")
    lines = [f"{name}: {' '.join(str(message[name]).split())}" for name in _HEADERS if message[name]]
    lines += ["", *_body(message, path)]
    names = [part.get_filename() or part.get_content_type() for part in message.iter_attachments()]
    lines += [f"Attachment that was not read: {name}" for name in names]
    _require_complete(message)
    if on_page is not None:
        on_page(1, 1)
    return [Page(0, "1", "\n".join(lines).strip())]


def _body(message: email.message.EmailMessage, path: Path) -> Iterator[str]:
    """Yield the lines of the text; HTML is preferred if it has tables, which the plain text of a message breaks."""
    html, plain = message.get_body(("html",)), message.get_body(("plain",))
    if html is not None:
        source = str(html.get_content())
        if plain is None or "<table" in source.lower():
            for page in html_pages(source, path):
                yield from page.text.split("\n")
            return
    if plain is not None:
        yield from str(plain.get_content()).strip().split("\n")


def _require_complete(message: email.message.EmailMessage) -> None:
    for part in message.walk():
        if not part.is_multipart():
            part.get_content() if part.get_content_maintype() == "text" else part.get_payload(decode=True)
        for defect in part.defects:
            if isinstance(defect, _INCOMPLETE):
                raise ValueError(f"the message is not complete: {type(defect).__name__}")
