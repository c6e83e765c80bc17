"""``/v1/chat/completions`` and ``/v1/models``."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping
from contextlib import aclosing
from typing import Any, TypeAlias, TypeVar

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from sra_pipelines.answering.answers import Answer
from sra_pipelines.answering.chat import Chat
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.server.api.error_responses import error_response
from sra_pipelines.server.api.prometheus import Metrics
from sra_pipelines.server.api.request_bodies import ChatRequest
from sra_pipelines.server.running_answers import OneAnswer, ServerStoppingError, UnderWay
from sra_pipelines.server.server_settings import ServerSettings
from sra_pipelines.server.slots import QueueFullError, Slots
from sra_rag.config import SRALike
from sra_rag.errors import ConfigError, GenerationTimeoutError
from sra_rag.generation.bridge import iterate_in_thread
from sra_rag.generation.request import Cancellation
from sra_rag.generation.result import Generation
from sra_rag.notation import parse_sra

__all__ = ["DOCUMENTS_MODEL", "Completions", "router"]

DOCUMENTS_MODEL = "sra-rag"  # answers from the documents; the name of the model answers without documents
_LOOK_AGAIN = 0.2  # seconds between checks for a disconnected client

router = APIRouter()
T = TypeVar("T")
Work: TypeAlias = Callable[[Cancellation, float], Generator[str | Answer | Generation, None, None]]


class Completions:
    """Answers requests with limited concurrency.

    Parameters
    ----------
    qa
        Pipeline with the documents and the model.
    settings
        Limits of the server.
    """

    def __init__(self, qa: DocumentQA, settings: ServerSettings) -> None:
        self.qa = qa
        self.settings = settings
        self.slots = Slots(settings.concurrency, settings.queue_length)
        self.metrics = Metrics(self.slots)
        self.under_way = UnderWay()
        self.created = int(time.time())

    @property
    def models(self) -> tuple[str, str]:
        """The model names that a request may use."""
        return DOCUMENTS_MODEL, self.qa.engine.name

    def stop(self) -> None:
        """Stop running answers, and reject waiting ones."""
        self.under_way.stop()
        self.slots.close(ServerStoppingError())

    def pieces(
        self, body: ChatRequest, client: str = "", name: str = ""
    ) -> AsyncGenerator[str | Answer | Generation, None]:
        """Wait for a slot and answer: yield pieces of text, then the complete answer."""
        return self.in_turn(lambda cancel, seconds: self._answer(body, cancel, seconds), client, name)

    async def in_turn(
        self, work: Work, client: str = "", name: str = ""
    ) -> AsyncGenerator[str | Answer | Generation, None]:
        """Wait for a slot and run `work`, which receives the cancellation and the remaining seconds."""
        cancel = Cancellation()
        with self.under_way.answer(name or _new_name(), cancel) as running:
            try:
                async with aclosing(self._in_turn(work, client, running)) as items:
                    async for item in items:
                        yield item
            finally:
                self.metrics.ended(running.outcome)

    async def _in_turn(
        self, work: Work, client: str, running: OneAnswer
    ) -> AsyncGenerator[str | Answer | Generation, None]:
        allowed = self.settings.request_timeout
        deadline = time.monotonic() + allowed

        def begin() -> Generator[str | Answer | Generation, None, None]:
            return work(running.cancel, max(deadline - time.monotonic(), 0.001))

        try:
            async with self.slots.slot(allowed, client), aclosing(iterate_in_thread(begin, running.cancel)) as items:
                async for item in items:
                    if isinstance(item, Answer | Generation):
                        generation = item.generation if isinstance(item, Answer) else item
                        if running.stopped and generation.finish_reason == "cancelled":
                            raise ServerStoppingError
                        self.metrics.answered(generation)
                        running.outcome = "ok"
                    yield item
        except QueueFullError:
            running.outcome = "refused"
            raise
        except ServerStoppingError:
            running.stopped, running.outcome = True, "stopped"
            raise
        except TimeoutError as error:
            running.outcome = "error"
            raise GenerationTimeoutError(f"The answer timed out after {allowed:g} s, including waiting.") from error
        except Exception:
            running.outcome = "error"
            raise

    def _answer(
        self, body: ChatRequest, cancel: Cancellation, seconds: float
    ) -> Generator[str | Answer | Generation, None, None]:
        options = {**body.options(self.settings.max_new_tokens), "cancel": cancel, "timeout": seconds}
        sra: SRALike = body.sra if "sra" in body.model_fields_set else self.settings.sra
        if isinstance(sra, str):  # a client must not read files of the server
            sra = parse_sra(sra, files=False)
        if body.model == DOCUMENTS_MODEL:
            question, history = _conversation(body)
            yield from Chat(self.qa, history=history).stream(question, sra=sra, **options)
            return
        messages = [{"role": _role(message.role), "content": message.text} for message in body.messages]
        for delta in self.qa.engine.stream(messages, sra=sra, **options):
            if delta.text:
                yield delta.text
            if delta.generation is not None:
                yield delta.generation


@router.get("/v1/models")
async def models(request: Request) -> dict[str, Any]:
    """List the models."""
    completions: Completions = request.app.state.completions
    return {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": completions.created, "owned_by": "sra-rag"}
            for name in completions.models
        ],
    }


@router.post("/v1/chat/completions", response_model=None)
async def chat_completions(body: ChatRequest, request: Request) -> Response:
    """Answer the last message of a conversation."""
    completions: Completions = request.app.state.completions
    if body.model not in completions.models:
        known = " or ".join(repr(name) for name in completions.models)
        raise HTTPException(404, f"There is no model {body.model!r}. Use {known}.")
    head = {"id": _new_name(), "created": int(time.time()), "model": body.model}
    pieces = completions.pieces(body, request.state.client, str(head["id"]))
    if body.stream:
        # Wait for the first piece, so that an error until then is reported with its own status.
        try:
            first = await _unless_gone(request, anext(pieces))
        except BaseException:
            await pieces.aclose()
            raise
        usage = body.stream_options is not None and body.stream_options.include_usage
        return _EventStream(_events(head, first, pieces, usage), pieces)
    async with aclosing(pieces):
        text, last = await _unless_gone(request, _collect(pieces))
    generation = last.generation if isinstance(last, Answer) else last
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": generation.finish_reason,
    }
    return JSONResponse(
        {**head, "object": "chat.completion", "choices": [choice], "usage": _usage(generation), **_extras(last)}
    )


async def _collect(pieces: AsyncIterator[str | Answer | Generation]) -> tuple[str, Answer | Generation]:
    async for piece in pieces:
        if isinstance(piece, Answer | Generation):
            return piece.text, piece
    raise RuntimeError("The answer ended without an end.")  # pragma: no cover - streams end with a whole answer


async def _unless_gone(request: Request, work: Any) -> Any:
    """Await `work`, and cancel it if the client disconnects."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_LOOK_AGAIN)
            if not task.done() and await request.is_disconnected():
                raise HTTPException(499, "The client disconnected.")
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class _EventStream(StreamingResponse):
    """Server-sent events; the generation is stopped whenever the response ends."""

    def __init__(self, events: AsyncIterator[str], pieces: AsyncGenerator[Any, None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self.pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.pieces.aclose()


async def _events(
    head: Mapping[str, Any],
    first: str | Answer | Generation,
    pieces: AsyncIterator[str | Answer | Generation],
    include_usage: bool,
) -> AsyncIterator[str]:
    def chunk(delta: dict[str, Any], reason: str | None = None, **extras: Any) -> str:
        choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
        return _event({**head, "object": "chat.completion.chunk", "choices": choices, **extras})

    yield chunk({"role": "assistant", "content": ""})
    try:
        async for piece in _chain(first, pieces):
            if isinstance(piece, str):
                yield chunk({"content": piece})
                continue
            generation = piece.generation if isinstance(piece, Answer) else piece
            yield chunk({}, generation.finish_reason, **_extras(piece))
            if include_usage:
                usage = {"choices": [], "usage": _usage(generation)}
                yield _event({**head, "object": "chat.completion.chunk", **usage})
    except Exception as error:
        yield f"data: {bytes(error_response(error).body).decode()}\n\n"
    yield "data: [DONE]\n\n"


async def _chain(first: T, rest: AsyncIterator[T]) -> AsyncIterator[T]:
    yield first
    async for item in rest:
        yield item


def _event(value: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _usage(generation: Generation) -> dict[str, Any]:
    usage = generation.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def _extras(last: Answer | Generation) -> dict[str, Any]:
    """Return the fields that extend OpenAI's: citations, unsupported claims, settings and timing."""
    generation = last.generation if isinstance(last, Answer) else last
    timing = generation.timing
    extras: dict[str, Any] = {
        "sra": None if generation.sra is None else generation.sra.to_dict(),
        "seconds": {"prefill": timing.prefill_seconds, "decode": timing.decode_seconds},
    }
    if isinstance(last, Answer):
        extras["citations"] = [dataclasses.asdict(citation) for citation in last.citations]
        looks = None if last.evidence is None else zip(last.passages, last.evidence, strict=True)
        extras["evidence"] = looks and [
            {"document": passage.document, "page_label": passage.page_label} | dataclasses.asdict(look)
            for passage, look in looks
        ]
        extras["unsupported"] = [claim.text for claim in last.supported.unsupported_figures]
        extras["abstained"] = last.abstained
        extras["calculation"] = None if last.calculation is None else last.calculation.to_dict()
        extras["notes"] = list(last.notes)
    return extras


def _conversation(body: ChatRequest) -> tuple[str, list[tuple[str, str]]]:
    """Return the question and the preceding turns."""
    turns: list[tuple[str, str]] = []
    question: str | None = None
    for message in body.messages:
        if message.role == "user":
            question = message.text if question is None else f"{question}\n{message.text}"
        elif message.role == "assistant" and question is not None:
            turns.append((question, message.text))
            question = None
        elif message.role in ("system", "developer"):
            raise ConfigError(
                f"The model {DOCUMENTS_MODEL!r} has its own instructions and does not accept {message.role} messages. "
                "Omit the message, or use the name of the underlying model."
            )
    if question is None:
        raise ConfigError("The last message is not a user message. Send the question last.")
    return question, turns


def _new_name() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"


def _role(role: str) -> str:
    return "system" if role == "developer" else role
