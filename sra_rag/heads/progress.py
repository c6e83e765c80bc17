"""Progress on standard error while the evidence heads of a model are found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["head_bar", "heads_shown_by"]

Update = Callable[[int, int], None]
Show = Callable[[str], AbstractContextManager[Update]]

_shown_by: list[Show] = []  # the last one shows; a search runs in another thread than the command


@contextmanager
def heads_shown_by(show: Show) -> Iterator[None]:
    """Within the block, show a search by a bar that is on the terminal already: two bars would overwrite each other.

    Parameters
    ----------
    show
        Function that takes a description, and returns a context manager that shows it and returns a function with the
        parameters done and total.
    """
    _shown_by.append(show)
    try:
        yield
    finally:
        _shown_by.remove(show)


@contextmanager
def head_bar(model: str) -> Iterator[Update]:
    """Show a progress bar within the block; print one line instead if there is no terminal."""
    text = f"finding the evidence heads of {model} (once)"
    if _shown_by:
        with _shown_by[-1](text) as update:
            yield update
        return
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        console.print(text)
        yield lambda done, total: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
