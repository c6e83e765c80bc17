"""Notices when one of PyTorch's operators behind `attend` moves or changes what it returns."""

import pytest
import torch

from sra_rag.attention.kernels import _aligned, attend, has_kernel

pytestmark = pytest.mark.on_device

OPERATORS = {
    "_scaled_dot_product_flash_attention_for_cpu": (["output", "logsumexp"], ["attn_mask", "is_causal", "scale"]),
    "_scaled_dot_product_flash_attention": (["output", "logsumexp"], ["is_causal", "return_debug_mask", "scale"]),
    "_scaled_dot_product_efficient_attention": (
        ["output", "log_sumexp"],
        ["attn_bias", "compute_log_sumexp", "is_causal", "scale"],
    ),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_are_where_and_what_they_were(name):
    schema = getattr(torch.ops.aten, name).default._schema
    returned, taken = OPERATORS[name]
    assert [r.name for r in schema.returns[:2]] == returned
    assert set(taken) <= {a.name for a in schema.arguments}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_output_and_log_sum_exp(dtype, causal, padded):
    q = torch.randn(2, 6, 9, 16).to(dtype)
    k, v = torch.randn(2, 2, 2, 9, 16).to(dtype)
    if not has_kernel(q, k, v):
        pytest.skip("no kernel here for this dtype")
    bias = torch.zeros(2, 1, 1, 9)
    if padded:
        bias[1, ..., 5:] = -torch.inf
    output, lse = attend(q, k, v, scale=0.3, causal=causal, bias=bias if padded else None)
    exact = torch.promote_types(dtype, torch.float32)
    scores = 0.3 * q.to(exact) @ k.to(exact).repeat_interleave(3, 1).transpose(-1, -2) + bias.to(exact)
    if causal:
        scores += torch.full((9, 9), -torch.inf, dtype=exact).triu(1)
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-9, torch.bfloat16: 2e-2, torch.float16: 3e-3}[dtype]
    torch.testing.assert_close(lse, scores.logsumexp(-1), atol=1e-4, rtol=1e-4)
    expected = scores.softmax(-1) @ v.to(exact).repeat_interleave(3, 1)
    torch.testing.assert_close(output.to(exact), expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("across", [(True, False, False), (False, True, False), (False, False, True)])
def test_numbers_of_a_row_need_not_lie_side_by_side(across):
    q, k, v = (
        torch.randn(1, 2, 16, n).transpose(2, 3) if lies else torch.randn(1, 2, n, 16)
        for n, lies in zip((5, 40, 40), across, strict=True)
    )
    plain = attend(*(x.contiguous() for x in (q, k, v)), scale=0.3)
    torch.testing.assert_close(attend(q, k, v, scale=0.3), plain)


@pytest.mark.parametrize("shape", [(2, 1, 1, 13), (1, 1, 5, 13), (2, 1, 5, 1), (1, 1, 1, 16)])
def test_a_bias_for_cuda_keeps_what_is_alike_once(shape):
    bias = torch.randn(shape)
    columns = max(shape[-1], 13)
    aligned = _aligned(bias, 2, 6, 5, columns)
    assert torch.equal(aligned, bias.expand(2, 6, 5, columns))
    assert all(stride % 8 == 0 for stride in aligned.stride()[:-1])
    assert aligned.stride(-1) == 1
    assert aligned.untyped_storage().nbytes() == 4 * shape[0] * shape[2] * 16


def test_what_no_kernel_serves():
    q, k = torch.randn(1, 2, 4, 16), torch.randn(1, 2, 4, 16)
    assert has_kernel(q, k, k)
    assert not has_kernel(q, k, k[..., :8])
    assert not has_kernel(q.bfloat16(), k, k)
    assert not has_kernel(q.to("meta"), k.to("meta"), k.to("meta"))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("padded", [False, True])
def test_cuda_agrees_with_cpu(dtype, padded):
    q, k, v = (torch.randn(2, heads, 33, 64, device="cpu") for heads in (6, 2, 2))
    bias = torch.zeros(2, 1, 1, 33, device="cpu")
    bias[1, ..., 5:] = -torch.inf
    chosen = bias if padded else None
    here = attend(q, k, v, scale=0.125, causal=True, bias=chosen)
    there = attend(
        *(x.cuda().to(dtype) for x in (q, k, v)), scale=0.125, causal=True, bias=None if chosen is None else bias.cuda()
    )
    for one, other in zip(here, there, strict=True):
        torch.testing.assert_close(one, other.float().cpu(), atol=2e-2, rtol=2e-2)
