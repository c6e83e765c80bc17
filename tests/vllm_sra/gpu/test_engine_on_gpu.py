"""vLLM on a GPU, both backends, in CUDA graphs and without: as near to transformers with settings as without."""

import statistics

import pytest
from vllm_sra.flash_attn import SRAFlashAttentionBackend
from vllm_sra.triton_attn import SRATritonAttentionBackend

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
        off = run(llm, PROMPTS, [None] * len(PROMPTS), tokens=16)
        on = run(llm, PROMPTS, SETTINGS.values(), tokens=16)
    finally:
        stop(llm)
    reference = Reference(folder)

    def apart(outputs, names, of_names):
        found = []
        for output, ids, name, of in zip(outputs, PROMPTS, names, of_names, strict=True):
            tokens, logprobs = said(output)
            other = logprobs if of is name else expect(reference, ids + tokens, len(ids), of)
            wanted = expect(reference, ids + tokens, len(ids), name)
            found += [abs(a - b) for a, b in zip(other, wanted, strict=True)]
        return statistics.fmean(found)

    none = ["off"] * len(PROMPTS)
    noise, noise_on, effect = (
        apart(off, none, none),
        apart(on, list(SETTINGS), list(SETTINGS)),
        apart(on, list(SETTINGS), none),
    )
    assert noise_on < 2 * noise  # sharper rows pass more of what they are made of on
    assert effect > 5 * noise
