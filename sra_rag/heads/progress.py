"""Progress bar on standard error for finding the evidence heads of a model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["head_bar"]


@contextmanager
def head_bar(model: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar within the block; print one line instead if there is no terminal."""
    console = Console(file=sys.stderr)
    text = f"Finding the evidence heads of {model} (once; kept in the cache)"
    if not console.is_terminal:
        console.print(text)
        yield lambda done, total: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
