"""Running answers: on shutdown, each answer is finished or stopped, and the log reports which."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sra_rag.errors import SRAError
from sra_rag.generation.request import Cancellation

__all__ = ["LONGEST_STEP", "OneAnswer", "ServerStoppingError", "UnderWay", "is_computing"]

LONGEST_STEP = 15.0  # seconds that the current step (a part of a prompt, an embedding) may take after a stop

logger = logging.getLogger(__name__)


class ServerStoppingError(SRAError):
    """The server is shutting down and did not complete a request.

    Attributes
    ----------
    retry_after
        Seconds after which the client should retry.
    """

    retry_after = 10

    def __init__(self, what: str = "The answer") -> None:
        super().__init__(f"{what} was stopped because the server is shutting down. Try again later.")


@dataclasses.dataclass(eq=False, slots=True)
class OneAnswer:
    """An answer that is waiting or running.

    Parameters
    ----------
    name
        Id of the answer, as returned to the client.
    cancel
        Cancellation that stops the generation.
    outcome
        Outcome of the answer: ``ok``, ``error``, ``refused``, ``cancelled`` (by the client) or ``stopped``.
    stopped
        Whether the server stopped it before it was complete.
    """

    name: str
    cancel: Cancellation
    outcome: str = "cancelled"
    stopped: bool = False


class UnderWay:
    """The answers of a server that are not complete."""

    def __init__(self) -> None:
        self.stopping = False
        self._answers: list[OneAnswer] = []
        self._ended: list[OneAnswer] = []

    def __len__(self) -> int:
        return len(self._answers)

    @contextmanager
    def answer(self, name: str, cancel: Cancellation) -> Iterator[OneAnswer]:
        """Register an answer as running within the block."""
        answer = OneAnswer(name, cancel)
        self._answers.append(answer)
        try:
            yield answer
        finally:
            self._answers.remove(answer)
            if self.stopping:
                self._ended.append(answer)

    def finish(self, grace: float) -> None:
        """Start the shutdown: from now on, the outcomes of answers are recorded."""
        if not self.stopping:
            self.stopping = True
            logger.info("Stopping: %d running answer(s) get %g s. %s", len(self), grace, _names(self._answers))

    def stop(self) -> None:
        """Stop all running answers."""
        for answer in self._answers:
            answer.stopped = True
            answer.cancel.set()

    def report(self) -> None:
        """Log which answers finished after the start of the shutdown, and which were stopped."""
        left = [*self._ended, *self._answers]
        finished = [answer for answer in left if answer.outcome == "ok"]
        stopped = [answer for answer in left if answer.stopped and answer.outcome != "ok"]
        others = [answer for answer in left if answer not in finished and answer not in stopped]
        logger.info("Stopped: %d answer(s) finished. %s", len(finished), _names(finished))
        if stopped:
            logger.warning(
                "Stopped: %d answer(s) were stopped before they were complete. %s", len(stopped), _names(stopped)
            )
        for answer in others:
            logger.info("Stopped: %s had already ended (%s).", answer.name, answer.outcome)


def _names(answers: list[OneAnswer]) -> str:
    return ", ".join(answer.name for answer in answers)


def is_computing() -> bool:
    """Return whether a thread still computes an answer. It would crash the interpreter at its exit."""
    return any(thread.name in ("sra-rag-iterate", "sra-rag-stream") for thread in threading.enumerate())
