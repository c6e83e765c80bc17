"""An unknown cache layout of vLLM is rejected at start-up; each group of layers uses its own block table."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from vllm.v1.attention.backend import AttentionType
from vllm.v1.kv_cache_interface import FullAttentionSpec
from vllm_sra.gpu.cache_layout import check_paged_cache, key_blocks, value_blocks
from vllm_sra.gpu.flash_attn import SRAFlashAttentionMetadata, SRAFlashAttentionMetadataBuilder
from vllm_sra.gpu.paged_backend import PassRows, ReattentionImpl
from vllm_sra.gpu.row_tiles import sharpen_reference
from vllm_sra.gpu.sharpened_rows import SharpenedRows
from vllm_sra.gpu.weighed_rows import WeighedRows, weigh_reference
from vllm_sra.plugin.batch import HeadShare, RowSpan
from vllm_sra.plugin.observed import ObservedRows

from sra_rag import SRAConfig
from sra_rag.attention.evidence import Evidence
from sra_rag.attention.look import Look
from sra_rag.attention.session import Session
from sra_rag.errors import UnsupportedModelError

SPEC = FullAttentionSpec(block_size=16, num_kv_heads=2, head_size=16, dtype=torch.bfloat16)
HEADS = 4


class Writer:
    """An attention layer that writes keys and values in a given layout."""

    def __init__(self, first, second=None, shift=0):
        self.impl = SimpleNamespace(do_kv_cache_update=self.write)
        self.first, self.second, self.shift = first, second, shift

    def write(self, layer, keys, values, cache, slots):
        view = cache.transpose(1, 2).unflatten(-1, (2, -1))
        slots = slots + self.shift
        for half, given in enumerate((self.first, self.second or "values")):
            new = {
                "keys": keys, "values": values, "keys by other heads": keys.flip(1),
                "values by other heads": values.flip(1),
            }[given]  # fmt: skip
            view[slots // 16, slots % 16, :, half] = new


def test_the_cache_layout_of_vllm_is_accepted(device):
    check_paged_cache(Writer("keys"), SPEC, HEADS, device)


@pytest.mark.parametrize(
    "writer",
    [
        Writer("values", "keys"), Writer("keys by other heads"), Writer("keys", "values by other heads"),
        Writer("keys", shift=-1),
    ],
    ids=["values first", "reversed heads of keys", "reversed heads of values", "shifted slots"],
)  # fmt: skip
def test_other_cache_layouts_are_rejected(writer, device):
    with pytest.raises(UnsupportedModelError, match="16 x 2 x 16 .*--attention-backend"):
        check_paged_cache(writer, SPEC, HEADS, device)


def metadata(rows, table):
    given = {field.name: None for field in dataclasses.fields(SRAFlashAttentionMetadata)}
    return SRAFlashAttentionMetadata(**given | {"rows": rows, "block_table": table})


class Plain:
    """An attention of vLLM whose output is its query."""

    attn_type, head_size, scale, sliding_window = AttentionType.DECODER, 16, 0.25, (-1, -1)
    logits_soft_cap = alibi_slopes = sinks = None
    kv_cache_dtype = "auto"

    def forward(self, layer, query, key, value, kv_cache, attn_metadata, output, *_):
        output.copy_(query)
        return output


class Reattention(ReattentionImpl, Plain):
    """The mixin on top of it."""


LAYER = SimpleNamespace(layer_name="model.layers.0.self_attn.attn")


def attend(metadata, query, cache, attention=None):
    attention = Reattention() if attention is None else attention
    return attention.forward(LAYER, query, None, None, cache, metadata, torch.empty_like(query))


def test_each_group_of_layers_uses_its_own_block_table():
    cache, query = torch.randn(5, 2, 16, 32), torch.randn(3, HEADS, 16)
    evidence = Evidence([[(1, 18)]], [0], weight=4.0, heads=None, n_layers=1, n_heads=HEADS)
    first, second = (torch.tensor([blocks], dtype=torch.int32) for blocks in ([1, 2], [4, 3]))
    looks = []

    def pass_rows():
        session = Session(SRAConfig(alpha=0.5), 1, HEADS, evidence=evidence)
        spans, looked = [RowSpan(session, 0, 3, 20, first[0], 0)], Look([(0, 9), (9, 20)], 20, None)
        looks.append(looked)
        return PassRows(
            SharpenedRows(spans, 2, torch.device("cpu"), sharpen_reference),
            WeighedRows(spans, 2, torch.device("cpu"), weigh_reference),
            (ObservedRows(looked, 0, 3, 20, first[0], 0, HeadShare(1, HEADS, 0, HEADS)),),
        )

    results = []
    for table in (first, second):
        rows = pass_rows()
        first_metadata = metadata(rows, first)
        # vLLM derives the metadata of a second group of layers from that of the first.
        second_metadata = SRAFlashAttentionMetadataBuilder.update_block_table(None, first_metadata, table, None)
        actual = attend(second_metadata, query, cache)
        keys, values = key_blocks(cache, 16), value_blocks(cache, 16)
        expected = rows.sharpened.scaled(query, keys, table, layer=0, scale=0.25)
        assert not torch.equal(expected, query)
        scaled = expected.clone()
        rows.weighed.weigh(scaled, keys, values, table, expected, layer=0, scale=0.25)
        assert not torch.equal(expected, scaled)
        assert torch.equal(actual, expected)
        results.append(actual)
    assert not torch.equal(*results)
    shares = [look.shares() for look in looks]
    assert not torch.equal(*shares)  # attention is observed in the blocks of the layer, too


def test_attention_without_settings_is_that_of_vllm():
    cache, query = torch.randn(5, 2, 16, 32), torch.randn(3, HEADS, 16)
    table = torch.tensor([[1, 2]], dtype=torch.int32)
    for unsharpened in (metadata(None, table), None):
        assert torch.equal(attend(unsharpened, query, cache), query)
    encoder = Reattention()
    encoder.attn_type = AttentionType.ENCODER
    session = Session(SRAConfig(alpha=0.5), 1, HEADS)
    spans = [RowSpan(session, 0, 3, 20, table[0], 0)]
    rows = PassRows(SharpenedRows(spans, 2, torch.device("cpu"), sharpen_reference), None, ())
    assert torch.equal(attend(metadata(rows, table), query, cache, encoder), query)
    assert not torch.equal(attend(metadata(rows, table), query, cache), query)
