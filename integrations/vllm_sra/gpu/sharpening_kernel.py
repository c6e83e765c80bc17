"""Triton kernel that multiplies query rows by their factors, in one pass over the keys of a paged cache.

The kernel computes the entropy of each row from three running values. With scores in base 2,
``s_j = scale * log2(e) * q . k_j``, these are the maximum score ``m``, the sum ``l = sum_j 2^(s_j - m)`` and the moment
``t = sum_j 2^(s_j - m) (s_j - m)``. The entropy is ``H = ln 2 * (log2 l - t / l)``. Both terms are non-negative, so
there is no cancellation. When the maximum increases from ``m`` to ``m'``::

    t' = 2^(m - m') * (t + (m - m') * l)        l' = 2^(m - m') * l

Each key is read once for all query heads that share it. Values are not read, and scores are not written to memory. The
factor is computed from the entropy (see `vllm_sra.gpu.factor_rules`), and the row is written multiplied by it.

If few rows attend to many keys (decoding), the keys are split among several programs, and a second kernel merges their
results by the same rule. The second kernel also processes rows whose settings do not depend on the entropy.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
import triton
import triton.language as tl

from vllm_sra.gpu.factor_rules import LINE_FIELDS
from vllm_sra.gpu.row_tiles import NO_WINDOW, TILE_FIELDS, RowTiles

__all__ = ["SPLITS", "launch_sizes", "row_sums", "sharpen", "splits_for"]

SPLITS = 16
"""Number of programs that share the keys of a row, if the keys are split."""

_KEYS_PER_STEP = 64
_MIN_KEYS_TO_SPLIT = 1024
_MIN_DOT_SIZE = 16  # minimum size of each dimension of a matrix product on tensor cores
_LOG2_E = math.log2(math.e)

# Constants that the kernels read. The columns of the tables have names instead of numbers.
_LN_2 = tl.constexpr(math.log(2))
_N_TILE_FIELDS = tl.constexpr(len(TILE_FIELDS))
_REQUEST = tl.constexpr(TILE_FIELDS.index("request"))
_FIRST_ROW = tl.constexpr(TILE_FIELDS.index("first_row"))
_N_ROWS = tl.constexpr(TILE_FIELDS.index("n_rows"))
_POSITION = tl.constexpr(TILE_FIELDS.index("position"))
_RESULT_ROW = tl.constexpr(TILE_FIELDS.index("result_row"))
_SETTINGS = tl.constexpr(TILE_FIELDS.index("settings"))
_N_LINE_FIELDS = tl.constexpr(len(LINE_FIELDS))
_CONSTANT = tl.constexpr(LINE_FIELDS.index("constant"))
_SLOPE = tl.constexpr(LINE_FIELDS.index("slope"))
_LOW = tl.constexpr(LINE_FIELDS.index("low"))
_HIGH = tl.constexpr(LINE_FIELDS.index("high"))


@triton.jit
def _factor(entropy, lines_ptr, alpha_ptr, settings, head, mask, position, n_heads, WINDOW: tl.constexpr):
    # The factors of rows at `position`, for query heads `head`; see `sharpen_reference`.
    line_ptr = lines_ptr + settings * _N_LINE_FIELDS
    constant = tl.load(line_ptr + _CONSTANT)
    slope = tl.load(line_ptr + _SLOPE)
    low = tl.load(line_ptr + _LOW)
    high = tl.load(line_ptr + _HIGH)
    n_visible = position + 1
    if WINDOW > 0:
        n_visible = tl.minimum(n_visible, WINDOW)
    upper = tl.where(high == float("inf"), tl.log(tl.maximum(n_visible, 2).to(tl.float32)), high)
    alpha = tl.load(alpha_ptr + settings * n_heads + head, mask=mask, other=0.0)
    return 1.0 + alpha * (constant + slope * ((entropy - low) / (upper - low)))


# n_results changes with every forward pass; do_not_specialize prevents a new compilation for its value.
@triton.jit(do_not_specialize=["n_results"])
def _sharpen_kernel(
    out_ptr,  # output rows, (rows, H_q, D)
    max_ptr,  # maximum m of each split, (SPLITS, n_results, H_q), float32; used only if SPLITS > 1
    sum_ptr,  # sum l of each split, like max_ptr
    moment_ptr,  # moment t of each split, like max_ptr
    query_ptr,  # query rows, (rows, H_q, D)
    key_ptr,  # key cache, (blocks, block_size, H_kv, D)
    block_table_ptr,  # cache blocks of each request, (requests, blocks), int32
    tiles_ptr,  # RowTiles.table, (tiles, TILE_FIELDS), int32
    lines_ptr,  # FactorRules.lines, (settings, LINE_FIELDS), float32
    alpha_ptr,  # strength of sharpening in this layer, (settings, H_q), float32
    scale,  # scale of the dot product, times log2(e)
    query_row_stride,
    query_head_stride,
    out_row_stride,
    out_head_stride,
    key_block_stride,
    key_slot_stride,
    key_head_stride,
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
    SPLITS: tl.constexpr,  # number of programs that share the keys of a row
    PRECISION: tl.constexpr,  # precision of the dot product of float32
    WIDEN: tl.constexpr,  # whether to convert bfloat16 to float32; only for Triton's interpreter
):
    tile = tl.program_id(0)
    kv_head = tl.program_id(1)
    split = tl.program_id(2)
    tile_ptr = tiles_ptr + tile * _N_TILE_FIELDS
    request = tl.load(tile_ptr + _REQUEST)
    first_row = tl.load(tile_ptr + _FIRST_ROW)
    n_rows = tl.load(tile_ptr + _N_ROWS)
    position = tl.load(tile_ptr + _POSITION)
    result_row = tl.load(tile_ptr + _RESULT_ROW)
    settings = tl.load(tile_ptr + _SETTINGS)

    # Rows and query heads that use the same keys form the rows of one matrix product.
    lane = tl.arange(0, ROWS)
    row = lane // GROUP
    head = kv_head * GROUP + lane % GROUP
    valid = row < n_rows
    dim = tl.arange(0, PADDED)
    in_head = dim < HEAD_SIZE
    query = tl.load(
        query_ptr
        + (first_row + row).to(tl.int64)[:, None] * query_row_stride
        + head[:, None] * query_head_stride
        + dim[None, :],
        mask=valid[:, None] & in_head[None, :],
        other=0.0,
    )
    if WIDEN:
        query = query.to(tl.float32)

    row_position = position + row
    end = position + n_rows
    begin = 0
    if WINDOW > 0:
        begin = tl.maximum(position - WINDOW + 1, 0) // KEYS * KEYS
    if SPLITS > 1:
        share = tl.cdiv(tl.cdiv(end - begin, KEYS), SPLITS) * KEYS
        begin = begin + split * share
        end = tl.minimum(end, begin + share)

    maximum = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    moment = tl.zeros([ROWS], tl.float32)
    for start in range(begin, end, KEYS):
        key_position = start + tl.arange(0, KEYS)
        in_range = key_position < end
        block = tl.load(
            block_table_ptr + request.to(tl.int64) * block_table_stride + key_position // BLOCK_SIZE,
            mask=in_range,
            other=0,
        ).to(tl.int64)
        keys = tl.load(
            key_ptr
            + block[None, :] * key_block_stride
            + (key_position % BLOCK_SIZE)[None, :] * key_slot_stride
            + kv_head * key_head_stride
            + dim[:, None],
            mask=in_head[:, None] & in_range[None, :],
            other=0.0,
        ).to(query_ptr.dtype.element_ty)
        if WIDEN:
            keys = keys.to(tl.float32)
        score = tl.dot(query, keys, input_precision=PRECISION) * scale
        visible = in_range[None, :] & (key_position[None, :] <= row_position[:, None])
        if WINDOW > 0:
            visible = visible & (key_position[None, :] > row_position[:, None] - WINDOW)
        score = tl.where(visible, score, float("-inf"))
        new_maximum = tl.maximum(maximum, tl.max(score, 1))
        # Rows without a visible key so far have a maximum of -inf. Avoid differences of -inf.
        base = tl.where(new_maximum == float("-inf"), 0.0, new_maximum)
        drop = tl.where(maximum == float("-inf"), 0.0, maximum - base)
        rescale = tl.where(maximum == float("-inf"), 0.0, tl.exp2(drop))
        shifted = tl.where(visible, score - base[:, None], 0.0)
        weight = tl.where(visible, tl.exp2(shifted), 0.0)
        moment = rescale * (moment + drop * total) + tl.sum(weight * shifted, 1)
        total = rescale * total + tl.sum(weight, 1)
        maximum = new_maximum

    if SPLITS == 1:
        total = tl.where(valid, total, 1.0)
        entropy = _LN_2 * (tl.log2(total) - moment / total)
        factor = _factor(entropy, lines_ptr, alpha_ptr, settings, head, valid, row_position, n_heads, WINDOW)
        tl.store(
            out_ptr
            + (first_row + row).to(tl.int64)[:, None] * out_row_stride
            + head[:, None] * out_head_stride
            + dim[None, :],
            (query.to(tl.float32) * factor[:, None]).to(out_ptr.dtype.element_ty),
            mask=valid[:, None] & in_head[None, :],
        )
    else:
        result_index = (result_row + row).to(tl.int64) * n_heads + head
        result_index += split.to(tl.int64) * n_results * n_heads
        tl.store(max_ptr + result_index, maximum, mask=valid)
        tl.store(sum_ptr + result_index, total, mask=valid)
        tl.store(moment_ptr + result_index, moment, mask=valid)


# Merges the results of `_sharpen_kernel` if the keys were split, and writes the rows. One program per row. Parameters
# with the same names mean the same as in `_sharpen_kernel`.
@triton.jit(do_not_specialize=["n_results"])
def _merge_kernel(
    out_ptr,
    max_ptr,
    sum_ptr,
    moment_ptr,
    query_ptr,
    tiles_ptr,
    lines_ptr,
    alpha_ptr,
    query_row_stride,
    query_head_stride,
    out_row_stride,
    out_head_stride,
    n_heads,
    n_results,
    HEADS: tl.constexpr,  # H_q, rounded up to a power of 2
    HEAD_SIZE: tl.constexpr,
    PADDED: tl.constexpr,
    WINDOW: tl.constexpr,
    SPLITS: tl.constexpr,  # 0 if the factor does not depend on the entropy
):
    tile = tl.program_id(0)
    row = tl.program_id(1)
    tile_ptr = tiles_ptr + tile * _N_TILE_FIELDS
    if row >= tl.load(tile_ptr + _N_ROWS):
        return
    head = tl.arange(0, HEADS)
    in_heads = head < n_heads
    entropy = tl.zeros([HEADS], tl.float32)
    if SPLITS > 0:
        result_index = (tl.load(tile_ptr + _RESULT_ROW) + row).to(tl.int64) * n_heads + head
        split = tl.arange(0, SPLITS).to(tl.int64)
        parts = split[:, None] * n_results * n_heads + result_index[None, :]
        maximum = tl.load(max_ptr + parts, mask=in_heads[None, :], other=0.0)
        total = tl.load(sum_ptr + parts, mask=in_heads[None, :], other=1.0)
        moment = tl.load(moment_ptr + parts, mask=in_heads[None, :], other=0.0)
        empty = maximum == float("-inf")
        drop = tl.where(empty, 0.0, maximum - tl.max(maximum, 0)[None, :])
        weight = tl.where(empty, 0.0, tl.exp2(drop))
        moment = tl.sum(weight * (moment + drop * total), 0)
        total = tl.sum(weight * total, 0)
        entropy = _LN_2 * (tl.log2(total) - moment / total)

    row_position = tl.load(tile_ptr + _POSITION) + row
    settings = tl.load(tile_ptr + _SETTINGS)
    factor = _factor(entropy, lines_ptr, alpha_ptr, settings, head, in_heads, row_position, n_heads, WINDOW)
    dim = tl.arange(0, PADDED)
    mask = in_heads[:, None] & (dim < HEAD_SIZE)[None, :]
    query_row = (tl.load(tile_ptr + _FIRST_ROW) + row).to(tl.int64)
    query = tl.load(
        query_ptr + query_row * query_row_stride + head[:, None] * query_head_stride + dim[None, :],
        mask=mask,
        other=0.0,
    )
    tl.store(
        out_ptr + query_row * out_row_stride + head[:, None] * out_head_stride + dim[None, :],
        (query.to(tl.float32) * factor[:, None]).to(out_ptr.dtype.element_ty),
        mask=mask,
    )


def sharpen(
    query: torch.Tensor,
    key_cache: torch.Tensor,
    block_table: torch.Tensor,
    tiles: RowTiles,
    *,
    scale: float,
    window: int,
    lines: torch.Tensor,
    alpha: torch.Tensor,
    out: torch.Tensor,
    splits: int | None = None,
) -> None:
    """Write query rows multiplied by their factors, like `vllm_sra.gpu.row_tiles.sharpen_reference`.

    Parameters
    ----------
    query, key_cache, block_table, tiles, scale, window, lines, alpha, out
        See the reference. The dtype is float32, bfloat16 or float16; sums are computed in float32. The last dimension
        of `query`, `key_cache` and `out` must be contiguous.
    splits
        Number of programs that share the keys of a row, a power of 2. By default `splits_for` selects it.
    """
    if not len(tiles):
        return
    if not tiles.needs_entropy:
        splits = 0
    elif splits is None:
        splits = splits_for(tiles, key_cache.shape[2], window, _processors(query.device))
    parts = [out] * 3  # not used
    if splits > 0:
        parts = _run(
            query, key_cache, block_table, tiles, scale=scale, window=window, splits=splits, out=out, lines=lines,
            alpha=alpha,
        )  # fmt: skip
    if splits != 1:
        n_heads, head_size = query.shape[1:]
        _merge_kernel[(len(tiles), tiles.rows_per_tile)](
            out,
            *parts,
            query,
            tiles.table,
            lines,
            alpha,
            query.stride(0),
            query.stride(1),
            out.stride(0),
            out.stride(1),
            n_heads,
            tiles.n_rows,
            HEADS=triton.next_power_of_2(n_heads),
            HEAD_SIZE=head_size,
            PADDED=_padded(head_size),
            WINDOW=window,
            SPLITS=splits,
            num_warps=4,
        )


def row_sums(
    query: torch.Tensor,
    key_cache: torch.Tensor,
    block_table: torch.Tensor,
    tiles: RowTiles,
    *,
    scale: float,
    window: int,
    splits: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the maximum ``m`` and the sum ``l`` of each row, in base 2, each for a part of its keys.

    Parameters
    ----------
    query, key_cache, block_table, tiles, scale, window
        See `sharpen`.
    splits
        Number of parts, a power of 2 above 1; one program computes a part. By default `splits_for` selects it.

    Returns
    -------
    maximum, total
        ``(splits, tiles.n_rows, H_q)``, float32, in the order of the tiles. The log-sum-exp of a part is
        ``(m + log2 l) / log2(e)``; a part without visible keys has ``m = -inf`` and ``l = 0``.
    """
    if splits is None:
        splits = max(2, splits_for(tiles, key_cache.shape[2], window, _processors(query.device)))
    # With several splits, only sums are written: the last three tensors are not used.
    maximum, total, _ = _run(
        query, key_cache, block_table, tiles, scale=scale, window=window, splits=splits, out=query, lines=query,
        alpha=query,
    )  # fmt: skip
    return maximum, total


def _run(
    query: torch.Tensor,
    key_cache: torch.Tensor,
    block_table: torch.Tensor,
    tiles: RowTiles,
    *,
    scale: float,
    window: int,
    splits: int,
    out: torch.Tensor,
    lines: torch.Tensor,
    alpha: torch.Tensor,
) -> list[torch.Tensor]:
    """Run `_sharpen_kernel`; return maximum, sum and moment of each split, which are written if there are several."""
    n_heads, n_kv_heads = query.shape[1], key_cache.shape[2]
    parts = [out] * 3  # not used
    if splits > 1:
        shape = (3, splits, tiles.n_rows, n_heads)
        parts = list(torch.empty(shape, dtype=torch.float32, device=query.device))
    _sharpen_kernel[(len(tiles), n_kv_heads, splits)](
        out,
        *parts,
        query,
        key_cache,
        block_table,
        tiles.table,
        lines,
        alpha,
        scale * _LOG2_E,
        query.stride(0),
        query.stride(1),
        out.stride(0),
        out.stride(1),
        key_cache.stride(0),
        key_cache.stride(1),
        key_cache.stride(2),
        block_table.stride(0),
        n_heads,
        tiles.n_rows,
        WINDOW=window,
        SPLITS=splits,
        num_warps=4,
        num_stages=2,
        **launch_sizes(query, key_cache, tiles),
    )
    return parts


def launch_sizes(query: torch.Tensor, key_cache: torch.Tensor, tiles: RowTiles) -> dict[str, Any]:
    """Return the compile-time parameters that kernels over the rows of tiles share; arguments as for `sharpen`."""
    n_heads, head_size = query.shape[1:]
    block_size, n_kv_heads = key_cache.shape[1:3]
    group, padded = n_heads // n_kv_heads, _padded(head_size)
    is_float32 = query.dtype == torch.float32
    return {
        "GROUP": group,
        "BLOCK_SIZE": block_size,
        "HEAD_SIZE": head_size,
        "PADDED": padded,
        "ROWS": max(triton.next_power_of_2(tiles.rows_per_tile * group), _MIN_DOT_SIZE),
        "KEYS": _KEYS_PER_STEP // 2 if is_float32 or padded > 256 else _KEYS_PER_STEP,
        "PRECISION": "ieee" if is_float32 else "tf32",
        # Triton's interpreter treats the bits of bfloat16 as integers in products.
        "WIDEN": triton.knobs.runtime.interpret and query.dtype == torch.bfloat16,
    }


def _padded(head_size: int) -> int:
    return max(triton.next_power_of_2(head_size), _MIN_DOT_SIZE)


def splits_for(tiles: RowTiles, n_kv_heads: int, window: int, n_processors: int) -> int:
    """Return the number of programs that share the keys of a row, so that all processors of the device have work.

    Parameters
    ----------
    tiles
        The rows.
    n_kv_heads
        Number of heads of the key cache.
    window
        See `vllm_sra.gpu.row_tiles.paged_entropy_reference`.
    n_processors
        Number of processors of the device, such as the streaming multiprocessors of a GPU.
    """
    keys = tiles.longest if window == NO_WINDOW else min(tiles.longest, window + tiles.rows_per_tile)
    idle = len(tiles) * n_kv_heads < n_processors
    return SPLITS if idle and keys >= _MIN_KEYS_TO_SPLIT else 1


@functools.cache
def _processors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1
