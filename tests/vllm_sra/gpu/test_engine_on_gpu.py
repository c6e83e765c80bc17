"""vLLM on a GPU, both backends, in CUDA graphs and without: as near to transformers in float32 as transformers is.

That is, in bfloat16. It is nearer with settings off: what sharpened rows round, later layers make more of, in both.
"""

import statistics

import pytest
import torch
from vllm_sra.gpu.flash_attn import SRAFlashAttentionBackend
from vllm_sra.gpu.triton_attn import SRATritonAttentionBackend

from tests.vllm_sra.engines import Reference, run, said, save_tiny, start, stop
from tests.vllm_sra.test_engine import PROMPTS, SETTINGS, expect


@pytest.mark.parametrize("backend", [SRAFlashAttentionBackend, SRATritonAttentionBackend])
@pytest.mark.parametrize("eager", [True, False], ids=["eager", "CUDA graphs"])
def test_requests_with_and_without_in_one_batch(tmp_path, backend, eager):
    folder = save_tiny(tmp_path)
    llm = start(folder, dtype="bfloat16", attention_backend=backend.get_name(), enforce_eager=eager)
    try:
        layers = llm.llm_engine.vllm_config.compilation_config.static_forward_context.values()
        assert {type(layer.impl) for layer in layers} == {backend.get_impl_cls()}
        answers = {
            "off": run(llm, PROMPTS, [None] * len(PROMPTS), tokens=16),
            "on": run(llm, PROMPTS, SETTINGS.values(), tokens=16),
        }
    finally:
        stop(llm)
    exact, rounded = Reference(folder), Reference(folder, torch.bfloat16)
    for which, outputs in answers.items():
        names = list(SETTINGS) if which == "on" else ["off"] * len(PROMPTS)
        noise, own_noise, effect = [], [], []
        for output, ids, name in zip(outputs, PROMPTS, names, strict=True):
            tokens, found = said(output)
            wanted, plain = (expect(exact, ids + tokens, len(ids), of) for of in (name, "off"))
            noise += apart(found, wanted)
            own_noise += apart(expect(rounded, ids + tokens, len(ids), name), wanted)
            effect += apart(plain, wanted)
        assert statistics.fmean(noise) < 1.25 * statistics.fmean(own_noise), which
        assert which == "off" or statistics.fmean(effect) > 5 * statistics.fmean(noise)


def apart(one, other):
    return [abs(a - b) for a, b in zip(one, other, strict=True)]
