"""vLLM's FlashAttention (CUDA); rows are sharpened before its kernel, and weighed after it."""

from __future__ import annotations

import dataclasses

from vllm.v1.attention.backends.flash_attn import (
    FlashAttentionBackend,
    FlashAttentionImpl,
    FlashAttentionMetadata,
    FlashAttentionMetadataBuilder,
)

from vllm_sra.gpu.paged_backend import PassRows, ReattentionImpl, RowFindingBuilder

__all__ = [
    "SRAFlashAttentionBackend",
    "SRAFlashAttentionImpl",
    "SRAFlashAttentionMetadata",
    "SRAFlashAttentionMetadataBuilder",
]


class SRAFlashAttentionBackend(FlashAttentionBackend):
    """vLLM's FlashAttention backend with reattention."""

    @staticmethod
    def get_impl_cls() -> type[SRAFlashAttentionImpl]:
        """Return the class that computes attention."""
        return SRAFlashAttentionImpl

    @staticmethod
    def get_builder_cls() -> type[SRAFlashAttentionMetadataBuilder]:
        """Return the class that builds the metadata of a forward pass."""
        return SRAFlashAttentionMetadataBuilder


@dataclasses.dataclass
class SRAFlashAttentionMetadata(FlashAttentionMetadata):
    """Metadata that the layers of a forward pass share.

    Parameters
    ----------
    rows
        Rows of requests with settings; None if there are none.
    """

    rows: PassRows | None = None


class SRAFlashAttentionMetadataBuilder(RowFindingBuilder, FlashAttentionMetadataBuilder):
    """Collects the rows of requests with settings in each batch."""

    metadata = SRAFlashAttentionMetadata


class SRAFlashAttentionImpl(ReattentionImpl, FlashAttentionImpl):
    """vLLM's attention with reattention."""
