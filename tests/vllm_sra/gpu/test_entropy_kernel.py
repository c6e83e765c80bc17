"""The kernel says what the reference says: data types, groups of heads, head sizes, windows, splits, chunks, blocks."""

import pytest
import torch
from vllm_sra.entropy_kernel import SPLITS, paged_entropy, splits_for
from vllm_sra.paged_entropy import NO_WINDOW, RowTiles, paged_entropy_reference

# Decoding; a chunk behind cached keys; a prefill; a single key. One block of the cache belongs to nobody.
LENGTHS, ROWS = [90, 37, 20, 1], [1, 9, 20, 1]


def batch(device, dtype, heads, kv_heads, head_size, block_size, rows_per_tile, lengths=LENGTHS, rows=ROWS):
    needed = [-(-n // block_size) for n in lengths]
    order = torch.randperm(sum(needed) + 1)[1:].split(needed)
    table = torch.zeros(len(lengths), max(needed), dtype=torch.int32)
    for request, blocks in enumerate(order):
        table[request, : len(blocks)] = blocks
    # Keys and values side by side, heads before slots: as vLLM has them.
    cache = torch.randn(sum(needed) + 1, kv_heads, block_size, 2 * head_size).mul_(1.5).to(dtype)
    query = torch.randn(sum(rows) + 2, heads, head_size).mul_(1.5).to(dtype)
    tiles, start, result = [], 0, 0
    for request, (length, count) in enumerate(zip(lengths, rows, strict=True)):
        for first in range(0, count, rows_per_tile):
            n = min(rows_per_tile, count - first)
            tiles.append([request, start + first, n, length - count + first, result])
            result += n
        start += count
    laid = RowTiles(torch.tensor(tiles, dtype=torch.int32, device=device), rows_per_tile, max(lengths))
    keys = cache.to(device).transpose(1, 2)[..., :head_size]
    return (query.to(device), keys, table.to(device), laid), torch.full((result, heads), float("nan"), device=device)


def both(arguments, out, window, splits, head_size):
    options = {"scale": head_size**-0.5, "window": window}
    paged_entropy_reference(*arguments, **options, out=out)
    found = torch.full_like(out, float("nan"))
    paged_entropy(*arguments, **options, out=found, splits=splits)
    return found, out


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
        (torch.float32, 3, 1, 24, 16, 5, NO_WINDOW, SPLITS),  # most splits are empty here
        (torch.bfloat16, 2, 1, 32, 16, 8, 40, 2),
    ],
)
def test_it_agrees_with_the_reference(
    device, dtype, heads, kv_heads, head_size, block_size, rows_per_tile, window, splits
):
    arguments, out = batch(device, dtype, heads, kv_heads, head_size, block_size, rows_per_tile)
    found, wanted = both(arguments, out, window, splits, head_size)
    assert wanted.max() > 1
    assert wanted[-1].abs().max() < 1e-6  # the row with one key
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_scores_far_from_nought_lose_nothing(device):
    arguments, out = batch(device, torch.float32, 2, 1, 32, 16, 8, lengths=[70], rows=[3])
    query, keys, *rest = arguments
    keys[..., 0] += 1000  # nearly the same for all keys: entropies stay where they are
    query[..., 0] = 4
    found, wanted = both((query, keys, *rest), out, NO_WINDOW, 1, 32)
    assert wanted.min() > 0.1
    torch.testing.assert_close(found, wanted, atol=2e-3, rtol=1e-3)


def test_no_key_behind_a_row_or_beyond_its_request_is_looked_at(device):
    arguments, out = batch(device, torch.float32, 2, 1, 32, 16, 8)
    query, keys, table, tiles = arguments
    first, wanted = both(arguments, out.clone(), NO_WINDOW, 1, 32)
    used = {int(b) for request, n in enumerate(LENGTHS) for b in table[request, : -(-n // 16)]}
    for request, n in enumerate(LENGTHS):
        keys[table[request, (n - 1) // 16], (n - 1) % 16 + 1 :] = float("nan")
    for block in set(range(keys.shape[0])) - used:
        keys[block] = float("nan")
    again = torch.empty_like(out)
    paged_entropy(query, keys, table, tiles, scale=32**-0.5, window=NO_WINDOW, out=again, splits=1)
    assert torch.equal(first, again)
    torch.testing.assert_close(first, wanted, atol=1e-5, rtol=1e-5)


def test_keys_are_split_where_few_rows_see_many():
    def tiles(n, longest):
        return RowTiles(torch.zeros(n, 5, dtype=torch.int32), 4, longest)

    assert splits_for(tiles(8, 4096), 8, NO_WINDOW, 132) == SPLITS
    assert splits_for(tiles(64, 4096), 8, NO_WINDOW, 132) == 1
    assert splits_for(tiles(8, 500), 8, NO_WINDOW, 132) == 1
    assert splits_for(tiles(8, 4096), 8, 512, 132) == 1
