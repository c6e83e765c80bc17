"""Batches on the model, built from inputs that LangChain processes one by one.

LangChain runs each input of a batch as a separate call, with its own callbacks, cache, run id and errors. This is
preserved: `batch` gives each input a slot in a `CallBatch`, each call submits its encoded prompt to its slot, and the
last submission answers all of them in one batch. A call that needs no answer (it failed, its answer was in the cache,
or it streams) releases its slot, so that the other calls do not wait for it.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextvars import ContextVar, Token

from langchain_sra.call import Call
from sra_rag.errors import ConfigError, ContextOverflowError, PromptError
from sra_rag.generation.request import Cancellation
from sra_rag.generation.result import Generation

__all__ = ["BatchSlot", "CallBatch"]

_slot: ContextVar[BatchSlot | None] = ContextVar("langchain_sra_slot", default=None)

_SINGLE_PROMPT_ERRORS = (ConfigError, ContextOverflowError, PromptError)  # raised before the model runs


class CallBatch:
    """Calls that are answered together.

    Parameters
    ----------
    size
        Number of calls in the batch.
    """

    def __init__(self, size: int) -> None:
        self._expected = size
        self._submitted: list[tuple[Call, Future[Generation]]] = []
        self._lock = threading.Lock()
        self._abandoned = Cancellation()

    def slot(self) -> BatchSlot:
        """Return a slot for one call."""
        return BatchSlot(self)

    def abandon(self) -> None:
        """Cancel the batch; generation ends within one token."""
        self._abandoned.set()
        for call, _ in self._submitted:
            call.arguments["cancel"].set()

    def submit(self, call: Call | None) -> Future[Generation]:
        """Submit one of the expected calls, or None for a call that needs no answer.

        The last submission answers all calls.
        """
        future: Future[Generation] = Future()
        with self._lock:
            if call is not None:
                call.arguments.setdefault("cancel", self._abandoned)
                self._submitted.append((call, future))
            self._expected -= 1
            complete = self._expected == 0
        if complete:
            self._answer_all()
        return future

    def _answer_all(self) -> None:
        waiting = [(call, future) for call, future in self._submitted if future.set_running_or_notify_cancel()]
        while waiting:
            first = waiting[0][0]
            same = [pair for pair in waiting if _same_settings(pair[0], first)]
            waiting = [pair for pair in waiting if not _same_settings(pair[0], first)]
            _answer(same)


class BatchSlot:
    """The slot of one call in a `CallBatch`.

    Parameters
    ----------
    call_batch
        The batch that the slot belongs to.
    """

    def __init__(self, call_batch: CallBatch) -> None:
        self.call_batch = call_batch
        self.used = False
        self._token: Token[BatchSlot | None] | None = None

    def __enter__(self) -> BatchSlot:
        self._token = _slot.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        if self._token is not None:
            _slot.reset(self._token)

    @staticmethod
    def current() -> BatchSlot | None:
        """Return the slot of the current call; None if there is none or it was already used."""
        slot = _slot.get()
        return None if slot is None or slot.used else slot

    def submit(self, call: Call) -> Future[Generation]:
        """Submit the call. The last submission answers the whole batch in its own thread."""
        self.used = True
        return self.call_batch.submit(call)

    def release(self) -> None:
        """Declare that this call needs no answer. If all other calls were submitted, this answers them."""
        if not self.used:
            self.used = True
            self.call_batch.submit(None)


def _same_settings(first: Call, second: Call) -> bool:
    return first.engine is second.engine and first.arguments == second.arguments


def _answer(group: list[tuple[Call, Future[Generation]]]) -> None:
    first = group[0][0]
    try:
        answers = first.engine.generate_batch([call.prompt for call, _ in group], **first.arguments)
    except _SINGLE_PROMPT_ERRORS as error:
        if len(group) == 1:
            group[0][1].set_exception(error)
        else:
            for pair in group:  # only the prompt that caused the error must fail
                _answer([pair])
    except BaseException as error:
        for _, future in group:
            future.set_exception(error)
    else:
        for (_, future), answer in zip(group, answers, strict=True):
            future.set_result(answer)
