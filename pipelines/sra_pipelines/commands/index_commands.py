"""The subcommands of ``sra-rag index``: add, remove, list, check, store.

Each imports its modules when it runs, so that ``list`` does not wait for the embedding libraries that ``add`` needs.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sra_pipelines.commands.json_output import write_json
from sra_pipelines.commands.shared_options import AsJson, OwnEmbedding, Ray, RayAddress
from sra_pipelines.file_names import visible, visible_name
from sra_pipelines.readers import known_names, where_to_look
from sra_pipelines.values import DocumentError
from sra_rag.importing import without_collection

if TYPE_CHECKING:
    from rich.console import Console

    from sra_pipelines.index.preparation import Progress as ProgressCallback
    from sra_pipelines.index.removal import AllowRemoval, RemovalRefusedError
    from sra_pipelines.index.writer import AddReport

__all__ = ["app"]

_BROKEN = 1
_UNREADABLE = 2
_NAMED = 5  # documents in a message
_PACED = 50  # pages from which the time per page is shown

app = typer.Typer(no_args_is_help=True, help="Manage an index of documents on disk: add, remove, list, check, store.")

Folders = Annotated[list[Path], typer.Argument(help="Folders or files of documents.")]
To = Annotated[Path, typer.Option("--to", help="Folder of the index; created if it does not exist.")]
From = Annotated[Path, typer.Option("--from", help="Folder of the index.")]
Index = Annotated[Path, typer.Argument(help="Folder of the index.")]
Sync = Annotated[
    bool,
    typer.Option(
        "--sync",
        help="Remove documents whose files (or link targets) no longer exist in the folders. A missing folder is an "
        "error, and nothing is removed.",
    ),
]
Removal = Annotated[
    bool,
    typer.Option(
        "--allow-removal",
        help="Allow --sync to remove more than half of the documents of a folder, for example when the folder is "
        "empty. Without this option, the command asks for confirmation on a terminal and fails elsewhere.",
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        help="Split documents as in this preset (see 'sra-rag presets'); an existing index keeps its splitting."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Number of processes that read files; by default one per core, at most 4; 0 reads in the main process. "
        "With Ray: number of Ray workers.",
    ),
]


@app.command()
def add(
    folders: Folders,
    to: To,
    sync: Sync = False,
    allow_removal: Removal = False,
    workers: Workers = None,
    preset: Preset = None,
    embedding: OwnEmbedding = None,
    ray: Ray = False,
    ray_address: RayAddress = None,
    as_json: AsJson = False,
) -> None:
    """Update an index: read new and changed files; other documents stay unchanged.

    For example:

      sra-rag index add contracts/ reports/ --to my-index --sync

      sra-rag index add archive/ --to my-index --ray-address auto

    All changes are published together at the end. An interrupted run leaves the index unchanged, and the next run
    resumes it. The exit code is 2 if a file could not be read; the other files are indexed.
    """
    from functools import partial

    from rich.console import Console

    from sra_pipelines.commands.progress_bar import progress_bars

    if not to.exists() and not any(path.exists() for path in folders):
        missing = ", ".join(visible_name(str(path)) for path in folders)
        look = where_to_look(folders[0])
        raise DocumentError(f"{missing}: there is no such file or folder. {look} No index was created.")
    console = Console(stderr=True)
    with progress_bars(console) as start:
        start("importing libraries")
        with without_collection():
            from sra_pipelines.commands.library_notices import quiet_libraries
            from sra_pipelines.index.catalog import own_embedding
            from sra_pipelines.index.embedding import load_embedding
            from sra_pipelines.index.removal import RemovalRefusedError
            from sra_pipelines.index.writer import add_documents
            from sra_pipelines.presets import load_preset
            from sra_pipelines.ray.cluster import RayOptions

            quiet_libraries()
    name = embedding or own_embedding(to)
    splitting = None if preset is None else load_preset(preset).splitting
    on_ray = RayOptions(ray_address, workers) if ray or ray_address else None
    # A worker resolves relative paths against its own working directory, so pass an absolute path.
    load = partial(load_embedding, str(Path(name).resolve()) if Path(name).is_dir() else name)

    def run(allow: AllowRemoval) -> AddReport:
        with _progress(console) as on_progress:
            return add_documents(
                to,
                folders,
                load,
                embedding_name=name,
                ray=on_ray,
                sync=sync,
                allow_removal=allow,
                workers=workers,
                splitting=splitting,
                on_progress=on_progress,
            )

    try:
        report = run(allow_removal)
    except RemovalRefusedError as refused:
        if as_json or not (sys.stdin.isatty() and console.is_terminal):
            raise
        report = run(_confirmed(refused))
    if as_json:
        write_json(dataclasses.asdict(report))
    else:
        _write_report(report, console)
    if report.failed:
        raise typer.Exit(_UNREADABLE)


@app.command()
def remove(
    documents: Annotated[list[str], typer.Argument(help="Names (see 'list') or paths of documents.")],
    index: From,
) -> None:
    """Remove documents from an index. If one of them is not in the index, none is removed."""
    from sra_pipelines.index.writer import remove_documents

    for document in remove_documents(index, documents):
        sys.stdout.write(f"removed {document.name} ({_count(document.n_pages, 'page')})\n")


@app.command("list")
def list_(index: Index, as_json: AsJson = False) -> None:
    """List the documents of an index."""
    from sra_pipelines.index.catalog import index_documents, read_meta
    from sra_pipelines.index.schema import connect

    documents = index_documents(index)
    if as_json:
        with connect(index) as connection:
            meta = read_meta(connection)
        result = {
            "revision": meta["revision"],
            "embedding": {"name": meta["embedding_name"], "dimension": meta["embedding_dimension"]},
            "documents": [dataclasses.asdict(document) for document in documents],
        }
        write_json(result)
        return
    for document in documents:
        sys.stdout.write(
            f"{visible_name(document.name)}  {_count(document.n_pages, 'page')}, "
            f"{_count(document.n_passages, 'passage')}, read {document.read_at[:10]}  {visible_name(document.path)}\n"
        )
    sys.stdout.write(
        f"{_count(len(documents), 'document')}, {_count(sum(a.n_pages for a in documents), 'page')}, "
        f"{_count(sum(a.n_passages for a in documents), 'passage')}\n"
    )


@app.command()
def check(index: Index, as_json: AsJson = False) -> None:
    """Verify an index: database, digests, spans and vectors. The exit code is 1 if the index is damaged."""
    from rich.console import Console

    from sra_pipelines.index.check import check_index

    with _progress(Console(stderr=True)) as on_progress:
        report = check_index(index, on_document=lambda done, total: on_progress("checking", done, total))
    if as_json:
        write_json(dataclasses.asdict(report))
    else:
        for problem in report.problems:
            sys.stdout.write(f"damaged: {problem}\n")
        sys.stdout.write(
            f"revision {report.revision}: {_count(report.n_documents, 'document')}, {_count(report.n_pages, 'page')}, "
            f"{_count(report.n_passages, 'passage')}: {'intact' if not report.problems else 'DAMAGED'}\n"
        )
        if report.n_prepared:
            sys.stdout.write(
                f"{_count(report.n_prepared, 'document')} prepared by an interrupted 'index add'; run it again.\n"
            )
    if report.problems:
        raise typer.Exit(_BROKEN)


@app.command()
def store(
    index: Index,
    url: Annotated[
        str | None,
        typer.Argument(
            help="qdrant+http://HOST:6333, postgresql://USER@HOST/DATABASE, or faiss to stop using a store."
        ),
    ] = None,
) -> None:
    """Copy the vectors of an index to Qdrant or PostgreSQL and search there; without a URL, print the current store.

    For example:

      sra-rag index store my-index qdrant+http://localhost:6333

    Afterwards the index is searched in and updated with that store. Vectors that it already holds are not copied again.
    """
    from rich.console import Console

    from sra_pipelines.commands.library_notices import quiet_libraries
    from sra_pipelines.index.stores.index_vectors import bring_vectors, leave_store, named_store

    quiet_libraries()
    before = named_store(index)
    if url is None:
        sys.stdout.write(f"{before or 'faiss'}\n")
        return
    if url == "faiss":
        leave_store(index)
        left = f"; the vectors in {before} are kept" if before else ""
        sys.stdout.write(f"the index is now searched with FAISS, in memory{left}\n")
        return
    with _progress(Console(stderr=True)) as on_progress:
        n_copied = bring_vectors(index, url, on_progress=on_progress)
    sys.stdout.write(f"{_count(n_copied, 'document')} copied to {url}\n")


def _confirmed(refused: RemovalRefusedError) -> AllowRemoval:
    """Ask whether to remove documents, and return a function that allows the removal of these documents only.

    Raises
    ------
    RemovalRefusedError
        If the answer is no.
    """
    names = {name for source in refused.sources for name in source.gone}
    for source in refused.sources:
        typer.echo(f"{source} in the index from there no longer have a file.", err=True)
    if not typer.confirm(f"Remove {_count(len(names), 'document')} from the index?", err=True):
        raise refused
    return lambda sources: {name for source in sources for name in source.gone} <= names


@contextmanager
def _progress(console: Console) -> Iterator[ProgressCallback]:
    """Show a progress bar with the remaining time, on a terminal only."""
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from sra_pipelines.commands.progress_bar import AROUND_COUNTED, fitting

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bars:
        task = bars.add_task("starting", total=None)
        known: float | None = None

        def on_progress(description: str, done: float, total: float) -> None:
            nonlocal known
            if total != known:  # another kind of work; within one, the description names the current file
                bars.reset(task, total=total or None)  # without a total the bar moves
                known = total
            shown = fitting(description, console.width - AROUND_COUNTED)
            bars.update(task, description=shown, completed=done, total=total or None)

        yield on_progress


def _write_report(report: AddReport, console: Console) -> None:
    def line(text: str, style: str | None = None) -> None:
        console.print(visible(text), style=style, soft_wrap=True, markup=False, highlight=False)

    for label, names in (
        ("added", report.added),
        ("changed", report.changed),
        ("moved", report.moved),
        ("removed", report.removed),
    ):
        if names:
            sys.stdout.write(f"{label}: {', '.join(names)}\n")
    sys.stdout.flush()
    for path, other in report.duplicates.items():
        line(f"skipped: {path}: identical to {other}")
    for name, labels in report.empty_pages.items():
        some = ", ".join(labels[:10]) + (", ..." if len(labels) > 10 else "")
        line(f"no text in {name}: {_count(len(labels), 'page')} ({some})")
    for name, notices in report.notices.items():
        line(f"note on {name}: {'; '.join(notices)}")
    if report.other_types:
        kinds = ", ".join(f"{suffix} {count}" for suffix, count in report.other_types.items())
        line(f"skipped: {_count(sum(report.other_types.values()), 'file')} of unsupported types ({kinds})")
    nothing = not (report.added or report.changed or report.moved or report.removed or report.unchanged)
    if nothing and not (report.failed or report.duplicates):
        line(f"no documents were found. Documents are {known_names()} files.")
    if report.without_file:
        lost = ", ".join(report.without_file[:_NAMED])
        more = f" and {len(report.without_file) - _NAMED} more" if len(report.without_file) > _NAMED else ""
        line(
            f"note: the files of {lost}{more} no longer exist, and the index keeps what they said. To remove "
            "documents without a file, add --sync."
        )
    for folder in report.linked_folders:
        line(f"skipped: {folder} is a link to a folder. To read it, give {Path(folder).resolve()} too.")
    for reason in report.failed.values():
        line(f"sra-rag: {reason}", "red")
    # The seconds include loading the embedding model, which would be most of the pace of a few pages.
    pace = f" ({report.seconds / report.n_pages:.2f} s per page)" if report.n_pages >= _PACED else ""
    resumed = f", {report.resumed} of them prepared by an earlier run" if report.resumed else ""
    sys.stdout.write(
        f"revision {report.revision}: {len(report.added)} added, {len(report.changed)} changed{resumed}, "
        f"{len(report.removed)} removed, {report.unchanged} unchanged, {len(report.failed)} failed; "
        f"{_count(report.n_pages, 'page')}, {_count(report.n_passages, 'passage')} in {report.seconds:.1f} s{pace}\n"
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
