"""Protect against unwanted removal by ``sync``: a missing or unmounted folder looks like one with deleted files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from sra_pipelines.index.catalog import IndexedDocument
from sra_pipelines.index.plan import Source
from sra_pipelines.index.schema import StoreError

__all__ = [
    "AllowRemoval",
    "MissingSourceError",
    "RemovalRefusedError",
    "VanishedSource",
    "require_removal_allowed",
    "require_sources",
]


@dataclasses.dataclass(frozen=True, slots=True)
class VanishedSource:
    """A file or folder for which more than half of the documents in an index no longer have a file.

    Parameters
    ----------
    path
        Path of the file or folder.
    gone
        Sorted names of the documents whose files no longer exist.
    n_documents
        Number of documents in the index from this path, including those in `gone`.
    """

    path: Path
    gone: tuple[str, ...]
    n_documents: int

    def __str__(self) -> str:
        return f"{self.path}: {len(self.gone):,} of the {self.n_documents:,} documents"


AllowRemoval: TypeAlias = bool | Callable[[Sequence[VanishedSource]], bool]
"""Whether documents of sources that are empty or mostly gone may be removed, or a function that decides it."""


class MissingSourceError(StoreError, FileNotFoundError):
    """A file or folder to synchronize does not exist; the index is unchanged."""


class RemovalRefusedError(StoreError):
    """``sync`` would remove more than half of the documents of a source; the index is unchanged.

    Parameters
    ----------
    folder
        Folder of the index.
    sources
        Sources of which more than half of the documents would be removed.
    """

    def __init__(self, folder: Path, sources: Sequence[VanishedSource]) -> None:
        self.sources = tuple(sources)
        super().__init__(
            f"{folder}: nothing was changed, because sync would remove most of the documents of a folder. "
            f"{'; '.join(map(str, sources))} in the index from there no longer have a file. Check that this is the "
            "right folder and that it is mounted. To remove these documents, run the command with --sync "
            "--allow-removal (in Python: sync=True, allow_removal=True)."
        )


def require_sources(paths: Iterable[Path]) -> None:
    """Raise unless each file or folder exists and can be read.

    Raises
    ------
    MissingSourceError
        If one does not exist, or a folder cannot be listed.
    """
    for path in paths:
        try:
            if path.is_dir():
                with os.scandir(path) as entries:
                    next(entries, None)
            else:
                path.stat()
        except OSError as error:
            raise MissingSourceError(
                f"{path}: this file or folder cannot be read ({error.strerror}), so nothing was changed: sync would "
                "treat its documents as deleted. Check the path and that it is mounted. To remove documents whose "
                "folder no longer exists, name them: sra-rag index remove NAME --from INDEX."
            ) from error


def require_removal_allowed(
    folder: Path,
    sources: Iterable[Source],
    known: Iterable[IndexedDocument],
    gone: Sequence[IndexedDocument],
    allow: AllowRemoval,
) -> None:
    """Raise if more than half of the documents of a source would be removed, unless that is allowed.

    Parameters
    ----------
    folder
        Folder of the index, for the message.
    sources
        Files and folders to synchronize.
    known
        The documents of the index.
    gone
        The documents that would be removed.
    allow
        Whether the removal is allowed, or a function that returns it.

    Raises
    ------
    RemovalRefusedError
        With the affected sources and their numbers of documents.
    """
    if not gone or allow is True:
        return
    held = list(known)
    vanished = []
    for source in sources:
        n_documents = sum(source.holds(Path(document.path)) for document in held)
        names = tuple(sorted(document.name for document in gone if source.holds(Path(document.path))))
        if 2 * len(names) > n_documents:
            vanished.append(VanishedSource(source.root, names, n_documents))
    if vanished and not (callable(allow) and allow(vanished)):
        raise RemovalRefusedError(folder, vanished)
