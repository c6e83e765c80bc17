"""Mixins that add reattention to vLLM's paged GPU backends (FlashAttention, Triton).

Both backends store each key next to its value, ``(blocks, H_kv, block_size, 2 * D)``, with strides that vLLM chooses.
Both write keys and values to the cache before they compute attention. So both use the same mixins. The resulting
classes are in `vllm_sra.gpu.flash_attn` and `vllm_sra.gpu.triton_attn`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from vllm.distributed import get_tensor_model_parallel_world_size
from vllm.v1.attention.backend import AttentionCGSupport, AttentionType
from vllm.v1.kv_cache_interface import (
    CrossAttentionSpec,
    EncoderOnlyAttentionSpec,
    FullAttentionSpec,
    SlidingWindowSpec,
)

from sra_rag.errors import UnsupportedModelError
from vllm_sra.gpu.row_tiles import NO_WINDOW, RowTiles, sharpen_reference
from vllm_sra.gpu.sharpened_rows import SharpenedRows
from vllm_sra.gpu.sharpening_kernel import SPLITS, sharpen
from vllm_sra.plugin.batch import sharpened_spans
from vllm_sra.plugin.request_table import request_table
from vllm_sra.plugin.servable_models import (
    head_share,
    layer_index,
    refuse_configuration,
    refuse_speculation,
    refuse_unservable,
)

if TYPE_CHECKING:
    from vllm.config import VllmConfig
    from vllm.v1.attention.backend import AttentionLayer, CommonAttentionMetadata
    from vllm.v1.kv_cache_interface import AttentionSpec

__all__ = [
    "RowFinder",
    "RowFindingBuilder",
    "SharpeningImpl",
    "check_paged_keys",
    "key_blocks",
    "refuse_attention",
    "sharpened_query",
]

_DECODERS = (FullAttentionSpec, SlidingWindowSpec)
_OTHERS = (EncoderOnlyAttentionSpec, CrossAttentionSpec)  # never sharpened
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_TOLERANCE = 1e-2  # relative error of a row; a wrong key, block or head causes errors several times as large


class RowFinder:
    """Collects the rows with settings in each batch, for the metadata builder of a group of layers.

    Parameters
    ----------
    kv_cache_spec, layer_names, vllm_config, device
        Arguments of a vLLM metadata builder.
    n_heads
        Number of query heads of a layer on this worker.

    Raises
    ------
    UnsupportedModelError
        When the engine starts: if these layers are not supported, or keys cannot be read back from the cache.
    """

    def __init__(
        self,
        kv_cache_spec: AttentionSpec,
        layer_names: list[str],
        vllm_config: VllmConfig,
        device: torch.device,
        n_heads: int,
    ) -> None:
        refuse_speculation(vllm_config)
        refuse_configuration(vllm_config)
        self._sharpens = type(kv_cache_spec) not in _OTHERS
        self._device = device
        if not self._sharpens:
            return
        _refuse_cache(kv_cache_spec)
        self._table = request_table(vllm_config)
        self._share = head_share(vllm_config, n_heads)
        total_heads = n_heads * get_tensor_model_parallel_world_size()
        if total_heads != self._share.n_heads:
            raise UnsupportedModelError(
                f"The layers of this model have different numbers of query heads ({self._share.n_heads} and "
                f"{total_heads}), which is not supported with reattention. Serve it without reattention (VLLM_PLUGINS "
                "without sra)."
            )
        self._group = n_heads // kv_cache_spec.num_kv_heads
        layers = vllm_config.compilation_config.static_forward_context
        _refuse_other_attention(layers.values())
        check_paged_keys(layers[layer_names[0]], kv_cache_spec, n_heads, device)

    def find(self, common: CommonAttentionMetadata) -> SharpenedRows | None:
        """Return the rows to sharpen in a forward pass; None if there are none."""
        if not self._sharpens or not self._table.entries:
            return None
        # The upper bound is exact without speculative decoding. It is on the host, so no synchronization is needed.
        n_keys = common.seq_lens if common.seq_lens_cpu_upper_bound is None else common.seq_lens_cpu_upper_bound
        spans = sharpened_spans(
            self._table.entries,
            self._share,
            common.query_start_loc_cpu.tolist(),
            n_keys.tolist(),
            common.block_table_tensor,
        )
        return SharpenedRows(spans, self._group, self._device, sharpen) if spans else None


class RowFindingBuilder:
    """Mixin for a vLLM metadata builder: collects the rows of requests with settings in each batch.

    `metadata` is the metadata class of the builder with the additional field ``rows``.
    """

    metadata: ClassVar[type[Any]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        builder: Any = self  # the attributes are those of vLLM's builder
        self._finder = RowFinder(
            builder.kv_cache_spec, builder.layer_names, builder.vllm_config, builder.device, builder.num_heads_q
        )

    @classmethod
    def get_cudagraph_support(cls, vllm_config: Any, kv_cache_spec: Any) -> AttentionCGSupport:
        """Exclude attention from CUDA graphs: a graph would replay the rows that it was captured with."""
        return AttentionCGSupport.NEVER

    def build(
        self, common_prefix_len: int, common_attn_metadata: CommonAttentionMetadata, fast_build: bool = False
    ) -> Any:
        """Build the metadata of a forward pass."""
        plain = super().build(common_prefix_len, common_attn_metadata, fast_build)  # type: ignore[misc]
        fields = {field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)}
        return self.metadata(**fields, rows=self._finder.find(common_attn_metadata))


class SharpeningImpl:
    """Mixin for a vLLM attention: multiplies each query row by its factor, then computes attention like vLLM."""

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
        attn_metadata: Any,
        output: torch.Tensor,
        output_scale: torch.Tensor | None = None,
        output_block_scale: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute attention; arguments and shapes are those of vLLM's backend."""
        query = sharpened_query(self, layer, query, kv_cache, attn_metadata)
        return super().forward(  # type: ignore[misc]
            layer, query, key, value, kv_cache, attn_metadata, output, output_scale, output_block_scale
        )


def refuse_attention(impl: Any) -> None:
    """Reject a kind of attention that sharpening would not compute correctly. `impl` is vLLM's attention object.

    Raises
    ------
    UnsupportedModelError
        When the model is loaded; names the unsupported features.
    """
    if impl.attn_type == AttentionType.DECODER:
        refuse_unservable(
            soft_cap=impl.logits_soft_cap,
            alibi=impl.alibi_slopes is not None,
            sinks=impl.sinks is not None,
            kv_cache_dtype=impl.kv_cache_dtype,
            chunked=getattr(impl, "chunk_lookback", -1) > -1,  # only the Triton backend has it
        )


def sharpened_query(
    impl: Any, layer: AttentionLayer, query: torch.Tensor, kv_cache: torch.Tensor, metadata: Any
) -> torch.Tensor:
    """Multiply the sharpened rows of a layer's query by their factors.

    Parameters
    ----------
    impl, layer, query, kv_cache, metadata
        Arguments of ``forward`` of vLLM's backends. `metadata` is None while vLLM profiles memory.

    Returns
    -------
    query
        `query` itself if no row is sharpened, otherwise a copy.
    """
    rows: SharpenedRows | None = getattr(metadata, "rows", None)
    if rows is None or impl.attn_type != AttentionType.DECODER:
        return query
    return rows.scaled(
        query,
        key_blocks(kv_cache, impl.head_size),
        metadata.block_table,
        layer=layer_index(layer),
        scale=impl.scale,
        window=impl.sliding_window[0] + 1 if impl.sliding_window[0] >= 0 else NO_WINDOW,
    )


def key_blocks(kv_cache: torch.Tensor, head_size: int) -> torch.Tensor:
    """View the keys of a cache, ``(blocks, H_kv, block_size, 2 * D)``, as ``(blocks, block_size, H_kv, D)``."""
    return kv_cache.transpose(1, 2)[..., :head_size]


def check_paged_keys(layer: Any, kv_cache_spec: AttentionSpec, n_heads: int, device: torch.device) -> None:
    """Check that the kernel reads the keys that vLLM writes to a cache, by comparison with the reference.

    This also compiles the kernels, so that no request has to wait for the compilation.

    Raises
    ------
    UnsupportedModelError
        If the results differ.
    """
    size, n_kv_heads, head_size = kv_cache_spec.block_size, kv_cache_spec.num_kv_heads, kv_cache_spec.head_size
    random = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random).to(device, kv_cache_spec.dtype)

    n_keys, blocks = 2 * size - 3, [2, 1]
    cache = torch.zeros(3, n_kv_heads, size, 2 * head_size, dtype=kv_cache_spec.dtype, device=device)
    keys, values, query = (normal(n_keys, heads, head_size) for heads in (n_kv_heads, n_kv_heads, n_heads))
    slots = torch.tensor([blocks[n // size] * size + n % size for n in range(n_keys)], device=device)
    layer.impl.do_kv_cache_update(layer, keys, values, cache, slots)
    read = key_blocks(cache, head_size)
    correct = torch.equal(read[torch.tensor(blocks, device=device)].flatten(0, 1)[:n_keys], keys)
    table = torch.tensor([blocks], dtype=torch.int32, device=device)
    # Parameters for which the factor is 1 + H.
    rules = {"lines": torch.tensor([[0.0, 1, 0, 1]], device=device), "alpha": torch.ones(1, n_heads, device=device)}
    for n_rows, splits in ((1, 1), (1, SPLITS), (min(64 // (n_heads // n_kv_heads), n_keys), 1)):
        # See TILE_FIELDS.
        tile = torch.tensor([[0, n_keys - n_rows, n_rows, n_keys - n_rows, 0, 0]], dtype=torch.int32, device=device)
        tiles = RowTiles(tile, n_rows, n_rows, n_keys)
        arguments: dict[str, Any] = {"scale": head_size**-0.5, "window": NO_WINDOW, **rules}
        expected, actual = query.clone(), query.clone()
        # The reference gets the original keys as a single block.
        single_block = torch.zeros(1, 1, dtype=torch.int32, device=device)
        sharpen_reference(query, keys[None], single_block, tiles, out=expected, **arguments)
        sharpen(query, read, table, tiles, out=actual, splits=splits, **arguments)
        error = (actual.float() - expected.float()).norm(dim=-1) / expected.float().norm(dim=-1)
        correct = correct and bool((error < _TOLERANCE).all())
    if not correct:
        raise UnsupportedModelError(
            f"This build of vLLM stores {kv_cache_spec.dtype} keys in blocks of {size} x {n_kv_heads} x {head_size} "
            "in an unknown layout, so they cannot be read back. Serve without reattention (VLLM_PLUGINS without sra), "
            "or with the other one of --attention-backend FLASH_ATTN and TRITON_ATTN."
        )


def _refuse_other_attention(layers: Iterable[Any]) -> None:
    """Reject models with layers that use their own backend, regardless of the backend that vLLM selects."""
    impls = (getattr(layer, "impl", None) for layer in layers)
    others = {
        type(impl).__name__
        for impl in impls
        if getattr(impl, "attn_type", None) == AttentionType.DECODER
        and not type(impl).__module__.startswith("vllm_sra.")
    }
    if others:
        raise UnsupportedModelError(
            f"Some layers of this model use {', '.join(sorted(others))}, which is not supported with reattention. "
            "Serve it without reattention (VLLM_PLUGINS without sra), and without --attention-backend for a kind of "
            "layer."
        )


def _refuse_cache(spec: AttentionSpec) -> None:
    if type(spec) not in _DECODERS or spec.dtype not in _DTYPES:
        raise UnsupportedModelError(
            f"A key/value cache of kind {type(spec).__name__} and {spec.dtype} is not supported with reattention. It "
            f"must be {' or '.join(kind.__name__ for kind in _DECODERS)}, with 16 or 32 bits per number. Serve with "
            "--kv-cache-dtype auto, or without reattention (VLLM_PLUGINS without sra)."
        )
