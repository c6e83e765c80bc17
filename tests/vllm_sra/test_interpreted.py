"""Starts the tests of the GPU backends in a process of their own, whose kernels Triton interprets."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

FOLDER = Path(__file__).parent / "gpu"


@pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton, which this environment has not")
@pytest.mark.timeout(1800)
def test_what_runs_on_gpus_in_tritons_interpreter(request):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "addopts=-ra --import-mode=importlib", "-o", "timeout=900",
         "--tb=short", "--show-capture=no", "--counts", request.config.getoption("--counts"), str(FOLDER)],
        env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
