"""One sharpened row, by the kernel for decoding, against the reference; and that it is the kernel that computes it."""

import math

import pytest
import torch

from sra_rag import SRAConfig
from sra_rag.attention import compiling, session
from sra_rag.attention.evidence import Evidence
from sra_rag.attention.fast import fast_reattention
from sra_rag.attention.reference import scaled_reattention
from sra_rag.attention.session import Session
from sra_rag.attention.shares import AttentionShares, observing
from sra_rag.attention.visibility import Visibility
from tests.sra_rag.test_fast import TOLERANCE, qkv, seen_by

SCALE = 0.1


@pytest.fixture
def calls(monkeypatch):
    """The number of calls of the kernel."""
    kernel, counted = compiling.decoding_kernel(wait=True), []
    assert kernel is not None, "needs a C++ compiler"
    monkeypatch.setattr(session, "decoding_kernel", lambda: lambda *args: counted.append(1) or kernel(*args))
    return counted


def attended(q, k, v, visibility, **kwargs):
    with torch.inference_mode():
        return fast_reattention(q, k, v, visibility=visibility, layer=0, scale=SCALE, **kwargs)


def decoding(config, keys, *, heads=6, **kwargs):
    position = keys - 1 + kwargs.get("key_position", 0)
    session = Session(config, 1, heads, evidence=kwargs.pop("evidence", None))
    return Visibility(session, 1, keys, position=position, **kwargs)


def check(q, k, v, visibility, log_weight=None):
    config = visibility.session.config
    output = attended(q, k, v, visibility)
    expected = scaled_reattention(
        q, k, v, alpha=config.alpha, bounds=config.bounds, policy=config.policy, attention_mask=seen_by(visibility),
        scale=SCALE, log_weight=log_weight,
    ).output  # fmt: skip
    assert output.dtype == q.dtype
    tolerance = TOLERANCE[q.dtype]
    torch.testing.assert_close(output, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("policy", ["entropy", "focus", "constant"])
@pytest.mark.parametrize("bounds", ["theoretical", (0.1, 4.0)])
@pytest.mark.parametrize(("keys", "size"), [(1, 32), (2, 64), (63, 64), (64, 96), (65, 128), (256, 64), (1111, 64)])
def test_a_row_is_that_of_the_reference(calls, dtype, policy, bounds, keys, size):
    config = SRAConfig(alpha=0.6, policy=policy, bounds=bounds)
    check(*qkv(1, keys, size=size, dtype=dtype), decoding(config, keys))
    assert calls


@pytest.mark.parametrize("heads", [(6, 6), (6, 3), (6, 1)])
def test_grouped_queries(calls, heads):
    check(*qkv(1, 300, size=64, heads=heads), decoding(SRAConfig(alpha=0.5), 300))
    assert calls


@pytest.mark.parametrize("window", [1, 5, 64, 299, 400])
def test_a_window(calls, window):
    check(*qkv(1, 300, size=32), decoding(SRAConfig(alpha=0.5), 300, window=window, key_position=7))
    assert calls


def test_a_static_cache_and_rows_that_are_not_side_by_side(calls):
    q, k, v = qkv(1, 200, size=32)
    visibility = Visibility(Session(SRAConfig(alpha=0.5), 1, 6), 1, 200, position=149)
    k, v = (x.transpose(1, 2).contiguous().transpose(1, 2) for x in (k, v))
    k[:, :, 150:] = v[:, :, 150:] = 1e4
    check(q, k, v, visibility)
    assert calls


def test_alpha_by_head(calls):
    q, k, v = qkv(1, 100, size=64)
    alpha = [[0.0, 0.1, 0.2, 0.3, 0.0, 2.0]]
    expected = scaled_reattention(q, k, v, alpha=torch.tensor(alpha[0])[:, None], scale=SCALE).output
    output = attended(q, k, v, decoding(SRAConfig(alpha=alpha), 100))
    torch.testing.assert_close(output, expected, atol=2e-5, rtol=2e-5)
    assert calls


@pytest.mark.parametrize("heads", [None, [(0, 1), (0, 5)]])
@pytest.mark.parametrize("alpha", [0.6, 0.0])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_evidence_of_one_sequence(calls, heads, alpha, dtype):
    spans, weights = [(4, 11), (60, 70), (250, 270)], [5.0, 2.0, 64.0]
    evidence = Evidence([spans], [280], weight=[weights], heads=heads, n_layers=1, n_heads=6)
    log_weight = torch.zeros(1, 6, 1, 300)
    for (first, last), weight in zip(spans, weights, strict=True):
        log_weight[..., first:last] = math.log(weight)
    if heads is not None:
        log_weight[:, [0, 2, 3, 4]] = 0
    visibility = decoding(SRAConfig(alpha=alpha), 300, evidence=evidence)
    check(*qkv(1, 300, size=64, batch=1, dtype=dtype), visibility, log_weight)
    assert calls


def padded(*padding, keys=300):
    return torch.arange(keys) >= torch.tensor(padding)[:, None]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("window", [None, 40])
@pytest.mark.parametrize("bounds", ["theoretical", (0.1, 4.0)])
def test_padding_on_the_left(calls, dtype, window, bounds):
    config = SRAConfig(alpha=0.6, bounds=bounds)
    visibility = decoding(config, 300, real=padded(0, 37, 299), window=window)
    check(*qkv(1, 300, size=64, batch=3, dtype=dtype), visibility)
    assert len(calls) == 3


def test_unused_places_of_a_static_cache_are_no_padding(calls):
    real = padded(0, 7, keys=200)
    real[:, 150:] = False
    q, k, v = qkv(1, 200, size=32)
    k[:, :, 150:] = v[:, :, 150:] = 1e4
    check(q, k, v, Visibility(Session(SRAConfig(alpha=0.5), 1, 6), 1, 200, position=149, real=real))
    assert len(calls) == 2


@pytest.mark.parametrize("heads", [None, [(0, 1), (0, 5)]])
@pytest.mark.parametrize("alpha", [0.6, 0.0])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (0, 37, 2, 9)])
def test_evidence_of_several_sequences(calls, heads, alpha, padding):
    """One without evidence, and one whose rows with evidence come later."""
    spans = [[(4, 11), (60, 70)], [(40, 270)], [], [(20, 30)]]
    weights = [[5.0, 2.0], [64.0], [], [3.0]]
    starts = [280, 290, 280, 300]
    evidence = Evidence(spans, starts, weight=weights, heads=heads, n_layers=1, n_heads=6)
    log_weight = torch.zeros(4, 6, 1, 300)
    for number in (0, 1):
        for (first, last), weight in zip(spans[number], weights[number], strict=True):
            log_weight[number, ..., first:last] = math.log(weight)
    if heads is not None:
        log_weight[:, [0, 2, 3, 4]] = 0
    visibility = decoding(SRAConfig(alpha=alpha), 300, evidence=evidence, real=padded(*padding))
    check(*qkv(1, 300, size=64, batch=4), visibility, log_weight)
    assert len(calls) == 4


def test_a_sequence_of_a_batch_gets_the_bits_that_it_gets_alone(calls):
    q, k, v = qkv(1, 300, size=64, dtype=torch.bfloat16)
    spans = [[(4, 11)], [(40, 70)]]
    together = attended(q, k, v, decoding(SRAConfig(alpha=0.3), 300, evidence=several(spans), real=padded(0, 37)))
    for number, n_padding in enumerate((0, 37)):
        own = slice(number, number + 1)
        moved = [[(first - n_padding, last - n_padding) for first, last in spans[number]]]
        alone = decoding(SRAConfig(alpha=0.3), 300 - n_padding, evidence=several(moved))
        assert torch.equal(together[own], attended(q[own], k[own, :, n_padding:], v[own, :, n_padding:], alone))
    assert len(calls) == 4


def test_threads_do_not_change_the_result(calls):
    q, k, v = qkv(1, 3000, size=64, batch=1)
    visibility, before = decoding(SRAConfig(alpha=0.5), 3000), torch.get_num_threads()
    outputs = []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            outputs.append(attended(q, k, v, visibility))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


def several(spans):
    return Evidence(spans, [50] * len(spans), weight=4.0, heads=None, n_layers=1, n_heads=6)


@pytest.mark.parametrize(
    ("case", "arguments"),
    [
        ("padding in the middle", {"real": (torch.arange(100).expand(2, -1) < 30) | (torch.arange(100) > 35)}),
        ("nothing but padding", {"real": torch.tensor([[True], [False]]).expand(-1, 100)}),
        ("a rule", {"rule": torch.ones(1, 1, 1, 100, dtype=torch.bool)}),
        ("evidence of a batch and a window", {"evidence": several([[(80, 90)], [(84, 97)]]), "window": 50}),
    ],
)
def test_other_rows_are_computed_by_operators(calls, case, arguments):
    visibility = decoding(SRAConfig(alpha=0.5), 100, **arguments)
    output = attended(*qkv(1, 100, size=64), visibility)
    assert output.isfinite().all(), case
    assert not calls


def test_what_the_kernel_does_not_serve_is_computed_by_operators(calls):
    usual = SRAConfig(alpha=0.5)
    q, k, v = qkv(1, 100, size=64)
    attended(q, k, v, decoding(SRAConfig(alpha=0.5, bounds="observed"), 100))
    attended(q, k, v, decoding(usual, 100), softcap=20.0)
    attended(*qkv(1, 100, size=16), decoding(usual, 100))
    attended(q.double(), k.double(), v.double(), decoding(usual, 100))
    attended(q, k, v[..., :32], decoding(usual, 100))
    later = Session(SRAConfig(alpha=0.5, rows="generated"), 1, 6, prompt_length=[90, 120])
    attended(q, k, v, Visibility(later, 1, 100, position=99))
    with observing(AttentionShares([(0, 50)], 90)):
        attended(q[:1], k[:1], v[:1], decoding(usual, 100))
    with torch.enable_grad():
        q.requires_grad_()
        fast_reattention(q, k, v, visibility=decoding(usual, 100), layer=0, scale=SCALE).sum().backward()
    assert q.grad.abs().sum() > 0
    assert not calls


def test_without_a_compiler_operators_give_the_same_output(monkeypatch):
    q, k, v = qkv(1, 500, size=64)
    assert compiling.decoding_kernel(wait=True) is not None, "needs a C++ compiler"
    with_kernel = attended(q, k, v, decoding(SRAConfig(alpha=0.5), 500))
    monkeypatch.setattr(session, "decoding_kernel", lambda: None)
    without = attended(q, k, v, decoding(SRAConfig(alpha=0.5), 500))
    assert not torch.equal(with_kernel, without)  # another kernel computed it
    torch.testing.assert_close(with_kernel, without, atol=2e-5, rtol=2e-5)
