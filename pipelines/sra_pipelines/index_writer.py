"""Change an index on disk: prepare documents one by one, then publish them all in one commit.

What is prepared survives an interruption, so that the next ``add`` goes on from there; no reader sees it before the
commit. That commit also removes what was replaced and counts the revision up.
"""

from __future__ import annotations

import dataclasses
import datetime
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from llama_index.core.embeddings import BaseEmbedding

from sra_pipelines.documents import Document, DocumentError
from sra_pipelines.embedding_identity import EmbeddingIdentity, unit_vectors
from sra_pipelines.index_plan import Plan, find_files, make_plan
from sra_pipelines.index_vectors import drop_vectors, own_store, push_vectors
from sra_pipelines.lock import writer_lock
from sra_pipelines.readers.limits import ReadingLimits
from sra_pipelines.reading import default_workers, read_documents
from sra_pipelines.schema import DATABASE, StoreError, connect, create, exists, transaction
from sra_pipelines.splitting import Splitting, embedded_text, split_document
from sra_pipelines.stored_document import IndexedDocument, StoredDocument, insert_document, list_documents
from sra_pipelines.stored_index import read_meta
from sra_pipelines.vector_store import VectorStore

__all__ = ["AddReport", "Progress", "add_documents", "remove_documents"]

_EMBED_AT_ONCE = 32

Progress = Callable[[str, float, float], None]
"""Called with what is being done, how much of it is done and how much there is."""


@dataclasses.dataclass(frozen=True)
class AddReport:
    """What an ``add`` did.

    Parameters
    ----------
    added, changed, moved, removed
        Names of documents that are new, read again, at another place, and gone.
    unchanged
        How many files were in the index as they are.
    resumed
        How many documents an earlier, interrupted ``add`` had prepared.
    duplicates
        Files left out because they hold the same bytes as another, by that other.
    failed
        Files that could not be read, and why.
    other_types
        How many files of types that are not read lie in the folders, by suffix.
    empty_pages
        Labels of pages without text, by document: they cannot be searched.
    n_pages, n_passages
        Read and embedded now.
    seconds
        In all.
    revision
        Of the index afterwards.
    """

    added: list[str]
    changed: list[str]
    moved: list[str]
    removed: list[str]
    unchanged: int
    resumed: int
    duplicates: dict[str, str]
    failed: dict[str, str]
    other_types: dict[str, int]
    empty_pages: dict[str, list[str]]
    n_pages: int
    n_passages: int
    seconds: float
    revision: int


def add_documents(
    folder: Path,
    paths: Iterable[Path],
    embedding: Callable[[], BaseEmbedding],
    *,
    embedding_name: str | None = None,
    sync: bool = False,
    workers: int | None = None,
    limits: ReadingLimits | None = None,
    splitting: Splitting | None = None,
    on_progress: Progress | None = None,
    store: VectorStore | None = None,
) -> AddReport:
    """Bring an index up to date with files and folders; make it if there is none.

    Everything is published by one commit at the end: until then, and if it never comes, the index is what it was.

    Parameters
    ----------
    folder
        Where the index lies.
    paths
        Files, and folders that are searched for them.
    embedding
        Loads the embedding model; called only if something is to be embedded.
    embedding_name
        What the index calls that model.
    sync
        Remove documents whose files are gone from ``paths``.
    workers
        Processes that read; by default one a core, at most four; 0 reads in this process.
    limits
        For files from somebody else; one's own have none.
    splitting
        How long the passages of a new index are; one that exists keeps its own.
    on_progress
        For a progress bar. What it raises ends the ``add``, and the index is what it was.
    store
        Where the vectors are brought to as well; by default the place that the index names, see `bring_vectors`.

    Raises
    ------
    IndexLockedError
        If another process changes the index.
    StoreError
        If the folder holds something else, the index is damaged, or it was split by other rules or otherwise than
        `splitting` says.
    EmbeddingMismatchError
        If the index belongs to another embedding model.
    VectorStoreError
        If the vectors cannot be brought to their store. The index is then what it was, unless the message comes of
        dropping old vectors: the next ``add`` drops them.
    """
    started = time.perf_counter()
    progress = on_progress or (lambda what, done, total: None)
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder}: this is a file. An index is a folder; name another.")
    if folder.is_dir() and not (folder / DATABASE).exists() and any(p.suffix != ".lock" for p in folder.iterdir()):
        raise StoreError(f"{folder}: this folder holds other things and no index. Name an empty or a new one.")
    files, others, roots = find_files(paths, folder)
    folder.mkdir(parents=True, exist_ok=True)
    with writer_lock(folder):
        model: BaseEmbedding | None = None
        if not exists(folder):
            model = embedding()
            identity = EmbeddingIdentity.of(model, embedding_name)
            rules = (splitting or Splitting()).name
            create(folder, {"index_id": uuid.uuid4().hex, "revision": 0, "splitting": rules, **identity.to_meta()})
        with connect(folder, write=True) as connection:
            meta = read_meta(connection)
            own = _own_splitting(folder, str(meta["splitting"]), splitting)
            identity = EmbeddingIdentity.from_meta(meta)
            known = list_documents(connection)
            plan = make_plan(
                files, roots, known.values(), sync=sync, on_file=lambda done, total: progress("hashing", done, total)
            )
            prepared = _prepared(connection, plan)
            wanted = [path for path in plan.to_read if path not in prepared]
            tally = _Tally()
            if wanted:
                model = model or embedding()
                identity.require_same(EmbeddingIdentity.of(model, embedding_name), str(folder))
                _prepare(connection, plan, wanted, model, own, workers, limits, tally, progress)
            with own_store(connection, store) as vectors:
                if vectors is not None:
                    push_vectors(connection, vectors, progress)
                revision = _publish(connection, plan, known, prepared | tally.ids)
                if vectors is not None:
                    drop_vectors(connection, vectors)
    ready = prepared.keys() | tally.ids.keys()
    named = {path: name for path, (name, _) in plan.to_read.items() if path in ready}
    return AddReport(
        added=sorted(name for path, name in named.items() if path not in plan.changed),
        changed=sorted(name for path, name in named.items() if path in plan.changed),
        moved=sorted(about.name for about in known.values() if about.path in plan.moved),
        removed=[about.name for about in plan.gone],
        unchanged=len(plan.unchanged),
        resumed=len(prepared),
        duplicates={str(path): other for path, other in plan.duplicates.items()},
        failed={str(path): reason for path, reason in plan.failed.items()},
        other_types=dict(others.most_common()),
        empty_pages=tally.empty_pages,
        n_pages=tally.n_pages,
        n_passages=tally.n_passages,
        seconds=time.perf_counter() - started,
        revision=revision,
    )


def remove_documents(folder: Path, names: Sequence[str], *, store: VectorStore | None = None) -> list[IndexedDocument]:
    """Remove documents, by name or path, in one commit; then from the vector store, see `add_documents`.

    Raises
    ------
    StoreError
        If one of them is not in the index; nothing is removed then.
    VectorStoreError
        If the store cannot be reached: before the commit, nothing is removed; after it, only from the index.
    """
    if not exists(folder):
        with connect(folder):  # says so
            pass
    with writer_lock(folder), connect(folder, write=True) as connection:
        known = list_documents(connection)
        chosen: dict[int, IndexedDocument] = {}
        for name in names:
            found = {i: a for i, a in known.items() if name == a.name or str(Path(name).resolve()) == a.path}
            if not found:
                some = ", ".join(repr(about.name) for about in list(known.values())[:5]) or "none"
                raise StoreError(
                    f"{folder}: there is no document {name!r} in the index; it holds {some}"
                    f"{', ...' if len(known) > 5 else ''}. See all with: sra-rag index list {folder}"
                )
            chosen |= found
        with own_store(connection, store) as vectors:
            if vectors is not None:
                vectors.held()  # raises now if it cannot be reached
            with transaction(connection):
                connection.executemany("DELETE FROM documents WHERE id = ?", [(number,) for number in chosen])
                _count_up(connection)
            if vectors is not None:
                drop_vectors(connection, vectors)
    return list(chosen.values())


@dataclasses.dataclass
class _Tally:
    ids: dict[Path, int] = dataclasses.field(default_factory=dict)
    empty_pages: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    n_pages: int = 0
    n_passages: int = 0


def _prepared(connection: sqlite3.Connection, plan: Plan) -> dict[Path, int]:
    """Find what an interrupted ``add`` left that is still wanted; the rest is removed when this one publishes."""
    left = {Path(about.path): (number, about) for number, about in list_documents(connection, published=False).items()}
    return {
        path: left[path][0]
        for path, (name, digest) in plan.to_read.items()
        if path in left and (left[path][1].name, left[path][1].sha256) == (name, digest)
    }


def _prepare(
    connection: sqlite3.Connection,
    plan: Plan,
    wanted: Sequence[Path],
    model: BaseEmbedding,
    splitting: Splitting,
    workers: int | None,
    limits: ReadingLimits | None,
    tally: _Tally,
    progress: Progress,
) -> None:
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


def _own_splitting(folder: Path, identity: str, asked: Splitting | None) -> Splitting:
    """Return how an index splits."""
    own = Splitting.from_name(identity)
    if own is None:
        raise StoreError(
            f"{folder}: its passages were split by the rules {identity!r}, this program splits by "
            f"{Splitting().name!r}. Build the index anew in another folder; this one can still be read."
        )
    if asked is not None and asked != own:
        here, there = ("begin" if one.at_headings else "do not begin" for one in (own, asked))
        headings = f" Its passages {here} at headings; those asked for {there}." if here != there else ""
        raise StoreError(
            f"{folder}: its passages have up to {own.tokens} tokens and share {own.overlap}; {asked.tokens} and "
            f"{asked.overlap} are asked for.{headings} Leave the preset out, or build the index anew in another folder."
        )
    return own


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


def _publish(
    connection: sqlite3.Connection, plan: Plan, known: dict[int, IndexedDocument], ready: dict[Path, int]
) -> int:
    """Make all changes at once; return the revision that the index then has."""
    replaced = {str(path) for path in ready if path in plan.changed}
    dropped = [i for i, about in known.items() if about in plan.gone or about.path in replaced]
    with transaction(connection):
        connection.executemany("DELETE FROM documents WHERE id = ?", [(number,) for number in dropped])
        for number, about in known.items():
            if about.path in plan.moved:
                connection.execute("UPDATE documents SET path = ? WHERE id = ?", (str(plan.moved[about.path]), number))
        connection.executemany("UPDATE documents SET published = 1 WHERE id = ?", [(i,) for i in ready.values()])
        connection.execute("DELETE FROM documents WHERE published = 0")
        if dropped or plan.moved or ready:
            _count_up(connection)
        return int(read_meta(connection)["revision"])


def _count_up(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'revision'")
