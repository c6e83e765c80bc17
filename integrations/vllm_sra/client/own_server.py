"""A private vLLM server: a child process for one model on a loopback port, which ends with its parent."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sra_rag.errors import require_extra
from sra_rag.models.sources import model_source
from vllm_sra.client.prompt_context import VLLMServerError
from vllm_sra.plugin.request_settings import DEFAULT_VARIABLE

__all__ = ["MOST_NUMBERS", "OwnServer", "own_server"]

logger = logging.getLogger(__name__)

_POLL_INTERVAL = 0.5  # seconds between two health checks
_GRACE = 20.0  # seconds to end after SIGTERM, before SIGKILL
_OUTPUT_TIMEOUT = 2.0  # seconds to read the rest of the output after the process has ended
MOST_NUMBERS = 4096
"""Numbers that evidence is chosen by, such as the attention to each line; they are returned as log-probabilities."""
_KEPT_LINES = 40  # last lines of output, for error messages
_CAUSE = re.compile(r"ERROR .*\] (\w+(?:Error|Exception): .+)")  # in the log of one of vLLM's processes
_SHARE_OF_FREE_MEMORY = 0.8
_MEMORY_OPTIONS = ("--gpu-memory-utilization", "--kv-cache-memory-bytes")


class OwnServer:
    """A vLLM server that runs as a child of this process.

    Its output is written to the logger ``vllm_sra.client.own_server``. The server listens only on loopback and requires
    an API key that only this process knows.

    Parameters
    ----------
    model
        ``"embedded"``, a name from ``sra-rag models``, a model name on the Hugging Face Hub, a folder or a ``.gguf``
        file.
    arguments
        Additional arguments of ``vllm serve``, such as ``("--max-model-len", "8192")``.
    """

    def __init__(self, model: str, arguments: Sequence[str] = ()) -> None:
        require_extra("A private vLLM server", "vllm", "vllm")
        self.model = model
        self.api_key = secrets.token_hex(32)
        port = _free_port()
        self.address = f"http://127.0.0.1:{port}/v1"
        self._ending = False
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._cause = ""
        self._on_end: Callable[[], None] | None = None
        source = model_source(model)
        command = [
            sys.executable, "-m", "vllm_sra.client.own_server_child", "--model", source, "--served-model-name", model,
            "--host", "127.0.0.1", "--port", str(port), "--enable-prompt-tokens-details",
            "--max-logprobs", str(MOST_NUMBERS), "--disable-uvicorn-access-log", *arguments, *_memory(arguments),
        ]  # fmt: skip
        # The key is not passed as an argument: every user of the machine can read arguments.
        environment = os.environ | {"VLLM_API_KEY": self.api_key, DEFAULT_VARIABLE: "off"}
        # In its own process group the server does not receive Ctrl-C from a terminal, so running answers can finish.
        self._process = subprocess.Popen(  # noqa: S603 - the command is built above
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._following = threading.Thread(target=self._follow, name="sra-rag-vllm-log", daemon=True)
        self._following.start()
        threading.Thread(target=self._watch, name="sra-rag-vllm-watch", daemon=True).start()

    def wait_until_ready(self, seconds: float, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Wait until the server answers.

        Parameters
        ----------
        seconds
            Maximum time to wait.
        on_progress
            Called with the elapsed seconds and `seconds`, while waiting.

        Raises
        ------
        VLLMServerError
            If the server ends or is not ready in time. The message includes its last lines of output.
        """
        started = time.monotonic()
        while not self._answers():
            self.check()
            elapsed = time.monotonic() - started
            if elapsed > seconds:
                raise VLLMServerError(
                    f"vLLM was not ready after {seconds:g} s. Allow more time, or use a smaller model. "
                    f"{self._last_output()}"
                )
            if on_progress is not None:
                on_progress(int(elapsed), int(seconds))
            time.sleep(_POLL_INTERVAL)

    def check(self) -> None:
        """Raise an error if the server has ended unexpectedly.

        Raises
        ------
        VLLMServerError
            The message includes the first error of vLLM's processes and the last lines of output.
        """
        if not self._ending and (code := self._process.poll()) is not None:
            self._following.join(_OUTPUT_TIMEOUT)
            cause = f": {self._cause}" if self._cause else "."
            raise VLLMServerError(
                f"vLLM has ended unexpectedly (status {code}){cause}\nTo start it with other options, run `vllm serve` "
                f"and give its address, such as http://localhost:8000/v1.\n{self._last_output()}"
            )

    def on_end(self, call: Callable[[], None]) -> None:
        """Register `call`, which runs in another thread if the server ends unexpectedly."""
        self._on_end = call

    def end(self) -> None:
        """End the server and all of its child processes. Repeated calls have no effect."""
        self._ending = True
        group = self._process.pid
        for signal_number, seconds in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, None)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal_number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _answers(self) -> bool:
        url = self.address.removesuffix("/v1") + "/health"
        without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with without_proxy.open(url, timeout=5):
                return True
        except (OSError, urllib.error.URLError):
            return False

    def _follow(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - always a pipe, see __init__
        for line in self._process.stdout:
            self._lines.append(line.rstrip())
            if not self._cause and (cause := _CAUSE.search(line)):
                self._cause = cause[1].rstrip()
            logger.info("%s", line.rstrip())

    def _watch(self) -> None:
        self._process.wait()
        # Read the last lines first, with a time limit: if the server was killed, its children keep the pipe open.
        self._following.join(_OUTPUT_TIMEOUT)
        if not self._ending:
            logger.error("vLLM has ended unexpectedly (status %s).", self._process.returncode)
            if self._on_end is not None:
                self._on_end()

    def _last_output(self) -> str:
        lines = "\n  ".join(self._lines) or "(no output)"
        return f"Its last lines of output:\n  {lines}"


@contextmanager
def own_server(
    model: str,
    *,
    arguments: Sequence[str] = (),
    ready_within: float = 900.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[OwnServer]:
    """Start a server, wait until it is ready, and end it when the block exits, also after an exception.

    Parameters
    ----------
    model, arguments
        See `OwnServer`.
    ready_within
        Maximum time for the start, in seconds.
    on_progress
        See `OwnServer.wait_until_ready`.

    Raises
    ------
    MissingExtraError
        If vLLM is not installed.
    VLLMServerError
        If the server does not start, or ends before the block does.
    """
    server = OwnServer(model, arguments)
    try:
        server.wait_until_ready(ready_within, on_progress)
        yield server
        server.check()
    finally:
        server.end()


def _memory(arguments: Sequence[str]) -> list[str]:
    """Return an option that keeps vLLM within the free memory of a machine without a GPU, unless one is given.

    By default vLLM claims 92% of the memory there, and ends if another program uses more than the rest.
    """
    import psutil  # vLLM depends on it
    import torch

    given = any(argument.partition("=")[0] in _MEMORY_OPTIONS for argument in arguments)
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    on_cpu = accelerator is None or accelerator.type == "mps"  # vLLM has no MPS
    if given or "VLLM_CPU_KVCACHE_SPACE" in os.environ or not on_cpu:
        return []
    memory = psutil.virtual_memory()
    return ["--gpu-memory-utilization", f"{_SHARE_OF_FREE_MEMORY * memory.available / memory.total:.2f}"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
