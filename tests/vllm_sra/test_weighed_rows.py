"""Rows in tiles weigh evidence as `weigh_rows` does for each request. Needs no vLLM."""

import pytest
import torch
from vllm_sra.gpu.row_tiles import NO_WINDOW, sharpen_reference
from vllm_sra.gpu.sharpened_rows import SharpenedRows
from vllm_sra.gpu.weighed_rows import WeighedRows, evidence_table, weigh_reference
from vllm_sra.plugin.batch import HeadShare, sharpened_spans

from sra_rag.attention.evidence import Evidence
from tests.vllm_sra.test_batch import GROUPS, HEADS, LAYERS, SCALE, WHOLE, Batch
from tests.vllm_sra.test_sharpened_rows import caches

CPU = torch.device("cpu")


def weighs(spans, alpha=0.0, **evidence):
    arguments = {"sra": {"evidence": {"weight": 4, **evidence}, "alpha": alpha, "rows": "after_context"}}
    return arguments | {"sra_evidence": spans, "sra_context_length": 16}


SOME = {"heads": [[1, 0], [1, 3], [2, 1]]}
BATCH = (
    # Decoding; a chunk across the end of the context; no settings; a prefill longer than a tile; decoding, sharpened.
    [30, 21, 17, 50, 40],
    [1, 9, 5, 50, 1],
    {
        0: (weighs([[2, 7, 8.0], [16, None, 2.0]]), 25),
        1: (weighs([[0, 3, 4.0], [9, 16, 16.0]], **SOME), 21),
        3: (weighs([[4, 12, 2.0], [15, None, 3.0]]), 50),
        4: (weighs([[1, 2, 64.0]], alpha=0.5, **SOME), 38),
    },
)


def weighed(batch, layer, window=None, share=WHOLE):
    """Return attention of all rows: without settings as computed by any kernel, then sharpened and weighed."""
    spans = sharpened_spans(batch.entries, share, batch.starts, batch.lengths, batch.blocks)
    keys, values, table = caches(batch)
    groups = slice(share.first_head // GROUPS, share.last_head // GROUPS)
    keys, values = keys[:, :, groups], values[:, :, groups]
    places = {"layer": layer, "scale": SCALE, "window": window or NO_WINDOW}
    query = batch.query[:, share.first_head : share.last_head]
    scaled = SharpenedRows([span for span in spans if span.session.config.sharpens], GROUPS, CPU, sharpen_reference)
    query = scaled.scaled(query, keys, table, **places)
    output = torch.zeros_like(query)
    rows = WeighedRows([span for span in spans if span.weighs], GROUPS, CPU, weigh_reference)
    rows.weigh(query, keys, values, table, output, **places)
    return output


@pytest.mark.parametrize("window", [None, 7, 25])
@pytest.mark.parametrize("layer", range(LAYERS))
def test_rows_in_tiles_weigh_evidence_like_single_requests(layer, window):
    batch = Batch(*BATCH)
    actual, expected = weighed(batch, layer, window), batch.weighed(layer=layer, window=window)
    # `weigh_rows` writes all heads of a row. Here heads without weights keep what the kernel before computed.
    changed = actual != 0
    torch.testing.assert_close(actual[changed], expected[changed])
    for index, (part, all_heads) in enumerate(zip(actual.split(batch.rows), expected.split(batch.rows), strict=True)):
        heads = [head for head in range(HEADS) if all_weigh(index) or [layer, head] in SOME["heads"]]
        others = [head for head in range(HEADS) if head not in heads]
        assert not part[:, others].any()
        if index in batch.entries and heads:
            assert torch.equal(part[:, heads].any(-1), all_heads[:, heads].any(-1))
            assert part[-1, heads].any()
        else:
            assert not part.any()


def all_weigh(index):
    return index in (0, 3)


def test_heads_split_across_workers_give_the_same_result():
    batch = Batch(*BATCH)
    halves = [weighed(batch, 1, share=HeadShare(LAYERS, HEADS, first, first + 2)) for first in (0, 2)]
    torch.testing.assert_close(torch.cat(halves, dim=1), weighed(batch, 1))


def test_the_table_is_built_once_for_the_same_requests():
    evidence = Evidence([[(1, 3), (5, 6)]], [9], weight=[[3.0, 5.0]], heads=[(1, 0)], n_layers=2, n_heads=HEADS)
    other = Evidence([[(2, 4)]], [9], weight=9.0, heads=None, n_layers=2, n_heads=HEADS)
    table = evidence_table((evidence, other), 2, CPU)
    assert evidence_table((evidence, other), 2, CPU) is table
    assert table.spans.tolist() == [[1, 3], [5, 6], [2, 4]]
    assert table.extra.tolist() == [1, 2, 3]
    assert table.first_span.tolist() == [0, 2, 3]
    assert table.weighs.sum(-1).tolist() == [[0, HEADS], [1, HEADS]]
    assert table.active == (True, True)
    assert evidence_table((evidence,), 2, CPU).active == (False, True)
