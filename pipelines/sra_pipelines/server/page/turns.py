"""One question of the page, answered with each of several attention settings in one turn of the server's queue."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing
from typing import Literal

from sra_pipelines.answering.answers import Answer
from sra_pipelines.answering.chat import Chat
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.server.api.completions import Completions
from sra_pipelines.server.public_messages import without_paths
from sra_pipelines.server.slots import QueueFullError
from sra_pipelines.values import Passage
from sra_rag.config import SRAConfig
from sra_rag.errors import SRAError
from sra_rag.generation.request import Cancellation
from sra_rag.generation.result import Generation

__all__ = ["Column", "Phase", "Turn", "answer_turn"]

Phase = Literal["waiting", "searching", "reading", "writing", "done"]

_TICK = 0.1  # seconds between looks at the progress of the retrieval and of the queue

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """An answer with one setting, as far as it is written.

    Parameters
    ----------
    sra
        Attention settings; None for off.
    text
        The text so far.
    answer
        The complete answer, once it is complete.
    """

    sra: SRAConfig | None
    text: str = ""
    answer: Answer | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answers.

    Parameters
    ----------
    question
        The question, as entered.
    columns
        One answer per setting.
    phase
        What the server is doing: waiting in its queue, searching the documents, reading the passages, or writing.
    passages
        The passages that were retrieved; empty until then.
    waiting
        Number of requests in the queue.
    seconds
        Time since the question was sent, in seconds.
    error
        What failed, for the user; empty if nothing failed.
    stopped
        Whether the user stopped the answer before it was complete.
    """

    question: str
    columns: tuple[Column, ...]
    phase: Phase = "waiting"
    passages: tuple[Passage, ...] = ()
    waiting: int = 0
    seconds: float = 0.0
    error: str = ""
    stopped: bool = False

    @property
    def complete(self) -> bool:
        """Whether each answer is complete."""
        return all(column.answer is not None for column in self.columns)

    @property
    def current(self) -> int:
        """Position of the answer that is being written: the first that is not complete."""
        return next((number for number, column in enumerate(self.columns) if column.answer is None), -1)


@dataclasses.dataclass(slots=True)
class _Progress:
    """What the thread that retrieves has reached; read by the event loop."""

    phase: Phase = "waiting"
    passages: tuple[Passage, ...] = ()


async def answer_turn(
    completions: Completions,
    qa: DocumentQA,
    question: str,
    settings: Sequence[SRAConfig | None],
    history: Sequence[tuple[str, str]],
    client: str,
) -> AsyncGenerator[Turn, None]:
    """Answer one question with each of `settings`, in one turn of the queue.

    Parameters
    ----------
    completions
        The queue, limits and counters, which the page shares with the API.
    qa
        Pipeline over the documents to search.
    question, history
        The question, and the preceding (question, answer) pairs.
    settings
        Attention settings, None for off; all use the same passages.
    client
        Client for fair queueing.

    Yields
    ------
    turn
        The turn so far, whenever it changes. A failure is its `error`.
    """
    turn = Turn(question, tuple(Column(sra) for sra in settings))
    progress = _Progress()
    started = time.monotonic()

    def work(cancel: Cancellation, seconds: float) -> Generator[str | Answer | Generation, None, None]:
        deadline = time.monotonic() + seconds
        limit = completions.settings.max_new_tokens
        progress.phase = "searching"
        retrieval = qa.retrieve(Chat(qa, history=history).standalone(question, cancel), max_new_tokens=limit)
        progress.passages, progress.phase = retrieval.passages, "reading"
        for sra in settings:
            left = max(deadline - time.monotonic(), 0.001)
            yield from qa.stream(retrieval, sra=sra, cancel=cancel, timeout=left, max_new_tokens=limit)

    def updated(turn: Turn) -> Turn:
        phase = progress.phase
        if phase == "reading" and turn.columns[turn.current].text:
            phase = "writing"
        waiting = completions.slots.waiting if phase == "waiting" else 0
        seconds = round(time.monotonic() - started, 1)
        return dataclasses.replace(turn, phase=phase, passages=progress.passages, waiting=waiting, seconds=seconds)

    async with aclosing(completions.in_turn(work, client)) as pieces:
        following = asyncio.ensure_future(anext(pieces))
        try:
            while True:
                await asyncio.wait({following}, timeout=_TICK)
                if following.done():
                    turn = _with(turn, following.result())
                    following = asyncio.ensure_future(anext(pieces))
                turn = updated(turn)
                yield turn
        except StopAsyncIteration:
            yield dataclasses.replace(updated(turn), phase="done")
        except (SRAError, QueueFullError, TimeoutError) as error:
            yield dataclasses.replace(updated(turn), phase="done", error=without_paths(str(error)))
        except Exception:
            logger.exception("A question of the page failed.")
            message = "The server failed to answer; its log contains the reason. Try again."
            yield dataclasses.replace(updated(turn), phase="done", error=message)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def _with(turn: Turn, piece: str | Answer | Generation) -> Turn:
    columns, current = list(turn.columns), turn.current
    if isinstance(piece, Answer):
        columns[current] = dataclasses.replace(columns[current], text=piece.text, answer=piece)
    elif isinstance(piece, str):
        columns[current] = dataclasses.replace(columns[current], text=columns[current].text + piece)
    return dataclasses.replace(turn, columns=tuple(columns))
