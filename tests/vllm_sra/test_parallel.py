"""Tensor parallelism, pipeline parallelism and compiled models give the same results as one uncompiled worker."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

from sra_rag import SRAConfig
from tests.vllm_sra.engines import Reference, prompt, save_tiny
from tests.vllm_sra.test_engine import CONFIGS
from tests.vllm_sra.test_evidence import expected_shares

EVIDENCE = SRAConfig(alpha=0.0, evidence={"weight": 4, "heads": [[0, 1], [1, 0], [1, 3], [2, 2]]})
SPANS = [[3, 9, 8.0], [40, 57, 16.0]]
LOOKING = [[[0, 1], [1, 0], [1, 3]], [[0, 0], [2, 1]]]  # heads of both workers, and of the first one only

# Each engine runs in a separate process: workers are separate processes, and compilation changes the imported modules.
SCRIPT = """
import json, sys
from tests.vllm_sra.engines import prompt, run, tokens_and_logprobs, start, stop
from tests.vllm_sra.test_engine import SETTINGS

if __name__ == "__main__":
    llm = start(sys.argv[1], **json.loads(sys.argv[2]))
    settings = {name: SETTINGS[name] for name in ("off", "all", "heads", "after_context")}
    settings["evidence"] = json.loads(sys.argv[3])
    outputs = run(llm, [prompt(n, 90) for n in range(len(settings))], list(settings.values()))
    print("RESULT", json.dumps({name: tokens_and_logprobs(output) for name, output in zip(settings, outputs)}))
    if "pipeline_parallel_size" not in sys.argv[2]:
        # Only now: it imports numba, and with that vLLM cannot start its workers on a CPU.
        from tests.vllm_sra.test_evidence import run_look, shares

        looks = json.loads(sys.argv[4])
        outputs = run_look(llm, [prompt(n, 90) for n in range(len(looks))], looks, 2)
        print("SHARES", json.dumps([shares(output, [[3, 9], [40, 57]]) for output in outputs]))
    stop(llm)
"""


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "options",
    [
        '{"tensor_parallel_size": 2, "distributed_executor_backend": "mp"}',
        # Traced, as vLLM requires for stages on CPU, but not compiled, which would take one more minute.
        '{"pipeline_parallel_size": 2, "distributed_executor_backend": "mp", "enforce_eager": false, '
        '"compilation_config": {"mode": 2, "backend": "eager"}}',
        pytest.param('{"enforce_eager": false}', marks=pytest.mark.long),  # a minute of compiling
    ],
    ids=["two workers", "two stages", "compiled"],
)
def test_the_results_are_the_same(tmp_path, options):
    model = save_tiny(tmp_path / "model")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = os.environ | {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "1", "PYTHONPATH": os.pathsep.join(["", *sys.path]),
        "VLLM_CACHE_ROOT": str(tmp_path / "cache"),
    }  # fmt: skip
    weighed = json.dumps({"sra": EVIDENCE.to_dict(), "sra_evidence": SPANS, "sra_context_length": 57})
    spans = [span[:2] for span in SPANS]
    looks = [{"sra_return_evidence": {"spans": spans, "heads": heads}, "sra_context_length": 57} for heads in LOOKING]
    command = [sys.executable, str(script), str(model), options, weighed, json.dumps(looks)]
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in completed.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, completed.stderr[-3000:]
    outputs_by_name = json.loads(lines[0].removeprefix("RESULT "))
    reference = Reference(model)
    for n, (name, (tokens, logprobs)) in enumerate(outputs_by_name.items()):
        ids = prompt(n, 90)
        context = 57 if name in ("after_context", "evidence") else None
        sra, evidence = (EVIDENCE, SPANS) if name == "evidence" else (CONFIGS[name], None)
        expected = reference.logprobs(ids + tokens, len(ids), sra, context, evidence)
        assert logprobs == pytest.approx(expected, abs=5e-5), name
    returned = [line for line in completed.stdout.splitlines() if line.startswith("SHARES ")]
    assert len(returned) == ("pipeline" not in options)  # rejected with pipeline parallelism
    for line in returned:
        for n, (heads, actual) in enumerate(zip(LOOKING, json.loads(line.removeprefix("SHARES ")), strict=True)):
            assert actual == pytest.approx(expected_shares(reference, prompt(n, 90), spans, heads, 57), abs=1e-5)
