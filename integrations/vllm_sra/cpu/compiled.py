"""Compiled kernels for decoding rows on a CPU; see `sra_rag.attention.compiling`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch

from sra_rag.attention.compiling import compiled_library

__all__ = ["compiled_kernels"]


@functools.cache
def compiled_kernels() -> Any | None:
    """Return the operators of ``paged_decoding.cpp``; compile them if necessary. None if they cannot be compiled."""
    source = Path(__file__).with_name("paged_decoding.cpp")
    return torch.ops.sra_vllm if compiled_library(source, "decoding") else None
