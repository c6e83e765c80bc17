"""The kernel agrees with the reference: dtypes, groups of heads, head sizes, windows, splits, chunks, blocks."""

import dataclasses

import pytest
import torch
from vllm_sra.gpu.factor_rules import factor_rules
from vllm_sra.gpu.row_tiles import NO_WINDOW, RowTiles, paged_entropy_reference, sharpen_reference
from vllm_sra.gpu.sharpening_kernel import SPLITS, sharpen, splits_for

from sra_rag import SRAConfig

# Decoding; a chunk after cached keys; a prefill; a single key. One block of the cache is not used.
LENGTHS, ROWS = [90, 37, 20, 1], [1, 9, 20, 1]
SETTINGS = [1, 0, 1, 0]  # of each request


def batch(device, dtype, heads, kv_heads, head_size, block_size, rows_per_tile, lengths=LENGTHS, rows=ROWS):
    needed = [-(-n // block_size) for n in lengths]
    order = torch.randperm(sum(needed) + 1)[1:].split(needed)
    table = torch.zeros(len(lengths), max(needed), dtype=torch.int32)
    for request, blocks in enumerate(order):
        table[request, : len(blocks)] = blocks
    # Keys and values next to each other, heads before slots, as in vLLM.
    cache = torch.randn(sum(needed) + 1, kv_heads, block_size, 2 * head_size).mul_(1.5).to(dtype)
    query = torch.randn(sum(rows) + 2, heads, head_size).mul_(1.5).to(dtype)
    tiles, start, before = [], 0, 0
    for request, (length, count) in enumerate(zip(lengths, rows, strict=True)):
        for first in range(0, count, rows_per_tile):
            n = min(rows_per_tile, count - first)
            tiles.append([request, start + first, n, length - count + first, before, SETTINGS[request]])
            before += n
        start += count
    row_tiles = RowTiles(torch.tensor(tiles, dtype=torch.int32, device=device), rows_per_tile, before, max(lengths))
    keys = cache.to(device).transpose(1, 2)[..., :head_size]
    return query.to(device), keys, table.to(device), row_tiles


def options(query, window=NO_WINDOW):
    device, heads, head_size = query.device, *query.shape[1:]
    configs = (SRAConfig(alpha=0.8), SRAConfig(alpha=0.6, policy="focus", bounds=(0.25, 4.5)))
    lines = factor_rules(configs, 1, heads, None, device).lines
    alpha = torch.linspace(0, 1, 2 * heads, device=device).view(2, heads)
    return {"scale": head_size**-0.5, "window": window, "lines": lines, "alpha": alpha}


def both(arguments, window=NO_WINDOW, splits=None):
    """Return the outputs of the kernel and the reference, in float32 so that rounding does not hide differences."""
    query = arguments[0]
    actual, expected = (torch.full(query.shape, float("nan"), device=query.device) for _ in range(2))
    sharpen(*arguments, **options(query, window), out=actual, splits=splits)
    sharpen_reference(*arguments, **options(query, window), out=expected)
    return actual, expected


@pytest.mark.parametrize(
    ("dtype", "heads", "kv_heads", "head_size", "block_size", "rows_per_tile", "window", "splits"),
    [
        (torch.float32, 4, 2, 64, 16, 8, NO_WINDOW, 1),
        (torch.bfloat16, 4, 2, 64, 16, 8, NO_WINDOW, 1),
        (torch.float16, 4, 2, 64, 16, 8, NO_WINDOW, 1),
        (torch.float32, 7, 1, 80, 32, 2, NO_WINDOW, 1),  # neither heads nor head size a power of 2
        (torch.float32, 2, 2, 8, 16, 16, 9, 1),  # windows shorter and longer than a block, and than a prompt
        (torch.bfloat16, 2, 1, 32, 16, 8, 33, 1),
        (torch.float32, 2, 1, 32, 16, 8, 4000, 1),
        (torch.float32, 3, 1, 24, 16, 5, NO_WINDOW, SPLITS),  # most splits are empty
        (torch.bfloat16, 2, 1, 32, 16, 8, 40, 2),
    ],
)
def test_the_kernel_agrees_with_the_reference(
    device, dtype, heads, kv_heads, head_size, block_size, rows_per_tile, window, splits
):
    arguments = batch(device, dtype, heads, kv_heads, head_size, block_size, rows_per_tile)
    query, tiles = arguments[0], arguments[-1]
    entropy = paged_entropy_reference(*arguments, scale=head_size**-0.5, window=window)
    assert entropy.max() > 1
    assert entropy[-1].abs().max() < 1e-6  # the row with one key
    actual, expected = both(arguments, window, splits)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5, equal_nan=True)
    torch.testing.assert_close(actual[tiles.n_rows - 1], query[tiles.n_rows - 1].float())
    assert actual[tiles.n_rows :].isnan().all()  # rows without a request
    assert not actual[: tiles.n_rows].isnan().any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("splits", [1, 2])
def test_the_output_has_the_dtype_of_the_query(device, dtype, splits):
    arguments = batch(device, dtype, 4, 2, 32, 16, 8)
    query = arguments[0]
    # A slice of a tensor with queries, keys and values, as in vLLM; the output has other strides.
    wide = torch.empty(len(query), 4, 96, dtype=dtype, device=device)
    wide[..., :32] = query
    actual = query.clone()
    sharpen(wide[..., :32], *arguments[1:], **options(query), out=actual, splits=splits)
    _, expected = both(arguments)
    rounding = {torch.float32: 1e-5, torch.bfloat16: 2**-7}[dtype]
    n = arguments[-1].n_rows
    torch.testing.assert_close(actual[:n].float(), expected[:n], atol=1e-5, rtol=rounding)
    assert torch.equal(actual[n:], query[n:])


def test_settings_that_do_not_need_entropy(device):
    query, keys, table, tiles = batch(device, torch.float32, 6, 2, 24, 16, 5)
    without_entropy = dataclasses.replace(tiles, needs_entropy=False)
    lines = factor_rules((SRAConfig(alpha=0.1, policy="constant"),), 1, 6, None, device).lines.repeat(2, 1)
    arguments = options(query) | {"lines": lines}
    actual = query.clone()
    sharpen(query, torch.full_like(keys, float("nan")), table, without_entropy, **arguments, out=actual)
    settings = torch.tensor(SETTINGS, device=device).repeat_interleave(torch.tensor(ROWS, device=device))
    expected = query.clone()
    expected[: tiles.n_rows] *= 1 + arguments["alpha"][settings][..., None]
    torch.testing.assert_close(actual, expected)


def test_large_scores_do_not_lose_precision(device):
    query, keys, *rest = batch(device, torch.float32, 2, 1, 32, 16, 8, lengths=[70], rows=[3])
    keys[..., 0] += 1000  # nearly the same for all keys, so the entropies do not change
    query[..., 0] = 4
    assert paged_entropy_reference(query, keys, *rest, scale=32**-0.5, window=NO_WINDOW).min() > 0.1
    actual, expected = both((query, keys, *rest), splits=1)
    torch.testing.assert_close(actual, expected, atol=2e-3, rtol=1e-3, equal_nan=True)


def test_later_keys_and_keys_of_other_requests_are_not_read(device):
    arguments = batch(device, torch.float32, 2, 1, 32, 16, 8)
    query, keys, table, tiles = arguments
    first, expected = both(arguments, splits=1)
    used = {int(b) for request, n in enumerate(LENGTHS) for b in table[request, : -(-n // 16)]}
    for request, n in enumerate(LENGTHS):
        keys[table[request, (n - 1) // 16], (n - 1) % 16 + 1 :] = float("nan")
    for block in set(range(keys.shape[0])) - used:
        keys[block] = float("nan")
    again = torch.full_like(first, float("nan"))
    sharpen(query, keys, table, tiles, **options(query), out=again, splits=1)
    assert torch.equal(first[: tiles.n_rows], again[: tiles.n_rows])
    torch.testing.assert_close(first, expected, atol=1e-5, rtol=1e-5, equal_nan=True)


def test_keys_are_split_if_few_rows_attend_to_many():
    def tiles(n, longest):
        return RowTiles(torch.zeros(n, 6, dtype=torch.int32), 4, n, longest)

    assert splits_for(tiles(8, 4096), 8, NO_WINDOW, 132) == SPLITS
    assert splits_for(tiles(64, 4096), 8, NO_WINDOW, 132) == 1
    assert splits_for(tiles(8, 500), 8, NO_WINDOW, 132) == 1
    assert splits_for(tiles(8, 4096), 8, 512, 132) == 1
