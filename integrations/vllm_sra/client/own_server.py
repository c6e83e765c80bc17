"""A vLLM server of one's own: started for one model on a loopback port, ended with whoever started it."""

from __future__ import annotations

import contextlib
import logging
import os
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
from sra_rag.models.embedded import EMBEDDED_NAME, embedded_model_folder
from vllm_sra.client.prompt_context import VLLMServerError
from vllm_sra.plugin.request_settings import DEFAULT_VARIABLE

__all__ = ["OwnServer", "own_server"]

logger = logging.getLogger(__name__)

_LOOK_AGAIN = 0.5  # seconds
_GRACE = 20.0  # seconds that it gets to end by itself
_LAST_WORDS = 2.0  # seconds
_KEPT = 40  # of its last lines


class OwnServer:
    """A vLLM server that runs as a child of this process.

    Its lines go to the log of ``vllm_sra.client.own_server``. It listens on loopback, and asks for a key that only this
    process knows.

    Parameters
    ----------
    model
        ``"embedded"``, a name on the hub or a folder.
    arguments
        Further arguments of ``vllm serve``, such as ``("--max-model-len", "8192")``.
    """

    def __init__(self, model: str, arguments: Sequence[str] = ()) -> None:
        require_extra("A vLLM server of one's own", "vllm", "vllm")
        self.model = model
        self.api_key = secrets.token_hex(32)
        port = _free_port()
        self.address = f"http://127.0.0.1:{port}/v1"
        self._ending = False
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._on_end: Callable[[], None] | None = None
        source = str(embedded_model_folder()) if model == EMBEDDED_NAME else model
        command = [
            sys.executable, "-m", "vllm_sra.client.own_server_child", "--model", source, "--served-model-name", model,
            "--host", "127.0.0.1", "--port", str(port), "--enable-prompt-tokens-details",
            "--disable-uvicorn-access-log", *arguments,
        ]  # fmt: skip
        # The key is no argument: those can be read by everybody on the machine.
        environment = os.environ | {"VLLM_API_KEY": self.api_key, DEFAULT_VARIABLE: "off"}
        # In a group of its own, Ctrl-C in a terminal does not reach it: answers under way get their time first.
        self._process = subprocess.Popen(  # noqa: S603 - our own command
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
        """Wait until it answers.

        Parameters
        ----------
        seconds
            At most.
        on_progress
            Told of seconds: (those that passed, `seconds`).

        Raises
        ------
        VLLMServerError
            If it ends, or is not ready in time; with its last lines.
        """
        started = time.monotonic()
        while not self._answers():
            self.check()
            passed = time.monotonic() - started
            if passed > seconds:
                raise VLLMServerError(
                    f"vLLM was not ready after {seconds:g} s. Give it more time, or a smaller model. {self._said()}"
                )
            if on_progress is not None:
                on_progress(int(passed), int(seconds))
            time.sleep(_LOOK_AGAIN)

    def check(self) -> None:
        """Raise if it has ended by itself.

        Raises
        ------
        VLLMServerError
            With its last lines.
        """
        if not self._ending and (code := self._process.poll()) is not None:
            raise VLLMServerError(f"vLLM has ended by itself (status {code}). {self._said()}")

    def on_end(self, call: Callable[[], None]) -> None:
        """Have `call` called, in a thread of its own, if it ends by itself from now on."""
        self._on_end = call

    def end(self) -> None:
        """End it, and all processes that it started. Ending again changes nothing."""
        self._ending = True
        group = self._process.pid
        for number, seconds in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, None)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)
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
        assert self._process.stdout is not None  # noqa: S101 - as opened above
        for line in self._process.stdout:
            self._lines.append(line.rstrip())
            logger.info("%s", line.rstrip())

    def _watch(self) -> None:
        self._process.wait()
        # Its last lines come first; but where it was killed, the processes that it started still hold its output open.
        self._following.join(_LAST_WORDS)
        if not self._ending:
            logger.error("vLLM has ended by itself (status %s).", self._process.returncode)
            if self._on_end is not None:
                self._on_end()

    def _said(self) -> str:
        lines = "\n  ".join(self._lines) or "(nothing)"
        return f"Its last lines:\n  {lines}"


@contextmanager
def own_server(
    model: str,
    *,
    arguments: Sequence[str] = (),
    ready_within: float = 900.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[OwnServer]:
    """Start a server, wait until it is ready, and end it behind the block, whatever happens there.

    Parameters
    ----------
    model, arguments
        See `OwnServer`.
    ready_within
        Seconds.
    on_progress
        See `OwnServer.wait_until_ready`.

    Raises
    ------
    MissingExtraError
        If vLLM is not installed beside sra-rag.
    VLLMServerError
        If it does not start, or ends by itself before the block does.
    """
    server = OwnServer(model, arguments)
    try:
        server.wait_until_ready(ready_within, on_progress)
        yield server
        server.check()
    finally:
        server.end()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
