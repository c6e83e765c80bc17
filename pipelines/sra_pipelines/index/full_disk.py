"""Remove documents on a full disk: a reserved file makes room for the journal of SQLite, and the changes are small."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from sra_pipelines.index.schema import transaction

__all__ = ["delete_piecewise", "keep_reserve", "release_reserve"]

_RESERVE = "reserve.bin"
_RESERVE_BYTES = 1 << 20
_ROWS_AT_ONCE = 50


def keep_reserve(folder: Path) -> None:
    """Create the reserved file of an index if it does not exist and there is space."""
    path = folder / _RESERVE
    if path.exists():
        return
    try:
        with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(os.urandom(_RESERVE_BYTES))  # zeros take no space on some file systems
    except OSError:
        with suppress(OSError):
            path.unlink()


def release_reserve(folder: Path) -> None:
    """Remove the reserved file, which frees its space."""
    (folder / _RESERVE).unlink(missing_ok=True)


def delete_piecewise(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Delete documents that are not published, a few rows in each transaction, so that each journal is small.

    What is deleted is not overwritten in the file, because that needs a journal as large as the documents.
    """
    connection.execute("PRAGMA secure_delete = FAST")
    try:
        for number in numbers:
            for table, column in (("passages", "position"), ("pages", "page_index")):
                while _delete_some(connection, table, column, number):
                    pass
            with transaction(connection):
                connection.execute("DELETE FROM documents WHERE id = ?", (number,))
    finally:
        connection.execute("PRAGMA secure_delete = ON")


def _delete_some(connection: sqlite3.Connection, table: str, column: str, number: int) -> bool:
    with transaction(connection):
        cursor = connection.execute(
            f"DELETE FROM {table} WHERE document_id = ? AND {column} IN "  # noqa: S608 - names of this module
            f"(SELECT {column} FROM {table} WHERE document_id = ? LIMIT {_ROWS_AT_ONCE})",
            (number, number),
        )
        return cursor.rowcount > 0
