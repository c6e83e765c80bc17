"""Read documents in worker processes; a crash or hang affects only the document that caused it."""

from __future__ import annotations

import dataclasses
import faulthandler
import hashlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from multiprocessing import resource_tracker
from pathlib import Path
from typing import ParamSpec, TypeVar

from sra_pipelines.readers import read_document
from sra_pipelines.readers.limits import (
    ReadingLimits,
    limited_memory,
    require_extracted_within,
    require_few_passages,
    require_within,
)
from sra_pipelines.reading.splitting import Splitting, split_document
from sra_pipelines.values import Document, DocumentError, Page, Passage

__all__ = [
    "LoneReader",
    "Reading",
    "SplitDocument",
    "default_workers",
    "file_hash",
    "read_documents",
    "start_worker",
]

_MOST_SECONDS = 600.0  # per document; PDFium needs 0.01 s per page
_MOST_WORKERS = 4  # embedding takes longer than reading
_MOST_DOCUMENTS = 50  # a worker is then replaced, because libraries keep memory

Reading = tuple[Path, Document | DocumentError, str]
P = ParamSpec("P")
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class SplitDocument:
    """A document that was read and split in another process.

    Parameters
    ----------
    document
        The document.
    passages
        Its passages in reading order.
    sha256
        Digest of the file, in hexadecimal.
    """

    document: Document
    passages: tuple[Passage, ...]
    sha256: str


def default_workers(n_documents: int) -> int:
    """Return the default number of reading processes: one per core, at most four, at most the number of documents."""
    return max(1, min(_MOST_WORKERS, os.cpu_count() or 1, n_documents))


def file_hash(path: Path) -> str:
    """Return the SHA-256 digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_documents(
    paths: Iterable[Path], *, workers: int, seconds: float = _MOST_SECONDS, limits: ReadingLimits | None = None
) -> Iterator[Reading]:
    """Read documents and yield each result as soon as it is available.

    Parameters
    ----------
    paths
        Paths of the files.
    workers
        Number of processes; 0 reads in this process.
    seconds
        Time limit per document in seconds, after which its worker is terminated. Ignored with ``workers=0``.
    limits
        Limits for untrusted files; their time limit replaces `seconds`.

    Yields
    ------
    tuple
        Path, the document or the reason why it could not be read, and the digest of the file ("" if it could not be
        read).
    """
    waiting = deque(paths)
    if workers == 0:
        yield from (_read(path, limits) for path in waiting)
        return
    if limits is not None:
        seconds = limits.max_seconds
    while waiting:
        suspects = yield from _read_in_pool(waiting, workers, 2 * workers, seconds, limits)
        while suspects:  # a worker died: read the files in progress one by one, to find the one that caused it
            known = limits is not None and len(suspects) == 1  # an untrusted file is not read a second time
            guilty = suspects if known else (yield from _read_in_pool(suspects, 1, 1, seconds, limits))
            for path in list(guilty):
                yield path, _crashed(path, seconds), ""
            if known:
                break


class LoneReader:
    """Reads documents one at a time in a separate process, which is reused.

    Parameters
    ----------
    seconds
        Time limit per document in seconds, after which the process is terminated.
    limits
        Limits for untrusted files; their time limit replaces `seconds`.
    """

    def __init__(self, seconds: float = _MOST_SECONDS, limits: ReadingLimits | None = None) -> None:
        self._seconds = seconds if limits is None else limits.max_seconds
        self._limits = limits
        self._pool: ProcessPoolExecutor | None = None
        self._read = 0  # documents of this process
        self._starting = threading.Lock()

    def start(self) -> None:
        """Start the process and load the readers, so that the first document does not wait for it."""
        self._submit(_load_readers).result()

    def read(self, path: Path) -> Document | DocumentError:
        """Read a document. A crash or timeout is returned as an error."""
        try:
            return self._submit(_read_watched, path, self._seconds, self._limits).result()[1]
        except BrokenProcessPool:
            self.close()
            return _crashed(path, self._seconds)

    def read_and_split(
        self, path: Path, name: str, splitting: Splitting, limits: ReadingLimits | None = None
    ) -> SplitDocument | DocumentError:
        """Read a document and split it into passages, both within the limits.

        Parameters
        ----------
        path
            Path of the file.
        name
            Name of the document in its passages.
        splitting
            Settings for splitting.
        limits
            Limits for this file; by default those of the reader.

        Returns
        -------
        SplitDocument or DocumentError
            The document, or the reason why it could not be read, such as a crash or timeout.
        """
        limits = limits or self._limits
        seconds = self._seconds if limits is None else limits.max_seconds
        try:
            return self._submit(_split_watched, path, name, splitting, seconds, limits).result()
        except BrokenProcessPool:
            self.close()
            return _crashed(path, seconds)

    def _submit(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Future[T]:
        with self._starting:
            if self._read >= _MOST_DOCUMENTS:
                self.close()
            for _ in range(2):
                if self._pool is None:
                    self._pool, self._read = _new_pool(1), 0
                try:
                    with _interrupts_put_off():
                        future = self._pool.submit(work, *arguments, **named)
                except BrokenProcessPool:  # the process ended after the last document
                    self.close()
                else:
                    self._read += 1
                    return future
        raise BrokenProcessPool("The reading process ends as soon as it is started.")

    def close(self) -> None:
        """Stop the process; the next document starts a new one."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _new_pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=start_worker)


def _crashed(path: Path, seconds: float) -> DocumentError:
    reason = f"reading it crashed, or took longer than {seconds:g} s"
    return DocumentError(f"{path}: {reason}. Omit it, or print it to PDF again.")


def _read_in_pool(
    waiting: deque[Path], workers: int, ahead: int, seconds: float, limits: ReadingLimits | None
) -> Generator[Reading, None, deque[Path]]:
    """Read until all files are read or a worker dies; return the files that were in progress then."""
    before = set(multiprocessing.active_children())
    pool = _new_pool(workers)
    in_progress: dict[Future[Reading], Path] = {}
    ended = False
    try:
        while waiting or in_progress:
            try:
                with _interrupts_put_off():  # a spawned process inherits it from its first instruction
                    while waiting and len(in_progress) < ahead:
                        in_progress[pool.submit(_read_watched, waiting[0], seconds, limits)] = waiting[0]
                        waiting.popleft()
            except BrokenProcessPool:
                pass  # the futures raise it too
            for future in wait(in_progress, return_when=FIRST_COMPLETED).done:
                try:
                    reading = future.result()
                except BrokenProcessPool:
                    break
                del in_progress[future]
                yield reading
            else:
                continue
            ended = True
            return deque(path for future, path in in_progress.items())
        pool.shutdown()
        ended = True
        return deque()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        if not ended:  # interrupted: do not wait for whole documents
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()


def _read(path: Path, limits: ReadingLimits | None) -> Reading:
    try:
        before = file_hash(path) if path.is_file() else ""
        document = read_document(path) if limits is None else _read_within(path, limits)
        if file_hash(path) != before:
            raise DocumentError(f"{path}: the file changed while it was read. Run the command again.")
    except DocumentError as problem:
        return path, problem, ""
    except OSError as error:
        return path, DocumentError(f"{path}: the file cannot be read ({error.strerror}). Check its permissions."), ""
    return path, document, before


def _read_within(path: Path, limits: ReadingLimits) -> Document:
    try:
        with limited_memory(limits):
            require_within(path, limits)
            document = read_document(path)
    except (DocumentError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not isinstance(error.__cause__, MemoryError):
            raise
        raise DocumentError(
            f"{path}: reading the file takes more than {limits.max_memory_bytes / 1e9:.1f} GB of memory. Split it."
        ) from error
    require_extracted_within(document, limits)
    return document


def _read_watched(path: Path, seconds: float, limits: ReadingLimits | None) -> Reading:
    with open(os.devnull, "w") as nowhere:
        # Terminates this process even while a library is in C code, unlike the alternatives.
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            return _read(path, limits)
        finally:
            faulthandler.cancel_dump_traceback_later()


def _split_watched(
    path: Path, name: str, splitting: Splitting, seconds: float, limits: ReadingLimits | None
) -> SplitDocument | DocumentError:
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            _, document, digest = _read(path, limits)
            if isinstance(document, DocumentError):
                return document
            with nullcontext() if limits is None else limited_memory(limits):
                passages = tuple(split_document(document, name, splitting))
            if limits is not None:
                require_few_passages(path, len(passages), limits)
        except MemoryError:
            return DocumentError(f"{path}: splitting the text takes too much memory. Split the file.")
        except DocumentError as problem:
            return problem
        finally:
            faulthandler.cancel_dump_traceback_later()
    return SplitDocument(document, passages, digest)


def _load_readers() -> None:
    import docx  # noqa: F401
    import lxml.html  # noqa: F401
    import openpyxl  # noqa: F401
    import pypdfium2  # noqa: F401

    split_document(Document(Path("a.txt"), (Page(0, "1", "The splitter loads its tokenizer."),)))


def start_worker() -> None:
    """Ignore Ctrl-C, which the parent handles, and exit when the parent exits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def end_with_parent() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=end_with_parent, daemon=True).start()


@contextmanager
def _interrupts_put_off() -> Iterator[None]:
    """Block Ctrl-C in processes that are started in the block; in this process it takes effect after the block."""
    if threading.current_thread() is not threading.main_thread():  # signal handlers can only be set in the main thread
        yield
        return
    received: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    if hasattr(signal, "pthread_sigmask"):
        # Starting the tracker unblocks signals, so start it now instead of with the first process of a pool.
        resource_tracker.ensure_running()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited by processes
    try:
        yield
    finally:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
        if received:
            signal.raise_signal(signal.SIGINT)
