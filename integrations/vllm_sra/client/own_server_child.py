"""vLLM's server as a child that does not outlive its parent, however that ends.

The parent runs it as ``python -m vllm_sra.client.own_server_child``, in a group of its own, and holds the other end of
standard input. When that closes, this process ends its group.
"""

from __future__ import annotations

import os
import runpy
import signal
import threading
import time

__all__: list[str] = []

_GRACE = 20.0  # seconds


def _end_with_parent() -> None:
    # Not by way of sys.stdin: a thread that holds its lock brings the interpreter down at its end.
    while os.read(0, 1024):
        pass
    os.killpg(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os.killpg(os.getpid(), signal.SIGKILL)


# vLLM starts its processes by importing this file anew, under another name.
if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, name="sra-rag-parent", daemon=True).start()
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__", alter_sys=True)
