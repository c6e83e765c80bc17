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
    """The index of a server, and the files that clients added to it.

    Parameters
    ----------
    index
        What is searched; changes reach questions that come after them.
    uploads
        Folder for files that clients send. Their names are only ever the end of a path made here.
    limits
        On what such a file may hold.
    """

    def __init__(self, index: StoredIndex, uploads: Path, limits: ReadingLimits | None = None) -> None:
        self.index = index
        self.uploads = uploads
        self.limits = limits or ReadingLimits()
        self._changing = asyncio.Lock()
        self._stopping = False

    def stop(self) -> None:
        """End what is being added; the index stays as it was."""
        self._stopping = True

    def documents(self) -> list[IndexedDocument]:
        """Return what the index holds."""
        return list(self.index.documents())

    async def add(self, file: UploadFile) -> IndexedDocument:
        """Add one document.

        Raises
        ------
        HTTPException
            415 for a format that is not read, 422 for a file that can't be.
        """
        name = safe_name(file.filename or "")
        suffix = Path(name).suffix.lower()
        if suffix not in FORMATS:
            known = ", ".join(sorted(FORMATS))
            hint = f"{CONVERT[suffix]} " if suffix in CONVERT else ""
            raise HTTPException(415, f"{name!r} is of a type that is not read. {hint}Send one of {known}.")
        folder = self.uploads / uuid.uuid4().hex
        folder.mkdir(parents=True)
        path = folder / name
        kept = False
        try:
            with path.open("xb") as out:
                while piece := await file.read(_READ_AT_ONCE):
                    await asyncio.to_thread(out.write, piece)
            async with self._changing:
                # In a process of its own, so that what a damaged file does to its reader stays there.
                report = await asyncio.to_thread(
                    add_documents, self.index.folder, [path], lambda: self.index.embedding, workers=1,
                    limits=self.limits, on_progress=self._go_on,
                )  # fmt: skip
                await asyncio.to_thread(self.index.refresh)
            if report.failed:
                raise HTTPException(422, next(iter(report.failed.values())).replace(str(path), name))
            kept = not report.duplicates
            wanted = next(iter([*report.added, *report.changed, *report.duplicates.values()]))
        finally:
            if not kept:
                shutil.rmtree(folder, ignore_errors=True)
        return next(about for about in self.documents() if wanted in (about.name, about.path))

    def _go_on(self, what: str, done: float, total: float) -> None:
        if self._stopping:
            raise ServerStoppingError("The upload")

    async def remove(self, name: str) -> None:
        """Remove a document, and its file if a client sent it.

        Raises
        ------
        HTTPException
            404 if there is none of that name.
        """
        found = [about for about in self.documents() if about.name == name]
        if not found:
            raise HTTPException(404, f"There is no document {name!r}.")
        async with self._changing:
            await asyncio.to_thread(remove_documents, self.index.folder, [name])
            await asyncio.to_thread(self.index.refresh)
        for about in found:
            sent = Path(about.path).parent
            if sent.parent == self.uploads.resolve():
                shutil.rmtree(sent, ignore_errors=True)


def safe_name(name: str) -> str:
    """Return a client's file name without anything that a file system could take for more than a name."""
    last = re.split(r"[/\\]", name)[-1]
    stem, suffix = re.match(r"(.*?)(\.[A-Za-z0-9]{1,8})?$", last, re.DOTALL).groups()  # type: ignore[union-attr]
    kept = re.sub(r"[^\w \-]", "_", stem).strip()[:_LONGEST_NAME]
    return f"{kept or 'document'}{suffix or ''}"


@router.get("/v1/documents")
async def list_documents(request: Request) -> dict[str, Any]:
    """List the documents."""
    return {"object": "list", "data": [_described(about) for about in _shelf(request).documents()]}


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
        raise HTTPException(404, "This server's documents cannot be changed. Serve an index for that.")
    return shelf


def _described(about: IndexedDocument) -> dict[str, Any]:
    return {"id": about.name, "object": "document", "pages": about.n_pages, "passages": about.n_passages}
