"""Errors of a device without free memory, as errors that state what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sra_rag.errors import OutOfMemoryError

__all__ = ["clear_memory_errors"]


@contextmanager
def clear_memory_errors(device: torch.device, batch_size: int, length: int) -> Iterator[None]:
    """Raise `OutOfMemoryError`, which states what to do, if the device has no memory left.

    Parameters
    ----------
    device
        Device of the model.
    batch_size
        Number of prompts that are processed together.
    length
        Number of tokens of the longest prompt.
    """
    try:
        yield
    except RuntimeError as error:
        exhausted = isinstance(error, torch.OutOfMemoryError)
        # On CPU the allocator raises a bare RuntimeError.
        if not exhausted and "allocate memory" not in str(error) and "not enough memory" not in str(error):
            raise
        raise OutOfMemoryError(
            f"{device} ran out of memory with {batch_size} prompt(s) of up to {length} tokens. Give fewer or shorter "
            f"passages, smaller batches, or load the model with quantization or a smaller dtype. ({error})"
        ) from error
