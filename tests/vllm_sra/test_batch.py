"""Scaled query rows of a batch, compared with the reference on the keys of a paged cache. Needs no vLLM."""

import dataclasses

import pytest
import torch
from vllm_sra.plugin.batch import HeadShare, scaled_query, sharpened_spans
from vllm_sra.plugin.request_settings import RequestSettings, read_settings

from sra_rag.attention.reference import scaled_reattention

BLOCK, D, LAYERS, HEADS, GROUPS = 4, 8, 3, 4, 2
WHOLE = HeadShare(LAYERS, HEADS, 0, HEADS)
SCALE = D**-0.5


@dataclasses.dataclass(frozen=True)
class Entry:
    """The same fields as `BatchEntry`."""

    settings: RequestSettings
    prompt_length: int


class Batch:
    """Requests with some keys from earlier passes; each request has its own blocks."""

    def __init__(self, lengths, rows, settings):
        self.keys = [torch.randn(1, HEADS // GROUPS, n, D) for n in lengths]
        self.queries = [torch.randn(1, HEADS, r, D) * 3 for r in rows]
        self.query = torch.cat([q[0].transpose(0, 1) for q in self.queries])
        self.lengths, self.rows = lengths, rows
        self.starts = [0, *torch.tensor(rows).cumsum(0).tolist()]
        self.blocks = torch.arange(len(lengths) * 16).view(len(lengths), 16)
        self.entries = {index: Entry(read_settings(extra), prompt) for index, (extra, prompt) in settings.items()}

    def scaled(self, share=WHOLE, layer=1, window=None, entries=None):
        entries = self.entries if entries is None else entries
        spans = sharpened_spans(entries, share, self.starts, self.lengths, self.blocks)
        heads = slice(share.first_head // GROUPS, share.last_head // GROUPS)

        def read(blocks, n_keys, one_row):
            request, first = divmod(int(blocks[0]), 16)
            return self.keys[request][:, heads, first * BLOCK : first * BLOCK + n_keys]

        query = self.query[:, share.first_head : share.last_head]
        return scaled_query(query, spans, read, layer=layer, scale=SCALE, block_size=BLOCK, window=window)

    def beta(self, index, window=None, **options):
        length, rows = self.lengths[index], self.rows[index]
        positions = torch.arange(length - rows, length)[:, None]
        mask = torch.arange(length) <= positions
        if window is not None:
            mask &= torch.arange(length) > positions - window
        query, keys = self.queries[index], self.keys[index]
        return scaled_reattention(query, keys, keys, attention_mask=mask, scale=SCALE, **options).beta[0].T


def mixed():
    """Return a batch of four requests.

    Decoding with rows="all"; a chunk across the end of the context; no settings; a whole prefill with rows="generated".
    """
    return Batch(
        [30, 21, 17, 12],
        [1, 9, 5, 12],
        {
            0: ({"sra": 0.4}, 25),
            1: ({"sra": "alpha=0.3,rows=after_context", "sra_context_length": 16}, 21),
            3: ({"sra": "alpha=0.3,rows=generated"}, 12),
        },
    )


def test_each_request_uses_its_own_settings():
    batch = mixed()
    parts = batch.scaled().split(batch.rows)
    plain = batch.query.split(batch.rows)
    torch.testing.assert_close(parts[0], plain[0] * batch.beta(0, alpha=0.4)[..., None])
    expected = batch.beta(1, alpha=0.3)[..., None]
    expected[:4] = 1  # rows 12 to 15 of the context
    torch.testing.assert_close(parts[1], plain[1] * expected)
    assert torch.equal(parts[2], plain[2])
    assert torch.equal(parts[3], plain[3])


def test_the_batch_is_not_modified():
    batch = mixed()
    before = batch.query.clone()
    assert not torch.equal(batch.scaled(), before)
    assert torch.equal(batch.query, before)


def test_the_query_is_not_copied_if_no_row_is_sharpened():
    batch = mixed()
    for entries in ({}, {3: batch.entries[3]}):
        assert batch.scaled(entries=entries).data_ptr() == batch.query.data_ptr()
    only = Batch([9], [9], {0: ({"sra": "alpha=0.4,layers=0"}, 9)})
    assert torch.equal(only.scaled(layer=1), only.query)
    assert not torch.equal(only.scaled(layer=0), only.query)


@pytest.mark.parametrize("window", [3, 8, 11])
def test_entropy_bounds_use_the_number_of_keys_in_the_window(window):
    batch = Batch([27, 18], [1, 10], {0: ({"sra": 0.4}, 20), 1: ({"sra": 0.4}, 18)})
    parts = batch.scaled(window=window).split(batch.rows)
    for index, part in enumerate(parts):
        expected = batch.query.split(batch.rows)[index] * batch.beta(index, window=window, alpha=0.4)[..., None]
        torch.testing.assert_close(part, expected)


def test_heads_split_across_workers_give_the_same_result_as_one_worker():
    alpha = [[0.0] * HEADS, [0.1, 0.0, 0.3, 0.4], [0.2] * HEADS]
    batch = Batch([14], [6], {0: ({"sra": {"alpha": alpha}}, 14)})
    whole = batch.scaled()
    halves = [batch.scaled(share=HeadShare(LAYERS, HEADS, first, first + 2)) for first in (0, 2)]
    torch.testing.assert_close(torch.cat(halves, dim=1), whole)
    assert torch.equal(whole[:, 1], batch.query[:, 1])


def test_a_warm_up_pass_is_ignored():
    batch = mixed()
    assert (
        sharpened_spans({7: Entry(read_settings({"sra": 1.0}), 5)}, WHOLE, batch.starts, batch.lengths, batch.blocks)
        == []
    )
