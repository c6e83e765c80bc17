"""The conversations of the page, in memory: each belongs to one browser, and its running answer survives a reload.

An answer runs in a task of the server, not in the request that started it. Browsers listen to it. If no browser listens
for a few seconds, because the page was closed, the answer is stopped, which frees its slot.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing

from sra_pipelines.server.page.turns import Column, Turn

__all__ = ["Conversation", "Conversations", "LiveTurn"]

_MOST_TURNS = 2000  # of all conversations; the oldest conversations are dropped first
_SECONDS = 12 * 3600.0  # a conversation is kept for this long after its last use, as is a login
_ABANDONED = 4.0  # seconds without a listener after which an answer is stopped; a reload takes less
_SHORTEST_WAIT = 0.08  # seconds between two updates of a page

TurnMaker = Callable[[], AsyncGenerator[Turn, None]]


class LiveTurn:
    """A turn that is being answered, or was.

    Parameters
    ----------
    number
        Position of the turn in its conversation.
    turn
        The turn before its first update.
    """

    def __init__(self, number: int, turn: Turn) -> None:
        self.number = number
        self.turn = turn
        self._changed = asyncio.Event()
        self._listeners = 0
        self._left = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether the turn is still being answered."""
        return self.turn.phase != "done"

    def start(self, make: TurnMaker) -> None:
        """Answer in a task of its own."""
        self._task = asyncio.create_task(self._run(make))

    def stop(self) -> None:
        """Stop the answer; what is written so far is kept."""
        if self._task is not None:
            self._task.cancel()

    async def updates(self) -> AsyncGenerator[Turn, None]:
        """Yield the turn now and after each change, at most about twelve times a second, until it is answered."""
        self._listeners += 1
        try:
            while True:
                self._changed.clear()
                turn = self.turn
                yield turn
                if turn.phase == "done":
                    return
                await asyncio.sleep(_SHORTEST_WAIT)
                await self._changed.wait()
        finally:
            self._listeners -= 1
            self._left = time.monotonic()

    async def _run(self, make: TurnMaker) -> None:
        try:
            async with aclosing(make()) as turns:
                async for turn in turns:
                    self._set(turn)
                    if not self._listeners and time.monotonic() - self._left > _ABANDONED:
                        break
        except asyncio.CancelledError:
            pass  # by `stop`, or because the server ends
        finally:
            if self.running:
                self._set(dataclasses.replace(self.turn, phase="done", stopped=True))

    def _set(self, turn: Turn) -> None:
        self.turn = turn
        self._changed.set()


@dataclasses.dataclass(eq=False, slots=True)
class Conversation:
    """The turns of one conversation.

    Parameters
    ----------
    name
        Random name of the conversation in its address.
    owner
        Who may see it: the secret of a browser.
    turns
        The turns, oldest first.
    used
        Time of the last use, in seconds of the monotonic clock.
    """

    name: str
    owner: str
    turns: list[LiveTurn] = dataclasses.field(default_factory=list)
    used: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def running(self) -> LiveTurn | None:
        """The turn that is being answered, if any."""
        return self.turns[-1] if self.turns and self.turns[-1].running else None

    @property
    def history(self) -> list[tuple[str, str]]:
        """Questions and answers, for follow-up questions; of several answers the last."""
        last = [(live.turn.question, live.turn.columns[-1]) for live in self.turns]
        return [(question, column.answer.text) for question, column in last if column.answer is not None]

    def ask(self, question: str, columns: tuple[Column, ...], make: TurnMaker) -> LiveTurn:
        """Add a turn and start to answer it."""
        live = LiveTurn(len(self.turns), Turn(question, columns))
        self.turns.append(live)
        live.start(make)
        return live


class Conversations:
    """The conversations of all browsers.

    Parameters
    ----------
    most_turns
        Maximum number of turns that are kept in memory, over all conversations.
    """

    def __init__(self, most_turns: int = _MOST_TURNS) -> None:
        self.most_turns = most_turns
        self._by_name: dict[str, Conversation] = {}

    def new_name(self) -> str:
        """Return a name for a conversation that does not exist yet."""
        return secrets.token_urlsafe(12)

    def get(self, name: str, owner: str) -> Conversation | None:
        """Return a conversation; None if there is none with this name, or it belongs to another browser."""
        conversation = self._by_name.get(name)
        if conversation is None or not secrets.compare_digest(conversation.owner.encode(), owner.encode()):
            return None
        conversation.used = time.monotonic()
        return conversation

    def newest(self, owner: str) -> Conversation | None:
        """Return the conversation that a browser used last."""
        own = [conversation for conversation in self._of(owner) if conversation.turns]
        return max(own, key=lambda conversation: conversation.used, default=None)

    def open(self, name: str, owner: str) -> Conversation | None:
        """Return a conversation, created if there is none with this name; None if it belongs to another browser."""
        self._drop_old()
        if name not in self._by_name:
            self._by_name[name] = Conversation(name, owner)
        return self.get(name, owner)

    def _of(self, owner: str) -> Iterator[Conversation]:
        names = [name for name, conversation in self._by_name.items() if conversation.owner == owner]
        return (self._by_name[name] for name in names)

    def _drop_old(self) -> None:
        now = time.monotonic()
        turns = sum(len(conversation.turns) + 1 for conversation in self._by_name.values())
        for conversation in sorted(self._by_name.values(), key=lambda conversation: conversation.used):
            if turns <= self.most_turns and now - conversation.used < _SECONDS:
                break
            if conversation.running is None:
                del self._by_name[conversation.name]
                turns -= len(conversation.turns) + 1
