"""vLLM's CPU attention; query rows are sharpened before its kernel runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypedDict

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
from vllm_sra.plugin.batch import ReadKeys, RowSpan, scaled_query, sharpened_spans, weigh_rows
from vllm_sra.plugin.observed import ObservedRows, observe, observed_rows
from vllm_sra.plugin.request_table import request_table
from vllm_sra.plugin.servable_models import (
    head_share,
    layer_index,
    refuse_speculation,
    refuse_uncompiled_stages,
    refuse_unservable,
)

__all__ = ["SRACPUAttentionBackend", "SRACPUAttentionImpl", "SRACPUAttentionMetadata", "SRACPUAttentionMetadataBuilder"]


class Places(TypedDict):
    """Parameters of a layer that all functions over its cache need."""

    scale: float
    block_size: int
    window: int | None


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
    weighed
        Rows that weigh evidence; those of one layer are computed again after vLLM's kernel.
    observed
        Rows whose attention is returned.
    layout, value_layout
        Layout of the keys and of the values in the cache.
    attended
        Whether `decoding` has all rows of the pass, so that attention can be computed without vLLM's kernel.
    """

    spans: tuple[RowSpan, ...] = ()
    decoding: DecodingRows | None = None
    weighed: tuple[RowSpan, ...] = ()
    observed: tuple[ObservedRows, ...] = ()
    layout: KeyLayout | None = None
    value_layout: KeyLayout | None = None
    attended: bool = False


class SRACPUAttentionMetadataBuilder(CPUAttentionMetadataBuilder):
    """Collects the rows of requests with settings in each batch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        refuse_speculation(self.vllm_config)
        refuse_uncompiled_stages(self.vllm_config)
        self._table = request_table(self.vllm_config)
        self._share = head_share(self.vllm_config, self.num_heads)
        self._layout, self._value_layout = (
            find_layout(write, self.block_size, self.head_dim, self.dtype)
            for write in (
                lambda keys: self._write_block(keys, torch.zeros_like(keys))[0],
                lambda values: self._write_block(torch.zeros_like(values), values)[1],
            )
        )

    def build(
        self, common_prefix_len: int, common_attn_metadata: CommonAttentionMetadata, fast_build: bool = False
    ) -> SRACPUAttentionMetadata:
        """Build the metadata of a forward pass."""
        plain = super().build(common_prefix_len, common_attn_metadata, fast_build)
        spans: list[RowSpan] = []
        observed: list[ObservedRows] = []
        decoding = None
        if self._table.entries:
            query_start = common_attn_metadata.query_start_loc_cpu.tolist()
            n_keys = common_attn_metadata.seq_lens.tolist()
            blocks = common_attn_metadata.block_table_tensor
            spans = sharpened_spans(self._table.entries, self._share, query_start, n_keys, blocks)
            observed = observed_rows(self._table.entries, self._share, query_start, n_keys, blocks)
        weighed = tuple(span for span in spans if span.weighs)
        if self._layout.transposed:
            single, spans = decoding_spans(spans)
            decoding = DecodingRows(single) if single else None
        attended = (
            self._value_layout.in_order
            and decoding is not None
            and not spans
            and decoding.count == common_attn_metadata.num_actual_tokens
        )
        fields = {field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)}
        return SRACPUAttentionMetadata(
            **fields, spans=tuple(spans), decoding=decoding, weighed=weighed, observed=tuple(observed),
            layout=self._layout, value_layout=self._value_layout, attended=attended,
        )  # fmt: skip

    def _write_block(self, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write a block with vLLM; return the memory of its keys and of its values, each ``(block_size, D)``."""
        block_size, head_size = keys.shape
        cache = torch.zeros(1, 1, 2 * block_size, head_size, dtype=keys.dtype)
        key_cache, value_cache = cache.chunk(2, dim=2)
        slots = torch.arange(block_size)
        ops.cpu_attn_reshape_and_cache(keys[:, None], values[:, None], key_cache, value_cache, slots, self.isa)
        return key_cache[0, 0], value_cache[0, 0]


class SRACPUAttentionImpl(CPUAttentionBackendImpl):
    """Multiplies each query row by its factor, then computes attention like vLLM.

    Rows that weigh evidence are computed separately.
    """

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
        if not isinstance(attn_metadata, SRACPUAttentionMetadata) or attn_metadata.layout is None:
            return super().forward(
                layer, query, key, value, kv_cache, attn_metadata, output, output_scale, output_block_scale
            )
        index = layer_index(layer)
        if attn_metadata.observed:
            read_keys, _ = self._readers(kv_cache, attn_metadata)
            observe(query, attn_metadata.observed, read_keys, layer=index, **self._places(kv_cache))
        if attn_metadata.attended and self._attended(index, query, kv_cache, attn_metadata, output):
            return output
        scaled = self._sharpened(index, query, kv_cache, attn_metadata)
        attended = super().forward(
            layer, scaled, key, value, kv_cache, attn_metadata, output, output_scale, output_block_scale
        )
        if attn_metadata.weighed:
            self._weigh(index, query, kv_cache, attn_metadata, attended.view(-1, *query.shape[1:]))
        return attended

    def _weigh(
        self,
        layer: int,
        query: torch.Tensor,
        kv_cache: torch.Tensor,
        metadata: SRACPUAttentionMetadata,
        output: torch.Tensor,
    ) -> None:
        """Replace the rows that weigh evidence."""
        weighed: Sequence[RowSpan] = metadata.weighed
        decoding = metadata.decoding
        in_order = metadata.value_layout is not None and metadata.value_layout.in_order
        if in_order and decoding is not None:
            cache = _transposed(kv_cache)
            if decoding.weigh(query, cache, output, layer=layer, scale=self.scale, window=self._window):
                _, weighed = decoding_spans(weighed)
        readers = self._readers(kv_cache, metadata)
        weigh_rows(query, weighed, *readers, output, layer=layer, **self._places(kv_cache))

    def _sharpened(
        self, layer: int, query: torch.Tensor, kv_cache: torch.Tensor, metadata: SRACPUAttentionMetadata
    ) -> torch.Tensor:
        if metadata.spans:
            read_keys, _ = self._readers(kv_cache, metadata)
            query = scaled_query(query, metadata.spans, read_keys, layer=layer, **self._places(kv_cache))
        if metadata.decoding is not None:
            query = metadata.decoding.scaled(
                query, _transposed(kv_cache), layer=layer, scale=self.scale, window=self._window
            )
        return query

    def _readers(self, kv_cache: torch.Tensor, metadata: SRACPUAttentionMetadata) -> tuple[ReadKeys, ReadKeys]:
        """Return functions that read keys and values from the cache."""
        blocks, kv_heads, block_size, _ = kv_cache.shape
        # The view that vLLM uses: ``(blocks, H_kv, 2 * block_size, D)``, keys first.
        parts = kv_cache.view(blocks, kv_heads, 2 * block_size, -1).chunk(2, dim=2)

        def reader(cache: torch.Tensor, layout: KeyLayout | None) -> ReadKeys:
            def read(blocks: torch.Tensor, n_keys: int, one_row: bool) -> torch.Tensor:
                assert layout is not None  # noqa: S101 - set for every pass with requests, see `build`
                return layout.read(cache, blocks, n_keys, columns=one_row)

            return read

        return reader(parts[0], metadata.layout), reader(parts[1], metadata.value_layout)

    def _places(self, kv_cache: torch.Tensor) -> Places:
        return {"scale": self.scale, "block_size": kv_cache.shape[2], "window": self._window}

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
