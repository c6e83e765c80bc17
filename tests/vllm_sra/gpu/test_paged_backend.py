"""An unknown key layout of vLLM is rejected at start-up; each group of layers uses its own block table."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from vllm.v1.attention.backend import AttentionType
from vllm.v1.kv_cache_interface import FullAttentionSpec
from vllm_sra.gpu.flash_attn import SRAFlashAttentionMetadata, SRAFlashAttentionMetadataBuilder
from vllm_sra.gpu.paged_backend import check_paged_keys, key_blocks, sharpened_query
from vllm_sra.gpu.row_tiles import sharpen_reference
from vllm_sra.gpu.sharpened_rows import SharpenedRows
from vllm_sra.plugin.batch import RowSpan

from sra_rag import SRAConfig
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
            new = {"keys": keys, "values": values, "keys by other heads": keys.flip(1)}[given]
            view[slots // 16, slots % 16, :, half] = new


def test_the_key_layout_of_vllm_is_accepted(device):
    check_paged_keys(Writer("keys"), SPEC, HEADS, device)


@pytest.mark.parametrize(
    "writer", [Writer("values", "keys"), Writer("keys by other heads"), Writer("keys", shift=-1)],
    ids=["values first", "reversed heads", "shifted slots"],
)  # fmt: skip
def test_other_key_layouts_are_rejected(writer, device):
    with pytest.raises(UnsupportedModelError, match="16 x 2 x 16 .*--attention-backend"):
        check_paged_keys(writer, SPEC, HEADS, device)


def metadata(rows, table):
    given = {field.name: None for field in dataclasses.fields(SRAFlashAttentionMetadata)}
    return SRAFlashAttentionMetadata(**given | {"rows": rows, "block_table": table})


def test_each_group_of_layers_uses_its_own_block_table():
    cache, query = torch.randn(5, 2, 16, 32), torch.randn(3, HEADS, 16)
    session = Session(SRAConfig(alpha=0.5), 1, HEADS)
    span = RowSpan(session, 0, 3, 20, None, 0)
    rows = SharpenedRows([span], 2, torch.device("cpu"), sharpen_reference)
    first, second = (torch.tensor([blocks], dtype=torch.int32) for blocks in ([1, 2], [4, 3]))
    impl = SimpleNamespace(attn_type=AttentionType.DECODER, head_size=16, scale=0.25, sliding_window=(-1, -1))
    layer = SimpleNamespace(layer_name="model.layers.0.self_attn.attn")

    def scaled(metadata):
        return sharpened_query(impl, layer, query, cache, metadata)

    first_metadata = metadata(rows, first)
    # vLLM derives the metadata of a second group of layers from that of the first.
    second_metadata = SRAFlashAttentionMetadataBuilder.update_block_table(None, first_metadata, second, None)
    for layer_metadata, table in ((first_metadata, first), (second_metadata, second)):
        expected = rows.scaled(query, key_blocks(cache, 16), table, layer=0, scale=0.25)
        assert torch.equal(scaled(layer_metadata), expected)
    assert not torch.equal(scaled(first_metadata), scaled(second_metadata))
    for unsharpened in (metadata(None, first), None):
        assert scaled(unsharpened) is query
    impl.attn_type = AttentionType.ENCODER
    assert scaled(first_metadata) is query
