"""Peak memory of a piece of work."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

__all__ = ["peak_memory"]

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): sets the peak resident set size to the present one


@contextmanager
def peak_memory(device: torch.device | None) -> Iterator[Callable[[], int | None]]:
    """Watch memory within the block.

    Parameters
    ----------
    device
        Where the model is; None is a server, whose memory is not known.

    Yields
    ------
    peak
        Returns the most bytes in use so far: the device's on a GPU, else the process's on Linux; None where
        it is not known.
    """
    if device is None:
        yield lambda: None
        return
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield lambda: torch.cuda.max_memory_allocated(device)
        return
    try:
        _CLEAR.write_text(_RESET_PEAK)
        known = sys.platform == "linux"
    except OSError:
        known = False
    yield lambda: _peak_resident() if known else None


def _peak_resident() -> int | None:
    found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else None
