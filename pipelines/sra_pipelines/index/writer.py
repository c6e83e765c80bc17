"""Change an index on disk: prepare documents one by one, then publish all of them in one commit.

Prepared documents survive an interruption, and the next ``add`` reuses them. Readers do not see them before the commit,
which also removes replaced documents and increments the revision.
"""

from __future__ import annotations

import dataclasses
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from llama_index.core.embeddings import BaseEmbedding

from sra_pipelines.index.catalog import IndexedDocument, list_documents, read_meta, stored_path
from sra_pipelines.index.derived.derived_values import add_missing_values
from sra_pipelines.index.derived.keyword_blocks import delete_stale_blocks, update_blocks
from sra_pipelines.index.embedding_identity import EmbeddingIdentity
from sra_pipelines.index.full_disk import delete_piecewise, keep_reserve, release_reserve
from sra_pipelines.index.lock import is_lock_file, writer_lock
from sra_pipelines.index.plan import Plan, find_files, make_plan
from sra_pipelines.index.preparation import (
    Progress,
    Tally,
    prepare,
    prepared_before,
    prepared_here,
    prepared_one_by_one,
    wanted_files,
)
from sra_pipelines.index.prepare_on_ray import IndexWork, prepared_on_ray
from sra_pipelines.index.removal import AllowRemoval, require_removal_allowed, require_sources
from sra_pipelines.index.schema import DATABASE, StoreError, connect, create, exists, is_full_disk, transaction
from sra_pipelines.index.seal import require_intact, write_seal
from sra_pipelines.index.stores.index_vectors import drop_vectors, own_store, push_vectors
from sra_pipelines.index.stores.vector_store import VectorStore
from sra_pipelines.ray.cluster import RayOptions
from sra_pipelines.readers.limits import ReadingLimits
from sra_pipelines.reading.finding import LeftOut
from sra_pipelines.reading.processes import LoneReader
from sra_pipelines.reading.splitting import Splitting
from sra_pipelines.unicode_forms import composed

__all__ = ["AddReport", "add_documents", "remove_documents"]


@dataclasses.dataclass(frozen=True)
class AddReport:
    """The result of an ``add``.

    Parameters
    ----------
    added, changed, moved, removed
        Names of the documents that were added, updated, moved to another path, and removed.
    without_file
        Names of the documents of these sources whose files no longer exist. They stay unless the ``add`` synchronizes.
    unchanged
        Number of files that the index already had in this version.
    resumed
        Number of documents that an earlier, interrupted ``add`` had prepared.
    duplicates
        Files that were skipped because they have the same contents as another file, mapped to the path of that file.
    failed
        Files that could not be read, mapped to the reason.
    other_types
        Number of files of unsupported types in the folders, by suffix.
    empty_pages
        Labels of pages without text, by document. They cannot be searched.
    notices
        What else was left out of the documents that were read, or is not certain, by document.
    linked_folders
        Links to folders, which are not searched.
    n_pages, n_passages
        Number of pages read and passages embedded by this ``add``.
    seconds
        Total time in seconds.
    revision
        Revision of the index after the ``add``.
    """

    added: list[str]
    changed: list[str]
    moved: list[str]
    removed: list[str]
    without_file: list[str]
    unchanged: int
    resumed: int
    duplicates: dict[str, str]
    failed: dict[str, str]
    other_types: dict[str, int]
    empty_pages: dict[str, list[str]]
    notices: dict[str, list[str]]
    linked_folders: list[str]
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
    reader: LoneReader | None = None,
) -> AddReport:
    """Update an index with files and folders; create the index if it does not exist.

    All changes are published in one commit at the end. The index is unchanged until then, and if the ``add`` fails.

    Parameters
    ----------
    folder
        Folder of the index.
    paths
        Files, and folders that are searched for files.
    embedding
        Function that loads the embedding model; called only if documents must be embedded.
    embedding_name
        Name of the embedding model in the index.
    sync
        Whether to remove documents whose files, or link targets, no longer exist in `paths`. A path that does not exist
        raises an error, and nothing is removed.
    allow_removal
        Whether `sync` may remove more than half of the documents of one of `paths`, for example when a folder is empty:
        a bool, or a function that is called with the sources and returns it.
    workers
        Number of reading processes; by default one per core, at most four; 0 reads in this process.
    limits
        Limits for untrusted files; by default none.
    splitting
        How a new index splits documents into passages; an existing index keeps its splitting.
    on_progress
        Callback for a progress bar; a total of 0 is an unknown one. If it raises, the ``add`` stops and the index is
        unchanged.
    store
        Vector store to which the vectors are also copied; by default the store that is set in the index, see
        `bring_vectors`.
    ray
        If given, documents are read, split and embedded on Ray. `workers` is then ignored, and `embedding` is called
        by each worker, so it must be picklable, such as a module-level function.
    reader
        If given, a running process that reads and splits the documents one by one; `workers` is then ignored.

    Raises
    ------
    IndexLockedError
        If another process changes the index.
    MissingSourceError
        If `sync` is set and one of `paths` does not exist. The index is unchanged.
    RemovalRefusedError
        If `sync` would remove more than half of the documents of one of `paths`, and `allow_removal` does not allow it.
        The index is unchanged.
    StoreError
        If the folder contains other files, the index is damaged, or its splitting is unsupported or differs from
        `splitting`.
    EmbeddingMismatchError
        If the index was built with another embedding model.
    VectorStoreError
        If the vectors cannot be copied to the store. The index is unchanged, except if the removal of old vectors
        failed; the next ``add`` then removes them.
    MissingExtraError, RayError
        If Ray is not installed, cannot be reached, or a worker has other package versions or another model.
    """
    started = time.perf_counter()
    progress = on_progress or (lambda what, done, total: None)
    _require_place_for_index(folder)
    paths = list(paths)
    if sync:
        require_sources(paths)
    files, left_out, sources = find_files(paths, folder)

    def load() -> BaseEmbedding:
        progress("loading the embedding model", 0.0, 0.0)
        return embedding()

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with writer_lock(folder):
        model = None if exists(folder) else _create(folder, load(), embedding_name, splitting)
        with connect(folder, write=True) as connection:
            require_intact(connection, folder)  # a change must not put a new seal on damage
            meta = read_meta(connection)
            own = _own_splitting(folder, str(meta["splitting"]), splitting)
            identity = EmbeddingIdentity.from_meta(meta)
            known = list_documents(connection)
            plan = make_plan(
                files, sources, known.values(), sync=sync, on_file=lambda done, total: progress("hashing", done, total)
            )
            if sync:
                require_sources(paths)  # check again: a folder may have been unmounted while the files were listed
                require_removal_allowed(folder, sources, known.values(), plan.gone, allow_removal)
            add_missing_values(connection, folder)  # an index of an earlier version has none
            prepared = prepared_before(connection, plan)
            files_to_read = wanted_files(plan, prepared)
            tally = Tally()
            if files_to_read:
                if ray is None:
                    model = model or load()
                    identity.require_same(EmbeddingIdentity.of(model, embedding_name), str(folder))
                    if reader is None:
                        contents = prepared_here(files_to_read, model, own, workers, limits, progress)
                    else:
                        contents = prepared_one_by_one(files_to_read, model, own, reader, limits, progress)
                else:
                    model = None  # the workers have their own
                    work = IndexWork(embedding, embedding_name, identity, str(folder), own, limits)
                    contents = prepared_on_ray(files_to_read, work, ray, progress)
                with closing(contents):
                    prepare(connection, plan, files_to_read, contents, tally, progress)
            with own_store(connection, store) as vectors:
                if vectors is not None:
                    push_vectors(connection, vectors, progress)
                revision = _publish(connection, folder, plan, known, prepared | tally.ids)
                if vectors is not None:
                    drop_vectors(connection, vectors)
            keep_reserve(folder)
    seconds = time.perf_counter() - started
    return _report_on(plan, known, prepared, tally, left_out, seconds=seconds, revision=revision)


def remove_documents(folder: Path, names: Sequence[str], *, store: VectorStore | None = None) -> list[IndexedDocument]:
    """Remove documents by name or path in one commit, then from the vector store, see `add_documents`.

    Raises
    ------
    StoreError
        If one of the documents is not in the index; nothing is removed then.
    VectorStoreError
        If the store cannot be reached. If it fails before the commit, nothing is removed; if it fails after the commit,
        the documents are removed from the index only.
    """
    if not exists(folder):
        with connect(folder):  # raises: there is no index
            pass
    with writer_lock(folder), connect(folder, write=True) as connection:
        require_intact(connection, folder)
        known = list_documents(connection)
        chosen: dict[int, IndexedDocument] = {}
        for name in names:
            wanted = {composed(name), composed(str(Path(name).resolve()))}
            matches = {i: d for i, d in known.items() if wanted & {composed(d.name), composed(d.path)}}
            if not matches:
                some = ", ".join(repr(document.name) for document in list(known.values())[:5]) or "none"
                raise StoreError(
                    f"{folder}: there is no document {name!r} in the index; it contains {some}"
                    f"{', ...' if len(known) > 5 else ''}. List all with: sra-rag index list {folder}"
                )
            chosen |= matches
        with own_store(connection, store) as vectors:
            if vectors is not None:
                vectors.held()  # raises here if the store cannot be reached
            try:
                with transaction(connection):
                    connection.executemany("DELETE FROM documents WHERE id = ?", [(number,) for number in chosen])
                    update_blocks(connection, folder)
                    _increment_revision(connection)
            except sqlite3.OperationalError as error:
                if not is_full_disk(error):
                    raise
                release_reserve(folder)
                _remove_on_full_disk(connection, folder, chosen)
            keep_reserve(folder)
            if vectors is not None:
                drop_vectors(connection, vectors)
    return list(chosen.values())


def _remove_on_full_disk(connection: sqlite3.Connection, folder: Path, chosen: Mapping[int, IndexedDocument]) -> None:
    """Unpublish the documents in one commit, then delete them piece by piece."""
    prepared = list_documents(connection, published=False)
    delete_piecewise(connection, prepared)  # two unpublished documents may not have the same name
    with transaction(connection):
        connection.executemany("UPDATE documents SET published = 0 WHERE id = ?", [(number,) for number in chosen])
        _increment_revision(connection)
    delete_piecewise(connection, chosen)
    delete_stale_blocks(connection, folder)


def _require_place_for_index(folder: Path) -> None:
    """Raise `StoreError` if the folder is a file, or contains something other than an index."""
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder}: this is a file. An index is a folder; give another path.")
    if folder.is_dir() and not (folder / DATABASE).exists() and not all(map(is_lock_file, folder.iterdir())):
        raise StoreError(f"{folder}: this folder contains other files and no index. Give an empty or a new folder.")


def _create(
    folder: Path, model: BaseEmbedding, embedding_name: str | None, splitting: Splitting | None
) -> BaseEmbedding:
    """Create an empty index for an embedding model, and return the model."""
    identity = EmbeddingIdentity.of(model, embedding_name)
    rules = (splitting or Splitting()).name
    create(folder, {"index_id": uuid.uuid4().hex, "revision": 0, "splitting": rules, **identity.to_meta()})
    return model


def _report_on(
    plan: Plan,
    known: Mapping[int, IndexedDocument],
    prepared: Mapping[Path, int],
    tally: Tally,
    left_out: LeftOut,
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
        without_file=[document.name for document in plan.kept],
        unchanged=len(plan.unchanged),
        resumed=len(prepared),
        duplicates={str(path): other for path, other in plan.duplicates.items()},
        failed={str(path): reason for path, reason in plan.failed.items()},
        other_types=dict(left_out.types.most_common()),
        empty_pages=tally.empty_pages,
        notices=tally.notices,
        linked_folders=[str(path) for path in left_out.linked_folders],
        n_pages=tally.n_pages,
        n_passages=tally.n_passages,
        seconds=seconds,
        revision=revision,
    )


def _own_splitting(folder: Path, identity: str, requested: Splitting | None) -> Splitting:
    """Return how an index splits."""
    own = Splitting.from_name(identity)
    if own is None:
        raise StoreError(
            f"{folder}: its passages were split with {identity!r}, but this version splits with "
            f"{Splitting().name!r}. Rebuild the index in another folder; this index can still be read."
        )
    if requested is not None and requested != own:
        here, there = ("start" if splitting.at_headings else "do not start" for splitting in (own, requested))
        headings = f" Its passages {here} at headings; the requested ones {there}." if here != there else ""
        raise StoreError(
            f"{folder}: its passages have up to {own.tokens} tokens and an overlap of {own.overlap}; requested are "
            f"{requested.tokens} and {requested.overlap}.{headings} Omit the preset, or rebuild the index in another "
            "folder."
        )
    return own


def _publish(
    connection: sqlite3.Connection, folder: Path, plan: Plan, known: dict[int, IndexedDocument], ready: dict[Path, int]
) -> int:
    """Publish all changes in one commit, and return the new revision of the index."""
    replaced = {str(path) for path in ready if path in plan.changed}
    dropped = [i for i, document in known.items() if document in plan.gone or document.path in replaced]
    with transaction(connection):
        connection.executemany("DELETE FROM documents WHERE id = ?", [(number,) for number in dropped])
        for number, document in known.items():
            if document.path in plan.moved:
                path = stored_path(str(plan.moved[document.path]))
                connection.execute("UPDATE documents SET path = ? WHERE id = ?", (path, number))
        connection.executemany("UPDATE documents SET published = 1 WHERE id = ?", [(i,) for i in ready.values()])
        connection.execute("DELETE FROM documents WHERE published = 0")
        update_blocks(connection, folder, create=True)
        if dropped or plan.moved or ready:
            _increment_revision(connection)
        else:
            write_seal(connection)  # a new index, or prepared documents are gone
        return int(read_meta(connection)["revision"])


def _increment_revision(connection: sqlite3.Connection) -> None:
    """Finish a change of the documents, within its transaction."""
    connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'revision'")
    write_seal(connection)
