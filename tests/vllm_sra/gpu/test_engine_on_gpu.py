"""vLLM in bfloat16 on a GPU, with both backends, with and without CUDA graphs.

Its error relative to transformers in float32 must be as small as that of transformers in bfloat16. The error is smaller
with settings off: later layers amplify the rounding of sharpened rows, in vLLM and in transformers.
"""

import statistics

import pytest
import torch
from vllm_sra.gpu.flash_attn import SRAFlashAttentionBackend
from vllm_sra.gpu.triton_attn import SRATritonAttentionBackend

from tests.vllm_sra.engines import Reference, run, save_tiny, start, stop, tokens_and_logprobs
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
    for mode, outputs in answers.items():
        names = list(SETTINGS) if mode == "on" else ["off"] * len(PROMPTS)
        noise, reference_noise, effect = [], [], []
        for output, ids, name in zip(outputs, PROMPTS, names, strict=True):
            tokens, actual = tokens_and_logprobs(output)
            expected, plain = (expect(exact, ids + tokens, len(ids), setting) for setting in (name, "off"))
            noise += differences(actual, expected)
            reference_noise += differences(expect(rounded, ids + tokens, len(ids), name), expected)
            effect += differences(plain, expected)
        assert statistics.fmean(noise) < 1.25 * statistics.fmean(reference_noise), mode
        assert mode == "off" or statistics.fmean(effect) > 5 * statistics.fmean(noise)


def differences(first, second):
    return [abs(a - b) for a, b in zip(first, second, strict=True)]
