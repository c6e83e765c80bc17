"""``/v1/documents``: add, list and remove documents of the index while it is served."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import filelock
from fastapi import APIRouter, HTTPException, Request
from starlette.datastructures import UploadFile

from sra_pipelines.index.catalog import IndexedDocument
from sra_pipelines.index.schema import is_full_disk
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents, remove_documents
from sra_pipelines.readers import CONVERT, FORMATS
from sra_pipelines.readers.limits import ReadingLimits
from sra_pipelines.reading.processes import LoneReader
from sra_pipelines.server.running_answers import ServerStoppingError
from sra_pipelines.server.slots import QueueFullError
from sra_rag.errors import SRAError

__all__ = ["DocumentShelf", "router"]

_READ_AT_ONCE = 1 << 20
_LONGEST_NAME = 80  # characters
_UPLOAD_SECONDS = 15  # of a typical upload, after which a rejected client may retry
_FOLDER = re.compile(r"[0-9a-f]{32}")

router = APIRouter()


class DocumentShelf:
    """The index of a server, with the files that clients uploaded.

    Parameters
    ----------
    index
        The index. Changes are visible to later questions.
    uploads
        Folder for uploaded files. Each is saved in a new subfolder under a sanitized name.
    limits
        Limits on uploaded files.
    queue_length
        Maximum number of uploads at the same time. They are added one after another; further uploads are rejected
        and not stored.
    """

    def __init__(
        self, index: StoredIndex, uploads: Path, limits: ReadingLimits | None = None, *, queue_length: int = 8
    ) -> None:
        self.index = index
        self.uploads = uploads
        self.limits = limits or ReadingLimits()
        self.queue_length = queue_length
        self._uploading = 0
        self._changing = asyncio.Lock()
        self._stopping = False
        self._reader = LoneReader(limits=self.limits)
        self._remove_abandoned()

    def start(self) -> None:
        """Start the reading process, so that the first upload does not wait for it."""
        self._reader.start()

    def stop(self) -> None:
        """Stop a running upload; the index is unchanged."""
        self._stopping = True

    def documents(self) -> list[IndexedDocument]:
        """Return the documents of the index."""
        return list(self.index.documents())

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places for uploads within the block.

        Raises
        ------
        QueueFullError
            If all places are taken.
        """
        if self._uploading >= self.queue_length:
            raise QueueFullError(self._uploading, _UPLOAD_SECONDS, "uploads")
        self._uploading += 1
        try:
            yield
        finally:
            self._uploading -= 1

    async def add(self, file: UploadFile) -> IndexedDocument:
        """Add one document.

        Raises
        ------
        HTTPException
            415 for an unsupported format, 422 for a file that cannot be read.
        """
        name = safe_name(file.filename or "")
        suffix = Path(name).suffix.lower()
        if suffix not in FORMATS:
            known = ", ".join(sorted(FORMATS))
            hint = f"{CONVERT[suffix]} " if suffix in CONVERT else ""
            raise HTTPException(415, f"{name!r} has an unsupported type. {hint}Send one of {known}.")
        with self._clear_errors(), self._new_folder() as folder:
            path = folder / name
            with open(path, "xb", opener=_for_the_owner) as out:
                while piece := await file.read(_READ_AT_ONCE):
                    await asyncio.to_thread(out.write, piece)
            async with self._changing:
                # Read and split in a separate process: a damaged or hostile file does not affect the server.
                report = await asyncio.to_thread(
                    add_documents, self.index.folder, [path], lambda: self.index.embedding, reader=self._reader,
                    limits=self.limits, on_progress=self._raise_if_stopping,
                )  # fmt: skip
                await asyncio.to_thread(self.index.refresh)
            if report.failed:
                raise HTTPException(422, next(iter(report.failed.values())).replace(str(path), name))
            if report.duplicates:
                shutil.rmtree(folder)
            wanted = next(iter([*report.added, *report.changed, *report.duplicates.values()]))
        return next(document for document in self.documents() if wanted in (document.name, document.path))

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        """Raise errors without paths of the server, and a full disk as status 507."""
        try:
            yield
        except (SRAError, OSError) as error:
            if is_full_disk(error):
                raise HTTPException(
                    507, "The disk of the server is full. Remove documents, or tell the administrator of the server."
                ) from error
            if not isinstance(error, SRAError):
                raise
            message = str(error)
            for folder, name in ((self.uploads, "uploads"), (self.index.folder, "The index of the server")):
                for path in (str(folder.resolve()), str(folder)):
                    message = message.replace(path, name)
            error.args = (message,)
            raise

    @contextmanager
    def _new_folder(self) -> Iterator[Path]:
        """Create a folder for an upload, and remove it if the block raises."""
        self.uploads.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = self.uploads / uuid.uuid4().hex
        # Held until the document is in the index; the lock of a process that was killed is free.
        with filelock.FileLock(folder.with_suffix(".lock"), mode=0o600, thread_local=False):
            folder.mkdir(mode=0o700)
            try:
                yield folder
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            finally:
                with suppress(OSError):
                    folder.with_suffix(".lock").unlink()

    def _remove_abandoned(self) -> None:
        """Remove the folders of uploads that a killed server left, whose documents are not in the index."""
        if not self.uploads.is_dir():
            return
        kept = {Path(document.path).parent for document in self.documents()}
        for folder in self.uploads.resolve().iterdir():
            lock = folder.with_suffix(".lock")
            if not _FOLDER.fullmatch(folder.stem) or folder.suffix not in ("", ".lock"):
                continue
            try:
                with filelock.FileLock(lock, timeout=0, mode=0o600, thread_local=False):
                    if folder.suffix == "" and folder not in kept:
                        shutil.rmtree(folder, ignore_errors=True)
                    lock.unlink(missing_ok=True)
            except (filelock.Timeout, OSError):  # another server is receiving it, or the folder is read-only
                continue

    def _raise_if_stopping(self, step: str, done: float, total: float) -> None:
        if self._stopping:
            raise ServerStoppingError("The upload")

    async def remove(self, name: str) -> None:
        """Remove a document, and its file if a client uploaded it.

        Raises
        ------
        HTTPException
            404 if there is no document with this name.
        """
        matches = [document for document in self.documents() if document.name == name]
        if not matches:
            raise HTTPException(404, f"There is no document {name!r}.")
        with self._clear_errors():
            async with self._changing:
                await asyncio.to_thread(remove_documents, self.index.folder, [name])
                await asyncio.to_thread(self.index.refresh)
        for document in matches:
            sent = Path(document.path).parent
            if sent.parent == self.uploads.resolve():
                shutil.rmtree(sent, ignore_errors=True)


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def safe_name(name: str) -> str:
    """Return the file name of an upload without path components and special characters."""
    last = re.split(r"[/\\]", name)[-1]
    stem, suffix = re.match(r"(.*?)(\.[A-Za-z0-9]{1,8})?$", last, re.DOTALL).groups()  # type: ignore[union-attr]
    kept = re.sub(r"[^\w \-]", "_", stem).strip()[:_LONGEST_NAME]
    return f"{kept or 'document'}{suffix or ''}"


@router.get("/v1/documents")
async def list_documents(request: Request) -> dict[str, Any]:
    """List the documents."""
    return {"object": "list", "data": [_described(document) for document in _shelf(request).documents()]}


@router.post("/v1/documents", status_code=201)
async def add_document(request: Request) -> dict[str, Any]:
    """Add a document, sent as a form with the field ``file``."""
    shelf = _shelf(request)
    try:
        with shelf.place():  # before the form is stored
            async with request.form(max_files=1, max_fields=10) as form:
                file = form.get("file")
                if not isinstance(file, UploadFile):
                    raise HTTPException(400, "file: Field required. Send a form with the file in the field 'file'.")
                return _described(await shelf.add(file))
    except QueueFullError:
        async for _ in request.stream():  # many clients only read the answer after they have sent everything
            pass
        raise


@router.delete("/v1/documents/{name:path}")
async def remove_document(request: Request, name: str) -> dict[str, Any]:
    """Remove a document by its name."""
    await _shelf(request).remove(name)
    return {"id": name, "object": "document", "deleted": True}


def _shelf(request: Request) -> DocumentShelf:
    shelf: DocumentShelf | None = request.app.state.shelf
    if shelf is None:
        raise HTTPException(404, "The documents of this server cannot be changed. Serve an index to change them.")
    return shelf


def _described(document: IndexedDocument) -> dict[str, Any]:
    return {"id": document.name, "object": "document", "pages": document.n_pages, "passages": document.n_passages}
