"""The file that an index is: one SQLite database, so that one commit changes everything or nothing.

Documents, pages, passages and vectors stand in it; FAISS is filled from it when an index is opened. A document that is
prepared but not yet part of the index (``published`` is 0) is seen by no reader.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sra_rag.errors import SRAError

__all__ = ["DATABASE", "FORMAT_VERSION", "StoreError", "connect", "create", "exists", "transaction"]

DATABASE = "index.sqlite3"
FORMAT_VERSION = 1
_APPLICATION_ID = 0x53524149  # "SRAI"
_WAIT_SECONDS = 60.0  # for another process's commit

_SCHEMA = """
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
"""


class StoreError(SRAError, OSError):
    """An index cannot be opened, or is not one; the message names it and what to do."""


def exists(folder: Path) -> bool:
    """Whether a folder holds an index; one whose making was cut off by a crash is none."""
    if not (folder / DATABASE).is_file():
        return False
    try:
        with closing(_open(folder)) as connection:
            return bool(connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[0])
    except sqlite3.DatabaseError:
        return True  # something is there; opening it says what is wrong


def create(folder: Path, meta: dict[str, object]) -> None:
    """Make an empty index in one transaction.

    Raises
    ------
    StoreError
        If the folder holds something else.
    """
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
        Where it lies.
    write
        Allow changes; the caller holds the writer's lock.

    Raises
    ------
    StoreError
        If there is none, it was written by another version, or it is damaged.
    """
    if not exists(folder):
        raise StoreError(f"{folder}: there is no index. Make one with: sra-rag index add FOLDER --to {folder}")
    try:
        with closing(_open(folder)) as connection:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if application != _APPLICATION_ID:
                raise StoreError(f"{folder}: {DATABASE} is no index of sra-rag. Name another folder.")
            if version != FORMAT_VERSION:
                raise StoreError(
                    f"{folder}: the index has format {version}, this program reads format {FORMAT_VERSION}. "
                    "Use the program that wrote it, or build the index anew in another folder."
                )
            if not write:
                connection.execute("PRAGMA query_only = ON")
            yield connection
    except sqlite3.OperationalError as error:
        raise StoreError(
            f"{folder}: the index cannot be used now ({error}). Check that the disk has room and that the files in "
            "this folder may be read and written."
        ) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"{folder}: the index is damaged ({error}). Build it anew in another folder, or bring back a copy."
        ) from error


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """Commit what the block does as one change, or none of it."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _open(folder: Path) -> sqlite3.Connection:
    # Not read-only: after a crash the first to come rolls the unfinished change back, a reader too.
    address = f"{(folder / DATABASE).resolve().as_uri()}?mode=rw"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=_WAIT_SECONDS)
    try:
        _configure(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = EXTRA")  # a commit has reached the disk, its directory entry too
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # nothing of a removed document stays in the file
