"""Tests of the GPU backends. They run on a GPU if there is one, otherwise in Triton's interpreter.

Triton decides at import time whether it interprets kernels. So this requires a separate process with
``TRITON_INTERPRET=1``, which ``tests/vllm_sra/test_interpreted.py`` starts. Without either, no tests are collected.
"""

import os
from types import SimpleNamespace

import pytest
import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"

if INTERPRETED:
    collect_ignore_glob = ["test_*_on_gpu.py"]
else:
    collect_ignore_glob = ["test_*_interpreted.py" if torch.cuda.is_available() else "test_*.py"]


@pytest.fixture
def device():
    """The device of the kernels."""
    return torch.device("cpu" if INTERPRETED else "cuda")


def enable_triton_in_vllm():
    """Make vLLM decorate its kernels with the real Triton: its CPU build uses a placeholder.

    In every other respect vLLM behaves as if Triton were not installed.
    """
    from triton.backends import backends

    backends["cpu"] = SimpleNamespace(driver=SimpleNamespace(is_active=lambda: True))
    try:
        import vllm.triton_utils

        assert vllm.triton_utils.HAS_TRITON
        vllm.triton_utils.HAS_TRITON = False
    finally:
        del backends["cpu"]


if INTERPRETED:
    enable_triton_in_vllm()
