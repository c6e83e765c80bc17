"""Settings and fixtures for tests with vLLM. Tests that need vLLM are skipped with a reason if it is not installed."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # tests inspect the engine in this process
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("TRITON_F32_DEFAULT", "ieee")  # otherwise vLLM's GPU kernel rounds float32 to 10 bits

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Allow engines to start in a process that has loaded llvmlite, which the libraries of the web page import.

    vLLM 0.32 searches all loaded modules for objects with a `__dict__`. The library object of llvmlite returns a
    function for any attribute name, including this one.
    """
    if ffi := sys.modules.get("llvmlite.binding.ffi"):
        ffi.lib._fntab["__dict__"] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Keep the tests of a file in one process of xdist, and all tests of the server in the same: it is started once."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            group = "server" if "vllm_server" in item.fixturenames else item.path.stem
            item.add_marker(pytest.mark.xdist_group(group))


SERVED = ("--max-model-len", "2048", "--dtype", "float32", "--max-num-seqs", "8", "--enforce-eager")


@pytest.fixture(scope="session")
def vllm_server():
    """A real vLLM server with the embedded model, shared by all tests: starting it takes half a minute.

    To use a running server, set SRA_RAG_TEST_VLLM to its address and SRA_RAG_TEST_VLLM_KEY to its key.
    """
    if address := os.environ.get("SRA_RAG_TEST_VLLM"):
        yield SimpleNamespace(address=address, api_key=os.environ.get("SRA_RAG_TEST_VLLM_KEY"))
        return
    from vllm_sra.client.own_server import own_server

    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:  # only for the server, not for later tests
            patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
            server = stack.enter_context(own_server("embedded", arguments=SERVED, ready_within=600))
        yield server


@pytest.fixture
def served(vllm_server):
    """A new engine for the model on the server."""
    from vllm_sra.client.served_engine import ServedEngine

    from sra_rag import SamplingOptions

    options = SamplingOptions(max_new_tokens=12)
    with ServedEngine.at(
        vllm_server.address, tokenizer="embedded", api_key=vllm_server.api_key, options=options
    ) as engine:
        yield engine
