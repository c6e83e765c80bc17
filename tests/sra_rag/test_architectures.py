"""Whole models, in transformers' own code: off is untouched, on is the reference."""

import pytest
import torch
from transformers import DynamicCache, StaticCache

from sra_rag import SRAConfig, reattend
from sra_rag.errors import UnsupportedModelError
from sra_rag.generation.prefix_cache import cache_argument
from tests.sra_rag.tiny_models import CONFIGS, tiny_model, tokens

pytestmark = pytest.mark.on_device

SRA = SRAConfig(alpha=0.6)
CLOSE = {"atol": 2e-3, "rtol": 2e-3}  # three layers of float32, logits up to some tens


def plain(name):
    """What a model computes without sra-rag: sdpa, or eager where sdpa refuses (soft-capped scores)."""
    return tiny_model(name, "eager" if name == "gemma2" else "sdpa")


def padded(side):
    ids = tokens(2)
    mask = torch.ones_like(ids)
    if side == "left":
        mask[1, :11] = 0
    if side == "right":
        mask[1, -11:] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.fixture(params=CONFIGS)
def name(request):
    return request.param


@pytest.mark.parametrize("side", ["none", "left", "right"])
def test_off_is_bit_identical(name, side):
    expected = plain(name)(**padded(side)).logits
    model = tiny_model(name, "sra")
    assert torch.equal(model(**padded(side)).logits, expected)
    with reattend(model, SRAConfig(alpha=0)):
        assert torch.equal(model(**padded(side)).logits, expected)


@pytest.mark.parametrize("side", ["none", "left", "right"])
@pytest.mark.parametrize("policy", ["entropy", "focus"])
def test_on_is_the_reference(name, side, policy, reference_settings):
    inputs = padded(side)
    reference_settings |= {"alpha": 0.6, "policy": policy}
    expected = tiny_model(name, "sra_reference")(**inputs).logits
    model = tiny_model(name)
    with reattend(model, SRA.replace(policy=policy)):
        logits = model(**inputs).logits
    real = inputs["attention_mask"].bool()
    torch.testing.assert_close(logits[real], expected[real], **CLOSE)
    assert (logits - model(**inputs).logits)[real].abs().max() > 0.05, "the settings made no difference"


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_chunks_and_decoding_are_one_pass(name, cache):
    model, ids = tiny_model(name), tokens(2, 40)
    with reattend(model, SRA):
        whole = model(ids).logits
        static = cache == "static"
        values = StaticCache(config=model.config, max_cache_len=64) if static else DynamicCache(config=model.config)
        parts = []
        for start, stop in ((0, 20), (20, 37), (37, 38), (38, 39), (39, 40)):
            out = model(ids[:, start:stop], use_cache=True, **cache_argument(model, values))
            parts.append(out.logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, **CLOSE)


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_generate(name, cache):
    model, inputs = tiny_model(name), padded("left")
    options = {"max_new_tokens": 6, "do_sample": False, "cache_implementation": cache}
    with reattend(model, SRA):
        generated = model.generate(**inputs, **options)
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        for _ in range(6):  # again, without any cache
            best = model(ids, attention_mask=mask).logits[:, -1].argmax(-1, keepdim=True)
            ids, mask = torch.cat((ids, best), 1), torch.cat((mask, torch.ones_like(best)), 1)
    ended = (generated == 2).int().cumsum(1).cumsum(1) > 1
    assert torch.equal(generated[~ended], ids[:, : generated.shape[1]][~ended])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near_float32(name, dtype):
    ids = tokens()
    model, half = tiny_model(name), tiny_model(name, dtype=dtype)
    noise = (half(ids).logits.float() - model(ids).logits).abs().mean()
    with reattend(model, SRA), reattend(half, SRA):
        difference = (half(ids).logits.float() - model(ids).logits).abs().mean()
    assert difference < 2 * noise + 1e-3  # as far from float32 as the model is without sharpening


@pytest.mark.parametrize("name", ["llama", "qwen3", "gpt_neox"])  # models with windows expect several masks
def test_a_custom_4d_mask(name):
    model, ids = tiny_model(name), tokens(1, 20)
    seen = torch.ones(20, 20, dtype=torch.bool).tril()[None, None]
    with reattend(model, SRA):
        torch.testing.assert_close(model(ids, attention_mask=seen).logits, model(ids).logits, **CLOSE)


def test_packed_sequences_stay_apart():
    model, ids = tiny_model("llama"), tokens(1, 30)
    positions = torch.cat((torch.arange(18), torch.arange(12)))[None]
    with reattend(model, SRA):
        packed = model(ids, position_ids=positions, use_cache=False).logits
        apart = [model(ids[:, :18]).logits, model(ids[:, 18:]).logits]
    torch.testing.assert_close(packed, torch.cat(apart, dim=1), **CLOSE)


def test_attention_sinks_are_refused():
    from transformers import AutoModelForCausalLM, GptOssConfig

    config = GptOssConfig(
        vocab_size=97, hidden_size=48, intermediate_size=32, num_hidden_layers=2, num_attention_heads=6, head_dim=8,
        num_key_value_heads=2, num_local_experts=2, num_experts_per_tok=1, pad_token_id=0,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval()
    with reattend(model, SRA), pytest.raises(UnsupportedModelError, match="sinks.*Supported are"):
        model(tokens(1, 8))


def test_a_model_that_computes_attention_itself_is_refused():
    from transformers import AutoModelForCausalLM, BloomConfig

    model = AutoModelForCausalLM.from_config(BloomConfig(vocab_size=97, hidden_size=48, n_layer=1, n_head=6)).eval()
    with pytest.raises(UnsupportedModelError, match="itself"), reattend(model, SRA):
        pass
    assert model.config._attn_implementation != "sra"


def test_training_with_attention_dropout_is_refused():
    model = tiny_model("llama").train()
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.1
    with reattend(model, SRA), pytest.raises(UnsupportedModelError, match="eval"):
        model(tokens())
