"""One writer at a time; a second one is told who is at it."""

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

__all__ = ["IndexLockedError", "writer_lock"]

_LOCK = "writer.lock"
_HOLDER = "writer.json"


class IndexLockedError(SRAError, TimeoutError):
    """Another process is changing the index."""


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the right to change an index; the system takes it back from a process that dies.

    Raises
    ------
    IndexLockedError
        At once, if another holds it; the message names process, machine and time.
    """
    lock = filelock.FileLock(folder / _LOCK, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise IndexLockedError(
            f"{folder}: the index is being changed by {_holder(folder)}. Reading it goes on working; to change it, "
            "wait until that ends."
        ) from None
    try:
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": started}
        (folder / _HOLDER).write_text(json.dumps(holder), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            (folder / _HOLDER).unlink()
        lock.release()


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / _HOLDER).read_text(encoding="utf-8"))
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # it has the lock but has not written yet
        return "another process"
