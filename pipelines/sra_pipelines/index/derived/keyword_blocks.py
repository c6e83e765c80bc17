"""The counts of the keywords of many documents together, stored so that the first search of an index joins few counts.

A block has the counts of at most `MOST_PASSAGES` passages, or of one longer document. Blocks change in the transaction
that changes the documents: a removed document is left out of its block, added ones form new blocks, and blocks are
joined as `blocks_to_join` says. So a change writes a few blocks, whatever the size of the index.

A document that no block counts is searched with its own counts, as in an index of an earlier version, which gets blocks
with its next ``add``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from sra_pipelines.index.derived.derived_values import load_keyword_counts
from sra_pipelines.index.schema import KEYWORD_BLOCKS, transaction
from sra_pipelines.index.seal import damaged
from sra_pipelines.retrieval.block_sizes import blocks_to_join
from sra_pipelines.retrieval.keyword_counts import CountsBlock, KeywordCounts, counting_rules
from sra_pipelines.values import Passage

__all__ = ["block_problems", "delete_stale_blocks", "load_blocks", "update_blocks"]

_NO_TABLE = "SELECT count(*) = 0 FROM sqlite_master WHERE type = 'table' AND name = 'keyword_blocks'"


@dataclasses.dataclass(frozen=True, slots=True)
class _Block:
    """A stored block: its id, and the digest and number of passages of each of its documents."""

    number: int
    documents: tuple[tuple[str, int], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class _Part:
    """A stored block, or a document by its id, and what of it is to be in a new block."""

    source: _Block | int
    documents: tuple[tuple[str, int], ...]

    @property
    def n_passages(self) -> int:
        """Number of passages to be in the new block."""
        return sum(n_passages for _, n_passages in self.documents)

    @property
    def is_stored(self) -> bool:
        """Whether this is a whole block as it is stored."""
        return isinstance(self.source, _Block) and self.source.documents == self.documents


def load_blocks(
    connection: sqlite3.Connection, passages: Mapping[str, Sequence[Passage]], folder: Path
) -> list[CountsBlock]:
    """Load the blocks that count documents of the index only, by the present rules.

    Parameters
    ----------
    connection
        Connection to the index.
    passages
        Passages of the documents of the index, by the digest of the document.
    folder
        Folder of the index, for the message.

    Raises
    ------
    StoreError
        If a block differs from its digest.
    """
    blocks = []
    for block in _stored(connection, folder):
        if all(len(passages.get(digest, ())) == length for digest, length in block.documents):
            content = _load(connection, block, folder)
            blocks.append(CountsBlock([passages[digest] for digest, _ in block.documents], content))
    return blocks


def update_blocks(connection: sqlite3.Connection, folder: Path, *, create: bool = False) -> None:
    """Write the blocks for the published documents, within the transaction of a change.

    Parameters
    ----------
    connection
        Connection to the index.
    folder
        Folder of the index, for the message.
    create
        Whether an index without blocks gets them.

    Raises
    ------
    StoreError
        If counts from which a block is made are damaged.
    """
    if create:
        connection.execute(KEYWORD_BLOCKS)
    elif connection.execute(_NO_TABLE).fetchone()[0]:
        return
    connection.execute("DELETE FROM keyword_blocks WHERE rules != ?", (counting_rules(),))
    numbers = _published(connection)
    parts: list[_Part] = []
    for block in _stored(connection, folder):
        kept = tuple(document for document in block.documents if document in numbers)
        parts.append(_Part(block, kept))
        for document in kept:
            del numbers[document]
    parts += [_Part(number, (document,)) for document, number in numbers.items() if _has_counts(connection, number)]
    for run in blocks_to_join(part.n_passages for part in parts):
        own = parts[run.start : run.stop]
        if len(own) > 1 or not own[0].is_stored:
            _write(connection, own, folder)


def delete_stale_blocks(connection: sqlite3.Connection, folder: Path) -> None:
    """Delete the blocks that count documents which are not published, each in a transaction: for a full disk.

    What is deleted is not overwritten in the file, see `delete_piecewise`.
    """
    if connection.execute(_NO_TABLE).fetchone()[0]:
        return
    published = _published(connection)
    stale = [block.number for block in _stored(connection, folder) if not published.keys() >= {*block.documents}]
    connection.execute("PRAGMA secure_delete = FAST")
    try:
        for number in stale:
            with transaction(connection):
                connection.execute("DELETE FROM keyword_blocks WHERE id = ?", (number,))
    finally:
        connection.execute("PRAGMA secure_delete = ON")


def block_problems(connection: sqlite3.Connection, folder: Path) -> Iterator[str]:
    """Yield a description of each damaged block."""
    try:
        for block in _stored(connection, folder):
            if _content(connection, block) is None:
                yield f"the counts of keywords of {len(block.documents)} documents differ from the stored digest"
    except OSError as error:
        yield str(error)


def _published(connection: sqlite3.Connection) -> dict[tuple[str, int], int]:
    """Return the ids of the published documents that have passages, by digest and number of passages."""
    rows = connection.execute(
        "SELECT digest, n_passages, id FROM documents WHERE published = 1 AND n_passages > 0 ORDER BY id"
    )
    return {(digest, n_passages): number for digest, n_passages, number in rows}


def _stored(connection: sqlite3.Connection, folder: Path) -> list[_Block]:
    """Return the blocks by the present rules, without their counts."""
    if connection.execute(_NO_TABLE).fetchone()[0]:
        return []
    rows = connection.execute(
        "SELECT id, documents FROM keyword_blocks WHERE rules = ? ORDER BY id", (counting_rules(),)
    ).fetchall()
    try:
        return [
            _Block(number, tuple((str(digest), int(length)) for digest, length in json.loads(documents)))
            for number, documents in rows
        ]
    except (ValueError, TypeError) as error:
        raise damaged(folder, f"the documents of counts of keywords cannot be read: {error}") from error


def _has_counts(connection: sqlite3.Connection, number: int) -> bool:
    query = "SELECT count(*) FROM keyword_counts WHERE document_id = ? AND rules = ?"
    return bool(connection.execute(query, (number, counting_rules())).fetchone()[0])


def _write(connection: sqlite3.Connection, parts: Sequence[_Part], folder: Path) -> None:
    """Write one block of parts, in the place of the first stored block among them, and delete the other ones."""
    replaced = [part.source.number for part in parts if isinstance(part.source, _Block)]
    documents = [document for part in parts for document in part.documents]
    content = _joined(connection, parts, folder).to_bytes() if documents else b""
    connection.executemany("DELETE FROM keyword_blocks WHERE id = ?", [(number,) for number in replaced])
    if documents:
        text = json.dumps(documents, separators=(",", ":"))
        connection.execute(
            "INSERT INTO keyword_blocks VALUES (?, ?, ?, ?, ?)",
            (replaced[0] if replaced else None, counting_rules(), text, _digest(documents, content), content),
        )


def _joined(connection: sqlite3.Connection, parts: Sequence[_Part], folder: Path) -> KeywordCounts:
    """Join the counts of parts."""
    joined = []
    for part in parts:
        if isinstance(part.source, _Block):
            counts = KeywordCounts.from_bytes(_load(connection, part.source, folder))
            present = {*part.documents}
            chosen = [document in present for document in part.source.documents]
            kept = np.repeat(np.array(chosen, np.bool_), [length for _, length in part.source.documents])
        else:
            [(digest, length)] = part.documents
            try:
                packed = load_keyword_counts(connection, part.source, digest)
            except ValueError as error:
                raise damaged(folder, str(error)) from error
            if packed is None:
                raise damaged(folder, "counts of keywords are missing")
            counts, kept = KeywordCounts.unpack(packed), np.ones(length, np.bool_)
        joined.append((counts, kept))
    return KeywordCounts.joined(joined)


def _load(connection: sqlite3.Connection, block: _Block, folder: Path) -> bytes:
    content = _content(connection, block)
    if content is None:
        raise damaged(folder, f"the counts of keywords of {len(block.documents)} documents differ from their digest")
    return content


def _content(connection: sqlite3.Connection, block: _Block) -> bytes | None:
    """Return the counts of a block; None if they differ from their digest."""
    digest, content = connection.execute(
        "SELECT digest, value FROM keyword_blocks WHERE id = ?", (block.number,)
    ).fetchone()
    if isinstance(content, bytes) and digest == _digest(block.documents, content):
        return content
    return None


def _digest(documents: Iterable[tuple[str, int]], content: bytes) -> str:
    """Return a digest that is valid for these documents only."""
    digest = hashlib.sha256(json.dumps([*documents]).encode() + b"\n")
    digest.update(content)
    return digest.hexdigest()
