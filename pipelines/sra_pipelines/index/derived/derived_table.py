"""A table of values that are computed from the passages of a document when it is added, and not by each reader.

A value has a digest that is valid for its document only, and the version of the rules by which it was computed. A value
by rules of another version counts as missing. An index of an earlier version has no table until its next change.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sqlite3
from collections.abc import Callable, Sequence

from sra_pipelines.values import Passage

__all__ = ["DerivedTable"]


@dataclasses.dataclass(frozen=True, slots=True)
class DerivedTable:
    """A table with one value for each document.

    Parameters
    ----------
    name
        Name of the table.
    definition
        Statement that creates the table if it does not exist.
    rules
        Function that returns the version of the rules.
    compute
        Function that computes the value of a document from all of its passages.
    described
        What the values are, for messages.
    """

    name: str
    definition: str
    rules: Callable[[], str | int]
    compute: Callable[[Sequence[Passage]], str | bytes]
    described: str

    def insert(self, connection: sqlite3.Connection, number: int, digest: str, passages: Sequence[Passage]) -> None:
        """Compute and write the value of a document, given by its id, digest and passages."""
        value = self.compute(passages)
        connection.execute(
            f"INSERT OR REPLACE INTO {self.name} VALUES (?, ?, ?, ?)",  # noqa: S608 - a name of this program
            (number, self.rules(), value, _digest(digest, value)),
        )

    def load(self, connection: sqlite3.Connection, number: int, digest: str) -> str | bytes | None:
        """Return the value of a document; None if the index does not have it, or by rules of another version.

        Parameters
        ----------
        connection
            Connection to the index.
        number
            Id of the document.
        digest
            Digest of the document in the index.

        Raises
        ------
        ValueError
            If the stored value differs from its digest.
        """
        if not self._exists(connection):
            return None
        row = connection.execute(
            f"SELECT rules, value, digest FROM {self.name} WHERE document_id = ?",  # noqa: S608
            (number,),
        ).fetchone()
        if row is None or row[0] != self.rules():
            return None
        value: str | bytes = row[1]
        if row[2] != _digest(digest, value):
            raise ValueError(f"{self.described} differ from the stored digest")
        return value

    def known(self, connection: sqlite3.Connection) -> set[int]:
        """Return the ids of the documents that have a value by the present rules. Create the table if necessary."""
        connection.execute(self.definition)
        rows = connection.execute(
            f"SELECT document_id FROM {self.name} WHERE rules = ?",  # noqa: S608
            (self.rules(),),
        )
        return {number for (number,) in rows}

    def _exists(self, connection: sqlite3.Connection) -> bool:
        query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
        return bool(connection.execute(query, (self.name,)).fetchone()[0])


def _digest(of_document: str, value: str | bytes) -> str:
    """Return a digest that is valid for one document only."""
    own = value.encode() if isinstance(value, str) else value
    return hashlib.sha256(f"{of_document}\n".encode() + own).hexdigest()
