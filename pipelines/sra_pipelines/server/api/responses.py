"""``/v1/responses``: answers in the format of OpenAI's Responses API, with citations as annotations of the text."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from sra_pipelines.answering.answers import Answer
from sra_pipelines.server.api.answer_extras import answer_extras
from sra_pipelines.server.api.completions import Completions, Piece, new_id
from sra_pipelines.server.api.error_responses import logged_error_response
from sra_pipelines.server.api.response_bodies import ResponsesRequest
from sra_pipelines.server.api.streaming import collected, event, generation_of, start_stream, unless_disconnected
from sra_rag.generation.result import Generation

__all__ = ["router"]

router = APIRouter()


@router.post("/v1/responses", response_model=None)
async def create_response(body: ResponsesRequest, request: Request) -> Response:
    """Answer the last message of a conversation."""
    completions: Completions = request.app.state.completions
    head = {"id": new_id("resp"), "object": "response", "created_at": int(time.time()), **body.echoed()}
    pieces = completions.pieces(body.answer_request(completions.settings), request.state.client, str(head["id"]))
    if body.stream:
        return await start_stream(request, pieces, partial(_events, head))
    async with aclosing(pieces):
        last = await unless_disconnected(request, collected(pieces))
    return JSONResponse(_finished(head, last, new_id("msg")))


@router.get("/v1/responses/{name}")
@router.delete("/v1/responses/{name}")
@router.post("/v1/responses/{name}/cancel")
@router.get("/v1/responses/{name}/input_items")
async def stored_response(name: str) -> None:
    """Reject requests for earlier responses."""
    raise HTTPException(404, f"There is no response {name!r}: responses are not stored. Send the request again.")


async def _events(head: Mapping[str, Any], pieces: AsyncIterator[Piece]) -> AsyncIterator[str]:
    """Yield the events of one response, in the order of OpenAI's API."""
    numbers = itertools.count()
    item = new_id("msg")
    place = {"item_id": item, "output_index": 0, "content_index": 0}

    def send(kind: str, **values: Any) -> str:
        return event({"type": kind, "sequence_number": next(numbers), **values}, kind)

    begun = {**head, "status": "in_progress", **_NOT_YET}
    yield send("response.created", response=begun)
    yield send("response.in_progress", response=begun)
    yield send("response.output_item.added", output_index=0, item=_message(item, [], "in_progress"))
    yield send("response.content_part.added", **place, part=_output_text("", []))
    try:
        async for piece in pieces:
            if isinstance(piece, str):
                yield send("response.output_text.delta", **place, delta=piece, logprobs=[])
                continue
            notes = _annotations(piece)
            for number, note in enumerate(notes):
                yield send("response.output_text.annotation.added", **place, annotation_index=number, annotation=note)
            whole = _finished(head, piece, item)
            [message] = whole["output"]
            yield send("response.output_text.done", **place, text=piece.text, logprobs=[])
            yield send("response.content_part.done", **place, part=message["content"][0])
            yield send("response.output_item.done", output_index=0, item=message)
            yield send(f"response.{whole['status']}", response=whole)
    except Exception as error:
        described = json.loads(bytes(logged_error_response(error).body))["error"]
        failure = {"code": described["code"] or "server_error", "message": described["message"]}
        yield send("response.failed", response={**begun, "status": "failed", "error": failure})


_NOT_YET: dict[str, Any] = {"error": None, "incomplete_details": None, "output": [], "usage": None}


def _finished(head: Mapping[str, Any], last: Answer | Generation, item: str) -> dict[str, Any]:
    """Return the whole response. An answer that was cut off is incomplete, with the reason."""
    reason = generation_of(last).finish_reason
    status = "completed" if reason in ("stop", "repetition") else "incomplete"
    details = {"reason": "max_output_tokens" if reason == "length" else reason}
    return {
        **head,
        "status": status,
        "completed_at": int(time.time()) if status == "completed" else None,
        "error": None,
        "incomplete_details": None if status == "completed" else details,
        "output": [_message(item, [_output_text(last.text, _annotations(last))], status)],
        "usage": _usage(generation_of(last)),
        **answer_extras(last),
    }


def _message(item: str, content: list[dict[str, Any]], status: str) -> dict[str, Any]:
    return {"id": item, "type": "message", "role": "assistant", "status": status, "content": content}


def _output_text(text: str, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}


def _annotations(last: Answer | Generation) -> list[dict[str, Any]]:
    """Return the citations as OpenAI's file citations at the end of the text, with the page and the quote added."""
    if not isinstance(last, Answer):
        return []
    return [
        {
            "type": "file_citation",
            "file_id": citation.document,
            "filename": citation.document,
            "index": len(last.text),
            "page_index": citation.page_index,
            "page_label": citation.page_label,
            "quote": citation.quote,
        }
        for citation in last.citations
    ]


def _usage(generation: Generation) -> dict[str, Any]:
    usage = generation.usage
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.total_tokens,
    }
