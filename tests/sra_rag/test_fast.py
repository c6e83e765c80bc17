"""The fast path against the reference, over everything a model may bring to it."""

import contextlib

import pytest
import torch

from sra_rag import SRAConfig
from sra_rag.attention import fast, one_pass
from sra_rag.attention import rows as serving
from sra_rag.attention.fast import fast_reattention
from sra_rag.attention.reference import scaled_reattention
from sra_rag.attention.session import Session
from sra_rag.attention.visibility import Visibility

pytestmark = pytest.mark.on_device

TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 4e-2, torch.float16: 6e-3}
SCALE = 0.25


def qkv(rows, keys, *, heads=(6, 2), size=16, batch=2, dtype=torch.float32):
    # Queries large enough that rows differ in entropy, keys with the common part that real ones have.
    q = 3 * torch.randn(batch, heads[0], rows, size)
    k = torch.randn(batch, heads[1], keys, size) + 2 * torch.randn(size)
    v = torch.randn(batch, heads[1], keys, size)
    return q.to(dtype), k.to(dtype), v.to(dtype)


def seen_by(visibility):
    """The dense mask that a visibility stands for, drawn from its definition."""
    rows = torch.arange(visibility.n_rows)[:, None] + visibility.position
    keys = torch.arange(visibility.n_keys) + visibility.key_position
    seen = keys <= rows
    if visibility.window is not None:
        seen &= keys > rows - visibility.window
    seen = seen[None, None]
    return seen if visibility.real is None else seen & visibility.real[:, None, None]


def check(q, k, v, visibility, config, *, softcap=None, tolerance=None):
    output = fast_reattention(q, k, v, visibility=visibility, layer=0, scale=SCALE, softcap=softcap)
    expected = scaled_reattention(
        q, k, v, alpha=config.alpha, bounds=config.bounds, attention_mask=seen_by(visibility), scale=SCALE,
        policy=config.policy, softcap=softcap,
    ).output  # fmt: skip
    tolerance = tolerance or TOLERANCE[q.dtype]
    assert output.dtype == q.dtype
    torch.testing.assert_close(output, expected, atol=tolerance, rtol=tolerance)


def session(config, **kwargs):
    return Session(config, 1, 6, **kwargs)


def padding(kind, batch, keys):
    real = torch.ones(batch, keys, dtype=torch.bool)
    if kind == "left":
        real[1, : keys // 3] = False
    if kind == "left, most":
        real[1, : keys - 2] = False
    if kind == "right":
        real[1, -(keys // 3) :] = False
    return None if kind == "none" else real


def computing_by(name, monkeypatch):
    """Return the block in which attention is computed in one of the three ways."""
    if name == "scores":
        monkeypatch.setattr(fast, "has_kernel", lambda *_: False)
    if name != "one pass":
        return contextlib.nullcontext()
    if torch.get_default_device().type != "cpu":
        pytest.skip("the kernel is for CPUs")
    assert one_pass.row_kernels() is not None, "needs a C++ compiler"
    monkeypatch.setattr(one_pass, "_FEWEST_ROWS", 1)
    return torch.inference_mode()


@pytest.fixture(params=["kernels", "scores", "one pass"])
def path(request, monkeypatch):
    """Run a test on each of the three ways to compute."""
    with computing_by(request.param, monkeypatch):
        yield request.param


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("policy", ["entropy", "constant", "focus"])
@pytest.mark.parametrize("bounds", ["theoretical", (0.1, 4.0)])
def test_prefill(path, dtype, policy, bounds):
    config = SRAConfig(alpha=0.6, policy=policy, bounds=bounds)
    check(*qkv(70, 70, dtype=dtype), Visibility(session(config), 70, 70), config)


@pytest.mark.parametrize("pad", ["none", "left", "left, most", "right"])
@pytest.mark.parametrize("window", [None, 1, 5, 40])
@pytest.mark.parametrize(("rows", "past"), [(50, 0), (20, 30), (2, 48), (1, 49)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_padding_windows_chunks_and_decoding(path, pad, window, rows, past, dtype):
    config = SRAConfig(alpha=0.6)
    real = padding(pad, 2, rows + past)
    visibility = Visibility(session(config), rows, rows + past, position=past, window=window, real=real)
    check(*qkv(rows, rows + past, dtype=dtype), visibility, config)


def test_more_rows_than_one_band_and_one_block(path, monkeypatch):
    monkeypatch.setattr(serving, "_BAND_ROWS", 16)
    monkeypatch.setattr(serving, "_SCORES_AT_ONCE", 2 * 6 * 50 * 7)
    for bounds in ("theoretical", "observed"):
        config = SRAConfig(alpha=0.6, bounds=bounds)
        visibility = Visibility(session(config), 50, 50, window=20, real=padding("left", 2, 50))
        q, k, v = qkv(50, 50)
        output = fast_reattention(q, k, v, visibility=visibility, layer=0, scale=SCALE)
        expected = scaled_reattention(
            q, k, v, alpha=0.6, bounds=bounds, attention_mask=seen_by(visibility), scale=SCALE
        ).output
        real_rows = visibility.real[:, None, :, None].expand_as(output)
        torch.testing.assert_close(output[real_rows], expected[real_rows], atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("heads", [(6, 6), (6, 3), (6, 1)])
@pytest.mark.parametrize("rows", [40, 1])
def test_grouped_queries(path, heads, rows):
    config = SRAConfig(alpha=0.5)
    check(*qkv(rows, 40, heads=heads), Visibility(session(config), rows, 40, position=40 - rows), config)


def test_static_cache_has_slots_that_nothing_was_written_to(path):
    config = SRAConfig(alpha=0.5)
    q, k, v = qkv(10, 64)
    k[:, :, 30:], v[:, :, 30:] = float("nan"), float("nan")
    output = fast_reattention(
        q, k, v, visibility=Visibility(session(config), 10, 64, position=20), layer=0, scale=SCALE
    )
    expected = scaled_reattention(q, k[:, :, :30], v[:, :, :30], alpha=0.5, is_causal=True, scale=SCALE).output
    torch.testing.assert_close(output, expected, atol=2e-5, rtol=2e-5)


def test_a_rolling_window_cache_starts_behind_position_zero(path):
    config = SRAConfig(alpha=0.5)
    visibility = Visibility(session(config), 4, 11, position=107, key_position=100, window=8)
    check(*qkv(4, 11), visibility, config)


@pytest.mark.parametrize("rows", [30, 1])
def test_soft_capped_scores(rows):
    config = SRAConfig(alpha=0.5)
    check(*qkv(rows, 30), Visibility(session(config), rows, 30, position=30 - rows), config, softcap=2.0)


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
def test_any_other_mask(dtype):
    config = SRAConfig(alpha=0.5)
    q, k, v = qkv(20, 20)
    seen = (torch.rand(2, 1, 20, 20) > 0.5) | torch.eye(20, dtype=torch.bool)
    mask = seen if dtype == torch.bool else torch.randn(seen.shape).masked_fill(~seen, torch.finfo(dtype).min)
    expected = scaled_reattention(q, k, v, alpha=0.5, attention_mask=mask, scale=SCALE).output
    for rule in (mask, lambda start, stop: mask[:, :, start:stop]):
        visibility = Visibility(session(config), 20, 20, rule=rule)
        output = fast_reattention(q, k, v, visibility=visibility, layer=0, scale=SCALE)
        torch.testing.assert_close(output, expected, atol=2e-5, rtol=2e-5)


def test_values_of_another_size_than_keys():
    config = SRAConfig(alpha=0.5)
    q, k, _ = qkv(20, 20)
    v = torch.randn(2, 2, 20, 10)
    check(q, k, v, Visibility(session(config), 20, 20), config)


@pytest.mark.parametrize("starts", [0, 13, [13, 27], 40, 99])
def test_only_the_rows_after_the_context(path, starts):
    config = SRAConfig(alpha=0.6, rows="after_context")
    q, k, v = qkv(40, 40)
    visibility = Visibility(session(config, context_length=starts), 40, 40)
    output = fast_reattention(q, k, v, visibility=visibility, layer=0, scale=SCALE)
    plain = scaled_reattention(q, k, v, alpha=0.0, is_causal=True, scale=SCALE).output
    sharp = scaled_reattention(q, k, v, alpha=0.6, is_causal=True, scale=SCALE).output
    for sequence in range(2):
        start = starts[sequence] if isinstance(starts, list) else starts
        expected = torch.cat((plain[sequence, :, :start], sharp[sequence, :, start:]), dim=1)
        torch.testing.assert_close(output[sequence], expected, atol=2e-5, rtol=2e-5)


def test_observed_bounds_are_those_of_the_sharpened_rows(path):
    config = SRAConfig(alpha=0.6, bounds="observed")
    q, k, v = qkv(40, 40)
    output = fast_reattention(q, k, v, visibility=Visibility(session(config), 40, 40), layer=0, scale=SCALE)
    expected = scaled_reattention(q, k, v, alpha=0.6, bounds="observed", is_causal=True, scale=SCALE).output
    torch.testing.assert_close(output, expected, atol=2e-5, rtol=2e-5)


def test_observed_bounds_are_carried_from_the_prefill_to_decoding(path):
    config = SRAConfig(alpha=0.6, bounds="observed")
    state = session(config)
    q, k, v = qkv(31, 31)
    fast_reattention(
        q[:, :, :30], k[:, :, :30], v[:, :, :30], visibility=Visibility(state, 30, 30), layer=0, scale=SCALE
    )
    output = fast_reattention(
        q[:, :, 30:], k, v, visibility=Visibility(state, 1, 31, position=30), layer=0, scale=SCALE
    )
    prompt = scaled_reattention(q[:, :, :30], k[:, :, :30], v[:, :, :30], alpha=0, is_causal=True, scale=SCALE).entropy
    low, high = prompt.amin(-1), prompt.amax(-1)
    row = scaled_reattention(q[:, :, 30:], k, v, alpha=0, scale=SCALE).entropy[..., 0]
    beta = 1 + 0.6 * (row - low) / (high - low)
    expected = scaled_reattention(q[:, :, 30:] * beta[..., None, None], k, v, alpha=0, scale=SCALE).output
    torch.testing.assert_close(output, expected, atol=2e-5, rtol=2e-5)


def test_observed_bounds_start_anew_with_a_new_sequence(path):
    config = SRAConfig(alpha=0.6, bounds="observed")
    state = session(config)
    first, second = qkv(20, 20), qkv(20, 20)
    fast_reattention(*first, visibility=Visibility(state, 20, 20), layer=0, scale=SCALE)
    again = fast_reattention(*second, visibility=Visibility(state, 20, 20), layer=0, scale=SCALE)
    alone = fast_reattention(*second, visibility=Visibility(session(config), 20, 20), layer=0, scale=SCALE)
    assert torch.equal(again, alone)


def test_alpha_by_layer_and_head():
    alpha = ((0.0,) * 6, (0.0, 0.5, 0.0, 0.2, 0.0, 0.9))
    state = Session(SRAConfig(alpha=alpha), 2, 6)
    q, k, v = qkv(20, 20)
    for layer in range(2):
        output = fast_reattention(q, k, v, visibility=Visibility(state, 20, 20), layer=layer, scale=SCALE)
        strength = torch.tensor(alpha[layer])[:, None]
        expected = scaled_reattention(q, k, v, alpha=strength, is_causal=True, scale=SCALE).output
        torch.testing.assert_close(output, expected, atol=2e-5, rtol=2e-5)


def test_padded_rows_never_give_nan(path):
    config = SRAConfig(alpha=0.6)
    visibility = Visibility(session(config), 30, 30, real=padding("left", 2, 30))
    assert torch.isfinite(fast_reattention(*qkv(30, 30), visibility=visibility, layer=0, scale=SCALE)).all()


class LargestTensor(torch.utils._python_dispatch.TorchDispatchMode):
    """Records the most elements that any tensor made within the block has."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        tensors = result if isinstance(result, tuple | list) else (result,)
        sizes = [t.untyped_storage().nbytes() // t.element_size() for t in tensors if isinstance(t, torch.Tensor)]
        self.elements = max([self.elements, *sizes])
        return result


@pytest.mark.parametrize("pad", ["none", "left"])
@pytest.mark.parametrize("window", [None, 128])
@pytest.mark.parametrize(
    ("bounds", "name"), [("theoretical", "one pass"), ("theoretical", "kernels"), ("observed", "")]
)
def test_memory_is_linear_in_the_length(pad, window, bounds, name, monkeypatch):
    length, size = 2048, 16
    if name == "kernels":
        monkeypatch.setattr(one_pass, "row_kernels", lambda: None)
    config = SRAConfig(alpha=0.6, bounds=bounds)
    q, k, v = qkv(length, length, size=size)
    visibility = Visibility(session(config), length, length, window=window, real=padding(pad, 2, length))
    with LargestTensor() as largest, torch.inference_mode():
        fast_reattention(q, k, v, visibility=visibility, layer=0, scale=SCALE)
    assert largest.elements <= q.numel()
    assert q.numel() < length * length / 4


class Reads(torch.utils._python_dispatch.TorchDispatchMode):
    """Counts the operators that read a tensor's memory, as opposed to making a view of it."""

    def __init__(self, tensor):
        super().__init__()
        self.storage, self.count = tensor.untyped_storage().data_ptr(), 0

    def holds(self, value):
        return isinstance(value, torch.Tensor) and value.untyped_storage().data_ptr() == self.storage

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.count += any(map(self.holds, args)) and not self.holds(result)
        return result


@pytest.mark.parametrize("batch", [1, 2])
def test_decoding_reads_the_keys_once(batch):
    config = SRAConfig(alpha=0.6)
    q, k, v = qkv(1, 500, batch=batch)
    visibility = Visibility(session(config), 1, 500, position=499)
    with Reads(k) as reads, torch.no_grad():  # under inference_mode the operators would not be seen one by one
        fast_reattention(q, k, v, visibility=visibility, layer=0, scale=SCALE)
    assert reads.count == 1
