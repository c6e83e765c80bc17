"""``/v1/documents``: add, list and remove documents of the index while it is served."""

from __future__ import annotations

import asyncio
import re
import shutil
import uuid
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request, UploadFile

from sra_pipelines.index.catalog import IndexedDocument
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.index.writer import add_documents, remove_documents
from sra_pipelines.readers import CONVERT, FORMATS
from sra_pipelines.readers.limits import ReadingLimits
from sra_pipelines.server.running_answers import ServerStoppingError

__all__ = ["DocumentShelf", "router"]

_READ_AT_ONCE = 1 << 20
_LONGEST_NAME = 80  # characters

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
    """

    def __init__(self, index: StoredIndex, uploads: Path, limits: ReadingLimits | None = None) -> None:
        self.index = index
        self.uploads = uploads
        self.limits = limits or ReadingLimits()
        self._changing = asyncio.Lock()
        self._stopping = False

    def stop(self) -> None:
        """Stop a running upload; the index is unchanged."""
        self._stopping = True

    def documents(self) -> list[IndexedDocument]:
        """Return the documents of the index."""
        return list(self.index.documents())

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
        folder = self.uploads / uuid.uuid4().hex
        folder.mkdir(parents=True)
        path = folder / name
        kept = False
        try:
            with path.open("xb") as out:
                while piece := await file.read(_READ_AT_ONCE):
                    await asyncio.to_thread(out.write, piece)
            async with self._changing:
                # In a separate process, so that a crash on a damaged file does not affect the server.
                report = await asyncio.to_thread(
                    add_documents, self.index.folder, [path], lambda: self.index.embedding, workers=1,
                    limits=self.limits, on_progress=self._raise_if_stopping,
                )  # fmt: skip
                await asyncio.to_thread(self.index.refresh)
            if report.failed:
                raise HTTPException(422, next(iter(report.failed.values())).replace(str(path), name))
            kept = not report.duplicates
            wanted = next(iter([*report.added, *report.changed, *report.duplicates.values()]))
        finally:
            if not kept:
                shutil.rmtree(folder, ignore_errors=True)
        return next(document for document in self.documents() if wanted in (document.name, document.path))

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
        async with self._changing:
            await asyncio.to_thread(remove_documents, self.index.folder, [name])
            await asyncio.to_thread(self.index.refresh)
        for document in matches:
            sent = Path(document.path).parent
            if sent.parent == self.uploads.resolve():
                shutil.rmtree(sent, ignore_errors=True)


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
async def add_document(request: Request, file: UploadFile) -> dict[str, Any]:
    """Add a document, sent as a form with the field ``file``."""
    return _described(await _shelf(request).add(file))


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
