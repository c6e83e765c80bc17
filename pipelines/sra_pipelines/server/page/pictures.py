"""Pictures of PDF pages for the page, drawn in a separate process within the limits of uploaded files."""

from __future__ import annotations

import asyncio
import faulthandler
import multiprocessing
import os
from collections import OrderedDict
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from sra_pipelines.index.catalog import IndexedDocument
from sra_pipelines.readers.limits import ReadingLimits, limited_memory
from sra_pipelines.readers.pdf_pictures import PagePicture, draw_page
from sra_pipelines.reading.processes import file_hash, start_worker
from sra_pipelines.values import DocumentError

__all__ = ["PagePictures"]

_KEPT = 48  # pictures in memory, about 0.3 MB each


class PagePictures:
    """Draws pages of PDF files, one at a time, and keeps the most recent pictures.

    Parameters
    ----------
    limits
        Limits on time and memory of the process.
    """

    def __init__(self, limits: ReadingLimits) -> None:
        self.limits = limits
        self._drawing = asyncio.Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._kept: OrderedDict[tuple[str, int, str, int], PagePicture] = OrderedDict()

    async def draw(self, document: IndexedDocument, page_index: int, quote: str = "", before: int = 0) -> PagePicture:
        """Return a picture of a page; see `draw_page`.

        Raises
        ------
        DocumentError
            If the file is missing, was changed since it was indexed, or cannot be drawn.
        """
        key = (document.sha256, page_index, quote, before)
        async with self._drawing:
            if key not in self._kept:
                path = Path(document.path)
                self._kept[key] = await self._in_process(path, document.sha256, page_index, quote, before)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]

    def kept(self, document: IndexedDocument, page_index: int) -> PagePicture | None:
        """Return a picture of a page that was drawn before, with whatever quote."""
        wanted = (document.sha256, page_index)
        return next((picture for key, picture in reversed(self._kept.items()) if key[:2] == wanted), None)

    def warm_up(self) -> None:
        """Start the process, so that the first picture does not wait for it."""
        if self._pool is None:
            self._started().submit(os.getpid)

    def close(self) -> None:
        """Stop the process; the next picture starts a new one."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    async def _in_process(self, path: Path, sha256: str, page_index: int, quote: str, before: int) -> PagePicture:
        try:
            future = self._started().submit(_draw_watched, path, sha256, page_index, quote, before, self.limits)
            return await asyncio.wrap_future(future)
        except BrokenProcessPool as error:
            self.close()
            raise DocumentError(
                f"{path.name}: drawing the page crashed, or took longer than {self.limits.max_seconds:g} s. "
                "Read its text instead."
            ) from error

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=start_worker)
        return self._pool


def _draw_watched(
    path: Path, sha256: str, page_index: int, quote: str, before: int, limits: ReadingLimits
) -> PagePicture:
    with open(os.devnull, "w") as nowhere:
        # Terminates this process even while PDFium is in C code.
        faulthandler.dump_traceback_later(limits.max_seconds, exit=True, file=nowhere)
        try:
            if not path.is_file():
                raise DocumentError(f"{path.name}: the file is no longer there. Its text is still in the index.")
            if file_hash(path) != sha256:
                raise DocumentError(f"{path.name}: the file was changed since it was indexed. Add it again.")
            with limited_memory(limits):
                return draw_page(path, page_index, quote, before)
        except MemoryError as error:
            raise DocumentError(f"{path.name}: drawing the page takes too much memory. Read its text.") from error
        finally:
            faulthandler.cancel_dump_traceback_later()
