"""Configurations that are not supported with reattention are rejected by name when vLLM starts."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

from transformers import AutoModelForCausalLM, Gemma2Config
from vllm import SamplingParams
from vllm.config import CompilationMode
from vllm.exceptions import VLLMValidationError
from vllm.v1.core import kv_cache_utils
from vllm_sra import register
from vllm_sra.plugin import handshake
from vllm_sra.plugin.request_table import SRALogitsProcessor
from vllm_sra.plugin.servable_models import refuse_speculation, refuse_uncompiled_stages, refuse_unservable

from sra_rag.errors import ConfigError, UnsupportedModelError
from tests.vllm_sra.engines import SHAPE, prompt, run, save_tiny, start, stop

PLAIN = {"soft_cap": None, "alibi": False, "sinks": False, "kv_cache_dtype": "auto"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"soft_cap": 50.0}, "soft-capped"),
        ({"alibi": True}, "ALiBi"),
        ({"sinks": True}, "sinks"),
        ({"kv_cache_dtype": "fp8"}, r"quantized \(fp8\)"),
    ],
)
def test_unsupported_kinds_of_attention_are_rejected(changed, message):
    refuse_unservable(**PLAIN)
    with pytest.raises(UnsupportedModelError, match=message):
        refuse_unservable(**PLAIN | changed)


def test_a_soft_capped_model_is_rejected_when_it_is_loaded(tmp_path):
    AutoModelForCausalLM.from_config(Gemma2Config(**SHAPE, head_dim=32)).save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModelError, match="soft-capped"):
        start(tmp_path)


# In a separate process: it imports numba, after which vLLM cannot start another engine in the same process.
SPECULATION = """
import sys
from sra_rag.errors import UnsupportedModelError
from tests.vllm_sra.engines import start

if __name__ == "__main__":
    try:
        start(sys.argv[1], speculative_config={
            "method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_max": 3,
        })
    except UnsupportedModelError as error:
        print("REFUSED", error)
"""


def test_speculative_decoding_is_rejected(tmp_path):
    model, script = save_tiny(tmp_path / "model"), tmp_path / "script.py"
    script.write_text(SPECULATION)
    completed = subprocess.run(
        [sys.executable, str(script), str(model)],
        env=os.environ | {"PYTHONPATH": os.getcwd()}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "REFUSED Speculative decoding" in completed.stdout, completed.stderr[-2000:]
    refuse_speculation(SimpleNamespace(speculative_config=None))


def test_pipeline_parallelism_without_compilation_is_rejected():
    def config(mode, stages):
        parallel = SimpleNamespace(pipeline_parallel_size=stages)
        return SimpleNamespace(compilation_config=SimpleNamespace(mode=mode), parallel_config=parallel)

    refuse_uncompiled_stages(config(CompilationMode.NONE, 1))
    refuse_uncompiled_stages(config(CompilationMode.DYNAMO_TRACE_ONCE, 2))
    with pytest.raises(UnsupportedModelError, match="enforce-eager"):
        refuse_uncompiled_stages(config(CompilationMode.NONE, 2))


def test_the_second_model_runner_is_rejected(monkeypatch):
    monkeypatch.setenv("VLLM_USE_V2_MODEL_RUNNER", "1")
    with pytest.raises(ConfigError, match="V2_MODEL_RUNNER"):
        register()


def test_an_invalid_default_is_rejected(monkeypatch):
    monkeypatch.setenv("VLLM_USE_V2_MODEL_RUNNER", "0")
    monkeypatch.setenv("SRA_RAG_VLLM_SRA", "strong")
    with pytest.raises(ConfigError, match="SRA_RAG_VLLM_SRA"):
        register()


def test_settings_that_do_not_fit_the_model_fail_the_request_but_not_the_engine(tmp_path):
    llm = start(save_tiny(tmp_path))
    for sra, message in (
        ({"layers": [77]}, "layers names 77"),
        ({"alpha": [0.1]}, "layers"),
        ({"heads": [9]}, "heads"),
    ):
        with pytest.raises(VLLMValidationError, match=message):
            run(llm, [prompt(1, 10)], [{"sra": sra}])
    [output] = run(llm, [prompt(1, 10)], [{"sra": {"layers": [2], "heads": [3]}}])
    assert len(output.outputs[0].token_ids) == 6
    stop(llm)


def test_vllm_without_the_plugin_rejects_settings(monkeypatch):
    def check(extra):
        SRALogitsProcessor.validate_params(SamplingParams(extra_args=extra))

    salted = kv_cache_utils.generate_block_hash_extra_keys
    monkeypatch.setattr(kv_cache_utils, "generate_block_hash_extra_keys", getattr(salted, "__wrapped__", salted))
    check(None)
    check({"sra": "off"})
    with pytest.raises(ConfigError, match="VLLM_PLUGINS"):
        check({"sra": 0.2})
    with pytest.raises(ConfigError) as caught:
        check(handshake.QUESTION)
    assert handshake.version_in(str(caught.value)) is None
