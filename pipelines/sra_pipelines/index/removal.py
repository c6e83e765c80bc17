"""Guards what ``sync`` removes: a folder that is missing, or not mounted, looks like one whose files were deleted."""

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
    """A file or folder of which an index holds documents, and more than half of their files are gone.

    Parameters
    ----------
    path
        Of the file or folder.
    gone
        Names of the documents whose files are gone, sorted.
    n_documents
        How many documents the index holds from there, those that are gone included.
    """

    path: Path
    gone: tuple[str, ...]
    n_documents: int

    def __str__(self) -> str:
        return f"{self.path}: {len(self.gone):,} of the {self.n_documents:,} documents"


AllowRemoval: TypeAlias = bool | Callable[[Sequence[VanishedSource]], bool]
"""Whether documents of sources that are empty or mostly gone may be removed, or a function that decides it."""


class MissingSourceError(StoreError, FileNotFoundError):
    """A file or folder that is to be synchronized is not there; the index is what it was."""


class RemovalRefusedError(StoreError):
    """``sync`` would remove more than half of what an index holds from a source; the index is what it was.

    Parameters
    ----------
    folder
        Of the index.
    sources
        Of which more than half is gone.
    """

    def __init__(self, folder: Path, sources: Sequence[VanishedSource]) -> None:
        self.sources = tuple(sources)
        super().__init__(
            f"{folder}: nothing was changed, because sync would remove most of what the index holds from a folder. "
            f"{'; '.join(map(str, sources))} that the index holds from there have no file any more. Check that this "
            "is the right folder and that it is mounted. If they are to be removed, run it with --sync "
            "--allow-removal (in Python: sync=True, allow_removal=True)."
        )


def require_sources(paths: Iterable[Path]) -> None:
    """Raise unless each file or folder is there and can be read.

    Raises
    ------
    MissingSourceError
        If one is not, or a folder cannot be listed.
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
                "take its documents for deleted ones. Check the path and that it is mounted. To remove documents "
                "whose folder is gone, name them: sra-rag index remove NAME --from INDEX."
            ) from error


def require_removal_allowed(
    folder: Path,
    sources: Iterable[Source],
    known: Iterable[IndexedDocument],
    gone: Sequence[IndexedDocument],
    allow: AllowRemoval,
) -> None:
    """Raise if more than half of what an index holds from one of the sources is gone, and that was not allowed.

    Parameters
    ----------
    folder
        Of the index, for the message.
    sources
        What is synchronized.
    known
        The documents of the index.
    gone
        Those that would be removed.
    allow
        True, or a function that returns whether to go on.

    Raises
    ------
    RemovalRefusedError
        Naming each source and its count.
    """
    if not gone or allow is True:
        return
    held = list(known)
    vanished = []
    for source in sources:
        n_documents = sum(source.holds(Path(about.path)) for about in held)
        names = tuple(sorted(about.name for about in gone if source.holds(Path(about.path))))
        if 2 * len(names) > n_documents:
            vanished.append(VanishedSource(source.root, names, n_documents))
    if vanished and not (callable(allow) and allow(vanished)):
        raise RemovalRefusedError(folder, vanished)
