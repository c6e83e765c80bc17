"""Files that a browser sent, put on the shelf one by one; each has its own line of what became of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from fastapi import UploadFile
from starlette.exceptions import HTTPException

from sra_pipelines.server.api.document_shelf import DocumentShelf
from sra_rag.errors import SRAError

__all__ = ["add_files"]

_log = logging.getLogger(__name__)


async def add_files(shelf: DocumentShelf, paths: Sequence[str]) -> list[str]:
    """Add files to the shelf and delete them where they were.

    Parameters
    ----------
    shelf
        Checks and keeps them, within its limits.
    paths
        Where the browser's files were put.

    Returns
    -------
    said
        A line for each file: what it became, or why it was refused.
    """
    return [await _add(shelf, Path(path)) for path in paths]


async def _add(shelf: DocumentShelf, path: Path) -> str:
    try:
        with path.open("rb") as content:
            about = await shelf.add(UploadFile(content, filename=path.name))
    except HTTPException as error:
        return f"{path.name}: {error.detail}"
    except SRAError as error:
        return f"{path.name}: {error}"
    except Exception:
        _log.exception("A file sent to the page could not be added.")
        return f"{path.name}: the server failed; its log says why."
    finally:
        path.unlink(missing_ok=True)
    return f"{about.name} is there now: {about.n_pages} pages, {about.n_passages} passages."
