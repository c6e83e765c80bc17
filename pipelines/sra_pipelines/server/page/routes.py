"""The routes of conversations: the page itself, questions, their running answers, stop and export."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, HTTPException, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from sra_pipelines.readers import FORMATS
from sra_pipelines.server.page.conversations import Conversation, LiveTurn
from sra_pipelines.server.page.document_routes import document_rows
from sra_pipelines.server.page.export import conversation_markdown
from sra_pipelines.server.page.login import PAGE
from sra_pipelines.server.page.page_state import PageState, page_state
from sra_pipelines.server.page.rendering import render
from sra_pipelines.server.page.suggestions import suggested_questions
from sra_pipelines.server.page.turns import Column, answer_turn
from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.evidence_config import EvidenceConfig

__all__ = ["router"]

LONGEST_QUESTION = 4000  # characters
_PASSAGES_FOR_QUESTIONS = 20_000  # whose headings are looked through at each load of the page
_SILENCE = 10.0  # seconds without news after which a comment is sent, so that a proxy does not close the connection

router = APIRouter(prefix=PAGE, include_in_schema=False)
State = Annotated[PageState, Depends(page_state)]
Name = Annotated[str, Path(pattern=r"^[\w-]{1,64}$")]
Mode = Literal["off", "on", "both"]
Rows = Literal["", "all", "after_context", "generated"]


@router.get("/")
async def start(request: Request, state: State) -> Response:
    """Open the conversation that the browser used last, or a new one."""
    newest = state.conversations.newest(state.owner(request))
    return RedirectResponse(f"{PAGE}/c/{newest.name if newest else state.conversations.new_name()}", 303)


@router.get("/new")
async def new(state: State) -> Response:
    """Open a new conversation."""
    return RedirectResponse(f"{PAGE}/c/{state.conversations.new_name()}", 303)


@router.get("/c/{name}")
async def show(request: Request, state: State, name: Name) -> HTMLResponse:
    """Show a conversation; one that does not exist is empty until its first question."""
    conversation = state.conversations.get(name, state.owner(request))
    response = state.html(
        "page.html", name=name, turns=conversation.turns if conversation else [],
        documents=document_rows(state), questions=_questions(state),
        suffixes=",".join(sorted(FORMATS)), most_bytes=state.completions.settings.max_upload_bytes,
        longest_question=LONGEST_QUESTION, evidence=_weighs_evidence(state), server_default=_server_default(state),
    )  # fmt: skip
    state.remember(request, response)
    return response


@router.get("/start")
async def empty(state: State) -> HTMLResponse:
    """Return what a conversation without questions shows."""
    return state.html("empty.html", documents=document_rows(state), questions=_questions(state))


@router.post("/c/{name}/turns")
async def ask(
    request: Request,
    state: State,
    name: Name,
    question: Annotated[str, Form()] = "",
    mode: Annotated[Mode, Form()] = "on",
    documents: Annotated[list[str] | None, Form()] = None,
    evidence: Annotated[bool, Form()] = False,
    weight: Annotated[str, Form()] = "",
    alpha: Annotated[str, Form()] = "",
    rows: Annotated[Rows, Form()] = "",
) -> HTMLResponse:
    """Start to answer a question; the answer arrives through `events`."""
    question = question.strip()
    _require_question(state, question)
    for document in documents or ():
        state.document(document)
    sra = _settings(state, evidence, weight, alpha, rows)
    settings: dict[str, list[SRAConfig | None]] = {"off": [None], "on": [sra], "both": [None, sra]}
    conversation = state.conversations.open(name, state.owner(request))
    if conversation is None:
        raise HTTPException(404, "There is no such conversation. Start a new one.")
    if conversation.running is not None:
        raise HTTPException(409, "The previous question is still being answered. Wait for it, or stop it.")
    history, client = conversation.history, str(request.state.client)
    qa, columns = state.choice.of(documents or ()), tuple(Column(setting) for setting in settings[mode])
    state.pictures.warm_up()
    live = conversation.ask(
        question, columns,
        lambda: answer_turn(state.completions, qa, question, settings[mode], history, client),
    )  # fmt: skip
    return state.html("turn.html", name=name, live=live)


@router.get("/c/{name}/turns/{number}/events")
async def events(request: Request, state: State, name: Name, number: int) -> StreamingResponse:
    """Send a turn as HTML whenever it changes, until it is answered."""
    live = _turn(state.conversation(request, name), number)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(request, name, live), media_type="text/event-stream", headers=headers)


@router.post("/c/{name}/stop", status_code=204)
async def stop(request: Request, state: State, name: Name) -> Response:
    """Stop the running answer; what is written stays."""
    running = state.conversation(request, name).running
    if running is not None:
        running.stop()
    return Response(status_code=204)


@router.get("/c/{name}/conversation.md")
async def export(request: Request, state: State, name: Name) -> Response:
    """Download a conversation as Markdown."""
    text = conversation_markdown(live.turn for live in state.conversation(request, name).turns)
    headers = {"Content-Disposition": 'attachment; filename="conversation.md"'}
    return Response(text, media_type="text/markdown; charset=utf-8", headers=headers)


async def _events(request: Request, name: str, live: LiveTurn) -> AsyncIterator[str]:
    sent, at = "", time.monotonic()
    async with aclosing(live.updates()) as turns:
        async for _ in turns:
            if await request.is_disconnected():
                return
            html = render("turn_body.html", base=PAGE, name=name, live=live)
            if html != sent:
                sent, at = html, time.monotonic()
                yield "".join(f"data: {line}\n" for line in html.splitlines()) + "\n"
            elif time.monotonic() - at > _SILENCE:
                at = time.monotonic()
                yield ": still working\n\n"
    yield "event: answered\ndata: answered\n\n"


def _questions(state: PageState) -> list[str]:
    return suggested_questions(itertools.islice(state.shelf.index.passages(), _PASSAGES_FOR_QUESTIONS))


def _turn(conversation: Conversation, number: int) -> LiveTurn:
    if not 0 <= number < len(conversation.turns):
        raise HTTPException(404, f"The conversation has no question {number + 1}.")
    return conversation.turns[number]


def _require_question(state: PageState, question: str) -> None:
    if not question:
        raise HTTPException(400, "The question is empty. Enter a question.")
    if len(question) > LONGEST_QUESTION:
        raise HTTPException(400, f"The question has more than {LONGEST_QUESTION:,} characters. Shorten it.")
    if not state.shelf.documents():
        raise HTTPException(400, "There are no documents yet. Add documents first.")


def _weighs_evidence(state: PageState) -> bool:
    """Whether evidence can be weighed: with a model in this process, and on some servers."""
    return state.completions.qa.engine.weighs_evidence


def _server_default(state: PageState) -> SRAConfig | None:
    sra = state.completions.settings.sra
    return sra if sra is not None and sra.enabled else None


def _settings(state: PageState, evidence: bool, weight: str, alpha: str, rows: Rows) -> SRAConfig:
    """Return the settings of "on": those of the server if the form sets none, else those of the form."""
    default = _server_default(state)
    weighs = evidence and _weighs_evidence(state)
    changed = weight.strip() or alpha.strip() or rows or weighs != _default_evidence(state)
    if default is not None and not changed:
        return default
    found = EvidenceConfig(weight=_number("weight", weight)) if weighs else None
    sra = SRAConfig(alpha=_number("alpha", alpha), rows=rows or None, evidence=found)  # type: ignore[arg-type]
    if not sra.enabled:
        raise ConfigError("Reattention is on, but alpha is 0 and evidence is not selected. Select one, or choose Off.")
    return sra


def _default_evidence(state: PageState) -> bool:
    default = _server_default(state)
    return _weighs_evidence(state) if default is None else default.evidence is not None


def _number(name: str, text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"{name}={text[:40]!r} is not a number. Enter a number, or leave the field empty.") from error
