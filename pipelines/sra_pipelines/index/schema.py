"""The file format of an index: one SQLite database, so that a commit applies all changes or none.

The database contains documents, pages, passages and vectors; FAISS is filled from it when an index is opened. Readers
do not see a document that is prepared but not yet part of the index (``published`` is 0).
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sra_rag.errors import SRAError

__all__ = [
    "DATABASE",
    "DOCUMENT_COLUMNS",
    "FORMAT_VERSION",
    "KEYWORD_BLOCKS",
    "KEYWORD_COUNTS",
    "STRUCTURES",
    "StoreError",
    "connect",
    "create",
    "exists",
    "is_full_disk",
    "transaction",
]

DATABASE = "index.sqlite3"
DOCUMENT_COLUMNS = "name, path, sha256, bytes, n_pages, n_passages, read_at"
FORMAT_VERSION = 1
_APPLICATION_ID = 0x53524149  # "SRAI"
_WAIT_SECONDS = 60.0  # wait for the commit of another process

STRUCTURES = """
CREATE TABLE IF NOT EXISTS structures (
    document_id INTEGER PRIMARY KEY REFERENCES documents ON DELETE CASCADE,
    rules INTEGER NOT NULL,
    value TEXT NOT NULL,
    digest TEXT NOT NULL
)
"""
"""What the pages of each document are. An index of an earlier version gets the table with its next change."""

KEYWORD_COUNTS = """
CREATE TABLE IF NOT EXISTS keyword_counts (
    document_id INTEGER PRIMARY KEY REFERENCES documents ON DELETE CASCADE,
    rules TEXT NOT NULL,
    value BLOB NOT NULL,
    digest TEXT NOT NULL
)
"""
"""How often the passages of each document contain keywords, so that a search does not count them again."""

KEYWORD_BLOCKS = """
CREATE TABLE IF NOT EXISTS keyword_blocks (
    id INTEGER PRIMARY KEY,
    rules TEXT NOT NULL,
    documents TEXT NOT NULL,
    digest TEXT NOT NULL,
    value BLOB NOT NULL
)
"""
"""The counts of keywords of many documents together; the documents are given by digest and number of passages."""

_SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY,
    published INTEGER NOT NULL CHECK (published IN (0, 1)),
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    n_pages INTEGER NOT NULL,
    n_passages INTEGER NOT NULL,
    read_at TEXT NOT NULL,
    digest TEXT NOT NULL,
    vectors BLOB NOT NULL,
    UNIQUE (path, published),
    UNIQUE (name, published)
);
CREATE TABLE pages (
    document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    page_index INTEGER NOT NULL,
    label TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (document_id, page_index)
);
CREATE TABLE passages (
    document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    position INTEGER NOT NULL,
    page_index INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    section TEXT NOT NULL,
    PRIMARY KEY (document_id, position)
) WITHOUT ROWID;
{STRUCTURES};
{KEYWORD_COUNTS};
{KEYWORD_BLOCKS};
"""


class StoreError(SRAError, OSError):
    """An index cannot be opened or is not an index; the message names the folder and the next step."""


def exists(folder: Path) -> bool:
    """Return whether a folder contains an index. One whose creation was interrupted by a crash does not count."""
    if not (folder / DATABASE).is_file():
        return False
    try:
        with closing(_open(folder)) as connection:
            return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return True  # opening the file raises an error that names the problem


def create(folder: Path, meta: dict[str, object]) -> None:
    """Create an empty index in one transaction, readable by the owner only, as the documents may be confidential."""
    os.close(os.open(folder / DATABASE, os.O_CREAT | os.O_WRONLY, 0o600))  # its journal gets the same permissions
    connection = sqlite3.connect(folder / DATABASE, isolation_level=None, timeout=_WAIT_SECONDS)
    with closing(connection):
        _configure(connection)
        with transaction(connection):
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
            connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())


@contextmanager
def connect(folder: Path, *, write: bool = False) -> Iterator[sqlite3.Connection]:
    """Open an index.

    Parameters
    ----------
    folder
        Folder of the index.
    write
        Whether to allow changes; the caller must hold the writer lock.

    Raises
    ------
    StoreError
        If there is no index, it has another format version, or it is damaged.
    """
    if not exists(folder):
        raise StoreError(f"{folder}: there is no index. Create one with: sra-rag index add FOLDER --to {folder}")
    try:
        with closing(_open(folder)) as connection:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if application != _APPLICATION_ID:
                raise StoreError(f"{folder}: {DATABASE} is not an index of sra-rag. Give another folder.")
            if version != FORMAT_VERSION:
                raise StoreError(
                    f"{folder}: the index has format {version}, this program reads format {FORMAT_VERSION}. "
                    "Use the version that wrote it, or rebuild the index in another folder."
                )
            if not write:
                connection.execute("PRAGMA query_only = ON")
            yield connection
    except sqlite3.OperationalError as error:
        if _is_damage(error):
            raise StoreError(
                f"{folder}: the index is damaged ({error}). Rebuild it in another folder, or restore a backup."
            ) from error
        raise StoreError(
            f"{folder}: the index cannot be used now ({error}). Check that the disk has space and that the files in "
            "this folder may be read and written."
        ) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the second: a message that quotes damaged text
        raise StoreError(
            f"{folder}: the index is damaged ({error}). Rebuild it in another folder, or restore a backup."
        ) from error


def is_full_disk(error: BaseException | None) -> bool:
    """Return whether an error, or one that caused it, says that the disk is full."""
    while error is not None:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return True
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__
    return False


def _is_damage(error: sqlite3.OperationalError) -> bool:
    """Return whether SQLite found what it did not write; it has no error code for text that is not UTF-8."""
    return any(part in str(error) for part in ("no such", "Could not decode", "unsupported file format"))


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """Commit the changes of the block together, or roll all of them back if it raises."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself rolls back on a full disk
            connection.execute("ROLLBACK")
        raise


def _open(folder: Path) -> sqlite3.Connection:
    # Not read-only: after a crash, the first connection rolls back the unfinished change, even a reader.
    address = f"{(folder / DATABASE).resolve().as_uri()}?mode=rw"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=_WAIT_SECONDS)
    try:
        _configure(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = EXTRA")  # a commit is on the disk, including its directory entry
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # erase removed documents from the file
