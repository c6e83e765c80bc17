"""Rows of a batch with settings, compared with the reference on the keys of a paged cache. Needs no vLLM."""

import math

import pytest
import torch
from vllm_sra.plugin.batch import BatchEntry, HeadShare, scaled_query, sharpened_spans, weigh_rows
from vllm_sra.plugin.observed import distribution, observe, observed_rows, share_sums
from vllm_sra.plugin.request_settings import read_settings

from sra_rag.attention.reference import scaled_reattention

BLOCK, D, LAYERS, HEADS, GROUPS = 4, 8, 3, 4, 2
WHOLE = HeadShare(LAYERS, HEADS, 0, HEADS)
SCALE = D**-0.5


def entry(extra, prompt_length):
    settings = read_settings(extra)
    look = None if settings.look is None else settings.look.start(settings.context_length)
    return BatchEntry(settings, prompt_length, look)


class Batch:
    """Requests with some keys from earlier passes; each request has its own blocks."""

    def __init__(self, lengths, rows, settings):
        self.keys, self.values = ([torch.randn(1, HEADS // GROUPS, n, D) for n in lengths] for _ in range(2))
        self.queries = [torch.randn(1, HEADS, r, D) * 3 for r in rows]
        self.query = torch.cat([q[0].transpose(0, 1) for q in self.queries])
        self.lengths, self.rows = lengths, rows
        self.starts = [0, *torch.tensor(rows).cumsum(0).tolist()]
        self.blocks = torch.arange(len(lengths) * 16).view(len(lengths), 16)
        self.entries = {index: entry(extra, prompt) for index, (extra, prompt) in settings.items()}

    def reader(self, parts, share=WHOLE):
        heads = slice(share.first_head // GROUPS, share.last_head // GROUPS)

        def read(blocks, n_keys, one_row):
            request, first = divmod(int(blocks[0]), 16)
            return parts[request][:, heads, first * BLOCK : first * BLOCK + n_keys]

        return read

    def scaled(self, share=WHOLE, layer=1, window=None, entries=None):
        entries = self.entries if entries is None else entries
        spans = sharpened_spans(entries, share, self.starts, self.lengths, self.blocks)
        query = self.query[:, share.first_head : share.last_head]
        read = self.reader(self.keys, share)
        return scaled_query(query, spans, read, layer=layer, scale=SCALE, block_size=BLOCK, window=window)

    def weighed(self, share=WHOLE, layer=1, window=None):
        """Return zeros, replaced in the rows that weigh evidence."""
        spans = sharpened_spans(self.entries, share, self.starts, self.lengths, self.blocks)
        query = self.query[:, share.first_head : share.last_head]
        output = torch.zeros_like(query)
        readers = self.reader(self.keys, share), self.reader(self.values, share)
        weigh_rows(query, spans, *readers, output, layer=layer, scale=SCALE, block_size=BLOCK, window=window)
        return output

    def mask(self, index, window):
        length, rows = self.lengths[index], self.rows[index]
        positions = torch.arange(length - rows, length)[:, None]
        mask = torch.arange(length) <= positions
        return mask if window is None else mask & (torch.arange(length) > positions - window)

    def attended(self, index, evidence, heads, window=None, **options):
        """Attention of all rows with the weights of evidence, by the reference: ``(rows, H_q, D)``."""
        extra = torch.zeros(HEADS, 1, self.lengths[index])
        for first, last, weight in evidence:
            extra[heads, :, first:last] = math.log(weight)
        reference = scaled_reattention(
            self.queries[index], self.keys[index], self.values[index], attention_mask=self.mask(index, window),
            scale=SCALE, log_weight=extra, **options,
        )  # fmt: skip
        return reference.output[0].transpose(0, 1)

    def beta(self, index, window=None, **options):
        query, keys = self.queries[index], self.keys[index]
        return (
            scaled_reattention(query, keys, keys, attention_mask=self.mask(index, window), scale=SCALE, **options)
            .beta[0]
            .T
        )


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
    assert sharpened_spans({7: entry({"sra": 1.0}, 5)}, WHOLE, batch.starts, batch.lengths, batch.blocks) == []


SPANS = [[2, 5, 8.0], [9, 12, 3.0]]
WEIGHED = {"sra": {"evidence": {"weight": 4, "heads": [[1, 0], [1, 3], [2, 1]]}, "alpha": 0.0}, "sra_evidence": SPANS,
           "sra_context_length": 14}  # fmt: skip


def weighed_batch():
    """Return a chunk across the end of the context, a decoding row with sharpening, and a request without settings."""
    late = {**WEIGHED, "sra": {**WEIGHED["sra"], "alpha": 0.3}}
    return Batch([20, 30, 17], [9, 1, 5], {0: (WEIGHED, 20), 1: (late, 25)})


@pytest.mark.parametrize("window", [None, 16])
def test_rows_after_the_context_weigh_evidence(window):
    batch = weighed_batch()
    first, second, third = batch.weighed(window=window).split(batch.rows)
    expected = batch.attended(0, SPANS, [0, 3], window=window, alpha=0.0)
    torch.testing.assert_close(first[3:], expected[3:], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(expected[3:], batch.attended(0, [], [], window=window, alpha=0.0)[3:], atol=1e-2)
    assert not first[:3].any()  # the rows of the context are those of vLLM's kernel
    expected = batch.attended(1, SPANS, [0, 3], window=window, alpha=0.3)
    torch.testing.assert_close(second, expected, atol=1e-5, rtol=1e-5)
    assert not third.any()


def test_a_layer_without_weighing_heads_is_only_sharpened():
    batch = weighed_batch()
    assert not batch.weighed(layer=0).any()
    parts = batch.scaled(layer=0).split(batch.rows)
    assert torch.equal(parts[0], batch.queries[0][0].transpose(0, 1))
    torch.testing.assert_close(parts[1], batch.queries[1][0].transpose(0, 1) * batch.beta(1, alpha=0.3)[..., None])
    assert batch.scaled().data_ptr() == batch.query.data_ptr()  # in layer 1 both weigh evidence


def test_heads_that_weigh_evidence_are_split_across_workers():
    batch = weighed_batch()
    halves = [batch.weighed(share=HeadShare(LAYERS, HEADS, first, first + 2)) for first in (0, 2)]
    torch.testing.assert_close(torch.cat(halves, dim=1), batch.weighed())


LINES = [[0, 3], [3, 4], [6, 14]]


@pytest.mark.parametrize("window", [None, 7])
def test_the_attention_of_rows_after_the_context_is_returned(window):
    extra = {"sra_return_evidence": {"spans": LINES, "heads": [[1, 3], [2, 0], [2, 1]]}, "sra_context_length": 14}
    batch = Batch([20, 18], [9, 18], {0: (extra, 20), 1: (extra, 18)})
    rows = observed_rows(batch.entries, WHOLE, batch.starts, batch.lengths, batch.blocks)
    for layer in range(LAYERS):
        observe(batch.query, rows, batch.reader(batch.keys), layer=layer, scale=SCALE, block_size=BLOCK, window=window)
        assert batch.scaled(layer=layer).data_ptr() == batch.query.data_ptr()
    for index in (0, 1):
        shares = []
        for head in (3, 0, 1):  # all layers have the same keys here
            scores = batch.queries[index][0, head] @ batch.keys[index][0, head // GROUPS].T * SCALE
            weights = scores.masked_fill(~batch.mask(index, window), -math.inf).softmax(-1)
            weights = weights[14 - batch.lengths[index] :]  # the rows from position 14 on
            shares.append(torch.stack([weights[:, first:last].sum(-1).mean() for first, last in LINES]))
        look = batch.entries[index].look
        torch.testing.assert_close(look.shares(), torch.stack(shares))
        expected = sum(share / share.sum() for share in shares) / 3
        torch.testing.assert_close(distribution(share_sums(look, batch.lengths[index] - 14)), expected)
        assert distribution(share_sums(look, 7)) is None  # a row is missing


@pytest.mark.parametrize(
    "heads", [[[1, 3], [2, 0], [2, 1]], [[0, 3], [1, 2]], None], ids=["both", "only the second", "all"]
)
def test_workers_add_up_what_their_heads_observe(heads):
    extra = {"sra_return_evidence": {"spans": LINES, "heads": heads}, "sra_context_length": 14}
    if heads is None:
        del extra["sra_return_evidence"]["heads"]

    def sums(share):
        torch.manual_seed(0)
        batch = Batch([20], [9], {0: (extra, 20)})
        rows = observed_rows(batch.entries, share, batch.starts, batch.lengths, batch.blocks)
        query, read = batch.query[:, share.first_head : share.last_head], batch.reader(batch.keys, share)
        for layer in range(LAYERS):
            observe(query, rows, read, layer=layer, scale=SCALE, block_size=BLOCK, window=None)
        return share_sums(batch.entries[0].look, 6)

    parts = [sums(HeadShare(LAYERS, HEADS, first, first + 2)) for first in (0, 2)]
    torch.testing.assert_close(sum(parts), sums(WHOLE))
    assert sum(parts)[-2] == (LAYERS * HEADS if heads is None else len(heads))
    torch.testing.assert_close(distribution(sum(parts)).sum(), torch.tensor(1.0))


def test_a_request_whose_rows_were_not_observed_has_no_shares():
    look = entry({"sra_return_evidence": {"spans": LINES}, "sra_context_length": 14}, 20).look
    assert distribution(share_sums(look, 6)) is None
