"""Where vLLM is not installed, the tests that need it are left out, saying so."""

import importlib.util
import os

import pytest

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # engines are looked into
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")

HAS_VLLM = importlib.util.find_spec("vllm") is not None


def pytest_collection_modifyitems(items):
    if not HAS_VLLM:
        skip = pytest.mark.skip(reason="needs vLLM in an environment of its own: make test-vllm")
        for item in items:
            if "needs_vllm" in item.keywords:
                item.add_marker(skip)
