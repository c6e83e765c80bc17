"""Tests of what runs on GPUs only, run in Triton's interpreter: ``tests/vllm_sra/test_interpreted.py`` starts them.

Triton decides when it is imported whether kernels are interpreted, so they need a process of their own with
``TRITON_INTERPRET=1``. In any other they are left out.
"""

import os
from types import SimpleNamespace

collect_ignore_glob = [] if os.environ.get("TRITON_INTERPRET") == "1" else ["test_*.py"]


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


if not collect_ignore_glob:
    give_triton_to_vllm()
