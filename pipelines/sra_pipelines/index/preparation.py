"""Read documents, split and embed them, and lay them into the database unpublished: what an ``add`` does first.

What is prepared survives an interruption.
"""

from __future__ import annotations

import dataclasses
import datetime
import sqlite3
from collections.abc import Callable, Container, Generator, Iterable, Sequence
from pathlib import Path

import numpy as np
from llama_index.core.embeddings import BaseEmbedding

from sra_pipelines.index.catalog import IndexedDocument, list_documents
from sra_pipelines.index.embedding_identity import unit_vectors
from sra_pipelines.index.plan import Plan
from sra_pipelines.index.schema import transaction
from sra_pipelines.index.stored_document import StoredDocument, insert_document
from sra_pipelines.readers.limits import ReadingLimits
from sra_pipelines.reading.processes import default_workers, read_documents
from sra_pipelines.reading.splitting import Splitting, embedded_text, split_document
from sra_pipelines.values import Document, DocumentError

__all__ = [
    "Prepared",
    "Progress",
    "Tally",
    "Wanted",
    "embed_document",
    "prepare",
    "prepared_before",
    "prepared_here",
    "wanted_files",
]

_EMBED_AT_ONCE = 32

Progress = Callable[[str, float, float], None]
"""Called with what is being done, how much of it is done and how much there is."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """A file that is to go into an index.

    Parameters
    ----------
    path
        Where it lies.
    name
        What the index will call it.
    sha256, bytes
        Of what was there when the work was planned.
    """

    path: Path
    name: str
    sha256: str
    bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """A file as it goes into an index.

    Parameters
    ----------
    file
        What was wanted.
    result
        What stands in it, with its vectors, or why it could not be read.
    empty_pages
        Labels of pages without text.
    """

    file: Wanted
    result: StoredDocument | DocumentError
    empty_pages: tuple[str, ...] = ()


@dataclasses.dataclass
class Tally:
    """What was prepared.

    Parameters
    ----------
    ids
        Of the documents, by file.
    empty_pages
        Labels of pages without text, by document.
    n_pages, n_passages
        Read and embedded.
    """

    ids: dict[Path, int] = dataclasses.field(default_factory=dict)
    empty_pages: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    n_pages: int = 0
    n_passages: int = 0


def prepared_before(connection: sqlite3.Connection, plan: Plan) -> dict[Path, int]:
    """Find what an interrupted ``add`` left that is still wanted; the rest is removed when this one publishes."""
    left = {Path(about.path): (number, about) for number, about in list_documents(connection, published=False).items()}
    return {
        path: left[path][0]
        for path, (name, digest) in plan.to_read.items()
        if path in left and (left[path][1].name, left[path][1].sha256) == (name, digest)
    }


def wanted_files(plan: Plan, prepared: Container[Path]) -> list[Wanted]:
    """Return what a plan says is to be read and no earlier ``add`` has prepared."""
    return [
        Wanted(path, name, digest, path.stat().st_size if path.exists() else 0)
        for path, (name, digest) in plan.to_read.items()
        if path not in prepared
    ]


def prepare(
    connection: sqlite3.Connection,
    plan: Plan,
    files: Sequence[Wanted],
    found: Iterable[Prepared],
    tally: Tally,
    progress: Progress,
) -> None:
    """Lay documents into the database as they come; what could not be read is put on the plan's list of failures.

    Parameters
    ----------
    connection
        Of the index, for writing.
    plan
        What is to be done; its ``failed`` grows.
    files
        All that is wanted.
    found
        What becomes of them: from `prepared_here`, or from `sra_pipelines.index.prepare_on_ray.prepared_on_ray`.
    tally
        Grows by each document.
    progress
        Told of bytes.
    """
    total, done = float(sum(file.bytes for file in files)), 0.0
    for one in found:
        if isinstance(one.result, DocumentError):
            plan.failed[one.file.path] = str(one.result)
        else:
            with transaction(connection):
                tally.ids[one.file.path] = insert_document(connection, one.result)
            tally.n_pages += len(one.result.pages)
            tally.n_passages += len(one.result.passages)
            if one.empty_pages:
                tally.empty_pages[one.file.name] = list(one.empty_pages)
        done += one.file.bytes
        progress("indexing", done, total)


def prepared_here(
    files: Sequence[Wanted],
    model: BaseEmbedding,
    splitting: Splitting,
    workers: int | None,
    limits: ReadingLimits | None,
    progress: Progress,
) -> Generator[Prepared, None, None]:
    """Read files in worker processes, and embed them in this one.

    Parameters
    ----------
    files
        What to read.
    model, splitting
        Of the index.
    workers, limits
        As for `sra_pipelines.index.writer.add_documents`.
    progress
        Told of bytes while a document is embedded.
    """
    by_path = {file.path: file for file in files}
    total, done = float(sum(file.bytes for file in files)), 0.0
    progress("indexing", done, total)
    for path, result, digest in read_documents(
        list(by_path), workers=default_workers(len(files)) if workers is None else workers, limits=limits
    ):
        file = by_path[path]
        if isinstance(result, Document) and digest != file.sha256:
            result = DocumentError(f"{path}: the file changed while it was being indexed. Run the command again.")
        if isinstance(result, DocumentError):
            yield Prepared(file, result)
        else:

            def on_share(share: float, before: float = done, size: int = file.bytes) -> None:
                progress("indexing", before + share * size, total)

            yield Prepared(file, embed_document(result, file, model, splitting, on_share), result.empty_pages)
        done += file.bytes


def embed_document(
    document: Document,
    file: Wanted,
    model: BaseEmbedding,
    splitting: Splitting,
    on_share: Callable[[float], None] | None = None,
) -> StoredDocument:
    """Split a document that was read, and embed its passages.

    Parameters
    ----------
    document
        What was read.
    file
        What the index will say of it.
    model, splitting
        Of the index.
    on_share
        Told which share of the document is embedded.
    """
    passages = split_document(document, file.name, splitting)
    parts = []
    for start in range(0, len(passages), _EMBED_AT_ONCE):
        batch = [embedded_text(passage) for passage in passages[start : start + _EMBED_AT_ONCE]]
        parts.append(unit_vectors(model.get_text_embedding_batch(batch)))
        if on_share is not None:
            on_share((start + len(batch)) / len(passages))
    about = IndexedDocument(
        name=file.name,
        path=str(file.path),
        sha256=file.sha256,
        bytes=file.bytes,
        n_pages=len(document.pages),
        n_passages=len(passages),
        read_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    vectors = np.concatenate(parts) if parts else np.empty((0, 0), dtype=np.float32)
    return StoredDocument(about, document.pages, tuple(passages), vectors)
