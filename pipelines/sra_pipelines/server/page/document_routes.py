"""The routes of documents: their list, uploads, removal, and a page of one beside the answer."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse, Response

from sra_pipelines.server.api.document_shelf import add_document
from sra_pipelines.server.page.login import PAGE
from sra_pipelines.server.page.page_state import PageState, page_state
from sra_pipelines.server.public_messages import without_paths
from sra_pipelines.values import DocumentError

__all__ = ["DocumentRow", "document_rows", "router"]

router = APIRouter(prefix=PAGE, include_in_schema=False)
State = Annotated[PageState, Depends(page_state)]
# Uploads of the page: the files that /v1/documents accepts, with the cookie of the page.
router.add_api_route("/uploads", add_document, methods=["POST"], status_code=201)


@dataclasses.dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document in the list.

    Parameters
    ----------
    name
        Name of the document.
    pages
        Number of its pages.
    state
        Whether all of it can be searched, for users.
    uploaded
        Whether a client uploaded the file, so that removing the document deletes it.
    """

    name: str
    pages: int
    state: str
    uploaded: bool


def document_rows(state: PageState) -> list[DocumentRow]:
    """Return the documents of the index for the list."""
    uploads = state.shelf.uploads.resolve()
    rows = []
    for document in state.shelf.documents():
        empty = sum(not page.text for page in state.shelf.index.pages(document.name))
        text = "Ready" if not empty else f"Ready, but {empty} without text" if document.n_passages else "No text"
        uploaded = Path(document.path).parent.parent == uploads
        rows.append(DocumentRow(document.name, document.n_pages, text, uploaded))
    return rows


@router.get("/documents")
async def documents(state: State) -> HTMLResponse:
    """Return the list of documents."""
    return state.html("documents.html", documents=document_rows(state))


@router.delete("/documents")
async def remove(state: State, document: str) -> HTMLResponse:
    """Remove a document from the index, and return the list."""
    await state.shelf.remove(document)
    return state.html("documents.html", documents=document_rows(state))


@router.get("/source")
async def source(
    state: State,
    document: str,
    page: Annotated[int, Query(ge=0)] = 0,
    quote_page: Annotated[int, Query(ge=0)] = 0,
    start: Annotated[int, Query(ge=0)] = 0,
    end: Annotated[int, Query(ge=0)] = 0,
) -> HTMLResponse:
    """Return a page of a document with a quote marked, as text; for a PDF file the picture follows."""
    about, pages = state.document(document), state.pages(document)
    page = min(page, len(pages) - 1)
    shown = pages[page]
    marked = (start, end) if page == quote_page and 0 <= start < end <= len(shown.text) else (0, 0)
    return state.html(
        "source.html", document=document, pages=pages, page=page, shown=shown, start=marked[0], end=marked[1],
        quote=(quote_page, start, end), pictured=Path(about.path).suffix.lower() == ".pdf",
    )  # fmt: skip


@router.get("/source/picture")
async def picture(
    state: State,
    document: str,
    page: Annotated[int, Query(ge=0)],
    start: Annotated[int, Query(ge=0)] = 0,
    end: Annotated[int, Query(ge=0)] = 0,
) -> HTMLResponse:
    """Return a page of a PDF file as a picture with the quote marked, or the reason why there is none."""
    about, pages = state.document(document), state.pages(document)
    text = pages[min(page, len(pages) - 1)].text
    before = len("".join(text[:start].split()))
    try:
        drawn = await state.pictures.draw(about, page, text[start:end], before)
    except DocumentError as error:
        return state.html("no_picture.html", problem=without_paths(str(error).replace(about.path, document)))
    return state.html(
        "picture.html", document=document, page=page, label=pages[page].label, drawn=drawn,
        version=about.sha256[:16], wanted=end > start,
    )  # fmt: skip


@router.get("/source/page.png")
async def page_png(state: State, document: str, page: Annotated[int, Query(ge=0)]) -> Response:
    """Return the picture of a page."""
    about = state.document(document)
    drawn = state.pictures.kept(about, page)
    try:
        drawn = drawn or await state.pictures.draw(about, page)
    except DocumentError as error:
        return Response(without_paths(str(error).replace(about.path, document)), 404, media_type="text/plain")
    return Response(drawn.png, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})
