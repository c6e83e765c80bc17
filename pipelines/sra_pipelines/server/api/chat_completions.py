"""``/v1/chat/completions``."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from sra_pipelines.server.api.answer_extras import answer_extras
from sra_pipelines.server.api.completions import Completions, Piece, new_id
from sra_pipelines.server.api.error_responses import logged_error_response
from sra_pipelines.server.api.request_bodies import ChatRequest
from sra_pipelines.server.api.streaming import collected, event, generation_of, start_stream, unless_disconnected
from sra_rag.generation.result import Generation

__all__ = ["router"]

router = APIRouter()


@router.post("/v1/chat/completions", response_model=None)
async def chat_completions(body: ChatRequest, request: Request) -> Response:
    """Answer the last message of a conversation."""
    completions: Completions = request.app.state.completions
    head = {"id": new_id("chatcmpl"), "created": int(time.time()), "model": body.model}
    pieces = completions.pieces(body.answer_request(completions.settings), request.state.client, str(head["id"]))
    if body.stream:
        usage = body.stream_options is not None and body.stream_options.include_usage
        return await start_stream(request, pieces, partial(_events, head, usage))
    async with aclosing(pieces):
        last = await unless_disconnected(request, collected(pieces))
    generation = generation_of(last)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": last.text},
        "finish_reason": _finish_reason(generation),
    }
    return JSONResponse(
        {**head, "object": "chat.completion", "choices": [choice], "usage": _usage(generation), **answer_extras(last)}
    )


async def _events(head: Mapping[str, Any], include_usage: bool, pieces: AsyncIterator[Piece]) -> AsyncIterator[str]:
    def chunk(delta: dict[str, Any], reason: str | None = None, **extras: Any) -> str:
        choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
        return event({**head, "object": "chat.completion.chunk", "choices": choices, **extras})

    yield chunk({"role": "assistant", "content": ""})
    try:
        async for piece in pieces:
            if isinstance(piece, str):
                yield chunk({"content": piece})
                continue
            generation = generation_of(piece)
            yield chunk({}, _finish_reason(generation), **answer_extras(piece))
            if include_usage:
                usage = {"choices": [], "usage": _usage(generation)}
                yield event({**head, "object": "chat.completion.chunk", **usage})
    except Exception as error:
        yield f"data: {bytes(logged_error_response(error).body).decode()}\n\n"
    yield "data: [DONE]\n\n"


def _finish_reason(generation: Generation) -> str:
    """Return the reason in OpenAI's words; strict clients refuse others. `answer_extras` says what repeated itself."""
    return "stop" if generation.finish_reason == "repetition" else generation.finish_reason


def _usage(generation: Generation) -> dict[str, Any]:
    usage = generation.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
