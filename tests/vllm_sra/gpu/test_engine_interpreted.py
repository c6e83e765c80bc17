"""vLLM with the GPU backends, whose kernels are interpreted, gives the same results as transformers."""

import pytest
import torch
from vllm.platforms.cpu import CpuPlatform
from vllm.v1.attention.backend import AttentionCGSupport
from vllm_sra.gpu.flash_attn import SRAFlashAttentionBackend
from vllm_sra.gpu.triton_attn import SRATritonAttentionBackend

from sra_rag import SRAConfig
from tests.vllm_sra.engines import Reference, prompt, run, save_tiny, start, stop, tokens_and_logprobs
from tests.vllm_sra.gpu.torch_flash_attention import use_torch_flash_attention
from tests.vllm_sra.test_evidence import expected_shares, run_look, shares

CONTEXT = 8
WEIGHED = [[1, 4, 8.0], [5, 7, 16.0]]
SPANS, HEADS = [[0, 3], [3, 8]], [[0, 1], [1, 0], [1, 3]]
SETTINGS = {
    "off": (None, None),
    "all": ({"sra": 0.5}, SRAConfig(alpha=0.5)),
    "after_context": (
        {"sra": "alpha=0.8,rows=after_context", "sra_context_length": CONTEXT},
        SRAConfig(alpha=0.8, rows="after_context"),
    ),
    "constant": ({"sra": "alpha=0.3,policy=constant,layers=0"}, SRAConfig(alpha=0.3, policy="constant", layers=(0,))),
    "evidence": (
        {"sra": "evidence=4,alpha=0", "sra_evidence": WEIGHED, "sra_context_length": CONTEXT},
        SRAConfig(alpha=0.0, evidence={"weight": 4}),
    ),
    "sharpened evidence of some heads": (
        {
            "sra": {"alpha": 0.6, "evidence": {"weight": 4, "heads": [[0, 2], [1, 0], [1, 1]]}},
            "sra_evidence": WEIGHED,
            "sra_context_length": CONTEXT,
        },
        SRAConfig(alpha=0.6, evidence={"weight": 4, "heads": [[0, 2], [1, 0], [1, 1]]}),
    ),
}
PROMPTS = [prompt(n, 14 + n) for n in range(len(SETTINGS))]
TOKENS = 2


# The first configuration processes prompts in chunks and has a sliding window.
@pytest.mark.parametrize(
    ("backend", "model", "budget"),
    [(SRATritonAttentionBackend, "narrow", 40), (SRAFlashAttentionBackend, "shallow", 128)],
    ids=["Triton", "FlashAttention"],
)
def test_requests_with_and_without_in_one_batch(tmp_path, monkeypatch, backend, model, budget):
    use_torch_flash_attention(monkeypatch)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (8, 0))  # vLLM uses it to select the tile size
    monkeypatch.setattr(CpuPlatform, "get_attn_backend_cls", lambda *_, **__: ".".join(backend.full_cls_name()))
    folder = save_tiny(tmp_path, model)
    llm = start(folder, block_size=16, max_num_seqs=4, max_model_len=128, max_num_batched_tokens=budget)
    try:
        layers = llm.llm_engine.vllm_config.compilation_config.static_forward_context.values()
        assert {type(layer.impl) for layer in layers} == {backend.get_impl_cls()}
        outputs = run(llm, PROMPTS, [extra for extra, _ in SETTINGS.values()], tokens=TOKENS)
        asked = {"sra_return_evidence": {"spans": SPANS, "heads": HEADS}, "sra_context_length": CONTEXT}
        looks = run_look(llm, PROMPTS[:3], [asked, asked, None], len(SPANS))
    finally:
        stop(llm)
    reference = Reference(folder)
    if model == "shallow":  # transformers forgets the keys before a sliding window
        for output, ids in zip(looks[:2], PROMPTS, strict=False):
            expected = expected_shares(reference, ids, SPANS, HEADS, CONTEXT)
            assert shares(output, SPANS) == pytest.approx(expected, abs=1e-5)
            assert abs(expected[0] - expected[1]) > 0.05
    for output, ids, (name, (extra, sra)) in zip(outputs, PROMPTS, SETTINGS.items(), strict=True):
        tokens, actual = tokens_and_logprobs(output)
        context, evidence = ((extra or {}).get(key) for key in ("sra_context_length", "sra_evidence"))
        expected = reference.logprobs(ids + tokens, len(ids), sra, context, evidence)
        assert actual == pytest.approx(expected, abs=5e-5), name
        plain = reference.logprobs(ids + tokens, len(ids))
        assert sra is None or max(abs(a - b) for a, b in zip(actual, plain, strict=True)) > 1e-2, name


@pytest.mark.parametrize("backend", [SRATritonAttentionBackend, SRAFlashAttentionBackend])
def test_attention_is_excluded_from_cuda_graphs(backend):
    assert backend.get_builder_cls().get_cudagraph_support(None, None) is AttentionCGSupport.NEVER
