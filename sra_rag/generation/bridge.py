"""Convert blocking iterators to async ones: the work runs in its own thread, so the event loop stays free."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import closing
from typing import Any, TypeVar

from sra_rag.generation.request import Cancellation

__all__ = ["iterate_in_thread"]

T = TypeVar("T")
_END: Any = object()


async def iterate_in_thread(make: Callable[[], Generator[T, None, None]], cancel: Cancellation) -> AsyncGenerator[T]:
    """Iterate over what `make` returns without blocking the event loop.

    Parameters
    ----------
    make
        Called in the thread.
    cancel
        Set when the reader goes away, so that the work ends.

    Raises
    ------
    BaseException
        Whatever `make` or its iterator raises.
    """
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[tuple[T, BaseException | None]] = asyncio.Queue()

    def hand_over(item: T, error: BaseException | None = None) -> None:
        loop.call_soon_threadsafe(arrived.put_nowait, (item, error))

    def work() -> None:
        try:
            try:
                with closing(make()) as items:
                    for item in items:
                        hand_over(item)
                hand_over(_END)
            except BaseException as error:
                hand_over(_END, error)
        except RuntimeError:  # the loop is closed: there is no reader any more
            cancel.set()

    threading.Thread(target=work, name="sra-rag-iterate", daemon=True).start()
    try:
        while True:
            item, error = await arrived.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        cancel.set()
