"""First part of an ``add``: read, split and embed documents, and write them to the database without publishing them.

Prepared documents survive an interruption.
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
from sra_pipelines.index.derived.derived_values import insert_with_values
from sra_pipelines.index.embedding_identity import unit_vectors
from sra_pipelines.index.plan import Plan
from sra_pipelines.index.schema import transaction
from sra_pipelines.index.stored_document import StoredDocument
from sra_pipelines.readers.limits import ReadingLimits
from sra_pipelines.reading.processes import LoneReader, default_workers, read_documents
from sra_pipelines.reading.splitting import Splitting, embedded_text, split_document
from sra_pipelines.values import Document, DocumentError, Passage

__all__ = [
    "Prepared",
    "Progress",
    "Tally",
    "Wanted",
    "embed_document",
    "prepare",
    "prepared_before",
    "prepared_here",
    "prepared_one_by_one",
    "wanted_files",
]

_EMBED_AT_ONCE = 10  # passages; the progress bar moves after each batch
_READ = 0.05  # share of the work on a document that is done when it is read

Progress = Callable[[str, float, float], None]
"""Called with a description of the current step, the work done so far, and the total."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """A file to add to an index.

    Parameters
    ----------
    path
        Path of the file.
    name
        Name of the document in the index.
    sha256, bytes
        Digest and size of the file when the work was planned.
    """

    path: Path
    name: str
    sha256: str
    bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """The result of preparing a file for an index.

    Parameters
    ----------
    file
        The file.
    result
        The document with its vectors, or the reason why it could not be read.
    empty_pages
        Labels of pages without text.
    notices
        What was left out of the document, see `Document.notices`.
    """

    file: Wanted
    result: StoredDocument | DocumentError
    empty_pages: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclasses.dataclass
class Tally:
    """Counts of prepared documents.

    Parameters
    ----------
    ids
        Ids of the documents, by file.
    empty_pages
        Labels of pages without text, by document.
    notices
        What was left out of the documents, by document.
    n_pages, n_passages
        Number of pages read and passages embedded.
    """

    ids: dict[Path, int] = dataclasses.field(default_factory=dict)
    empty_pages: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    notices: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    n_pages: int = 0
    n_passages: int = 0


def prepared_before(connection: sqlite3.Connection, plan: Plan) -> dict[Path, int]:
    """Return documents from an interrupted ``add`` that are still needed; publishing removes the others."""
    left = {
        Path(document.path): (number, document)
        for number, document in list_documents(connection, published=False).items()
    }
    return {
        path: left[path][0]
        for path, (name, digest) in plan.to_read.items()
        if path in left and (left[path][1].name, left[path][1].sha256) == (name, digest)
    }


def wanted_files(plan: Plan, prepared: Container[Path]) -> list[Wanted]:
    """Return the files of a plan that must be read, without those that an earlier ``add`` has prepared."""
    return [
        Wanted(path, name, digest, path.stat().st_size if path.exists() else 0)
        for path, (name, digest) in plan.to_read.items()
        if path not in prepared
    ]


def prepare(
    connection: sqlite3.Connection,
    plan: Plan,
    files: Sequence[Wanted],
    results: Iterable[Prepared],
    tally: Tally,
    progress: Progress,
) -> None:
    """Write documents to the database as they are prepared, and record failures in the plan.

    Parameters
    ----------
    connection
        Writable connection to the index.
    plan
        The plan of the ``add``; failures are added to its ``failed``.
    files
        All files to prepare.
    results
        Results for the files, from `prepared_here` or `sra_pipelines.index.prepare_on_ray.prepared_on_ray`.
    tally
        Counts, updated with each document.
    progress
        Progress callback; its unit is bytes.
    """
    total, done = float(sum(file.bytes for file in files)), 0.0
    for prepared in results:
        if isinstance(prepared.result, DocumentError):
            plan.failed[prepared.file.path] = str(prepared.result)
        else:
            with transaction(connection):
                tally.ids[prepared.file.path] = insert_with_values(connection, prepared.result)
            tally.n_pages += len(prepared.result.pages)
            tally.n_passages += len(prepared.result.passages)
            if prepared.empty_pages:
                tally.empty_pages[prepared.file.name] = list(prepared.empty_pages)
            if prepared.notices:
                tally.notices[prepared.file.name] = list(prepared.notices)
        done += prepared.file.bytes
        progress(f"indexing {prepared.file.name}", done, total)


def prepared_here(
    files: Sequence[Wanted],
    model: BaseEmbedding,
    splitting: Splitting,
    workers: int | None,
    limits: ReadingLimits | None,
    progress: Progress,
) -> Generator[Prepared, None, None]:
    """Read files in worker processes, and embed them in this process.

    Parameters
    ----------
    files
        Files to read.
    model, splitting
        Embedding model and splitting of the index.
    workers, limits
        See `sra_pipelines.index.writer.add_documents`.
    progress
        Progress callback; its unit is bytes. It is also called while a document is embedded.
    """
    by_path = {file.path: file for file in files}
    total, done = float(sum(file.bytes for file in files)), 0.0
    progress(f"reading {files[0].name}" if files else "reading", done, total)
    for path, result, digest in read_documents(
        list(by_path), workers=default_workers(len(files)) if workers is None else workers, limits=limits
    ):
        file = by_path[path]
        if isinstance(result, Document) and digest != file.sha256:
            result = DocumentError(f"{path}: the file changed while it was being indexed. Run the command again.")
        if isinstance(result, DocumentError):
            yield Prepared(file, result)
        else:

            def on_share(share: float, before: float = done, file: Wanted = file) -> None:
                progress(f"indexing {file.name}", before + share * file.bytes, total)

            on_share(_READ)
            stored = embed_document(result, file, model, splitting, on_share)
            yield Prepared(file, stored, result.empty_pages, result.notices)
        done += file.bytes


def prepared_one_by_one(
    files: Sequence[Wanted],
    model: BaseEmbedding,
    splitting: Splitting,
    reader: LoneReader,
    limits: ReadingLimits | None,
    progress: Progress,
) -> Generator[Prepared, None, None]:
    """Read and split files with a reader that is already running, and embed them in this process.

    The parameters are those of `prepared_here`, except for the reader.
    """
    total, done = float(sum(file.bytes for file in files)), 0.0
    progress("indexing", done, total)
    for file in files:
        result = reader.read_and_split(file.path, file.name, splitting, limits)
        if isinstance(result, DocumentError):
            yield Prepared(file, result)
        elif result.sha256 != file.sha256:
            problem = f"{file.path}: the file changed while it was being indexed. Run the command again."
            yield Prepared(file, DocumentError(problem))
        else:

            def on_share(share: float, before: float = done, size: int = file.bytes) -> None:
                progress("indexing", before + share * size, total)

            stored = embed_document(result.document, file, model, splitting, on_share, result.passages)
            yield Prepared(file, stored, result.document.empty_pages)
        done += file.bytes


def embed_document(
    document: Document,
    file: Wanted,
    model: BaseEmbedding,
    splitting: Splitting,
    on_share: Callable[[float], None] | None = None,
    passages: Sequence[Passage] | None = None,
) -> StoredDocument:
    """Split a document into passages, and embed the passages.

    Parameters
    ----------
    document
        The document.
    file
        Path, name, digest and size of the document for the index.
    model, splitting
        Embedding model and splitting of the index.
    on_share
        Called with the share of the document that is embedded, in [0, 1].
    passages
        The passages of the document, if it is split already.
    """
    if passages is None:
        passages = split_document(document, file.name, splitting)
    texts = [embedded_text(passage) for passage in passages]
    # A model fills up the texts of a batch to the longest: texts of about the same length are embedded together.
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]), reverse=True)
    by_length = []
    for start in range(0, len(texts), _EMBED_AT_ONCE):
        batch = [texts[number] for number in order[start : start + _EMBED_AT_ONCE]]
        by_length.append(unit_vectors(model.get_text_embedding_batch(batch)))
        if on_share is not None:
            on_share(_READ + (1 - _READ) * (start + len(batch)) / len(texts))
    metadata = IndexedDocument(
        name=file.name,
        path=str(file.path),
        sha256=file.sha256,
        bytes=file.bytes,
        n_pages=len(document.pages),
        n_passages=len(passages),
        read_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    vectors = np.empty((0, 0), dtype=np.float32)
    if by_length:
        vectors = np.empty((len(texts), by_length[0].shape[1]), dtype=np.float32)
        vectors[order] = np.concatenate(by_length)
    return StoredDocument(metadata, document.pages, tuple(passages), vectors)
