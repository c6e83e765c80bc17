"""Two workers that share heads, two that share layers, and compiled models give what one uncompiled worker gives."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

from tests.vllm_sra.engines import Reference, prompt, save_tiny
from tests.vllm_sra.test_engine import CONFIGS

# Workers are processes of their own, and compiling changes what is imported: engines of their own process.
SCRIPT = """
import json, sys
from tests.vllm_sra.engines import prompt, run, said, start, stop
from tests.vllm_sra.test_engine import SETTINGS

if __name__ == "__main__":
    llm = start(sys.argv[1], **json.loads(sys.argv[2]))
    names = ["off", "all", "heads", "after_context"]
    outputs = run(llm, [prompt(n, 90) for n in range(len(names))], [SETTINGS[name] for name in names])
    print("RESULT", json.dumps({name: said(output) for name, output in zip(names, outputs)}))
    stop(llm)
"""


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "options",
    [
        '{"tensor_parallel_size": 2, "distributed_executor_backend": "mp"}',
        # Traced, which is what vLLM needs to serve stages on CPU, but not compiled, which would take a minute more.
        '{"pipeline_parallel_size": 2, "distributed_executor_backend": "mp", "enforce_eager": false, '
        '"compilation_config": {"mode": 2, "backend": "eager"}}',
        pytest.param('{"enforce_eager": false}', marks=pytest.mark.long),  # a minute of compiling
    ],
    ids=["two workers", "two stages", "compiled"],
)
def test_the_same_answers(tmp_path, options):
    model = save_tiny(tmp_path / "model")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = os.environ | {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "1", "PYTHONPATH": os.getcwd(), "VLLM_CACHE_ROOT": str(tmp_path / "cache"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(script), str(model), options], env=environment, capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stderr[-3000:]
    found = json.loads(lines[0].removeprefix("RESULT "))
    reference = Reference(model)
    for n, (name, (tokens, logprobs)) in enumerate(found.items()):
        ids = prompt(n, 90)
        context = 57 if name == "after_context" else None
        wanted = reference.logprobs(ids + tokens, len(ids), CONFIGS[name], context)
        assert logprobs == pytest.approx(wanted, abs=5e-5), name
