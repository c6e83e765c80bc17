"""vLLM's Triton attention (CUDA, ROCm); query rows are sharpened before its kernel runs."""

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

    rows: SharpenedRows | None = None


class SRATritonAttentionMetadataBuilder(RowFindingBuilder, TritonAttentionMetadataBuilder):
    """Collects the rows of requests with settings in each batch."""

    metadata = SRATritonAttentionMetadata


class SRATritonAttentionImpl(SharpeningImpl, TritonAttentionImpl):
    """Multiplies each query row by its factor, then computes attention like vLLM."""
