"""One row of plain attention: the bits of sdpa, whichever way it is computed."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import DynamicCache

import sra_rag.attention.shared_keys as shared_keys
from sra_rag.attention.shared_keys import one_row_attention
from sra_rag.generation.prefix_cache import cache_argument
from tests.sra_rag.tiny_models import VOCABULARY, tiny_model


@pytest.fixture(autouse=True)
def untried():
    """Let each test try the kernel itself."""
    shared_keys._gives_the_same_bits.cache_clear()
    yield
    shared_keys._gives_the_same_bits.cache_clear()


def tensors(n_keys, dtype, rows=1, heads=6, batch=2):
    return (
        torch.randn(batch, heads, rows, 16).to(dtype),
        torch.randn(batch, 2, n_keys, 16).to(dtype),
        torch.randn(batch, 2, n_keys, 16).to(dtype),
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("n_keys", [1, 2, 33, 500, 1025, 2100])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_one_row_has_the_bits_of_sdpa(dtype, n_keys, scale):
    query, key, value = tensors(n_keys, dtype)
    output = one_row_attention(query, key, value, scale)
    if output is None:
        pytest.skip("the kernel rounds the two ways differently on this processor")
    expected = scaled_dot_product_attention(query, key, value, scale=scale, enable_gqa=True)
    assert torch.equal(output, expected.transpose(1, 2))


def test_what_is_not_faster_is_left_to_sdpa():
    assert one_row_attention(*tensors(9, torch.float32), None) is None
    assert one_row_attention(*tensors(9, torch.bfloat16, rows=2), None) is None
    assert one_row_attention(*tensors(9, torch.bfloat16, heads=2), None) is None


def test_another_rounding_is_noticed(monkeypatch):
    packed = shared_keys._packed
    monkeypatch.setattr(shared_keys, "_packed", lambda *tensors: packed(*tensors) * 1.01)
    assert one_row_attention(*tensors(9, torch.bfloat16), None) is None


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen3", "gpt_neox"])
@torch.inference_mode()
def test_a_model_without_a_session_decodes_as_with_sdpa(name):
    logits = []
    for attention in ("sdpa", "sra"):
        model = tiny_model(name, attention, torch.bfloat16)
        ids = torch.randint(3, VOCABULARY, (1, 60), generator=torch.Generator().manual_seed(1))
        cache = cache_argument(model, DynamicCache(config=model.config))
        model(ids[:, :40], use_cache=True, **cache)
        logits.append(torch.cat([model(ids[:, [n]], use_cache=True, **cache).logits for n in range(40, 60)]))
    assert torch.equal(*logits)
    tried = shared_keys._gives_the_same_bits.cache_info().currsize
    assert tried == (name in ("llama", "qwen3"))  # the others have a window, or heads that share no keys
