"""What a document is, and how one is found and read, or refused in one line that says why."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sra_rag.errors import SRAError

__all__ = ["Document", "DocumentError", "Heading", "Page", "document_names", "find_documents", "read_document"]


class DocumentError(SRAError, ValueError):
    """A document cannot be read; the message names the file and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Heading:
    """A heading on a page.

    Parameters
    ----------
    start
        Character of the page's text at which it begins.
    text
        What it says, in one line.
    """

    start: int
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """One page of a document.

    Parameters
    ----------
    index
        Zero-based position in the file.
    label
        What a reader calls it: the label in the file where it has one, a sheet's name, else ``index + 1``.
    text
        Empty for a page without text, such as a picture.
    headings
        Those on this page, in order, as far as the format tells.
    """

    index: int
    label: str
    text: str
    headings: tuple[Heading, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """A document that was read.

    Parameters
    ----------
    path
        Where it lies.
    pages
        All of its pages, in order.
    """

    path: Path
    pages: tuple[Page, ...]

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.path.stem

    @property
    def empty_pages(self) -> tuple[str, ...]:
        """Labels of the pages that hold no text and so cannot be searched."""
        return tuple(page.label for page in self.pages if not page.text)


def find_documents(paths: Iterable[Path]) -> list[Path]:
    """Replace each folder by the documents in it and below, sorted; each file once.

    Hidden files, those in hidden folders, and the lock files of office programs (``~$...``) are left out.

    Raises
    ------
    DocumentError
        If a folder holds no file of a format that is read.
    """
    from sra_pipelines.readers import FORMATS, known_names

    found: dict[Path, None] = {}
    for path in paths:
        files = [path]
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.suffix.lower() in FORMATS and not _hidden(p, path))
        if not files:
            raise DocumentError(
                f"{path}: the folder holds no documents. Name files, or a folder with some: {known_names()}."
            )
        found.update(dict.fromkeys(files))
    return list(found)


def read_document(path: Path, on_page: Callable[[int, int], None] | None = None) -> Document:
    """Read a file of any of the formats.

    Parameters
    ----------
    path
        The file.
    on_page
        Called with pages read and pages in all, for a progress bar.

    Raises
    ------
    DocumentError
        If the file is missing, empty, of another format than its name says, damaged, encrypted, too large when
        unpacked, or without any text (scanned).
    """
    from sra_pipelines.readers import read_pages

    return Document(path, tuple(read_pages(path, on_page)))


def document_names(paths: Sequence[Path], taken: Iterable[str] = ()) -> list[str]:
    """Name documents so that no two are called alike: ``report``, or ``report.docx``, or ``2023/report.docx``.

    Parameters
    ----------
    paths
        Files, none twice.
    taken
        Names that are in use.
    """
    used = Counter(taken)
    stems = Counter(path.stem for path in paths)
    names = []
    for path in paths:
        parts = path.parts
        candidates = [path.stem] if stems[path.stem] == 1 else []
        candidates += ["/".join(parts[-depth:]) for depth in range(1, len(parts) + 1)]
        name = next((c for c in candidates if not used[c]), f"{path}#{used.total()}")
        used[name] += 1
        names.append(name)
    return names


def _hidden(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    return any(part.startswith(".") for part in parts) or path.name.startswith("~$")
