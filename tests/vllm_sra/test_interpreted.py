"""Runs the tests of the GPU backends in a separate process, in which Triton interprets the kernels."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

FOLDER = Path(__file__).parent / "gpu"


@pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton, which is not installed in this environment")
@pytest.mark.timeout(1800)
def test_the_gpu_backends_in_the_interpreter_of_triton(request):
    completed = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "addopts=-ra --import-mode=importlib", "-o", "timeout=900",
         "--tb=short", "--show-capture=no", "--counts", request.config.getoption("--counts"), str(FOLDER)],
        env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stdout[-5000:] + completed.stderr[-2000:]
    assert " passed" in completed.stdout
    assert "skipped" not in completed.stdout
