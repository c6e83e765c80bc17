"""Read documents, split and embed them, and lay them into the database unpublished: what an ``add`` does first.

What is prepared survives an interruption.
"""

from __future__ import annotations

import dataclasses
import datetime
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from llama_index.core.embeddings import BaseEmbedding

from sra_pipelines.documents import Document, DocumentError
from sra_pipelines.embedding_identity import unit_vectors
from sra_pipelines.index_plan import Plan
from sra_pipelines.readers.limits import ReadingLimits
from sra_pipelines.reading import default_workers, read_documents
from sra_pipelines.schema import transaction
from sra_pipelines.splitting import Splitting, embedded_text, split_document
from sra_pipelines.stored_document import IndexedDocument, StoredDocument, insert_document, list_documents

__all__ = ["Progress", "Tally", "prepare", "prepared_before"]

_EMBED_AT_ONCE = 32

Progress = Callable[[str, float, float], None]
"""Called with what is being done, how much of it is done and how much there is."""


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


def prepare(
    connection: sqlite3.Connection,
    plan: Plan,
    wanted: Sequence[Path],
    model: BaseEmbedding,
    splitting: Splitting,
    workers: int | None,
    limits: ReadingLimits | None,
    tally: Tally,
    progress: Progress,
) -> None:
    """Prepare files one by one; what cannot be read is put on the plan's list of failures.

    Parameters
    ----------
    connection
        Of the index, for writing.
    plan
        What is to be done; its ``failed`` grows.
    wanted
        Files to read.
    model, splitting
        Of the index.
    workers, limits
        As for `sra_pipelines.index_writer.add_documents`.
    tally
        Grows by each document.
    progress
        Told of bytes.
    """
    sizes = {path: path.stat().st_size if path.exists() else 0 for path in wanted}
    total = float(sum(sizes.values()))
    done = 0.0
    progress("indexing", done, total)
    for path, result, digest in read_documents(
        wanted, workers=default_workers(len(wanted)) if workers is None else workers, limits=limits
    ):
        name, planned = plan.to_read[path]
        if isinstance(result, Document) and digest != planned:
            result = DocumentError(f"{path}: the file changed while it was being indexed. Run the command again.")
        if isinstance(result, DocumentError):
            plan.failed[path] = str(result)
        else:
            stored = _embed(result, name, digest, sizes[path], model, splitting, partial(_share, progress, done, total))
            with transaction(connection):
                tally.ids[path] = insert_document(connection, stored)
            tally.n_pages += len(stored.pages)
            tally.n_passages += len(stored.passages)
            if result.empty_pages:
                tally.empty_pages[name] = list(result.empty_pages)
        done += sizes[path]
        progress("indexing", done, total)


def _share(progress: Progress, done: float, total: float, share: float) -> None:
    progress("indexing", done + share, total)


def _embed(
    document: Document,
    name: str,
    digest: str,
    size: int,
    model: BaseEmbedding,
    splitting: Splitting,
    on_share: Callable[[float], None],
) -> StoredDocument:
    passages = split_document(document, name, splitting)
    parts = []
    for start in range(0, len(passages), _EMBED_AT_ONCE):
        batch = [embedded_text(passage) for passage in passages[start : start + _EMBED_AT_ONCE]]
        parts.append(unit_vectors(model.get_text_embedding_batch(batch)))
        on_share(size * min(1.0, (start + len(batch)) / len(passages)))
    about = IndexedDocument(
        name=name,
        path=str(document.path),
        sha256=digest,
        bytes=size,
        n_pages=len(document.pages),
        n_passages=len(passages),
        read_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    vectors = np.concatenate(parts) if parts else np.empty((0, 0), dtype=np.float32)
    return StoredDocument(about, document.pages, tuple(passages), vectors)
