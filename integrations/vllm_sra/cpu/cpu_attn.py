"""vLLM's CPU attention; query rows are sharpened before its kernel runs."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from vllm import _custom_ops as ops
from vllm.v1.attention.backend import AttentionLayer, AttentionType, CommonAttentionMetadata
from vllm.v1.attention.backends.cpu_attn import (
    CPUAttentionBackend,
    CPUAttentionBackendImpl,
    CPUAttentionMetadata,
    CPUAttentionMetadataBuilder,
)

from vllm_sra.cpu.decoding import DecodingRows, decoding_spans
from vllm_sra.cpu.key_layout import KeyLayout, find_layout
from vllm_sra.plugin.batch import RowSpan, scaled_query, sharpened_spans
from vllm_sra.plugin.request_table import request_table
from vllm_sra.plugin.servable_models import (
    head_share,
    layer_index,
    refuse_speculation,
    refuse_uncompiled_stages,
    refuse_unservable,
)

__all__ = ["SRACPUAttentionBackend", "SRACPUAttentionImpl", "SRACPUAttentionMetadata", "SRACPUAttentionMetadataBuilder"]


class SRACPUAttentionBackend(CPUAttentionBackend):
    """vLLM's CPU backend with reattention."""

    @staticmethod
    def get_impl_cls() -> type[SRACPUAttentionImpl]:
        """Return the class that computes attention."""
        return SRACPUAttentionImpl

    @staticmethod
    def get_builder_cls() -> type[SRACPUAttentionMetadataBuilder]:
        """Return the class that builds the metadata of a forward pass."""
        return SRACPUAttentionMetadataBuilder


@dataclasses.dataclass
class SRACPUAttentionMetadata(CPUAttentionMetadata):
    """Metadata that the layers of a forward pass share.

    Parameters
    ----------
    spans
        Rows of requests with settings, without the rows in `decoding`.
    decoding
        Rows of requests with exactly one row, if the cache layout allows processing them together.
    layout
        Layout of the keys in the cache.
    attended
        Whether `decoding` has all rows of the pass, so that attention can be computed without vLLM's kernel.
    """

    spans: tuple[RowSpan, ...] = ()
    decoding: DecodingRows | None = None
    layout: KeyLayout | None = None
    attended: bool = False


class SRACPUAttentionMetadataBuilder(CPUAttentionMetadataBuilder):
    """Collects the rows of requests with settings in each batch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        refuse_speculation(self.vllm_config)
        refuse_uncompiled_stages(self.vllm_config)
        self._table = request_table(self.vllm_config)
        self._share = head_share(self.vllm_config, self.num_heads)
        self._layout = find_layout(
            lambda keys: self._write_block(keys, torch.zeros_like(keys))[0], self.block_size, self.head_dim, self.dtype
        )
        values = torch.randn(self.block_size, self.head_dim, generator=torch.Generator().manual_seed(0)).to(self.dtype)
        self._values_in_rows = torch.equal(self._write_block(values, values)[1], values)

    def build(
        self, common_prefix_len: int, common_attn_metadata: CommonAttentionMetadata, fast_build: bool = False
    ) -> SRACPUAttentionMetadata:
        """Build the metadata of a forward pass."""
        plain = super().build(common_prefix_len, common_attn_metadata, fast_build)
        spans: list[RowSpan] = []
        decoding = None
        if self._table.entries:
            spans = sharpened_spans(
                self._table.entries,
                self._share,
                common_attn_metadata.query_start_loc_cpu.tolist(),
                common_attn_metadata.seq_lens.tolist(),
                common_attn_metadata.block_table_tensor,
            )
        if self._layout.transposed:
            single, spans = decoding_spans(spans)
            decoding = DecodingRows(single) if single else None
        attended = (
            self._values_in_rows
            and decoding is not None
            and not spans
            and decoding.count == common_attn_metadata.num_actual_tokens
        )
        fields = {field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)}
        return SRACPUAttentionMetadata(
            **fields, spans=tuple(spans), decoding=decoding, layout=self._layout, attended=attended
        )

    def _write_block(self, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write a block with vLLM; return the memory of its keys and of its values, each ``(block_size, D)``."""
        block_size, head_size = keys.shape
        cache = torch.zeros(1, 1, 2 * block_size, head_size, dtype=keys.dtype)
        key_cache, value_cache = cache.chunk(2, dim=2)
        slots = torch.arange(block_size)
        ops.cpu_attn_reshape_and_cache(keys[:, None], values[:, None], key_cache, value_cache, slots, self.isa)
        return key_cache[0, 0], value_cache[0, 0]


class SRACPUAttentionImpl(CPUAttentionBackendImpl):
    """Multiplies each query row by its factor, then computes attention like vLLM."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.attn_type == AttentionType.DECODER:
            refuse_unservable(
                soft_cap=self.logits_soft_cap,
                alibi=self.alibi_slopes is not None,
                sinks=self.sinks is not None,
                kv_cache_dtype=self.kv_cache_dtype,
            )

    def forward(
        self,
        layer: AttentionLayer,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        kv_cache: torch.Tensor,
        attn_metadata: CPUAttentionMetadata | None,
        output: torch.Tensor,
        output_scale: torch.Tensor | None = None,
        output_block_scale: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute attention; arguments and shapes are those of vLLM's CPU backend."""
        if isinstance(attn_metadata, SRACPUAttentionMetadata) and attn_metadata.layout is not None:
            if attn_metadata.attended and self._attended(layer_index(layer), query, kv_cache, attn_metadata, output):
                return output
            query = self._sharpened(layer_index(layer), query, kv_cache, attn_metadata, attn_metadata.layout)
        return super().forward(
            layer, query, key, value, kv_cache, attn_metadata, output, output_scale, output_block_scale
        )

    def _sharpened(
        self,
        layer: int,
        query: torch.Tensor,
        kv_cache: torch.Tensor,
        metadata: SRACPUAttentionMetadata,
        layout: KeyLayout,
    ) -> torch.Tensor:
        if metadata.spans:
            blocks, kv_heads, block_size, _ = kv_cache.shape
            # The view that vLLM uses: ``(blocks, H_kv, 2 * block_size, D)``, keys first.
            key_cache = kv_cache.view(blocks, kv_heads, 2 * block_size, -1)[:, :, :block_size]
            query = scaled_query(
                query,
                metadata.spans,
                lambda blocks, n_keys, one_row: layout.read(key_cache, blocks, n_keys, columns=one_row),
                layer=layer,
                scale=self.scale,
                block_size=block_size,
                window=self._window,
            )
        if metadata.decoding is not None:
            query = metadata.decoding.scaled(
                query, _transposed(kv_cache), layer=layer, scale=self.scale, window=self._window
            )
        return query

    def _attended(
        self,
        layer: int,
        query: torch.Tensor,
        kv_cache: torch.Tensor,
        metadata: SRACPUAttentionMetadata,
        output: torch.Tensor,
    ) -> bool:
        """Compute attention instead of vLLM's kernel; return whether it was possible."""
        rows = metadata.num_actual_tokens
        attended = None
        if metadata.decoding is not None:
            attended = metadata.decoding.attended(
                query[:rows], _transposed(kv_cache), layer=layer, scale=self.scale, window=self._window
            )
        if attended is None:
            return False
        output[:rows].view(attended.shape).copy_(attended)
        return True

    @property
    def _window(self) -> int | None:
        return self.sliding_window if self.sliding_window > 0 else None


def _transposed(kv_cache: torch.Tensor) -> torch.Tensor:
    """View a cache with transposed keys as ``(blocks, H_kv, 2, D, block_size)``, keys first."""
    blocks, kv_heads, block_size, _ = kv_cache.shape
    return kv_cache.view(blocks, kv_heads, 2, -1, block_size)
