"""How vLLM runs in the tests; those that need it are skipped where it is not installed, saying so."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # engines are looked into
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("TRITON_F32_DEFAULT", "ieee")  # vLLM's own kernel on GPUs would round float32 to 10 bits

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Let engines start in a process that has loaded llvmlite, as the web page's libraries do.

    vLLM 0.32 looks through all loaded modules for objects with a `__dict__`; llvmlite's library gives a function of
    that name, as it does for any name.
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
    """vLLM's real server on the embedded model, for all tests together: starting it takes half a minute.

    One that is running already can be named: its address in SRA_RAG_TEST_VLLM, its key in SRA_RAG_TEST_VLLM_KEY.
    """
    if named := os.environ.get("SRA_RAG_TEST_VLLM"):
        yield SimpleNamespace(address=named, api_key=os.environ.get("SRA_RAG_TEST_VLLM_KEY"))
        return
    from vllm_sra.client.own_server import own_server

    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:  # for the server alone, not for the tests that come after
            patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
            server = stack.enter_context(own_server("embedded", arguments=SERVED, ready_within=600))
        yield server


@pytest.fixture
def served(vllm_server):
    """An engine of its own for the model on the server."""
    from vllm_sra.client.served_engine import ServedEngine

    from sra_rag import SamplingOptions

    options = SamplingOptions(max_new_tokens=12)
    with ServedEngine.at(
        vllm_server.address, tokenizer="embedded", api_key=vllm_server.api_key, options=options
    ) as engine:
        yield engine
