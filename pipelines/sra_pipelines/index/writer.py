"""Change an index on disk: prepare documents one by one, then publish them all in one commit.

What is prepared survives an interruption, so that the next ``add`` goes on from there; no reader sees it before the
commit. That commit also removes what was replaced and counts the revision up.
"""

from __future__ import annotations

import dataclasses
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from llama_index.core.embeddings import BaseEmbedding

from sra_pipelines.index.catalog import IndexedDocument, list_documents, read_meta, stored_path
from sra_pipelines.index.embedding_identity import EmbeddingIdentity
from sra_pipelines.index.lock import writer_lock
from sra_pipelines.index.plan import Plan, find_files, make_plan
from sra_pipelines.index.preparation import Progress, Tally, prepare, prepared_before, prepared_here, wanted_files
from sra_pipelines.index.prepare_on_ray import IndexWork, prepared_on_ray
from sra_pipelines.index.removal import AllowRemoval, require_removal_allowed, require_sources
from sra_pipelines.index.schema import DATABASE, StoreError, connect, create, exists, transaction
from sra_pipelines.index.stores.index_vectors import drop_vectors, own_store, push_vectors
from sra_pipelines.index.stores.vector_store import VectorStore
from sra_pipelines.ray.cluster import RayOptions
from sra_pipelines.readers.limits import ReadingLimits
from sra_pipelines.reading.splitting import Splitting

__all__ = ["AddReport", "add_documents", "remove_documents"]


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
    allow_removal: AllowRemoval = False,
    workers: int | None = None,
    limits: ReadingLimits | None = None,
    splitting: Splitting | None = None,
    on_progress: Progress | None = None,
    store: VectorStore | None = None,
    ray: RayOptions | None = None,
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
        Remove documents whose files are gone from ``paths``, and those of links whose targets are gone. A path that is
        missing removes nothing and fails.
    allow_removal
        Whether `sync` may remove more than half of the documents that the index holds from one of ``paths``, as when a
        folder is empty: True, or a function that is called with the sources and returns whether to go on.
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
    ray
        Read, split and embed on Ray instead of here: `workers` plays no part then, and `embedding` is called by each
        worker, so that it has to be picklable, as a function of a module is.

    Raises
    ------
    IndexLockedError
        If another process changes the index.
    MissingSourceError
        If `sync` is asked for and one of ``paths`` is not there. The index is what it was.
    RemovalRefusedError
        If `sync` would remove more than half of what the index holds from one of ``paths``, and `allow_removal` does
        not allow it. The index is what it was.
    StoreError
        If the folder holds something else, the index is damaged, or it was split by other rules or otherwise than
        `splitting` says.
    EmbeddingMismatchError
        If the index belongs to another embedding model.
    VectorStoreError
        If the vectors cannot be brought to their store. The index is then what it was, unless the message comes of
        dropping old vectors: the next ``add`` drops them.
    MissingExtraError, RayError
        If Ray is not installed, cannot be reached, or one of its workers has other versions or another model.
    """
    started = time.perf_counter()
    progress = on_progress or (lambda what, done, total: None)
    _require_place_for_index(folder)
    paths = list(paths)
    if sync:
        require_sources(paths)
    files, others, sources = find_files(paths, folder)
    folder.mkdir(parents=True, exist_ok=True)
    with writer_lock(folder):
        model = None if exists(folder) else _create(folder, embedding(), embedding_name, splitting)
        with connect(folder, write=True) as connection:
            meta = read_meta(connection)
            own = _own_splitting(folder, str(meta["splitting"]), splitting)
            identity = EmbeddingIdentity.from_meta(meta)
            known = list_documents(connection)
            plan = make_plan(
                files, sources, known.values(), sync=sync, on_file=lambda done, total: progress("hashing", done, total)
            )
            if sync:
                require_sources(paths)  # again: one may have been unmounted while the files were listed
                require_removal_allowed(folder, sources, known.values(), plan.gone, allow_removal)
            prepared = prepared_before(connection, plan)
            files_to_read = wanted_files(plan, prepared)
            tally = Tally()
            if files_to_read:
                if ray is None:
                    model = model or embedding()
                    identity.require_same(EmbeddingIdentity.of(model, embedding_name), str(folder))
                    contents = prepared_here(files_to_read, model, own, workers, limits, progress)
                else:
                    model = None  # the workers have their own
                    work = IndexWork(embedding, embedding_name, identity, str(folder), own, limits)
                    contents = prepared_on_ray(files_to_read, work, ray, progress)
                with closing(contents):
                    prepare(connection, plan, files_to_read, contents, tally, progress)
            with own_store(connection, store) as vectors:
                if vectors is not None:
                    push_vectors(connection, vectors, progress)
                revision = _publish(connection, plan, known, prepared | tally.ids)
                if vectors is not None:
                    drop_vectors(connection, vectors)
    seconds = time.perf_counter() - started
    return _report_on(plan, known, prepared, tally, others, seconds=seconds, revision=revision)


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


def _require_place_for_index(folder: Path) -> None:
    """Raise `StoreError` if the folder is a file, or holds something other than an index."""
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder}: this is a file. An index is a folder; name another.")
    if folder.is_dir() and not (folder / DATABASE).exists() and any(p.suffix != ".lock" for p in folder.iterdir()):
        raise StoreError(f"{folder}: this folder holds other things and no index. Name an empty or a new one.")


def _create(
    folder: Path, model: BaseEmbedding, embedding_name: str | None, splitting: Splitting | None
) -> BaseEmbedding:
    """Make an empty index for an embedding model, and return the model."""
    identity = EmbeddingIdentity.of(model, embedding_name)
    rules = (splitting or Splitting()).name
    create(folder, {"index_id": uuid.uuid4().hex, "revision": 0, "splitting": rules, **identity.to_meta()})
    return model


def _report_on(
    plan: Plan,
    known: Mapping[int, IndexedDocument],
    prepared: Mapping[Path, int],
    tally: Tally,
    others: Counter[str],
    *,
    seconds: float,
    revision: int,
) -> AddReport:
    ready = prepared.keys() | tally.ids.keys()
    names = {path: name for path, (name, _) in plan.to_read.items() if path in ready}
    return AddReport(
        added=sorted(name for path, name in names.items() if path not in plan.changed),
        changed=sorted(name for path, name in names.items() if path in plan.changed),
        moved=sorted(document.name for document in known.values() if document.path in plan.moved),
        removed=[document.name for document in plan.gone],
        unchanged=len(plan.unchanged),
        resumed=len(prepared),
        duplicates={str(path): other for path, other in plan.duplicates.items()},
        failed={str(path): reason for path, reason in plan.failed.items()},
        other_types=dict(others.most_common()),
        empty_pages=tally.empty_pages,
        n_pages=tally.n_pages,
        n_passages=tally.n_passages,
        seconds=seconds,
        revision=revision,
    )


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
                path = stored_path(str(plan.moved[about.path]))
                connection.execute("UPDATE documents SET path = ? WHERE id = ?", (path, number))
        connection.executemany("UPDATE documents SET published = 1 WHERE id = ?", [(i,) for i in ready.values()])
        connection.execute("DELETE FROM documents WHERE published = 0")
        if dropped or plan.moved or ready:
            _count_up(connection)
        return int(read_meta(connection)["revision"])


def _count_up(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'revision'")
