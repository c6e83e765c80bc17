"""Reattention inside vLLM gives the same results as transformers: in mixed batches, in chunks, after preemption."""

import pytest
import torch

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

from vllm.exceptions import VLLMValidationError
from vllm_sra.cpu.cpu_attn import SRACPUAttentionBackend
from vllm_sra.plugin.request_table import _TABLES

from sra_rag import SRAConfig
from tests.vllm_sra.engines import Reference, prompt, run, save_tiny, start, stop, tokens_and_logprobs

HEADS = [[0.0, 0.1, 0.2, 0.3], [0.4, 0.0, 0.0, 0.2], [0.3] * 4]
SETTINGS = {
    "off": None,
    "all": {"sra": 0.5},
    "focus": {"sra": "alpha=0.5,policy=focus"},
    "constant": {"sra": "alpha=0.3,policy=constant"},
    "bounds": {"sra": "alpha=0.5,bounds=0,4.5"},
    "heads": {"sra": {"alpha": HEADS}},
    "layers": {"sra": "alpha=0.8,layers=1"},
    "generated": {"sra": "alpha=0.8,rows=generated"},
    "after_context": {"sra": "alpha=0.8,rows=after_context", "sra_context_length": 57},
}
CONFIGS = {
    "off": None,
    "all": SRAConfig(alpha=0.5),
    "focus": SRAConfig(alpha=0.5, policy="focus"),
    "constant": SRAConfig(alpha=0.3, policy="constant"),
    "bounds": SRAConfig(alpha=0.5, bounds=(0, 4.5)),
    "heads": SRAConfig(alpha=HEADS),
    "layers": SRAConfig(alpha=0.8, layers=(1,)),
    "generated": SRAConfig(alpha=0.8, rows="generated"),
    "after_context": SRAConfig(alpha=0.8, rows="after_context"),
}
PROMPTS = [prompt(n, 65 + 13 * n) for n in range(len(SETTINGS))]


@pytest.fixture(scope="module", params=["llama", "mistral"])
def model(request, tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(
    scope="module",
    params=[{"max_num_seqs": 16}, {"max_num_seqs": 4, "max_num_batched_tokens": 64, "enable_chunked_prefill": True}],
    ids=["whole prompts", "chunks"],
)
def llm(request, model):
    """An engine that the tests share; one at a time, for stopping one ends what all engines of a process share."""
    llm = start(model, **request.param)
    yield llm
    stop(llm)


def expect(reference, tokens, length, name):
    context = 57 if name == "after_context" else None
    return reference.logprobs(tokens, length, CONFIGS[name], context)


def check(outputs, model):
    reference = Reference(model)
    changed = 0
    for output, ids, name in zip(outputs, PROMPTS, SETTINGS, strict=True):
        tokens, actual = tokens_and_logprobs(output)
        expected = expect(reference, ids + tokens, len(ids), name)
        assert actual == pytest.approx(expected, abs=5e-5), name
        plain = expect(reference, ids + tokens, len(ids), "off")
        changed += max(abs(a - b) for a, b in zip(actual, plain, strict=True)) > 1e-2
    assert changed == len(SETTINGS) - 1  # otherwise agreement would be meaningless


def test_requests_with_and_without_in_one_batch(model, llm):
    assert llm.llm_engine.vllm_config.use_v2_model_runner is False
    check(run(llm, PROMPTS, SETTINGS.values(), tokens=8), model)


def test_the_request_table_is_empty_after_all_requests(llm):
    run(llm, PROMPTS[:3], list(SETTINGS.values())[:3])
    run(llm, PROMPTS[:1], [None])
    tables = list(_TABLES.values())
    assert tables
    assert all(table.entries == {} for table in tables)


@pytest.mark.parametrize("extra", [{"sra": "strong"}, {"sra": "rows=after_context"}, {"sra": "bounds=observed"}])
def test_invalid_settings_are_rejected_when_a_request_arrives(llm, extra):
    with pytest.raises((VLLMValidationError, ValueError)):
        run(llm, PROMPTS[:1], [extra])
    assert tokens_and_logprobs(run(llm, PROMPTS[:1], [None])[0])[0]  # the engine still works


@pytest.mark.skipif(torch.cuda.is_available(), reason="this is a GPU build of vLLM")
def test_the_registered_backend_is_used():
    from vllm.v1.attention.backends.registry import AttentionBackendEnum
    from vllm_sra import register

    register()
    register()
    assert AttentionBackendEnum.CPU_ATTN.get_class() is SRACPUAttentionBackend
    assert SRACPUAttentionBackend.get_name() == "CPU_ATTN"
