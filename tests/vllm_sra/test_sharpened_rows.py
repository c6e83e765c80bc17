"""Rows arranged in tiles get the same factors as from `scaled_query` for each request. Needs no vLLM."""

import pytest
import torch
from vllm_sra.gpu.factor_rules import factor_rules, line
from vllm_sra.gpu.row_tiles import NO_WINDOW, paged_entropy_reference, sharpen_reference
from vllm_sra.gpu.sharpened_rows import SharpenedRows
from vllm_sra.plugin.batch import HeadShare, sharpened_spans

from sra_rag import SRAConfig
from sra_rag.attention.entropy import entropy_from_scores
from sra_rag.errors import ConfigError
from sra_rag.policies import POLICIES, EntropyPolicy
from tests.vllm_sra.test_batch import BLOCK, GROUPS, HEADS, LAYERS, SCALE, WHOLE, Batch, D

MAX_BLOCKS = 16  # blocks per request


def caches(batch):
    """Write keys and values of a batch to scattered blocks; return the key cache, the value cache and the table."""
    torch.manual_seed(1)
    order = torch.randperm(len(batch.keys) * MAX_BLOCKS)
    blocks = torch.randn(len(order), HEADS // GROUPS, BLOCK, 2 * D)  # keys and values next to each other, as in vLLM
    halves = blocks.transpose(1, 2).split(D, dim=-1)
    table = order.view(-1, MAX_BLOCKS).to(torch.int32)
    for half, parts in zip(halves, (batch.keys, batch.values), strict=True):
        for index, part in enumerate(parts):
            for n in range(part.shape[2]):
                half[table[index, n // BLOCK], n % BLOCK] = part[0, :, n]
    return *halves, table


def cache(batch):
    """Return the key cache and the block table of a batch."""
    key_cache, _, table = caches(batch)
    return key_cache, table


def rows(batch, share=WHOLE):
    spans = sharpened_spans(batch.entries, share, batch.starts, batch.lengths, batch.blocks)
    return SharpenedRows(spans, GROUPS, torch.device("cpu"), sharpen_reference)


def scaled(batch, share=WHOLE, window=None, layer=1):
    key_cache, table = cache(batch)
    heads = slice(share.first_head // GROUPS, share.last_head // GROUPS)
    query = batch.query[:, share.first_head : share.last_head]
    return rows(batch, share).scaled(
        query, key_cache[:, :, heads], table, layer=layer, scale=SCALE, window=window or NO_WINDOW
    )


AFTER = {"sra": "alpha=0.3,rows=after_context", "sra_context_length": 16}
BATCHES = {
    # Decoding; a chunk after cached keys, across the end of the context; no settings; a prefill longer than a tile.
    "mixed": ([30, 21, 17, 50], [1, 9, 5, 50], {0: ({"sra": 0.4}, 25), 1: (AFTER, 21), 3: ({"sra": 0.4}, 50)}),
    "policies": (
        [20, 12, 33, 9, 14],
        [4, 12, 1, 9, 3],
        {
            0: ({"sra": "alpha=0.3,policy=focus"}, 20),
            1: ({"sra": "alpha=0.3,policy=constant"}, 12),
            2: ({"sra": "alpha=0.3,bounds=0,4.5"}, 30),
            3: ({"sra": "alpha=0.3,policy=constant"}, 9),
            4: ({"sra": "alpha=0.3,rows=generated"}, 12),
        },
    ),
    "constant": ([9, 14], [9, 2], {1: ({"sra": "alpha=0.2,policy=constant"}, 12)}),
    "layers": ([20, 12], [20, 12], {0: ({"sra": "alpha=0.3,layers=1"}, 20), 1: ({"sra": "alpha=0.3,layers=0"}, 12)}),
}


@pytest.mark.parametrize("window", [None, 7])
@pytest.mark.parametrize("name", BATCHES)
def test_rows_in_tiles_are_scaled_like_single_requests(name, window):
    batch = Batch(*BATCHES[name])
    before = batch.query.clone()
    changed = 0
    for layer in range(LAYERS):
        actual, expected = scaled(batch, window=window, layer=layer), batch.scaled(window=window, layer=layer)
        torch.testing.assert_close(actual, expected)
        for index, part in enumerate(actual.split(batch.rows)):
            assert index in batch.entries or torch.equal(part, before.split(batch.rows)[index])
        changed += not torch.equal(actual, before)
    assert changed
    assert torch.equal(batch.query, before)


def test_settings_that_do_not_need_entropy_read_no_keys():
    batch = Batch(*BATCHES["constant"])
    key_cache, table = cache(batch)
    key_cache.fill_(float("nan"))
    actual = rows(batch).scaled(batch.query, key_cache, table, layer=0, scale=SCALE)
    torch.testing.assert_close(actual, batch.scaled(layer=0))


def test_heads_split_across_workers_give_the_same_result():
    alpha = [[0.0] * HEADS, [0.1, 0.0, 0.3, 0.4], [0.2] * HEADS]
    batch = Batch([14], [6], {0: ({"sra": {"alpha": alpha}}, 14)})
    halves = [scaled(batch, share=HeadShare(LAYERS, HEADS, first, first + 2)) for first in (0, 2)]
    torch.testing.assert_close(torch.cat(halves, dim=1), batch.scaled())
    assert torch.equal(halves[0][:, 1], batch.query[:, 1])


def test_the_query_is_not_copied_if_no_row_is_sharpened():
    batch = Batch(
        [12, 9], [12, 9], {0: ({"sra": "alpha=0.4,layers=0"}, 12), 1: ({"sra": "alpha=0.4,rows=generated"}, 9)}
    )
    assert scaled(batch).data_ptr() == batch.query.data_ptr()
    assert scaled(batch, layer=0).data_ptr() != batch.query.data_ptr()


def test_layers_that_sharpen_the_same_requests_share_a_layout():
    batch = Batch(*BATCHES["mixed"])
    sharpened_rows = rows(batch)
    key_cache, table = cache(batch)
    for layer in (0, 1, 2, 1):
        sharpened_rows.scaled(batch.query, key_cache, table, layer=layer, scale=SCALE)
    assert len(sharpened_rows._layouts) == 1


def test_a_tile_has_at_most_rows_per_tile_rows():
    batch = Batch(*BATCHES["mixed"])
    tile_sizes = []

    def sharpen(query, key_cache, block_table, tiles, **options):
        tile_sizes.extend((n, tiles.rows_per_tile) for n in tiles.table[:, 2].tolist())
        assert tiles.table[:, 2].sum() == tiles.n_rows
        sharpen_reference(query, key_cache, block_table, tiles, **options)

    spans = sharpened_spans(batch.entries, WHOLE, batch.starts, batch.lengths, batch.blocks)
    key_cache, table = cache(batch)
    SharpenedRows(spans, GROUPS, torch.device("cpu"), sharpen).scaled(
        batch.query, key_cache, table, layer=0, scale=SCALE
    )
    assert all(n <= limit for n, limit in tile_sizes)
    assert sum(n for n, _ in tile_sizes) == 1 + 5 + 50
    assert {limit for _, limit in tile_sizes} == {16 // GROUPS, 64 // GROUPS}


def test_the_reference_computes_the_entropy_of_scores():
    batch = Batch([21], [6], {0: ({"sra": 0.4}, 21)})
    key_cache, table = cache(batch)
    [layout] = [rows(batch)._create_layout(rows(batch)._spans)]
    [tiles] = layout.tiles
    actual = paged_entropy_reference(batch.query, key_cache, table, tiles, scale=SCALE, window=NO_WINDOW)
    keys = batch.keys[0].repeat_interleave(GROUPS, dim=1)
    scores = batch.queries[0] @ keys.transpose(2, 3) * SCALE
    hidden = torch.ones(6, 21, dtype=torch.bool).triu(16)
    expected = entropy_from_scores(scores.masked_fill(hidden, -1e4).log_softmax(-1))
    torch.testing.assert_close(actual, expected[0].T)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_is_linear_in_the_entropy(policy):
    rules = factor_rules((SRAConfig(alpha=0.5, policy=policy),), 2, 4, None, torch.device("cpu"))
    constant, slope, low, high = rules.lines[0].tolist()
    ratio = torch.linspace(0, 1, 7)
    torch.testing.assert_close(constant + slope * ratio, POLICIES[policy].curve(ratio))
    assert (low, high) == (0, float("inf"))


def test_a_nonlinear_policy_is_rejected(monkeypatch):
    class Curved(EntropyPolicy):
        def curve(self, ratio):
            return ratio**2

    monkeypatch.setitem(POLICIES, "curved", Curved())
    with pytest.raises(ConfigError, match="policy='curved' is not linear in the entropy.*Use another"):
        line(SRAConfig(alpha=0.5, policy="curved"))


def test_factor_rules_are_cached():
    def rules():
        return factor_rules((SRAConfig(alpha=0.123),), 2, 4, range(2, 4), torch.device("cpu"))

    assert rules() is rules()
    assert rules().alpha.shape == (2, 1, 2)
