"""Show on a terminal that a command imports its libraries, and import them faster.

The libraries of a model take seconds to import. They create about a million objects that are never freed, which the
garbage collector would visit again and again: without it the imports take about three quarters of the time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["importing_libraries", "loading_many_objects", "without_collection"]


@contextmanager
def without_collection() -> Iterator[None]:
    """Pause the garbage collector, for imports. It is not started if the caller had disabled it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def loading_many_objects() -> Iterator[None]:
    """Pause the garbage collector while objects are loaded that stay, and count them as old at the end.

    With millions of objects it would otherwise pass over all of them several times: while they are loaded, and soon
    after that.
    """
    with without_collection():
        yield
        if gc.get_freeze_count() == 0:  # what the caller has frozen stays frozen
            gc.freeze()
            gc.unfreeze()  # moves all objects to the oldest generation, without a pass


@contextmanager
def importing_libraries() -> Iterator[None]:
    """Show "importing libraries" on standard error if it is a terminal, and pause the garbage collector."""
    from rich.console import Console

    with Console(stderr=True).status("importing libraries"), without_collection():
        yield
