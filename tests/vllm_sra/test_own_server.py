"""A private vLLM server: it reports why it does not start, and it ends with its parent."""

import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

from vllm_sra.client.own_server import own_server
from vllm_sra.client.prompt_context import VLLMServerError


def test_the_output_of_the_server_is_reported_if_it_does_not_start():
    message = r"ended unexpectedly \(status 2\)(.|\n)*no-such-option"
    with pytest.raises(VLLMServerError, match=message), own_server("embedded", arguments=["--no-such-option"]):
        pytest.fail("it started")


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
