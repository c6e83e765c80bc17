"""Rows laid out for a kernel get the factors that `scaled_query` gives request by request; needs no vLLM."""

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

PLACES = 16  # blocks a request


def cache(batch):
    """Lay the keys of a batch into blocks, those of a request scattered; return them and where they lie."""
    torch.manual_seed(1)
    order = torch.randperm(len(batch.keys) * PLACES)
    blocks = torch.randn(len(order), HEADS // GROUPS, BLOCK, 2 * D)  # values behind the keys, as vLLM has them
    key_cache = blocks.transpose(1, 2)[..., :D]
    table = order.view(-1, PLACES).to(torch.int32)
    for index, keys in enumerate(batch.keys):
        for n in range(keys.shape[2]):
            key_cache[table[index, n // BLOCK], n % BLOCK] = keys[0, :, n]
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
    # Decoding; a chunk behind cached keys that passes the end of the context; nothing; a prefill longer than a tile.
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
def test_each_row_is_scaled_as_one_by_one(name, window):
    batch = Batch(*BATCHES[name])
    before = batch.query.clone()
    changed = 0
    for layer in range(LAYERS):
        found, wanted = scaled(batch, window=window, layer=layer), batch.scaled(window=window, layer=layer)
        torch.testing.assert_close(found, wanted)
        for index, part in enumerate(found.split(batch.rows)):
            assert index in batch.entries or torch.equal(part, before.split(batch.rows)[index])
        changed += not torch.equal(found, before)
    assert changed
    assert torch.equal(batch.query, before)


def test_rows_whose_settings_look_at_no_entropy_read_no_keys():
    batch = Batch(*BATCHES["constant"])
    key_cache, table = cache(batch)
    key_cache.fill_(float("nan"))
    found = rows(batch).scaled(batch.query, key_cache, table, layer=0, scale=SCALE)
    torch.testing.assert_close(found, batch.scaled(layer=0))


def test_heads_split_among_workers():
    alpha = [[0.0] * HEADS, [0.1, 0.0, 0.3, 0.4], [0.2] * HEADS]
    batch = Batch([14], [6], {0: ({"sra": {"alpha": alpha}}, 14)})
    halves = [scaled(batch, share=HeadShare(LAYERS, HEADS, first, first + 2)) for first in (0, 2)]
    torch.testing.assert_close(torch.cat(halves, dim=1), batch.scaled())
    assert torch.equal(halves[0][:, 1], batch.query[:, 1])


def test_what_is_not_sharpened_is_not_copied():
    batch = Batch(
        [12, 9], [12, 9], {0: ({"sra": "alpha=0.4,layers=0"}, 12), 1: ({"sra": "alpha=0.4,rows=generated"}, 9)}
    )
    assert scaled(batch).data_ptr() == batch.query.data_ptr()
    assert scaled(batch, layer=0).data_ptr() != batch.query.data_ptr()


def test_layers_that_sharpen_the_same_requests_share_one_layout():
    batch = Batch(*BATCHES["mixed"])
    laid = rows(batch)
    key_cache, table = cache(batch)
    for layer in (0, 1, 2, 1):
        laid.scaled(batch.query, key_cache, table, layer=layer, scale=SCALE)
    assert len(laid._layouts) == 1


def test_a_tile_holds_no_more_rows_than_it_says():
    batch = Batch(*BATCHES["mixed"])
    seen = []

    def sharpen(query, key_cache, block_table, tiles, **options):
        seen.extend((n, tiles.rows_per_tile) for n in tiles.table[:, 2].tolist())
        assert tiles.table[:, 2].sum() == tiles.n_rows
        sharpen_reference(query, key_cache, block_table, tiles, **options)

    spans = sharpened_spans(batch.entries, WHOLE, batch.starts, batch.lengths, batch.blocks)
    key_cache, table = cache(batch)
    SharpenedRows(spans, GROUPS, torch.device("cpu"), sharpen).scaled(
        batch.query, key_cache, table, layer=0, scale=SCALE
    )
    assert all(n <= most for n, most in seen)
    assert sum(n for n, _ in seen) == 1 + 5 + 50
    assert {most for _, most in seen} == {16 // GROUPS, 64 // GROUPS}


def test_the_reference_is_the_entropy_of_scores():
    batch = Batch([21], [6], {0: ({"sra": 0.4}, 21)})
    key_cache, table = cache(batch)
    [layout] = [rows(batch)._lay_out(rows(batch)._spans)]
    [tiles] = layout.tiles
    found = paged_entropy_reference(batch.query, key_cache, table, tiles, scale=SCALE, window=NO_WINDOW)
    keys = batch.keys[0].repeat_interleave(GROUPS, dim=1)
    scores = batch.queries[0] @ keys.transpose(2, 3) * SCALE
    hidden = torch.ones(6, 21, dtype=torch.bool).triu(16)
    wanted = entropy_from_scores(scores.masked_fill(hidden, -1e4).log_softmax(-1))
    torch.testing.assert_close(found, wanted[0].T)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_is_a_straight_line(policy):
    rules = factor_rules((SRAConfig(alpha=0.5, policy=policy),), 2, 4, None, torch.device("cpu"))
    constant, slope, low, high = rules.lines[0].tolist()
    ratio = torch.linspace(0, 1, 7)
    torch.testing.assert_close(constant + slope * ratio, POLICIES[policy].curve(ratio))
    assert (low, high) == (0, float("inf"))


def test_a_policy_that_is_none_is_refused(monkeypatch):
    class Curved(EntropyPolicy):
        def curve(self, ratio):
            return ratio**2

    monkeypatch.setitem(POLICIES, "curved", Curved())
    with pytest.raises(ConfigError, match="policy='curved' is no straight line.*Use another"):
        line(SRAConfig(alpha=0.5, policy="curved"))


def test_rules_are_laid_out_once():
    def rules():
        return factor_rules((SRAConfig(alpha=0.123),), 2, 4, range(2, 4), torch.device("cpu"))

    assert rules() is rules()
    assert rules().alpha.shape == (2, 1, 2)
