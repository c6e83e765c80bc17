"""What the routes of the page share, and who is asking."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets

from fastapi import HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from sra_pipelines.answering.chosen_documents import DocumentChoice
from sra_pipelines.index.catalog import IndexedDocument
from sra_pipelines.server.api.completions import Completions
from sra_pipelines.server.api.document_shelf import DocumentShelf
from sra_pipelines.server.page.conversations import Conversation, Conversations
from sra_pipelines.server.page.login import COOKIE, PAGE, cookie
from sra_pipelines.server.page.pictures import PagePictures
from sra_pipelines.server.page.rendering import render
from sra_pipelines.values import Page as DocumentPage

__all__ = ["PageState", "page_state"]

_VISITOR = "sra_rag_visitor"
_VISITOR_SECONDS = 30 * 24 * 3600


@dataclasses.dataclass(frozen=True, slots=True)
class PageState:
    """The page of one server.

    Parameters
    ----------
    completions
        Answers, with the queue and limits of the API.
    shelf
        The documents.
    choice
        Pipelines over some of the documents.
    pictures
        Pictures of PDF pages.
    conversations
        The conversations of all browsers.
    """

    completions: Completions
    shelf: DocumentShelf
    choice: DocumentChoice
    pictures: PagePictures
    conversations: Conversations

    @property
    def keyed(self) -> bool:
        """Whether users log in with an API key."""
        return bool(self.completions.settings.api_keys)

    def document(self, name: str) -> IndexedDocument:
        """Return a document of the index by name, or raise status 404."""
        for document in self.shelf.documents():
            if document.name == name:
                return document
        raise HTTPException(404, f"There is no document {name!r} any more. Reload the page to update the list.")

    def pages(self, name: str) -> list[DocumentPage]:
        """Return the pages of a document, or raise status 404."""
        self.document(name)
        try:
            return list(self.shelf.index.pages(name))
        except KeyError as error:  # removed since
            raise HTTPException(404, f"There is no document {name!r} any more.") from error

    def conversation(self, request: Request, name: str) -> Conversation:
        """Return a conversation of the browser that asks, or raise status 404."""
        conversation = self.conversations.get(name, self.owner(request))
        if conversation is None:
            raise HTTPException(404, "There is no such conversation any more. Start a new one.")
        return conversation

    def owner(self, request: Request) -> str:
        """Return the secret that identifies the browser: of its login, or without keys of its visit."""
        secret = cookie(request, COOKIE if self.keyed else _VISITOR)
        if not secret:  # a client that sends its key, or no cookies
            authorization = request.headers.get("authorization", "")
            secret = f"client {hashlib.sha256(authorization.encode()).hexdigest()}"
        return secret

    def html(self, template: str, **values: object) -> HTMLResponse:
        """Return a rendered template."""
        return HTMLResponse(render(template, keyed=self.keyed, base=PAGE, **values))

    def remember(self, request: Request, response: Response) -> None:
        """Give a browser without login the cookie that identifies it, unless it has one."""
        if self.keyed or cookie(request, _VISITOR):
            return
        response.set_cookie(
            _VISITOR, secrets.token_urlsafe(32), max_age=_VISITOR_SECONDS, path=PAGE, httponly=True,
            samesite="strict", secure=request.url.scheme == "https",
        )  # fmt: skip


def page_state(request: Request) -> PageState:
    """Return the page of the server of a request."""
    state: PageState = request.app.state.page
    return state
