"""vLLM's Triton attention (CUDA, ROCm); rows are sharpened before its kernel, and weighed after it."""

from __future__ import annotations

import dataclasses

from vllm.v1.attention.backends.triton_attn import (
    TritonAttentionBackend,
    TritonAttentionImpl,
    TritonAttentionMetadata,
    TritonAttentionMetadataBuilder,
)

from vllm_sra.gpu.paged_backend import PassRows, ReattentionImpl, RowFindingBuilder

__all__ = [
    "SRATritonAttentionBackend",
    "SRATritonAttentionImpl",
    "SRATritonAttentionMetadata",
    "SRATritonAttentionMetadataBuilder",
]


class SRATritonAttentionBackend(TritonAttentionBackend):
    """vLLM's Triton backend with reattention."""

    @staticmethod
    def get_impl_cls() -> type[SRATritonAttentionImpl]:
        """Return the class that computes attention."""
        return SRATritonAttentionImpl

    @staticmethod
    def get_builder_cls() -> type[SRATritonAttentionMetadataBuilder]:
        """Return the class that builds the metadata of a forward pass."""
        return SRATritonAttentionMetadataBuilder


@dataclasses.dataclass
class SRATritonAttentionMetadata(TritonAttentionMetadata):
    """Metadata that the layers of a forward pass share.

    Parameters
    ----------
    rows
        Rows of requests with settings; None if there are none.
    """

    rows: PassRows | None = None


class SRATritonAttentionMetadataBuilder(RowFindingBuilder, TritonAttentionMetadataBuilder):
    """Collects the rows of requests with settings in each batch."""

    metadata = SRATritonAttentionMetadata


class SRATritonAttentionImpl(ReattentionImpl, TritonAttentionImpl):
    """vLLM's attention with reattention."""
