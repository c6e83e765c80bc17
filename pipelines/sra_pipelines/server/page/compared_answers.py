"""What the page asks for: one question, answered once or once without and once with reattention."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing

from sra_pipelines.answering.answers import Answer
from sra_pipelines.answering.chat import Chat
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.server.api.completions import Completions
from sra_pipelines.server.slots import QueueFullError
from sra_rag.config import SRAConfig
from sra_rag.errors import SRAError
from sra_rag.generation.request import Cancellation
from sra_rag.generation.result import Generation

__all__ = ["Column", "Turn", "answer_turn"]

_TICK = 0.5  # seconds between two signs of life; a page that was closed is noticed at one

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """An answer as far as it is written.

    Parameters
    ----------
    sra
        Its settings of the attention, None for off.
    text
        What is written.
    answer
        The whole, once it is done.
    """

    sra: SRAConfig | None
    text: str = ""
    answer: Answer | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """A question, and its answers side by side.

    Parameters
    ----------
    question
        As asked.
    columns
        One for each of the settings.
    status
        What is being waited for, empty where nothing is.
    error
        What went wrong in plain words, empty where nothing did.
    """

    question: str
    columns: tuple[Column, ...]
    status: str = ""
    error: str = ""

    @property
    def done(self) -> bool:
        """Whether each answer is whole."""
        return all(column.answer is not None for column in self.columns)


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
        Whose queue, limits and counters hold.
    qa
        The documents to ask.
    question, history
        The question, and earlier ones with their answers.
    settings
        Settings of the attention, None for off; all see the same passages.
    client
        In whose turn.

    Yields
    ------
    turn
        The turn as far as it is, at least twice a second, so that whoever went away is noticed. What goes wrong is its
        `error`.
    """
    turn = Turn(question, tuple(Column(sra) for sra in settings))
    slots = completions.slots
    started = time.monotonic()

    def work(cancel: Cancellation, seconds: float) -> Generator[str | Answer | Generation, None, None]:
        deadline = time.monotonic() + seconds
        most = completions.settings.max_new_tokens
        found = qa.retrieve(Chat(qa, history=history).standalone(question, cancel), max_new_tokens=most)
        attention = qa.engine.sees_attention
        for sra in settings:
            left = max(deadline - time.monotonic(), 0.001)
            yield from qa.stream(found, sra=sra, attention=attention, cancel=cancel, timeout=left, max_new_tokens=most)

    async with aclosing(completions.in_turn(work, client)) as pieces:
        following = asyncio.ensure_future(anext(pieces))
        try:
            while True:
                await asyncio.wait({following}, timeout=_TICK)
                if following.done():
                    turn = _with(turn, following.result())
                    following = asyncio.ensure_future(anext(pieces))
                else:
                    seconds = int(time.monotonic() - started)
                    waits = slots.waiting > 0 and not any(column.text for column in turn.columns)
                    said = f"{slots.waiting} in the queue, {seconds} s" if waits else f"Working, {seconds} s"
                    turn = dataclasses.replace(turn, status=said)
                yield turn
        except StopAsyncIteration:
            yield dataclasses.replace(turn, status="")
        except (SRAError, QueueFullError, TimeoutError) as error:
            yield dataclasses.replace(turn, status="", error=str(error))
        except Exception:
            _log.exception("A question of the page failed.")
            yield dataclasses.replace(turn, status="", error="The server failed; its log says why.")
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def _with(turn: Turn, piece: str | Answer | Generation) -> Turn:
    columns = list(turn.columns)
    now = next(number for number, column in enumerate(columns) if column.answer is None)
    if isinstance(piece, Answer):
        columns[now] = dataclasses.replace(columns[now], text=piece.text, answer=piece)
    elif isinstance(piece, str):
        columns[now] = dataclasses.replace(columns[now], text=columns[now].text + piece)
    return dataclasses.replace(turn, columns=tuple(columns), status="Writing")
