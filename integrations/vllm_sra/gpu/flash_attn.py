"""vLLM's FlashAttention (CUDA) with rows sharpened before its kernel runs."""

from __future__ import annotations

import dataclasses

from vllm.v1.attention.backends.flash_attn import (
    FlashAttentionBackend,
    FlashAttentionImpl,
    FlashAttentionMetadata,
    FlashAttentionMetadataBuilder,
)

from vllm_sra.gpu.paged_backend import RowFindingBuilder, SharpeningImpl
from vllm_sra.gpu.sharpened_rows import SharpenedRows

__all__ = [
    "SRAFlashAttentionBackend",
    "SRAFlashAttentionImpl",
    "SRAFlashAttentionMetadata",
    "SRAFlashAttentionMetadataBuilder",
]


class SRAFlashAttentionBackend(FlashAttentionBackend):
    """The FlashAttention backend, with reattention."""

    @staticmethod
    def get_impl_cls() -> type[SRAFlashAttentionImpl]:
        """Return what attends."""
        return SRAFlashAttentionImpl

    @staticmethod
    def get_builder_cls() -> type[SRAFlashAttentionMetadataBuilder]:
        """Return what prepares a forward pass."""
        return SRAFlashAttentionMetadataBuilder


@dataclasses.dataclass
class SRAFlashAttentionMetadata(FlashAttentionMetadata):
    """What the layers of a forward pass have in common.

    Parameters
    ----------
    rows
        Rows of requests with settings.
    """

    rows: SharpenedRows | None = None


class SRAFlashAttentionMetadataBuilder(RowFindingBuilder, FlashAttentionMetadataBuilder):
    """Finds the requests with settings in each batch."""

    metadata = SRAFlashAttentionMetadata


class SRAFlashAttentionImpl(SharpeningImpl, FlashAttentionImpl):
    """Multiplies each query row by its factor, and attends as vLLM does."""
