"""Rows times their factors, over a paged cache, in one pass over the keys; written in Triton.

With scores in base 2, ``s_j = scale * log2(e) * q . k_j``, three running numbers a row are enough for its entropy: the
greatest score ``m``, ``l = sum_j 2^(s_j - m)`` and ``t = sum_j 2^(s_j - m) (s_j - m)``. Then
``H = ln 2 * (log2 l - t / l)``, a sum of two numbers that are never negative, so nothing cancels. When the greatest
score grows from ``m`` to ``m'``::

    t' = 2^(m - m') * (t + (m - m') * l)        l' = 2^(m - m') * l

A key is read once for all query heads that share it; values are never read, and no score leaves the chip. The factor
follows from the entropy (`vllm_sra.gpu.factor_rules`), and the row, which is at hand already, is written multiplied by
it. Where few rows see many keys (decoding), the keys are split among several programs, and a second kernel puts their
numbers together by the same rule. It also serves rows whose settings look at no entropy.
"""

from __future__ import annotations

import functools

import torch
import triton
import triton.language as tl

from vllm_sra.gpu.row_tiles import NO_WINDOW, RowTiles

__all__ = ["SPLITS", "sharpen", "splits_for"]

SPLITS = 16
"""Programs among which the keys of a row are split where that is worth it."""

_KEYS_AT_ONCE = 64
_KEYS_WORTH_SPLITTING = 1024
_LEAST_ROWS = 16  # of a product of matrices on tensor cores


@triton.jit
def _factor(entropy, lines_ptr, alpha_ptr, settings, head, real, own, n_heads, WINDOW: tl.constexpr):
    constant = tl.load(lines_ptr + settings * 4)
    slope = tl.load(lines_ptr + settings * 4 + 1)
    low = tl.load(lines_ptr + settings * 4 + 2)
    high = tl.load(lines_ptr + settings * 4 + 3)
    seen = own + 1
    if WINDOW > 0:
        seen = tl.minimum(seen, WINDOW)
    top = tl.where(high == float("inf"), tl.log(tl.maximum(seen, 2).to(tl.float32)), high)
    alpha = tl.load(alpha_ptr + settings * n_heads + head, mask=real, other=0.0)
    return 1.0 + alpha * (constant + slope * ((entropy - low) / (top - low)))


# A number that differs from one forward pass to the next must not make a kernel of its own.
@triton.jit(do_not_specialize=["n_results"])
def _sharpen_kernel(
    out_ptr,
    max_ptr,
    sum_ptr,
    moment_ptr,
    query_ptr,
    key_ptr,
    block_table_ptr,
    tiles_ptr,
    lines_ptr,
    alpha_ptr,
    scale,
    query_row_stride,
    query_head_stride,
    out_row_stride,
    out_head_stride,
    key_block_stride,
    key_slot_stride,
    key_head_stride,
    block_table_stride,
    n_heads,
    n_results,
    GROUP: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    HEAD_SIZE: tl.constexpr,
    PADDED: tl.constexpr,
    ROWS: tl.constexpr,
    KEYS: tl.constexpr,
    WINDOW: tl.constexpr,
    SPLITS: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
):
    tile = tl.program_id(0)
    kv_head = tl.program_id(1)
    split = tl.program_id(2)
    request = tl.load(tiles_ptr + tile * 6)
    first = tl.load(tiles_ptr + tile * 6 + 1)
    n_rows = tl.load(tiles_ptr + tile * 6 + 2)
    position = tl.load(tiles_ptr + tile * 6 + 3)
    before = tl.load(tiles_ptr + tile * 6 + 4)
    settings = tl.load(tiles_ptr + tile * 6 + 5)

    # Query rows and heads that share keys lie side by side: one product serves them all.
    lane = tl.arange(0, ROWS)
    row = lane // GROUP
    head = kv_head * GROUP + lane % GROUP
    wanted = row < n_rows
    number = tl.arange(0, PADDED)
    real = number < HEAD_SIZE
    query = tl.load(
        query_ptr
        + (first + row).to(tl.int64)[:, None] * query_row_stride
        + head[:, None] * query_head_stride
        + number[None, :],
        mask=wanted[:, None] & real[None, :],
        other=0.0,
    )
    if WIDEN:
        query = query.to(tl.float32)

    own = position + row
    end = position + n_rows
    begin = 0
    if WINDOW > 0:
        begin = tl.maximum(position - WINDOW + 1, 0) // KEYS * KEYS
    if SPLITS > 1:
        share = tl.cdiv(tl.cdiv(end - begin, KEYS), SPLITS) * KEYS
        begin = begin + split * share
        end = tl.minimum(end, begin + share)

    greatest = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    moment = tl.zeros([ROWS], tl.float32)
    for start in range(begin, end, KEYS):
        place = start + tl.arange(0, KEYS)
        inside = place < end
        block = tl.load(
            block_table_ptr + request.to(tl.int64) * block_table_stride + place // BLOCK_SIZE, mask=inside, other=0
        ).to(tl.int64)
        keys = tl.load(
            key_ptr
            + block[None, :] * key_block_stride
            + (place % BLOCK_SIZE)[None, :] * key_slot_stride
            + kv_head * key_head_stride
            + number[:, None],
            mask=real[:, None] & inside[None, :],
            other=0.0,
        ).to(query_ptr.dtype.element_ty)
        if WIDEN:
            keys = keys.to(tl.float32)
        score = tl.dot(query, keys, input_precision=PRECISION) * scale
        seen = inside[None, :] & (place[None, :] <= own[:, None])
        if WINDOW > 0:
            seen = seen & (place[None, :] > own[:, None] - WINDOW)
        score = tl.where(seen, score, float("-inf"))
        higher = tl.maximum(greatest, tl.max(score, 1))
        # Rows that have seen no key yet keep -inf out of the differences below.
        base = tl.where(higher == float("-inf"), 0.0, higher)
        drop = tl.where(greatest == float("-inf"), 0.0, greatest - base)
        factor = tl.where(greatest == float("-inf"), 0.0, tl.exp2(drop))
        shifted = tl.where(seen, score - base[:, None], 0.0)
        weight = tl.where(seen, tl.exp2(shifted), 0.0)
        moment = factor * (moment + drop * total) + tl.sum(weight * shifted, 1)
        total = factor * total + tl.sum(weight, 1)
        greatest = higher

    if SPLITS == 1:
        total = tl.where(wanted, total, 1.0)
        entropy = 0.6931471805599453 * (tl.log2(total) - moment / total)
        factor = _factor(entropy, lines_ptr, alpha_ptr, settings, head, wanted, own, n_heads, WINDOW)
        tl.store(
            out_ptr
            + (first + row).to(tl.int64)[:, None] * out_row_stride
            + head[:, None] * out_head_stride
            + number[None, :],
            (query.to(tl.float32) * factor[:, None]).to(out_ptr.dtype.element_ty),
            mask=wanted[:, None] & real[None, :],
        )
    else:
        place_out = (before + row).to(tl.int64) * n_heads + head
        place_out += split.to(tl.int64) * n_results * n_heads
        tl.store(max_ptr + place_out, greatest, mask=wanted)
        tl.store(sum_ptr + place_out, total, mask=wanted)
        tl.store(moment_ptr + place_out, moment, mask=wanted)


@triton.jit(do_not_specialize=["n_results"])
def _join_kernel(
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
    HEADS: tl.constexpr,
    HEAD_SIZE: tl.constexpr,
    PADDED: tl.constexpr,
    WINDOW: tl.constexpr,
    SPLITS: tl.constexpr,
):
    tile = tl.program_id(0)
    row = tl.program_id(1)
    if row >= tl.load(tiles_ptr + tile * 6 + 2):
        return
    head = tl.arange(0, HEADS)
    real = head < n_heads
    entropy = tl.zeros([HEADS], tl.float32)
    if SPLITS > 0:
        place = (tl.load(tiles_ptr + tile * 6 + 4) + row).to(tl.int64) * n_heads + head
        split = tl.arange(0, SPLITS).to(tl.int64)
        parts = split[:, None] * n_results * n_heads + place[None, :]
        greatest = tl.load(max_ptr + parts, mask=real[None, :], other=0.0)
        total = tl.load(sum_ptr + parts, mask=real[None, :], other=1.0)
        moment = tl.load(moment_ptr + parts, mask=real[None, :], other=0.0)
        empty = greatest == float("-inf")
        drop = tl.where(empty, 0.0, greatest - tl.max(greatest, 0)[None, :])
        weight = tl.where(empty, 0.0, tl.exp2(drop))
        moment = tl.sum(weight * (moment + drop * total), 0)
        total = tl.sum(weight * total, 0)
        entropy = 0.6931471805599453 * (tl.log2(total) - moment / total)

    own = tl.load(tiles_ptr + tile * 6 + 3) + row
    settings = tl.load(tiles_ptr + tile * 6 + 5)
    factor = _factor(entropy, lines_ptr, alpha_ptr, settings, head, real, own, n_heads, WINDOW)
    number = tl.arange(0, PADDED)
    mask = real[:, None] & (number < HEAD_SIZE)[None, :]
    at = (tl.load(tiles_ptr + tile * 6 + 1) + row).to(tl.int64)
    query = tl.load(
        query_ptr + at * query_row_stride + head[:, None] * query_head_stride + number[None, :], mask=mask, other=0.0
    )
    tl.store(
        out_ptr + at * out_row_stride + head[:, None] * out_head_stride + number[None, :],
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
    """Write query rows times their factors: `vllm_sra.gpu.row_tiles.sharpen_reference` in one pass over the keys.

    Parameters
    ----------
    query, key_cache, block_table, tiles, scale, window, lines, alpha, out
        As for the reference, in float32, bfloat16 or float16; sums are kept in float32. The numbers of a head lie
        together in `query`, `key_cache` and `out`.
    splits
        Programs that share the keys of a row, a power of 2; by default as `splits_for` says for the device.
    """
    if not len(tiles):
        return
    n_heads, head_size = query.shape[1:]
    block_size, n_kv_heads = key_cache.shape[1:3]
    group = n_heads // n_kv_heads
    padded = max(triton.next_power_of_2(head_size), _LEAST_ROWS)
    strides = (query.stride(0), query.stride(1), out.stride(0), out.stride(1))
    if not tiles.needs_entropy:
        splits = 0
    elif splits is None:
        splits = splits_for(tiles, n_kv_heads, window, _processors(query.device))
    parts = [out] * 3  # which nobody looks at
    if splits > 1:
        shape = (3, splits, tiles.n_rows, n_heads)
        parts = list(torch.empty(shape, dtype=torch.float32, device=out.device))
    if splits > 0:
        whole = query.dtype == torch.float32
        _sharpen_kernel[(len(tiles), n_kv_heads, splits)](
            out,
            *parts,
            query,
            key_cache,
            block_table,
            tiles.table,
            lines,
            alpha,
            scale * 1.4426950408889634,
            *strides,
            key_cache.stride(0),
            key_cache.stride(1),
            key_cache.stride(2),
            block_table.stride(0),
            n_heads,
            tiles.n_rows,
            GROUP=group,
            BLOCK_SIZE=block_size,
            HEAD_SIZE=head_size,
            PADDED=padded,
            ROWS=max(triton.next_power_of_2(tiles.rows_per_tile * group), _LEAST_ROWS),
            KEYS=_KEYS_AT_ONCE // 2 if whole or padded > 256 else _KEYS_AT_ONCE,
            WINDOW=window,
            SPLITS=splits,
            PRECISION="ieee" if whole else "tf32",
            # Triton's interpreter multiplies the bits of bfloat16 as if they were whole numbers.
            WIDEN=triton.knobs.runtime.interpret and query.dtype == torch.bfloat16,
            num_warps=4,
            num_stages=2,
        )
    if splits != 1:
        _join_kernel[(len(tiles), tiles.rows_per_tile)](
            out,
            *parts,
            query,
            tiles.table,
            lines,
            alpha,
            *strides,
            n_heads,
            tiles.n_rows,
            HEADS=triton.next_power_of_2(n_heads),
            HEAD_SIZE=head_size,
            PADDED=padded,
            WINDOW=window,
            SPLITS=splits,
            num_warps=4,
        )


def splits_for(tiles: RowTiles, n_kv_heads: int, window: int, n_processors: int) -> int:
    """Say among how many programs the keys of a row are to be split, so that a device has work everywhere.

    Parameters
    ----------
    tiles
        The rows.
    n_kv_heads
        Of the key cache.
    window
        As for `paged_entropy`.
    n_processors
        Of the device, such as the streaming multiprocessors of a GPU.
    """
    keys = tiles.longest if window == NO_WINDOW else min(tiles.longest, window + tiles.rows_per_tile)
    idle = len(tiles) * n_kv_heads < n_processors
    return SPLITS if idle and keys >= _KEYS_WORTH_SPLITTING else 1


@functools.cache
def _processors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1
