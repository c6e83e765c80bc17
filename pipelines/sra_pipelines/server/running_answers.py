"""Answers under way: when the server stops, each is finished or stopped, and the log says which."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sra_rag.errors import SRAError
from sra_rag.generation.request import Cancellation

__all__ = ["OneAnswer", "ServerStoppingError", "UnderWay"]

logger = logging.getLogger(__name__)


class ServerStoppingError(SRAError):
    """The server stops and does not do what was asked.

    Attributes
    ----------
    retry_after
        Whole seconds after which another attempt makes sense.
    """

    retry_after = 10

    def __init__(self, what: str = "The answer") -> None:
        super().__init__(f"{what} was stopped because the server stops. Ask again in a while.")


@dataclasses.dataclass(eq=False, slots=True)
class OneAnswer:
    """An answer that waits or is written.

    Parameters
    ----------
    name
        As the client knows it.
    cancel
        Ends its writing.
    outcome
        How it ended: ``ok``, ``error``, ``refused``, ``cancelled`` (by the client) or ``stopped``.
    stopped
        Whether it was told to end before it was done.
    """

    name: str
    cancel: Cancellation
    outcome: str = "cancelled"
    stopped: bool = False


class UnderWay:
    """The answers of one server that are not done."""

    def __init__(self) -> None:
        self.stopping = False
        self._answers: list[OneAnswer] = []
        self._ended: list[OneAnswer] = []

    def __len__(self) -> int:
        return len(self._answers)

    @contextmanager
    def answer(self, name: str, cancel: Cancellation) -> Iterator[OneAnswer]:
        """Count an answer as under way while the block lasts."""
        one = OneAnswer(name, cancel)
        self._answers.append(one)
        try:
            yield one
        finally:
            self._answers.remove(one)
            if self.stopping:
                self._ended.append(one)

    def finish(self, grace: float) -> None:
        """Note that the server stops: from now on it is kept how answers end."""
        if not self.stopping:
            self.stopping = True
            logger.info("Stopping: %d answer(s) under way get %g s. %s", len(self), grace, _names(self._answers))

    def stop(self) -> None:
        """End what is written still."""
        for one in self._answers:
            one.stopped = True
            one.cancel.set()

    def report(self) -> None:
        """Log which answers finished since the server was told to stop, and which were stopped."""
        left = [*self._ended, *self._answers]
        finished = [one for one in left if one.outcome == "ok"]
        stopped = [one for one in left if one.stopped and one.outcome != "ok"]
        others = [one for one in left if one not in finished and one not in stopped]
        logger.info("Stopped: %d answer(s) finished. %s", len(finished), _names(finished))
        if stopped:
            logger.warning("Stopped: %d answer(s) were stopped before their end. %s", len(stopped), _names(stopped))
        for one in others:
            logger.info("Stopped: %s had ended by itself (%s).", one.name, one.outcome)


def _names(answers: list[OneAnswer]) -> str:
    return ", ".join(one.name for one in answers)
