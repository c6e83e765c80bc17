"""Triton kernel that joins attention over all keys with attention over the keys of the evidence, in a paged cache.

With weights ``w_j`` of the keys ``E`` of the evidence, and base-2 scores ``s_j = scale * log2(e) * q . k_j``, whose
maximum over all keys is ``m`` and sum ``l = sum_j 2^(s_j - m)``, the weighed attention of a row is

    o = (l o_all + sum_{j in E} (w_j - 1) 2^(s_j - m) v_j) / (l + sum_{j in E} (w_j - 1) 2^(s_j - m))

``o_all`` is the output of vLLM's own kernel. `vllm_sra.gpu.sharpening_kernel.row_sums` computes ``m`` and ``l``; all
exponents here are relative to the larger of ``m`` and ``m + log2(w - 1)``, so large weights do not overflow.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl

from vllm_sra.gpu.row_tiles import TILE_FIELDS, RowTiles
from vllm_sra.gpu.sharpening_kernel import launch_sizes, row_sums
from vllm_sra.gpu.weighed_rows import EvidenceTable

__all__ = ["weigh"]

_LOG2_E = math.log2(math.e)

# Columns of the table of tiles; see `sharpening_kernel`.
_N_TILE_FIELDS = tl.constexpr(len(TILE_FIELDS))
_REQUEST = tl.constexpr(TILE_FIELDS.index("request"))
_FIRST_ROW = tl.constexpr(TILE_FIELDS.index("first_row"))
_N_ROWS = tl.constexpr(TILE_FIELDS.index("n_rows"))
_POSITION = tl.constexpr(TILE_FIELDS.index("position"))
_RESULT_ROW = tl.constexpr(TILE_FIELDS.index("result_row"))
_EVIDENCE = tl.constexpr(TILE_FIELDS.index("settings"))


# n_results changes with every forward pass; do_not_specialize prevents a new compilation for its value.
@triton.jit(do_not_specialize=["n_results"])
def _join_kernel(
    out_ptr,  # attention over all keys, (rows, H_q, D); replaced
    max_ptr,  # maximum m of each split, (SPLITS, n_results, H_q), float32
    sum_ptr,  # sum l of each split, like max_ptr
    query_ptr,  # query rows, (rows, H_q, D)
    key_ptr,  # key cache, (blocks, block_size, H_kv, D)
    value_ptr,  # value cache, (blocks, block_size, H_kv, D)
    block_table_ptr,  # cache blocks of each request, (requests, blocks), int32
    tiles_ptr,  # RowTiles.table, (tiles, TILE_FIELDS), int32
    spans_ptr,  # EvidenceTable.spans, (spans, 2), int32
    extra_ptr,  # EvidenceTable.extra, (spans,), float32
    first_span_ptr,  # EvidenceTable.first_span, (evidences + 1,), int32
    weighs_ptr,  # query heads that use the weights in this layer, (evidences, H_q), int8
    scale,  # scale of the dot product, times log2(e)
    query_row_stride,
    query_head_stride,
    out_row_stride,
    out_head_stride,
    key_block_stride,
    key_slot_stride,
    key_head_stride,
    value_block_stride,
    value_slot_stride,
    value_head_stride,
    block_table_stride,
    n_heads,  # H_q
    n_results,  # number of rows of all tiles
    GROUP: tl.constexpr,  # query heads per key head
    BLOCK_SIZE: tl.constexpr,  # keys per cache block
    HEAD_SIZE: tl.constexpr,  # D
    PADDED: tl.constexpr,  # D, rounded up to a power of 2
    ROWS: tl.constexpr,  # query rows x heads that a program processes, rounded up to a power of 2
    KEYS: tl.constexpr,  # keys that a program processes per step
    WINDOW: tl.constexpr,  # size of the sliding window in keys; NO_WINDOW for all keys
    SPLITS: tl.constexpr,  # number of parts of max_ptr and sum_ptr
    PRECISION: tl.constexpr,  # precision of the dot product of float32
    WIDEN: tl.constexpr,  # whether to convert bfloat16 to float32; only for Triton's interpreter
):
    tile = tl.program_id(0)
    kv_head = tl.program_id(1)
    tile_ptr = tiles_ptr + tile * _N_TILE_FIELDS
    request = tl.load(tile_ptr + _REQUEST)
    first_row = tl.load(tile_ptr + _FIRST_ROW)
    n_rows = tl.load(tile_ptr + _N_ROWS)
    position = tl.load(tile_ptr + _POSITION)
    result_row = tl.load(tile_ptr + _RESULT_ROW)
    evidence = tl.load(tile_ptr + _EVIDENCE)
    first_span = tl.load(first_span_ptr + evidence)
    end_span = tl.load(first_span_ptr + evidence + 1)

    lane = tl.arange(0, ROWS)
    row = lane // GROUP
    head = kv_head * GROUP + lane % GROUP
    valid = row < n_rows
    weighs = tl.load(weighs_ptr + evidence * n_heads + head, mask=valid, other=0) != 0
    if tl.sum(weighs.to(tl.int32), 0) == 0:
        return
    dim = tl.arange(0, PADDED)
    in_head = dim < HEAD_SIZE
    row_mask = weighs[:, None] & in_head[None, :]
    query_rows = (first_row + row).to(tl.int64)[:, None]
    query = tl.load(
        query_ptr + query_rows * query_row_stride + head[:, None] * query_head_stride + dim[None, :],
        mask=row_mask,
        other=0.0,
    )
    if WIDEN:
        query = query.to(tl.float32)

    # The sums of the splits, merged.
    split = tl.arange(0, SPLITS).to(tl.int64)[:, None] * n_results * n_heads
    parts = split + (result_row + row).to(tl.int64)[None, :] * n_heads + head[None, :]
    part_maximum = tl.load(max_ptr + parts, mask=valid[None, :], other=0.0)
    part_total = tl.load(sum_ptr + parts, mask=valid[None, :], other=1.0)
    maximum = tl.max(part_maximum, 0)
    empty = part_maximum == float("-inf")
    everything = tl.sum(part_total * tl.where(empty, 0.0, tl.exp2(part_maximum - maximum[None, :])), 0)

    greatest = 0.0
    for span in range(first_span, end_span):
        greatest = tl.maximum(greatest, tl.load(extra_ptr + span))
    base = maximum + greatest
    everything *= tl.exp2(-greatest)

    row_position = position + row
    total = tl.zeros([ROWS], tl.float32)
    joined = tl.zeros([ROWS, PADDED], tl.float32)
    for span in range(first_span, end_span):
        extra = tl.load(extra_ptr + span)
        begin = tl.load(spans_ptr + 2 * span)
        end = tl.minimum(tl.load(spans_ptr + 2 * span + 1), position + n_rows)  # later keys are not of the request
        for start in range(begin, end, KEYS):
            key_position = start + tl.arange(0, KEYS)
            in_range = key_position < end
            block = tl.load(
                block_table_ptr + request.to(tl.int64) * block_table_stride + key_position // BLOCK_SIZE,
                mask=in_range,
                other=0,
            ).to(tl.int64)
            slot = key_position % BLOCK_SIZE
            keys = tl.load(
                key_ptr
                + block[None, :] * key_block_stride
                + slot[None, :] * key_slot_stride
                + kv_head * key_head_stride
                + dim[:, None],
                mask=in_head[:, None] & in_range[None, :],
                other=0.0,
            ).to(query_ptr.dtype.element_ty)
            values = tl.load(
                value_ptr
                + block[:, None] * value_block_stride
                + slot[:, None] * value_slot_stride
                + kv_head * value_head_stride
                + dim[None, :],
                mask=in_range[:, None] & in_head[None, :],
                other=0.0,
            ).to(query_ptr.dtype.element_ty)
            if WIDEN:
                keys = keys.to(tl.float32)
                values = values.to(tl.float32)
            score = tl.dot(query, keys, input_precision=PRECISION) * scale + extra
            visible = in_range[None, :] & (key_position[None, :] <= row_position[:, None])
            if WINDOW > 0:
                visible = visible & (key_position[None, :] > row_position[:, None] - WINDOW)
            weight = tl.where(visible, tl.exp2(score - base[:, None]), 0.0)
            total += tl.sum(weight, 1)
            joined += tl.dot(weight.to(values.dtype), values, input_precision=PRECISION)

    out_ptrs = out_ptr + query_rows * out_row_stride + head[:, None] * out_head_stride + dim[None, :]
    attended = tl.load(out_ptrs, mask=row_mask, other=0.0).to(tl.float32)
    sums = tl.where(valid, everything + total, 1.0)
    attended = (attended * everything[:, None] + joined) / sums[:, None]
    tl.store(out_ptrs, attended.to(out_ptr.dtype.element_ty), mask=row_mask)


def weigh(
    query: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    block_table: torch.Tensor,
    tiles: RowTiles,
    *,
    scale: float,
    window: int,
    table: EvidenceTable,
    weighs: torch.Tensor,
    output: torch.Tensor,
    splits: int | None = None,
) -> None:
    """Replace rows by attention with evidence weights, like `vllm_sra.gpu.weighed_rows.weigh_reference`.

    Parameters
    ----------
    query, key_cache, value_cache, block_table, tiles, scale, window, table, weighs
        See the reference. The dtype is float32, bfloat16 or float16; sums are computed in float32. The last dimension
        of `query`, of the caches and of `output` must be contiguous.
    output
        Attention of all rows over all keys without weights, ``(rows, H_q, D)``; replaced as in the reference, which
        does not use its former values.
    splits
        Number of programs that share the keys of a row, a power of 2 above 1.
    """
    if not len(tiles):
        return
    maximum, total = row_sums(query, key_cache, block_table, tiles, scale=scale, window=window, splits=splits)
    n_kv_heads = key_cache.shape[2]
    _join_kernel[(len(tiles), n_kv_heads)](
        output,
        maximum,
        total,
        query,
        key_cache,
        value_cache,
        block_table,
        tiles.table,
        table.spans,
        table.extra,
        table.first_span,
        weighs,
        scale * _LOG2_E,
        query.stride(0),
        query.stride(1),
        output.stride(0),
        output.stride(1),
        *key_cache.stride()[:3],
        *value_cache.stride()[:3],
        block_table.stride(0),
        query.shape[1],
        tiles.n_rows,
        WINDOW=window,
        SPLITS=len(maximum),
        num_warps=4,
        num_stages=2,
        **launch_sizes(query, key_cache, tiles),
    )
