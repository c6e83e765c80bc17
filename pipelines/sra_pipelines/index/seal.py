"""The seal of an index: a digest over its metadata and its list of documents, verified whenever the index is opened.

The contents of each document have a digest in the list; it is verified when the contents are read. So a changed bit in
a value that is used raises an error, instead of a wrong answer.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

from sra_pipelines.index.schema import DOCUMENT_COLUMNS, StoreError

__all__ = ["damaged", "is_intact", "require_intact", "write_seal"]

_KEY = "seal"


def write_seal(connection: sqlite3.Connection) -> None:
    """Write the seal, within the transaction of the change."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, _seal(connection)))


def is_intact(connection: sqlite3.Connection) -> bool:
    """Return whether the metadata and the list of documents are those of the last change.

    An index that was last changed by a version without seals counts as intact.
    """
    stored = connection.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
    return stored is None or stored[0] == _seal(connection)


def require_intact(connection: sqlite3.Connection, folder: Path) -> None:
    """Raise unless the index is intact, see `is_intact`.

    Raises
    ------
    StoreError
        If its metadata or its list of documents has changed.
    """
    if not is_intact(connection):
        raise damaged(folder, "its metadata or its list of documents differs from the stored digest")


def damaged(folder: Path, problem: str) -> StoreError:
    """Return the error for a damaged index."""
    return StoreError(f"{folder}: the index is damaged ({problem}). Rebuild it in another folder, or restore a backup.")


def _seal(connection: sqlite3.Connection) -> str:
    rows = [
        connection.execute("SELECT key, value FROM meta WHERE key != ? ORDER BY key", (_KEY,)).fetchall(),
        # The same condition and order as in `list_documents`, so that it is the same list.
        connection.execute(
            f"SELECT id, {DOCUMENT_COLUMNS}, digest FROM documents WHERE published = ? ORDER BY name",  # noqa: S608
            (1,),
        ).fetchall(),
    ]
    return hashlib.sha256(json.dumps(rows, default=bytes.hex).encode()).hexdigest()
