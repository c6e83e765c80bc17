"""A private vLLM server: it reports why it does not start, and it ends with its parent."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

from vllm_sra.client import own_server as own_server_module
from vllm_sra.client.own_server import own_server
from vllm_sra.client.prompt_context import VLLMServerError
from vllm_sra.client.served_engine import ServedEngine


def test_the_output_of_the_server_is_reported_if_it_does_not_start():
    message = r"ended unexpectedly \(status 2\)(.|\n)*no-such-option"
    with pytest.raises(VLLMServerError, match=message), own_server("embedded", arguments=["--no-such-option"]):
        pytest.fail("it started")


def test_the_first_error_of_a_worker_is_the_reason_that_is_given():
    """vLLM's last lines say only that a worker has failed."""
    message = r"^vLLM has ended unexpectedly \(status 1\): ValueError: .*[Mm]emory"
    arguments = ["--gpu-memory-utilization", "1.0", "--enforce-eager"]  # all memory: this process needs some of it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
        patch.delenv("VLLM_CPU_KVCACHE_SPACE")
        with pytest.raises(VLLMServerError, match=message), own_server("embedded", arguments=arguments):
            pytest.fail("it started")


def test_it_starts_beside_other_programs(monkeypatch):
    """Other programs use a part of the memory: vLLM's own default would be more than what is left."""
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE")
    monkeypatch.setattr(own_server_module, "_SHARE_OF_FREE_MEMORY", 0.2)  # two of them may run at once
    arguments = ["--max-model-len", "512", "--max-num-seqs", "2", "--enforce-eager"]
    with (
        own_server("embedded", arguments=arguments) as server,
        ServedEngine.at(server.address, tokenizer="embedded", api_key=server.api_key) as engine,
    ):
        assert "Paris" in engine.generate("The capital of France is", max_new_tokens=8).text


@pytest.mark.parametrize("given", ["--gpu-memory-utilization=0.5", "--kv-cache-memory-bytes"])
def test_memory_that_the_user_gives_is_kept(monkeypatch, given):
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE")
    assert own_server_module._memory([given]) == []
    if not torch.accelerator.is_available():
        name, share = own_server_module._memory([])
        memory = psutil.virtual_memory()
        assert name == "--gpu-memory-utilization"
        assert 0 < float(share) < memory.available / memory.total
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "4")
    assert own_server_module._memory([]) == []


def test_it_does_not_outlive_its_parent():
    command = [sys.executable, "-m", "vllm_sra.client.own_server_child", "--model", "nothing"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             start_new_session=True)  # fmt: skip
    try:
        time.sleep(1)
        assert child.poll() is None
        child.stdin.close()
        assert child.wait(60) == -signal.SIGTERM
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
