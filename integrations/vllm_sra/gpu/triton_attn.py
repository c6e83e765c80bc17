"""vLLM's Triton attention (CUDA, ROCm) with rows sharpened before its kernel runs."""

from __future__ import annotations

import dataclasses

from vllm.v1.attention.backends.triton_attn import (
    TritonAttentionBackend,
    TritonAttentionImpl,
    TritonAttentionMetadata,
    TritonAttentionMetadataBuilder,
)

from vllm_sra.gpu.paged_backend import RowFindingBuilder, SharpeningImpl
from vllm_sra.gpu.sharpened_rows import SharpenedRows

__all__ = [
    "SRATritonAttentionBackend",
    "SRATritonAttentionImpl",
    "SRATritonAttentionMetadata",
    "SRATritonAttentionMetadataBuilder",
]


class SRATritonAttentionBackend(TritonAttentionBackend):
    """The Triton backend, with reattention."""

    @staticmethod
    def get_impl_cls() -> type[SRATritonAttentionImpl]:
        """Return what attends."""
        return SRATritonAttentionImpl

    @staticmethod
    def get_builder_cls() -> type[SRATritonAttentionMetadataBuilder]:
        """Return what prepares a forward pass."""
        return SRATritonAttentionMetadataBuilder


@dataclasses.dataclass
class SRATritonAttentionMetadata(TritonAttentionMetadata):
    """What the layers of a forward pass have in common.

    Parameters
    ----------
    rows
        Rows of requests with settings.
    """

    rows: SharpenedRows | None = None


class SRATritonAttentionMetadataBuilder(RowFindingBuilder, TritonAttentionMetadataBuilder):
    """Finds the requests with settings in each batch."""

    metadata = SRATritonAttentionMetadata


class SRATritonAttentionImpl(SharpeningImpl, TritonAttentionImpl):
    """Multiplies each query row by its factor, and attends as vLLM does."""
