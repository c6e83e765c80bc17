"""The rule of the authors' published code: held to its definition, row by row, and off where it is off."""

import pytest
import torch
from transformers import DynamicCache

from sra_rag import SRAConfig
from sra_rag.attention.fast import fast_reattention
from sra_rag.attention.reallocate import FACTOR, reallocate
from sra_rag.attention.reattend import reattend
from sra_rag.attention.session import Session
from sra_rag.attention.shares import AttentionShares
from sra_rag.attention.visibility import Visibility
from sra_rag.errors import ConfigError
from sra_rag.generation.prefix_cache import cache_argument

LAYERS, HEADS, SCALE = 3, 4, 0.25
CONFIG = SRAConfig(policy="reallocate")


def spelled_out(weights, strength, layer):
    """The rule for one row over the keys that it sees."""
    n = len(weights)
    block = range(layer * n // LAYERS, (layer + 1) * n // LAYERS)
    low = [w < FACTOR / n for w in weights]
    mass = sum(w for w, cut in zip(weights, low, strict=True) if cut)
    if not block:
        return weights
    return [(0 if cut else w) + (strength * mass / len(block) if j in block else 0)
            for j, (w, cut) in enumerate(zip(weights, low, strict=True))]  # fmt: skip


@pytest.mark.parametrize("layer", range(LAYERS))
@pytest.mark.parametrize("n", [1, 2, 3, 9, 30])
def test_the_rule_is_that_of_its_definition(layer, n):
    weights = torch.softmax(4 * torch.randn(1, HEADS, 2, n), -1)
    strength = torch.tensor([4.5, 4.0, 0.0, 5.0])
    found = reallocate(weights, torch.ones(1, 1, 2, n, dtype=torch.bool), strength, layer, LAYERS)
    for head in range(HEADS):
        for row in range(2):
            expected = weights[0, head, row].tolist()
            if strength[head]:
                expected = spelled_out(expected, float(strength[head]), layer)
            torch.testing.assert_close(found[0, head, row], torch.tensor(expected))


def test_something_is_cut_and_the_block_moves_with_the_layer():
    weights = torch.softmax(6 * torch.randn(1, 1, 1, 30), -1)
    seen, strength = torch.ones_like(weights, dtype=torch.bool), torch.tensor([4.5])
    changed = [reallocate(weights, seen, strength, layer, LAYERS) - weights for layer in range(LAYERS)]
    assert [int((change > 0).nonzero()[0, -1]) // 10 for change in changed] == [0, 1, 2]
    mass = -changed[0][..., 10:].sum()
    assert mass > 0
    assert changed[0].sum() > 2 * mass  # more is added than was taken: the row is not normalised again


def attention(config, rows, keys, *, real=None, context=0, batch=1):
    torch.manual_seed(1)
    query = 3 * torch.randn(batch, HEADS, rows, 16)
    key, value = torch.randn(2, batch, 2, keys, 16).unbind(0)
    session = Session(config, LAYERS, HEADS, context_length=context, prompt_length=context)
    visibility = Visibility(session, rows, keys, position=keys - rows, real=real)
    output = fast_reattention(query, key, value, visibility=visibility, layer=1, scale=SCALE)
    scores = SCALE * query @ key.repeat_interleave(2, 1).transpose(-1, -2)
    weights = torch.softmax(scores + visibility.bias(0, rows, query.device), -1)
    return output, weights, value.repeat_interleave(2, 1)


def test_rows_after_the_context_are_reallocated_and_those_before_are_not():
    off, weights, values = attention(SRAConfig(alpha=0, rows="after_context"), 12, 30)
    torch.testing.assert_close(off, weights @ values)
    on, *_ = attention(CONFIG, 12, 30, context=24)
    torch.testing.assert_close(on[:, :, :6], off[:, :, :6])
    for row in range(6, 12):
        seen = 30 - 12 + row + 1
        for head in range(HEADS):
            expected = spelled_out(weights[0, head, row, :seen].tolist(), 4.5, 1)
            torch.testing.assert_close(on[0, head, row], torch.tensor(expected) @ values[0, head, :seen])
    assert not torch.allclose(on[:, :, 6:], off[:, :, 6:], atol=1e-3)


def test_padding_is_not_counted():
    real = torch.ones(2, 30, dtype=torch.bool)
    real[1, :9] = False
    padded, *_ = attention(CONFIG, 4, 30, context=[0, 0], real=real, batch=2)
    alone, *_ = attention(CONFIG, 4, 30, context=[0, 0], batch=2)
    torch.testing.assert_close(padded[0], alone[0])
    torch.manual_seed(1)
    query = 3 * torch.randn(2, HEADS, 4, 16)[1:]
    key, value = torch.randn(2, 2, 2, 30, 16).unbind(0)
    session = Session(CONFIG, LAYERS, HEADS, context_length=0)
    visibility = Visibility(session, 4, 21, position=17)
    short = fast_reattention(query, key[1:, :, 9:], value[1:, :, 9:], visibility=visibility, layer=1, scale=SCALE)
    torch.testing.assert_close(padded[1:], short)


def test_reading_at_once_and_token_by_token_are_the_same(tiny):
    ids = torch.arange(5, 45)[None]
    with torch.inference_mode(), reattend(tiny.model, CONFIG, context_length=25):
        whole = tiny.model(ids).logits
        cache, steps = DynamicCache(config=tiny.model.config), []
        for at, part in enumerate(ids.split([25, *[1] * 15], dim=1)):
            output = tiny.model(part, use_cache=True, **cache_argument(tiny.model, cache))
            steps.append(output.logits if at else output.logits[:, -1:])
    torch.testing.assert_close(whole[:, 24:], torch.cat(steps, 1), atol=2e-3, rtol=2e-3)
    with torch.inference_mode():
        off = tiny.model(ids).logits
    torch.testing.assert_close(whole[:, :25], off[:, :25])
    assert not torch.allclose(whole[:, 25:], off[:, 25:], atol=1e-2)


def test_strength_zero_is_off_bit_for_bit(tiny_engine):
    prompt = [{"role": "user", "content": "One two three. Four five six.\n\nWhat comes next?"}]
    texts = [
        tiny_engine.generate(prompt, context="One two three. Four five six.", sra=sra).token_ids
        for sra in (None, {"policy": "reallocate", "alpha": 0}, {"policy": "reallocate"})
    ]
    assert texts[0] == texts[1] != texts[2]


def test_attention_shares_are_those_of_the_reallocated_weights(tiny_engine):
    prompt, context = [{"role": "user", "content": "One two three four. And?"}], "One two three four."
    n = len(tiny_engine.encode(prompt, context=context).token_ids)
    sums = []
    for sra in (None, CONFIG):
        shares = AttentionShares([(0, n)], n)
        tiny_engine.generate(prompt, context=context, sra=sra, shares=shares, max_new_tokens=4)
        sums.append(float(shares.mean().sum()))
    assert sums[0] <= 1 + 1e-5
    assert abs(sums[1] - sums[0]) > 1e-4


def test_what_it_does_not_go_with_is_refused():
    assert (CONFIG.alpha, CONFIG.rows) == (4.5, "after_context")
    with pytest.raises(ConfigError, match='rows="all" is not allowed'):
        SRAConfig(policy="reallocate", rows="all")
    with pytest.raises(ConfigError, match="Leave bounds and evidence out"):
        SRAConfig(policy="reallocate", evidence=4)
    with pytest.raises(ConfigError, match="Leave bounds and evidence out"):
        SRAConfig(policy="reallocate", bounds="observed")
    with pytest.raises(ConfigError, match="Use one of: constant, entropy, focus, reallocate"):
        SRAConfig(policy="none")
