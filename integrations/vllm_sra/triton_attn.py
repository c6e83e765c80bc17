"""vLLM's Triton attention (CUDA, ROCm) with rows sharpened before its kernel runs."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from vllm.v1.attention.backend import AttentionCGSupport, AttentionLayer, CommonAttentionMetadata
from vllm.v1.attention.backends.triton_attn import (
    TritonAttentionBackend,
    TritonAttentionImpl,
    TritonAttentionMetadata,
    TritonAttentionMetadataBuilder,
)

from vllm_sra.paged_backend import RowFinder, refuse_attention, sharpened_query
from vllm_sra.sharpened_rows import SharpenedRows

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


class SRATritonAttentionMetadataBuilder(TritonAttentionMetadataBuilder):
    """Finds the requests with settings in each batch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._finder = RowFinder(self.kv_cache_spec, self.layer_names, self.vllm_config, self.device, self.num_heads_q)

    @classmethod
    def get_cudagraph_support(cls, vllm_config: Any, kv_cache_spec: Any) -> AttentionCGSupport:
        """Say that attention is no part of a CUDA graph, which would replay the rows it was captured with."""
        return AttentionCGSupport.NEVER

    def build(
        self, common_prefix_len: int, common_attn_metadata: CommonAttentionMetadata, fast_build: bool = False
    ) -> SRATritonAttentionMetadata:
        """Prepare a forward pass."""
        plain = super().build(common_prefix_len, common_attn_metadata, fast_build)
        fields = {field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)}
        return SRATritonAttentionMetadata(**fields, rows=self._finder.find(common_attn_metadata))


class SRATritonAttentionImpl(TritonAttentionImpl):
    """Multiplies each query row by its factor, and attends as vLLM does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        refuse_attention(self)

    def forward(
        self,
        layer: AttentionLayer,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        kv_cache: torch.Tensor,
        attn_metadata: TritonAttentionMetadata,
        output: torch.Tensor,
        output_scale: torch.Tensor | None = None,
        output_block_scale: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Attend; shapes are those of vLLM's Triton backend."""
        query = sharpened_query(self, layer, query, kv_cache, attn_metadata)
        return super().forward(
            layer, query, key, value, kv_cache, attn_metadata, output, output_scale, output_block_scale
        )
