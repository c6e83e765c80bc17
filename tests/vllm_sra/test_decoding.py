"""Decoding rows with a cache of transposed keys, compared with the reference. Most tests need no vLLM."""

import math
from importlib.util import find_spec

import pytest
import torch
from vllm_sra.cpu import block_sums
from vllm_sra.cpu.compiled import compiled_kernels
from vllm_sra.cpu.decoding import DecodingRows, decoding_spans
from vllm_sra.plugin.batch import RowSpan

from sra_rag import SRAConfig
from sra_rag.attention.evidence import TO_END, Evidence
from sra_rag.attention.reference import scaled_reattention
from sra_rag.attention.session import Session

BLOCK, D, HEADS, GROUP, LAYERS = 32, 32, 6, 3, 3
KV_HEADS = HEADS // GROUP
SCALE = D**-0.5


class Batch:
    """Decoding requests whose blocks are scattered in one cache."""

    def __init__(self, lengths, configs, dtype=torch.float32, evidence=None):
        torch.manual_seed(1)
        self.keys, self.values = (
            [torch.randn(1, KV_HEADS, n, D).to(dtype) for n in lengths] for _ in ("keys", "values")
        )
        needed = [-(-n // BLOCK) for n in lengths]
        order = torch.randperm(sum(needed) + 3)
        self.cache = (
            torch.randn(len(order), KV_HEADS, 2, D, BLOCK).to(dtype) * 9
        )  # unwritten slots hold large values, which must not be read
        self.query = (torch.randn(len(lengths) + 1, HEADS, D) * 3).to(dtype)
        self.spans = []
        for row, (keys, values, count, config) in enumerate(zip(self.keys, self.values, needed, configs, strict=True)):
            blocks, order = order[:count], order[count:]
            for index, block in enumerate(blocks):
                part = keys[0, :, index * BLOCK : (index + 1) * BLOCK]
                self.cache[block, :, 0, :, : part.shape[1]] = part.transpose(1, 2)
                in_rows = self.cache[block, :, 1].view(KV_HEADS, BLOCK, D)
                in_rows[:, : part.shape[1]] = values[0, :, index * BLOCK : (index + 1) * BLOCK]
            session = Session(config, LAYERS, HEADS, context_length=3, prompt_length=keys.shape[2] - 1)
            if evidence is not None and evidence[row]:
                spans, weights = zip(*evidence[row].items(), strict=True)
                start = min(spans[-1][1], keys.shape[2] - 1)
                session.evidence = Evidence(
                    [spans], [start], weight=[weights], heads=WEIGHING, n_layers=LAYERS, n_heads=HEADS
                )
            table = torch.cat((blocks, torch.zeros(4, dtype=torch.long))).int()  # padded, like vLLM's block table
            self.spans.append(RowSpan(session, row, row + 1, keys.shape[2] - 1, table, row))

    def scaled(self, window=None, layer=1, cache=None):
        cache = self.cache if cache is None else cache
        return DecodingRows(self.spans).scaled(self.query, cache, layer=layer, scale=SCALE, window=window)

    def attended(self, window=None, layer=1):
        rows = len(self.spans)
        return DecodingRows(self.spans).attended(self.query[:rows], self.cache, layer=layer, scale=SCALE, window=window)

    def beta(self, row, **settings):
        return self.reference(row, **settings).beta.flatten()

    def reference(self, row, alpha=0.5, policy="entropy", window=None, evidence=None):
        query, keys, values = (x.float() for x in (self.query[None, row, :, None], self.keys[row], self.values[row]))
        mask = None
        if window is not None:
            mask = (torch.arange(keys.shape[2]) >= keys.shape[2] - window)[None]
        extra = torch.zeros(HEADS, 1, keys.shape[2])
        for (first, last), weight in (evidence or {}).items():
            extra[[head for layer, head in WEIGHING if layer == 1], :, first:last] = math.log(weight)
        return scaled_reattention(
            query, keys, values, attention_mask=mask, scale=SCALE, alpha=alpha, policy=policy, log_weight=extra
        )


WEIGHING = ((1, 0), (1, 2), (1, 5), (2, 0))
LENGTHS = [1, 31, 32, 33, 250, 97]
SHARPENED = [SRAConfig(alpha=0.5, rows=rows) for rows in ("all", "all", "generated", "all", "all", "generated")]


@pytest.fixture(params=["compiled", "few blocks at once", "all blocks at once"])
def sums(request, monkeypatch):
    """Compute sums over blocks with the compiled kernel, or with PyTorch operators."""
    if request.param == "compiled":
        if find_spec("vllm") is None:
            pytest.skip("needs vLLM in an environment of its own: make test-vllm")
        assert compiled_kernels() is not None
        return
    monkeypatch.setattr(block_sums, "compiled_kernels", lambda: None)
    if request.param.startswith("few"):
        monkeypatch.setattr(block_sums, "_SCORES_PER_CHUNK", 3 * HEADS * BLOCK)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("window", [None, 20, 32, 70])
@pytest.mark.usefixtures("sums")
def test_each_row_is_sharpened_by_the_keys_it_attends_to(dtype, window):
    batch = Batch(LENGTHS, SHARPENED, dtype)
    before = batch.query.clone()
    scaled = batch.scaled(window=window)
    for row in range(len(LENGTHS)):
        expected = (batch.query[row].float() * batch.beta(row, window=window)[:, None]).to(dtype)
        torch.testing.assert_close(scaled[row], expected)
    assert torch.equal(scaled[-1], before[-1])  # a row without a request
    assert torch.equal(batch.query, before)
    assert not torch.equal(scaled, before)


@pytest.mark.usefixtures("sums")
def test_a_non_contiguous_cache_is_supported():
    batch = Batch(LENGTHS, SHARPENED)
    wide = torch.randn(len(batch.cache), KV_HEADS + 1, 2, D, BLOCK)
    wide[:, :KV_HEADS] = batch.cache
    torch.testing.assert_close(batch.scaled(cache=wide[:, :KV_HEADS]), batch.scaled())


@pytest.mark.usefixtures("sums")
def test_each_request_uses_its_own_settings():
    heads = ((0.0,) * HEADS, (0.1, 0.0, 0.3, 0.4, 0.0, 0.9), (0.2,) * HEADS)
    configs = [
        SRAConfig(alpha=0.5), SRAConfig(alpha=0.3, policy="focus"), SRAConfig(alpha=0.2, policy="constant"),
        SRAConfig(alpha=0.7, layers=(0,)), SRAConfig(alpha=heads), SRAConfig(alpha=0.5),
    ]  # fmt: skip
    batch = Batch(LENGTHS, configs)
    scaled = batch.scaled()
    torch.testing.assert_close(scaled[0], batch.query[0])  # one key: nothing to sharpen
    torch.testing.assert_close(scaled[1], batch.query[1] * batch.beta(1, alpha=0.3, policy="focus")[:, None])
    torch.testing.assert_close(scaled[2], batch.query[2] * 1.2)
    assert torch.equal(scaled[3], batch.query[3])
    by_head = torch.stack([batch.beta(4, alpha=alpha)[n] for n, alpha in enumerate(heads[1])])
    torch.testing.assert_close(scaled[4], batch.query[4] * by_head[:, None])
    torch.testing.assert_close(scaled[5], batch.query[5] * batch.beta(5)[:, None])


@pytest.fixture
def compiled():
    if find_spec("vllm") is None:
        pytest.skip("needs vLLM in an environment of its own: make test-vllm")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("window", [None, 20, 32, 70])
@pytest.mark.usefixtures("compiled")
def test_attention_of_each_row_equals_the_reference(dtype, window):
    batch = Batch(LENGTHS, SHARPENED, dtype)
    attended = batch.attended(window=window)
    assert attended.shape == (len(LENGTHS), HEADS, D)
    for row in range(len(LENGTHS)):
        expected = batch.reference(row, window=window).output[0, :, 0]
        torch.testing.assert_close(attended[row], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.usefixtures("compiled")
def test_attention_of_rows_with_different_settings(threads, monkeypatch):
    before = torch.get_num_threads()
    batch = Batch([250, 97, 40], [SRAConfig(alpha=0.3, policy="focus"), SRAConfig(alpha=0.7, layers=(0,)),
                                  SRAConfig(alpha=0.2, policy="constant")])  # fmt: skip
    try:
        torch.set_num_threads(threads)
        attended = batch.attended()
    finally:
        torch.set_num_threads(before)
    for row, (alpha, policy) in enumerate([(0.3, "focus"), (0.0, "entropy"), (0.2, "constant")]):
        expected = batch.reference(row, alpha=alpha, policy=policy).output[0, :, 0]
        torch.testing.assert_close(attended[row], expected, atol=1e-5, rtol=1e-5)
    assert batch.attended(layer=2) is not None  # two of the three requests are sharpened in layer 2


# In one block, over several, two spans with different weights, two of which one goes on to the end, and none.
EVIDENCE = [{(3, 7): 8.0}, {(20, 190): 16.0}, {(0, 40): 4.0, (60, 61): 1e30}, {(1, 2): 3.0, (30, TO_END): 2.0}, {}]
WEIGHED = [SRAConfig(alpha=alpha, rows="after_context", evidence=4.0) for alpha in (0.0, 0.5, 0.5, 0.5, 0.5)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("window", [None, 33])
@pytest.mark.usefixtures("compiled")
def test_evidence_counts_as_many_times_as_its_weight(dtype, window):
    batch = Batch([31, 250, 97, 40, 64], WEIGHED, dtype, EVIDENCE)
    attended = batch.attended(window=window)
    changed = 0
    for row, (config, evidence) in enumerate(zip(WEIGHED, EVIDENCE, strict=True)):
        expected, plain = (
            batch.reference(row, alpha=config.alpha, window=window, evidence=given).output[0, :, 0]
            for given in (evidence, None)
        )
        torch.testing.assert_close(attended[row], expected, atol=1e-5, rtol=1e-5)
        changed += not torch.allclose(expected, plain, atol=1e-2)
    assert changed == (4 if window is None else 2)


@pytest.mark.usefixtures("compiled")
def test_rows_are_weighed_but_not_sharpened_before_the_answer():
    config = SRAConfig(alpha=0.7, rows="generated", evidence=4.0)
    batch = Batch([97], [config], evidence=[{(5, 30): 4.0}])
    batch.spans[0].session.sharpen_only([False])  # as for the last row of the prompt
    expected = batch.reference(0, alpha=0.0, evidence={(5, 30): 4.0}).output[0, :, 0]
    torch.testing.assert_close(batch.attended()[0], expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(batch.scaled(layer=0), batch.query)


def test_rows_that_weigh_evidence_are_not_multiplied_by_their_factors():
    batch = Batch([97, 97], [WEIGHED[1]] * 2, evidence=[EVIDENCE[0], {}])
    scaled = batch.scaled()
    assert torch.equal(scaled[0], batch.query[0])
    torch.testing.assert_close(scaled[1], batch.query[1] * batch.beta(1)[:, None])
    assert not torch.equal(batch.scaled(layer=0)[0], batch.query[0])  # no head weighs there


@pytest.mark.usefixtures("compiled")
def test_a_layer_without_sharpened_rows_uses_the_kernel_of_vllm():
    assert Batch([40], [SRAConfig(alpha=0.7, layers=(0,))]).attended() is None


def test_without_compiled_kernels_the_kernel_of_vllm_is_used(monkeypatch):
    monkeypatch.setattr(block_sums, "compiled_kernels", lambda: None)
    assert Batch([40], [SRAConfig(alpha=0.7)]).attended() is None


def test_the_query_is_not_copied_if_no_row_is_sharpened():
    batch = Batch([40], [SRAConfig(alpha=0.7, layers=(0,))])
    assert batch.scaled(layer=2).data_ptr() == batch.query.data_ptr()


def test_requests_with_one_row_are_separated_from_others():
    single, several = (RowSpan(None, 0, stop, 7, torch.arange(2), 0) for stop in (1, 5))
    assert decoding_spans([several, single, several]) == ([single], [several, several])
