"""The progress bar of the commands: one bar on standard error that names the current step and file, on terminals only.

This module imports nothing slow, so that a command can report what it does before it imports its libraries.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from sra_pipelines.file_names import visible_name
from sra_rag.heads.progress import heads_shown_by

__all__ = ["AROUND_COUNTED", "Advance", "Start", "fitting", "progress_bars", "show_until"]

_AROUND = 18  # columns of a terminal for spinner, bar and time
AROUND_COUNTED = 42  # with a count and the remaining time
_LEAST = 16  # columns for a description
_SAMPLES = 16  # recent updates from which the remaining time is estimated

Piece = TypeVar("Piece")


class Advance(Protocol):
    """Updates a bar."""

    def __call__(self, done: int, total: int, name: str = "") -> None:
        """Show that `done` of `total` parts are complete, and the name of the current part, such as a file."""
        ...


Start = Callable[[str], Advance]


@contextmanager
def progress_bars(console: Console) -> Iterator[Start]:
    """Show one progress bar on a terminal, and nothing elsewhere.

    Yields
    ------
    start
        Function that takes the description of a step, shows it in place of the previous step, and returns a function
        that updates it. Until that is called, the bar moves without a count.
    """
    left = _TimeLeft()
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        _Count(),
        TimeElapsedColumn(),
        left,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        current = progress.add_task("starting", total=None)

        def show(task: TaskID) -> None:
            nonlocal current
            current = task
            for other in progress.task_ids:
                progress.update(other, visible=other == task)

        def start(description: str) -> Advance:
            task = progress.add_task(
                fitting(description, console.width - _AROUND), total=None
            )  # reset would keep the total
            show(task)
            samples = deque([(time.monotonic(), 0)], maxlen=_SAMPLES)
            left.samples = samples

            def advance(done: int, total: int, name: str = "") -> None:
                if done > samples[-1][1]:
                    samples.append((time.monotonic(), done))
                left.samples = samples
                show(task)
                shown = f"{description} {visible_name(name)}" if name else description
                progress.update(
                    task, description=fitting(shown, console.width - AROUND_COUNTED), completed=done, total=total
                )

            return advance

        @contextmanager
        def show_meanwhile(description: str) -> Iterator[Advance]:
            before, samples = current, left.samples
            try:
                yield start(description)
            finally:
                left.samples = samples
                show(before)

        with ExitStack() as shown:
            if console.is_terminal:
                shown.enter_context(heads_shown_by(show_meanwhile))
            yield start


def show_until(
    pieces: Generator[Piece, None, None], description: str, console: Console, *, until_end: bool
) -> Generator[Piece, None, None]:
    """Yield what `pieces` yields, with a moving bar until the first piece, or until the end, arrives."""
    with ExitStack() as shown:
        shown.callback(pieces.close)
        bar = shown.enter_context(ExitStack())
        bar.enter_context(progress_bars(console))(description)
        for piece in pieces:
            if not until_end:
                bar.close()
            yield piece


def fitting(description: str, columns: int) -> str:
    """Return a description as markup, shortened so that the bar and the times keep their place on the line."""
    text = Text(description)
    text.truncate(max(_LEAST, columns), overflow="ellipsis")
    return escape(text.plain)


class _Count(ProgressColumn):
    """``3/16``, if the total is known."""

    def render(self, task: Task) -> Text:
        return Text("" if task.total is None else f"{int(task.completed)}/{int(task.total)}", style="progress.download")


class _TimeLeft(ProgressColumn):
    """The remaining time at the recent pace, from the first completed part on."""

    max_refresh = 0.5

    def __init__(self) -> None:
        super().__init__()
        self.samples = deque([(time.monotonic(), 0)])  # (time, completed parts) of the current step

    def render(self, task: Task) -> Text:
        (began, before), (now, done) = self.samples[0], self.samples[-1]
        if task.total is None or done == before or done >= task.total:
            return Text("")
        seconds = max(0.0, (now - began) / (done - before) * (task.total - done) - (time.monotonic() - now))
        minutes, seconds = divmod(int(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        left = f"{hours}:{minutes:02}:{seconds:02} left"
        return Text(left, style="progress.remaining", no_wrap=True, overflow="ellipsis")
