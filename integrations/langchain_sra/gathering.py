"""Batches on the model from inputs that LangChain treats one by one.

LangChain runs each input of a batch as a call of its own, with its own callbacks, cache, run id and errors.
That is kept: `batch` gives each input a seat in a `Gathering`, the calls meet there with their encoded prompts, and
the last to arrive has them answered in one batch. A call that needs no answer (it failed, or the cache knew it) or
that streams leaves its seat, so nobody waits for it.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextvars import ContextVar, Token

from langchain_sra.call import Call
from sra_rag.errors import ConfigError, ContextOverflowError, PromptError
from sra_rag.generation.request import Cancellation
from sra_rag.generation.result import Generation

__all__ = ["Gathering", "Seat"]

_seat: ContextVar[Seat | None] = ContextVar("langchain_sra_seat", default=None)

_OF_ONE_PROMPT = (ConfigError, ContextOverflowError, PromptError)  # raised before any work is done


class Gathering:
    """Calls that are answered together.

    Parameters
    ----------
    size
        How many calls there will be.
    """

    def __init__(self, size: int) -> None:
        self._expected = size
        self._asked: list[tuple[Call, Future[Generation]]] = []
        self._lock = threading.Lock()
        self._abandoned = Cancellation()

    def seat(self) -> Seat:
        """Return the place of one call."""
        return Seat(self)

    def abandon(self) -> None:
        """End the work within one token: nobody waits for the answers any more."""
        self._abandoned.set()
        for call, _ in self._asked:
            call.arguments["cancel"].set()

    def arrive(self, call: Call | None) -> Future[Generation]:
        """Take one of the expected calls, or None for one that needs no answer; answer all when all are there."""
        future: Future[Generation] = Future()
        with self._lock:
            if call is not None:
                call.arguments.setdefault("cancel", self._abandoned)
                self._asked.append((call, future))
            self._expected -= 1
            complete = self._expected == 0
        if complete:
            self._answer_all()
        return future

    def _answer_all(self) -> None:
        waiting = [(call, future) for call, future in self._asked if future.set_running_or_notify_cancel()]
        while waiting:
            first = waiting[0][0]
            alike = [pair for pair in waiting if _same_settings(pair[0], first)]
            waiting = [pair for pair in waiting if not _same_settings(pair[0], first)]
            _answer(alike)


class Seat:
    """The place of one call in a `Gathering`.

    Parameters
    ----------
    gathering
        To which it belongs.
    """

    def __init__(self, gathering: Gathering) -> None:
        self.gathering = gathering
        self.used = False
        self._token: Token[Seat | None] | None = None

    def __enter__(self) -> Seat:
        self._token = _seat.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        if self._token is not None:
            _seat.reset(self._token)

    @staticmethod
    def current() -> Seat | None:
        """Return the seat of the call that runs here, unless it was used."""
        seat = _seat.get()
        return None if seat is None or seat.used else seat

    def ask(self, call: Call) -> Future[Generation]:
        """Hand in the call. In the last one's thread this answers all of them."""
        self.used = True
        return self.gathering.arrive(call)

    def leave(self) -> None:
        """Say that this call needs no answer. Where it was the last one awaited, this answers the others."""
        if not self.used:
            self.used = True
            self.gathering.arrive(None)


def _same_settings(one: Call, other: Call) -> bool:
    return one.engine is other.engine and one.arguments == other.arguments


def _answer(group: list[tuple[Call, Future[Generation]]]) -> None:
    first = group[0][0]
    try:
        answers = first.engine.generate_batch([call.prompt for call, _ in group], **first.arguments)
    except _OF_ONE_PROMPT as error:
        if len(group) == 1:
            group[0][1].set_exception(error)
        else:
            for pair in group:  # only the one that is at fault is to fail
                _answer([pair])
    except BaseException as error:
        for _, future in group:
            future.set_exception(error)
    else:
        for (_, future), answer in zip(group, answers, strict=True):
            future.set_result(answer)
