"""Answers to the requests of all routes: in turn, within the limits of the server, and counted."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from pathlib import Path
from typing import TypeAlias

from sra_pipelines.answering.answers import Answer
from sra_pipelines.answering.chat import Chat
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.server.api.answer_request import AnswerRequest
from sra_pipelines.server.api.error_responses import NoSuchModelError
from sra_pipelines.server.api.prometheus import Metrics
from sra_pipelines.server.running_answers import OneAnswer, ServerStoppingError, UnderWay
from sra_pipelines.server.server_settings import ServerSettings
from sra_pipelines.server.slots import QueueFullError, Slots
from sra_rag.errors import GenerationTimeoutError
from sra_rag.generation.bridge import iterate_in_thread
from sra_rag.generation.request import Cancellation
from sra_rag.generation.result import Generation

__all__ = ["DOCUMENTS_MODEL", "Completions", "Piece", "new_id"]

DOCUMENTS_MODEL = "sra-rag"  # answers from the documents; the name of the model answers without documents

Piece: TypeAlias = str | Answer | Generation
Work: TypeAlias = Callable[[Cancellation, float], Generator[Piece, None, None]]


def new_id(kind: str) -> str:
    """Return a new id, such as ``chatcmpl-...``."""
    separator = "-" if kind == "chatcmpl" else "_"
    return f"{kind}{separator}{uuid.uuid4().hex}"


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
        """The model names that a request may use. A model from a file or folder is named without its path."""
        name = self.qa.engine.name
        return DOCUMENTS_MODEL, Path(name).name if os.path.exists(name) else name

    def require_model(self, name: str) -> None:
        """Raise if there is no such model.

        Raises
        ------
        NoSuchModelError
            Names the models that there are.
        """
        if name not in self.models:
            raise NoSuchModelError(name, self.models)

    def stop(self) -> None:
        """Stop running answers, and reject waiting ones."""
        self.under_way.stop()
        self.slots.close(ServerStoppingError())

    def pieces(self, request: AnswerRequest, client: str, name: str) -> AsyncGenerator[Piece, None]:
        """Wait for a slot and answer: yield pieces of text, then the complete answer.

        Parameters
        ----------
        request
            The request.
        client
            Client for fair queueing.
        name
            Id of the answer, for the log.

        Raises
        ------
        NoSuchModelError
            If there is no such model.
        PromptError
            If the last message is not one of the user, but the question is about documents.
        """
        self.require_model(request.model)
        if request.model == DOCUMENTS_MODEL:
            request.document_question()  # an invalid conversation is rejected before it waits
        return self.in_turn(lambda cancel, seconds: self._answer(request, cancel, seconds), client, name)

    async def in_turn(self, work: Work, client: str = "", name: str = "") -> AsyncGenerator[Piece, None]:
        """Wait for a slot and run `work`, which receives the cancellation and the remaining seconds."""
        cancel = Cancellation()
        with self.under_way.answer(name or new_id("answer"), cancel) as running:
            try:
                async with aclosing(self._in_turn(work, client, running)) as items:
                    async for item in items:
                        yield item
            finally:
                self.metrics.ended(running.outcome)

    async def _in_turn(self, work: Work, client: str, running: OneAnswer) -> AsyncGenerator[Piece, None]:
        allowed = self.settings.request_timeout
        deadline = time.monotonic() + allowed

        def begin() -> Generator[Piece, None, None]:
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

    def _answer(self, request: AnswerRequest, cancel: Cancellation, seconds: float) -> Generator[Piece, None, None]:
        options = {**request.options, "cancel": cancel, "timeout": seconds}
        if request.model == DOCUMENTS_MODEL:
            asked = request.document_question()
            chat = Chat(self.qa, history=asked.history)
            retrieval = self.qa.retrieve(
                chat.standalone(asked.question, cancel),
                max_new_tokens=options.get("max_new_tokens"),
                system_message=asked.instruction,
            )
            yield from self.qa.stream(retrieval, sra=request.sra, **options)
            return
        for delta in self.qa.engine.stream(request.prompt(), sra=request.sra, **options):
            if delta.text:
                yield delta.text
            if delta.generation is not None:
                yield delta.generation
