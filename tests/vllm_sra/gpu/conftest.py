"""Tests of what runs on GPUs only: on one where there is one, else in Triton's interpreter.

Triton decides when it is imported whether kernels are interpreted, so that takes a process of its own with
``TRITON_INTERPRET=1``, which ``tests/vllm_sra/test_interpreted.py`` starts. Where there is neither, they are left out.
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
    """Where kernels run."""
    return torch.device("cpu" if INTERPRETED else "cuda")


def give_triton_to_vllm():
    """Have vLLM's kernels decorated by Triton itself: its build for CPUs puts a stand-in there.

    For everything else vLLM goes on as where there is no Triton.
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
    give_triton_to_vllm()
