"""The kernel of evidence agrees with the reference: dtypes, groups of heads, head sizes, windows, splits, weights."""

import dataclasses

import pytest
import torch
from vllm_sra.gpu.row_tiles import NO_WINDOW
from vllm_sra.gpu.sharpening_kernel import SPLITS, row_sums
from vllm_sra.gpu.weighed_rows import evidence_table, weigh_reference
from vllm_sra.gpu.weighing_kernel import weigh

from sra_rag.attention.evidence import TO_END, Evidence
from tests.vllm_sra.gpu.test_sharpening_kernel import LENGTHS, ROWS, batch


def evidences(heads, first=3.0, second=(2.0, 17.0)):
    """Return the evidence of the settings 0 and 1 of `batch`; the second one is for some heads only."""
    some = [(0, head) for head in range(0, heads, 2)]
    return (
        Evidence([[(2, 19)]], [0], weight=first, heads=None, n_layers=1, n_heads=heads),
        Evidence([[(0, 1), (3, 40)]], [0], weight=[list(second)], heads=some, n_layers=1, n_heads=heads),
    )


def with_values(arguments):
    """Return query, keys, values, block table and tiles of a batch."""
    query, keys, table, tiles = arguments
    values = torch.randn(keys.shape).to(query.device, query.dtype)
    return query, keys, values, table, tiles


def both(arguments, window=NO_WINDOW, splits=None, given=None):
    """Return the rows by the kernel and by the reference, in float32, and what they were before."""
    query = arguments[0]
    scale, heads = query.shape[-1] ** -0.5, query.shape[1]
    table = evidence_table(evidences(heads) if given is None else given, 1, query.device)
    places = {"scale": scale, "window": window, "weighs": table.weighs[0]}
    # Attention without weights: the same table without spans.
    none = dataclasses.replace(table, first_span=torch.zeros_like(table.first_span))
    plain = torch.full(query.shape, 7.0, device=query.device)
    weigh_reference(*arguments, **places | {"weighs": torch.ones_like(table.weighs[0])}, table=none, output=plain)
    actual, expected = plain.clone(), plain.clone()
    weigh(*arguments, **places, table=table, output=actual, splits=splits)
    weigh_reference(*arguments, **places, table=table, output=expected)
    return actual, expected, plain


@pytest.mark.parametrize(
    ("dtype", "heads", "kv_heads", "head_size", "block_size", "rows_per_tile", "window", "splits"),
    [
        (torch.float32, 4, 2, 64, 16, 8, NO_WINDOW, 2),
        (torch.bfloat16, 4, 2, 64, 16, 8, NO_WINDOW, 2),
        (torch.float16, 4, 2, 64, 16, 8, NO_WINDOW, 2),
        (torch.float32, 7, 1, 80, 32, 2, NO_WINDOW, 2),  # neither heads nor head size a power of 2
        (torch.float32, 2, 2, 8, 16, 16, 9, 2),  # a window that hides some or all of the evidence
        (torch.bfloat16, 2, 1, 32, 16, 8, 33, 2),
        (torch.float32, 3, 1, 24, 16, 5, NO_WINDOW, SPLITS),  # most splits are empty
        (torch.float32, 2, 1, 32, 16, 8, 4000, None),
    ],
)
def test_the_kernel_agrees_with_the_reference(
    device, dtype, heads, kv_heads, head_size, block_size, rows_per_tile, window, splits
):
    arguments = with_values(batch(device, dtype, heads, kv_heads, head_size, block_size, rows_per_tile))
    actual, expected, plain = both(arguments, window, splits)
    # Products of the weights of a half-precision dtype and values are rounded to it, as in attention kernels.
    rounding = {torch.float32: 2e-5, torch.bfloat16: 2**-6, torch.float16: 2**-9}[dtype]
    torch.testing.assert_close(actual, expected, atol=rounding, rtol=rounding)
    assert (expected - plain).abs().max() > 0.1
    n = arguments[-1].n_rows
    assert torch.equal(actual[n:], plain[n:])  # rows without a request
    second = slice(ROWS[0] + ROWS[1], ROWS[0] + ROWS[1] + ROWS[2])  # settings 1: only even heads weigh
    assert torch.equal(actual[second, 1::2], plain[second, 1::2])


def test_the_output_has_the_dtype_of_the_query(device):
    arguments = with_values(batch(device, torch.bfloat16, 4, 2, 32, 16, 8))
    query = arguments[0]
    _, expected, plain = both(arguments)
    wide = torch.empty(len(query), 4, 96, dtype=torch.bfloat16, device=device)  # a slice, with other strides
    wide[..., :32] = query
    table = evidence_table(evidences(4), 1, device)
    actual = plain.to(torch.bfloat16)
    places = {"scale": 32**-0.5, "window": NO_WINDOW, "table": table, "weighs": table.weighs[0]}
    weigh(wide[..., :32], *arguments[1:], **places, output=actual)
    n = arguments[-1].n_rows
    torch.testing.assert_close(actual[:n].float(), expected[:n], atol=2**-6, rtol=2**-6)


@pytest.mark.parametrize(("first", "second"), [(1e30, (2.0, 1e30)), (1 + 1e-6, (1.001, 1e-3 + 1))])
def test_very_large_and_very_small_weights(device, first, second):
    arguments = with_values(batch(device, torch.float32, 2, 1, 32, 16, 8))
    actual, expected, plain = both(arguments, given=evidences(2, first, second))
    assert actual.isfinite().all()
    torch.testing.assert_close(actual, expected, atol=2e-5, rtol=2e-5)
    assert torch.allclose(actual, plain, atol=1e-2) == (first < 2)


def test_spans_that_go_on_to_the_end(device):
    arguments = with_values(batch(device, torch.float32, 2, 1, 32, 16, 8))
    given = tuple(
        Evidence([[(0, 3), (10, TO_END)]], [0], weight=[weights], heads=None, n_layers=1, n_heads=2)
        for weights in ([16.0, 16.0], [2.0, 9.0])
    )
    actual, expected, plain = both(arguments, given=given)
    torch.testing.assert_close(actual, expected, atol=2e-5, rtol=2e-5)
    assert not torch.allclose(actual, plain, atol=1e-2)


def test_large_scores_do_not_overflow(device):
    arguments = with_values(batch(device, torch.float32, 2, 1, 32, 16, 8, lengths=[70], rows=[3]))
    arguments[1][..., 0] += 1000  # nearly the same for all keys
    arguments[0][..., 0] = 4
    actual, expected, _ = both(arguments)
    torch.testing.assert_close(actual, expected, atol=5e-3, rtol=5e-3)


def test_only_keys_and_values_of_the_request_are_read(device):
    arguments = with_values(batch(device, torch.float32, 2, 1, 32, 16, 8))
    keys, values, table = arguments[1:4]
    used = {int(block) for request, n in enumerate(LENGTHS) for block in table[request, : -(-n // 16)]}
    first, *_ = both(arguments)
    for cache in (keys, values):
        for request, n in enumerate(LENGTHS):
            cache[table[request, (n - 1) // 16], (n - 1) % 16 + 1 :] = float("nan")
        for block in set(range(cache.shape[0])) - used:
            cache[block] = float("nan")
    again = both(arguments)[0]
    assert torch.equal(first, again)


def test_the_sums_of_the_parts_give_the_log_sum_exp(device):
    arguments = batch(device, torch.float32, 2, 1, 32, 16, 8)
    query, keys, table, tiles = arguments
    maximum, total = row_sums(*arguments, scale=32**-0.5, window=NO_WINDOW, splits=4)
    actual = ((maximum.double() + total.double().log2()) / 1.4426950408889634).logsumexp(0)
    start = 0
    for request, (length, count) in enumerate(zip(LENGTHS, ROWS, strict=True)):
        blocks = table[request, : -(-length // 16)].long()
        own = keys[blocks].flatten(0, 1)[:length, 0].double()
        scores = torch.einsum("rhd,kd->rhk", query[start : start + count].double(), own) * 32**-0.5
        hidden = torch.ones(count, length, dtype=torch.bool, device=device).triu(length - count + 1)
        expected = scores.masked_fill(hidden[:, None], float("-inf")).logsumexp(-1)
        torch.testing.assert_close(actual[start : start + count], expected, atol=1e-5, rtol=1e-5)
        start += count
    assert start == tiles.n_rows
