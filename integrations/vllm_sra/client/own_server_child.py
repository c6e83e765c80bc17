"""vLLM's server as a child process that ends when its parent ends, even if the parent was killed.

The parent runs it as ``python -m vllm_sra.client.own_server_child``, in its own process group, and holds the other end
of standard input. When standard input closes, this process ends its group.
"""

from __future__ import annotations

import os
import runpy
import signal
import threading
import time

__all__: list[str] = []

_GRACE = 20.0  # seconds between SIGTERM and SIGKILL


def _end_with_parent() -> None:
    # Not through sys.stdin: a thread that holds its lock crashes the interpreter at exit.
    while os.read(0, 1024):
        pass
    os.killpg(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os.killpg(os.getpid(), signal.SIGKILL)


# vLLM's worker processes import this file again, under another name.
if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, name="sra-rag-parent", daemon=True).start()
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__", alter_sys=True)
