"""With reattention, vLLM and transformers agree in bfloat16 as well as without. Off is vLLM without the plugin."""

import json
import os
import runpy
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

from transformers import AutoModelForCausalLM, LlamaConfig

from tests.vllm_sra.engines import CONFIGS, SHAPE, VOCABULARY, prompt, run, save_tiny, start, stop, tokens_and_logprobs

AGREEMENT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "vllm_agreement.py"))
LENGTHS = AGREEMENT["LENGTHS"]


def mean(comparisons, part):
    return statistics.fmean(value for comparison in comparisons for value in getattr(comparison, part))


def quantile(comparisons, part):
    """Return the 99th percentile of the differences."""
    return statistics.quantiles((v for c in comparisons for v in getattr(c, part)), n=100)[-1]


def test_prompts_agree_within_the_noise_of_bfloat16(tmp_path, monkeypatch, count):
    lengths = count(LENGTHS, LENGTHS[::3])
    monkeypatch.setitem(CONFIGS, "long", LlamaConfig(**SHAPE | {"max_position_embeddings": 4096}))
    folder = save_tiny(tmp_path, "long")
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sra", dtype=torch.bfloat16).eval()
    llm = start(folder, dtype="bfloat16", max_model_len=4096, max_num_batched_tokens=1024)
    try:
        pair = AGREEMENT["Pair"](llm, model)
        every = [
            pair.compare(prompt(number, length), *AGREEMENT["settings"](number, length))
            for number, length in enumerate(lengths)
        ]
    finally:
        stop(llm)
    assert [comparison.length for comparison in every] == list(lengths)
    assert lengths[0] == 100
    assert lengths[-1] > 1024  # read in more than one chunk
    assert mean(every, "off") > 0
    assert mean(every, "on") < 1.25 * mean(every, "off")
    assert quantile(every, "on") < 1.5 * quantile(every, "off")
    assert mean(every, "effect") > 5 * mean(every, "off")  # otherwise agreement would be meaningless
    assert sum(comparison.clear for comparison in every) > 0
    assert all(comparison.equal == comparison.clear for comparison in every)


# A separate process, because a process cannot unload the plugin.
SCRIPT = """
import json, sys
from tests.vllm_sra.engines import prompt, run, tokens_and_logprobs, start, stop

if __name__ == "__main__":
    llm = start(sys.argv[1])
    outputs = run(llm, [prompt(n, 60 + 37 * n) for n in range(6)], [None] * 6, tokens=24)
    refused = ""
    try:
        run(llm, [prompt(0, 60)], [{"sra": 0.5}])
    except Exception as error:
        refused = str(error)
    print("RESULT", json.dumps([[tokens_and_logprobs(output) for output in outputs], refused]))
    stop(llm)
"""


def test_off_is_vllm_without_the_plugin_token_for_token(tmp_path):
    model, script = save_tiny(tmp_path / "model"), tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "VLLM_PLUGINS": ""}
    environment.pop("VLLM_USE_V2_MODEL_RUNNER", None)  # set by the plugin
    completed = subprocess.run(
        [sys.executable, str(script), str(model)], env=environment, capture_output=True, text=True, check=False
    )
    lines = [line for line in completed.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, completed.stderr[-3000:]
    without, refused = json.loads(lines[0].removeprefix("RESULT "))
    assert "without reattention" in refused  # the settings are not silently ignored
    llm = start(model)
    try:
        for extras in ([{"sra": 0}] * 6, [None, {"sra": "off"}] * 3):
            outputs = run(llm, [prompt(n, 60 + 37 * n) for n in range(6)], extras, tokens=24)
            for output, (tokens, logprobs) in zip(outputs, without, strict=True):
                assert tokens_and_logprobs(output)[0] == tokens
                assert tokens_and_logprobs(output)[1] == pytest.approx(logprobs, abs=1e-5)
    finally:
        stop(llm)
    assert max(len(set(tokens)) for tokens, _ in without) > 3
    assert max(max(tokens) for tokens, _ in without) < VOCABULARY
