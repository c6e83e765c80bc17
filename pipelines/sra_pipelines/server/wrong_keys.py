"""Slow down clients that guess API keys: each wrong key from an address takes longer than the last."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

__all__ = ["WrongKeys"]

_FREE = 3  # wrong keys of an address that are not delayed, such as an old key in a script
_FIRST_SECONDS = 0.25
_MOST_SECONDS = 5.0
_FORGET_SECONDS = 300.0
_MOST_WAITING = 16  # delayed responses of an address at the same time
_MOST_ADDRESSES = 10_000


class WrongKeys:
    """Counts wrong keys by address. A right key is never delayed.

    Parameters
    ----------
    first_seconds
        Delay of the first wrong key that is delayed; it doubles with each further one, up to 5 seconds.
    """

    def __init__(self, first_seconds: float = _FIRST_SECONDS) -> None:
        self._first_seconds = first_seconds
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()  # wrong keys, and the time of the last one
        self._waiting: dict[str, int] = {}

    async def delay(self, address: str) -> int:
        """Wait, after a wrong key from `address`.

        Returns
        -------
        int
            0, or the seconds after which the client should retry, without a delay, if too many of its requests wait.
        """
        now = time.monotonic()
        count, last = self._counts.pop(address, (0, now))
        count = 1 if now - last > _FORGET_SECONDS else count + 1
        self._counts[address] = count, now
        if len(self._counts) > _MOST_ADDRESSES:
            self._counts.popitem(last=False)
        if count <= _FREE:
            return 0
        if self._waiting.get(address, 0) >= _MOST_WAITING:
            return int(_MOST_SECONDS)
        self._waiting[address] = self._waiting.get(address, 0) + 1
        try:
            await asyncio.sleep(min(self._first_seconds * 2 ** min(count - _FREE - 1, 16), _MOST_SECONDS))
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]
        return 0
