"""Writer lock of an index: one writer at a time. The error message for a second writer names the first."""

from __future__ import annotations

import datetime
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from sra_rag.errors import SRAError

__all__ = ["IndexLockedError", "is_lock_file", "writer_lock"]

_LOCK = "writer.lock"
_HOLDER = "writer.json"


class IndexLockedError(SRAError, TimeoutError):
    """Another process is changing the index."""


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the lock for changes to an index. The operating system releases the lock of a process that dies.

    Raises
    ------
    IndexLockedError
        Immediately, if another process holds the lock; the message names the process, the machine and the time.
    """
    lock = filelock.FileLock(folder / _LOCK, mode=0o600, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise IndexLockedError(
            f"{folder}: the index is being changed by {_holder(folder)}. It can still be read; to change it, wait "
            "until that process has finished."
        ) from None
    try:
        _write_holder(folder)
        yield
    finally:
        with suppress(OSError):
            (folder / _HOLDER).unlink()
        lock.release()


def is_lock_file(path: Path) -> bool:
    """Whether a file belongs to a lock; a writer that is killed before the index exists leaves such files."""
    return path.suffix == ".lock" or path.name == _HOLDER


def _write_holder(folder: Path) -> None:
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": started}
    try:
        with open(folder / _HOLDER, "w", encoding="utf-8", opener=_for_the_owner) as file:
            json.dump(holder, file)
    except OSError:  # a full disk must not prevent a removal; the message for a second writer is then less precise
        return


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / _HOLDER).read_text(encoding="utf-8"))
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # the holder has the lock, but has not written the file yet
        return "another process"
