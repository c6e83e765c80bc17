"""The reference against numbers worked out by other means: nothing else stands above it."""

import math

import pytest
import torch
import torch.nn.functional as F

from sra_rag.attention.reference import scaled_reattention

pytestmark = pytest.mark.on_device


def qkv(rows=6, keys=6, heads=4, kv_heads=2, size=8, batch=2):
    return (
        torch.randn(batch, heads, rows, size),
        torch.randn(batch, kv_heads, keys, size),
        torch.randn(batch, kv_heads, keys, size),
    )


@pytest.mark.parametrize("policy", ["entropy", "constant", "focus"])
def test_alpha_zero_is_plain_attention(policy):
    q, k, v = qkv()
    output, _, beta = scaled_reattention(q, k, v, alpha=0.0, is_causal=True, policy=policy)
    plain = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(output, plain)
    assert torch.equal(beta, torch.ones_like(beta))


def test_two_keys_by_hand():
    # Scores 0 and log 3 give weights 1/4 and 3/4.
    q = torch.ones(1, 1, 1, 1)
    k = torch.tensor([0.0, math.log(3)]).view(1, 1, 2, 1)
    v = torch.tensor([0.0, 1.0]).view(1, 1, 2, 1)
    output, entropy, beta = scaled_reattention(q, k, v, alpha=0.5, scale=1.0)
    h = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    b = 1 + 0.5 * h / math.log(2)
    assert entropy.item() == pytest.approx(h, rel=1e-6)
    assert beta.item() == pytest.approx(b, rel=1e-6)
    assert output.item() == pytest.approx(3**b / (1 + 3**b), rel=1e-6)


def test_sharpening_is_the_power_of_the_weights():
    q, k, v = qkv(kv_heads=4)
    output, _, beta = scaled_reattention(q, k, v, alpha=0.7)
    weights = torch.softmax(q @ k.transpose(-1, -2) * 8**-0.5, -1) ** beta[..., None]
    torch.testing.assert_close(output, weights / weights.sum(-1, keepdim=True) @ v)


def test_uniform_row_has_log_n_and_the_whole_alpha():
    _, k, v = qkv()
    _, entropy, beta = scaled_reattention(torch.zeros(2, 4, 6, 8), k, v, alpha=0.3, is_causal=True)
    n = torch.arange(1, 7)
    torch.testing.assert_close(entropy, n.float().log().expand_as(entropy))
    assert beta[..., 0].eq(1).all()  # one key: nothing to sharpen
    torch.testing.assert_close(beta[..., 1:], torch.full_like(beta[..., 1:], 1.3))


def test_observed_bounds_span_the_rows_of_each_sequence_and_head():
    q, k, v = qkv()
    _, entropy, beta = scaled_reattention(q, k, v, alpha=0.4, bounds="observed", is_causal=True)
    torch.testing.assert_close(beta.amin(-1), torch.ones(2, 4))
    torch.testing.assert_close(beta.amax(-1), torch.full((2, 4), 1.4))
    assert torch.equal(beta.argmax(-1), entropy.argmax(-1))


def test_a_pair_of_bounds_is_the_formula():
    q, k, v = qkv()
    _, entropy, beta = scaled_reattention(q, k, v, alpha=0.4, bounds=(0.2, 3.0))
    torch.testing.assert_close(beta, 1 + 0.4 * (entropy - 0.2) / 2.8)


def test_alpha_per_head():
    q, k, v = qkv()
    alpha = torch.tensor([0.0, 0.1, 0.2, 0.3])[:, None]
    _, _, beta = scaled_reattention(q, k, v, alpha=alpha)
    for head, one in enumerate(alpha.flatten().tolist()):
        alone = scaled_reattention(q, k, v, alpha=one).beta
        torch.testing.assert_close(beta[:, head], alone[:, head])


def test_masks_mean_what_sdpa_means_by_them():
    q, k, v = qkv()
    seen = torch.rand(2, 1, 6, 6) > 0.4
    seen[..., 0] = True
    additive = torch.zeros(seen.shape).masked_fill(~seen, -torch.inf)
    least = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
    outcomes = [scaled_reattention(q, k, v, alpha=0.3, attention_mask=mask) for mask in (seen, additive, least)]
    for other in outcomes[1:]:
        for one, two in zip(outcomes[0], other, strict=True):
            torch.testing.assert_close(one, two)
    plain = scaled_reattention(q, k, v, alpha=0.0, attention_mask=seen).output
    torch.testing.assert_close(plain, F.scaled_dot_product_attention(q, k, v, attn_mask=seen, enable_gqa=True))


def test_a_row_that_sees_nothing_gives_nothing():
    q, k, v = qkv()
    mask = torch.ones(6, 6, dtype=torch.bool)
    mask[2] = False
    output, entropy, beta = scaled_reattention(q, k, v, alpha=0.3, attention_mask=mask)
    assert not output[:, :, 2].any()
    assert entropy[..., 2].eq(0).all()
    assert torch.isfinite(beta).all()


def test_causal_rows_are_the_last_positions():
    q, k, v = qkv(rows=6, keys=6)
    whole = scaled_reattention(q, k, v, alpha=0.2, is_causal=True)
    last = scaled_reattention(q[:, :, 4:], k, v, alpha=0.2, is_causal=True)
    torch.testing.assert_close(last.output, whole.output[:, :, 4:])


def test_half_precision_is_computed_in_float32():
    q, k, v = (x.bfloat16() for x in qkv())
    output, entropy, _ = scaled_reattention(q, k, v, alpha=0.2)
    assert output.dtype == torch.bfloat16
    assert entropy.dtype == torch.float32
    exact = scaled_reattention(q.float(), k.float(), v.float(), alpha=0.2)
    assert torch.equal(output, exact.output.bfloat16())
