"""Mixins that add reattention to vLLM's paged GPU backends (FlashAttention, Triton).

Both backends store each key next to its value, ``(blocks, H_kv, block_size, 2 * D)``, with strides that vLLM chooses.
Both write keys and values to the cache before they compute attention. So both use the same mixins. The resulting
classes are in `vllm_sra.gpu.flash_attn` and `vllm_sra.gpu.triton_attn`.
"""

from __future__ import annotations

import dataclasses
import functools
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
from vllm_sra.gpu.cache_layout import check_paged_cache, key_blocks, value_blocks
from vllm_sra.gpu.row_tiles import NO_WINDOW
from vllm_sra.gpu.sharpened_rows import SharpenedRows
from vllm_sra.gpu.sharpening_kernel import sharpen
from vllm_sra.gpu.weighed_rows import WeighedRows
from vllm_sra.gpu.weighing_kernel import weigh
from vllm_sra.plugin.batch import sharpened_spans
from vllm_sra.plugin.observed import ObservedRows, observe, observed_rows
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
    "PassRows",
    "ReattentionImpl",
    "RowFinder",
    "RowFindingBuilder",
    "refuse_attention",
]

_DECODERS = (FullAttentionSpec, SlidingWindowSpec)
_OTHERS = (EncoderOnlyAttentionSpec, CrossAttentionSpec)  # never sharpened
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PassRows:
    """The rows of a forward pass that settings apply to.

    Parameters
    ----------
    sharpened
        Rows that are sharpened in some layer; None if there are none.
    weighed
        Rows that weigh evidence in some layer; None if there are none.
    observed
        Rows whose attention is returned.
    """

    sharpened: SharpenedRows | None
    weighed: WeighedRows | None
    observed: tuple[ObservedRows, ...]


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
        check_paged_cache(layers[layer_names[0]], kv_cache_spec, n_heads, device)

    def find(self, common: CommonAttentionMetadata) -> PassRows | None:
        """Return the rows of a forward pass that settings apply to; None if there are none."""
        if not self._sharpens or not self._table.entries:
            return None
        # The upper bound is exact without speculative decoding. It is on the host, so no synchronization is needed.
        upper = common.seq_lens if common.seq_lens_cpu_upper_bound is None else common.seq_lens_cpu_upper_bound
        query_start, n_keys = common.query_start_loc_cpu.tolist(), upper.tolist()
        spans = sharpened_spans(self._table.entries, self._share, query_start, n_keys, common.block_table_tensor)
        observed = observed_rows(self._table.entries, self._share, query_start, n_keys, common.block_table_tensor)
        if not spans and not observed:
            return None
        sharpened = [span for span in spans if span.session.config.sharpens]
        weighed = [span for span in spans if span.weighs]
        return PassRows(
            SharpenedRows(sharpened, self._group, self._device, sharpen) if sharpened else None,
            WeighedRows(weighed, self._group, self._device, weigh) if weighed else None,
            tuple(observed),
        )


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


class ReattentionImpl:
    """Mixin for a vLLM attention: multiplies each query row by its factor, then computes attention like vLLM.

    Rows that weigh evidence are joined with attention over the evidence afterwards.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        refuse_attention(self)

    def fused_output_quant_supported(self, quant_key: Any) -> bool:
        """Keep vLLM from quantizing the output in its kernel, as rows may still be weighed."""
        return False

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
        impl: Any = self  # the attributes are those of vLLM's attention
        rows: PassRows | None = getattr(attn_metadata, "rows", None)  # no metadata while vLLM profiles memory
        if rows is None or impl.attn_type != AttentionType.DECODER:
            return super().forward(  # type: ignore[misc]
                layer, query, key, value, kv_cache, attn_metadata, output, output_scale, output_block_scale
            )
        keys, values = key_blocks(kv_cache, impl.head_size), value_blocks(kv_cache, impl.head_size)
        table, window = attn_metadata.block_table, impl.sliding_window[0] + 1
        index = layer_index(layer)
        if rows.observed:
            # The table of this group of layers: vLLM derives the metadata of a second group from that of the first.
            own = [dataclasses.replace(part, blocks=table[part.request]) for part in rows.observed]
            observe(
                query, own, functools.partial(_read_keys, keys), layer=index, scale=impl.scale,
                block_size=keys.shape[1], window=window or None,
            )  # fmt: skip
        places: dict[str, Any] = {"layer": index, "scale": impl.scale, "window": window or NO_WINDOW}
        scaled = query
        if rows.sharpened is not None:
            scaled = rows.sharpened.scaled(query, keys, table, **places)
        attended = super().forward(  # type: ignore[misc]
            layer, scaled, key, value, kv_cache, attn_metadata, output, output_scale, output_block_scale
        )
        if rows.weighed is not None:
            rows.weighed.weigh(scaled, keys, values, table, attended.view(-1, *query.shape[1:]), **places)
        return attended


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


def _read_keys(keys: torch.Tensor, blocks: torch.Tensor, n_keys: int, one_row: bool) -> torch.Tensor:
    """Read keys from blocks, ``(blocks, block_size, H_kv, D)``; see `vllm_sra.plugin.batch.ReadKeys`."""
    return keys[blocks.long()].flatten(0, 1)[:n_keys].transpose(0, 1)[None]


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
