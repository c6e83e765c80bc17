"""A load test of the server: streaming clients check that each answer belongs to their question.

    python benchmarks/server_load.py                          # 32 clients for 5 minutes on the embedded model
    python benchmarks/server_load.py --clients 4 --seconds 15 # a short run

The script starts `sra-rag serve` on 127.0.0.1, with an index of the sample documents in a temporary folder, and stops
it at the end. First each question is sent alone. Then all clients send questions concurrently, each client with its own
API key, with and without reattention, and compare text, citations and settings with the first answers (decoding is
greedy). An answer that differs is reported as "mixed up" if it is the answer to another question, otherwise as
"different".

The queue is shorter than the number of clients, so that some requests are rejected with status 429. Their clients try
again after the time in `Retry-After`. The first client has `--greedy` requests open at the same time; it should not get
more answers than the other clients. `--leavers` clients disconnect in the middle of every second answer and measure how
soon the server notices it.

The test ends at the latest a minute after `--seconds` and `--request-timeout`. Results are printed as Markdown and
written to `--to` as JSON. The exit status is 1 if an answer was lost, mixed up, different or failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from server_load_clients import Case, Load, ask_alone
from server_load_report import as_markdown, summarize
from sra_pipelines.samples import sample_documents, sample_questions

_SRA_RAG = [sys.executable, "-c", "from sra_rag.cli import main; main()"]
_EVERY = 2.0  # seconds between two measurements of the memory of the server


def main() -> int:
    """Run the load test and print the results."""
    options = _arguments()
    keys = [f"load-client-{number:03d}-{secrets.token_hex(8)}" for number in range(options.clients)]
    settings: tuple[float | None, ...] = (None, 0.3)
    questions = [question.question for question in sample_questions()[: options.questions]]
    cases = [Case(question, alpha) for question in questions for alpha in settings]
    with tempfile.TemporaryDirectory(prefix="server-load-") as folder:
        with _served(Path(folder), keys, options) as (process, address):
            print(f"{address}: sending {len(cases)} questions one by one", file=sys.stderr)
            asyncio.run(ask_alone(cases, address, keys[0], options.max_tokens))
            load = Load(
                address, keys, cases, seconds=options.seconds, max_tokens=options.max_tokens,
                greedy=options.greedy, leavers=options.leavers, timeout=options.request_timeout,
            )  # fmt: skip
            print(f"{options.clients} clients for {options.seconds:g} s", file=sys.stderr)
            memory = asyncio.run(_measured(load, process))
            asked = time.monotonic()
        stopping = time.monotonic() - asked
    result = {
        "settings": {name: value for name, value in vars(options).items() if name != "to"} | {"questions": len(cases)},
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()},
        **summarize(load, memory),
        "seconds_to_stop": round(stopping, 2),
    }
    options.to.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(as_markdown(result))
    return int(any(result["answers"][name] for name in ("lost", "mixed up", "different", "failed")))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32, help="clients, each with its own key (default: 32)")
    parser.add_argument("--seconds", type=float, default=300, help="how long the clients send questions (default: 300)")
    parser.add_argument("--questions", type=int, default=12, help="questions, each with two settings (default: 12)")
    parser.add_argument("--max-tokens", type=int, default=8, help="maximum number of tokens of an answer (default: 8)")
    parser.add_argument("--context-tokens", type=int, default=150, help="tokens of passages (default: 150)")
    parser.add_argument("--queue-length", type=int, help="queue of the server (default: 3/4 of the clients)")
    parser.add_argument("--concurrency", type=int, default=1, help="answers generated concurrently (default: 1)")
    parser.add_argument("--greedy", type=int, default=4, help="concurrent requests of the first client (default: 4)")
    parser.add_argument("--leavers", type=int, help="clients that disconnect (default: an eighth)")
    parser.add_argument("--request-timeout", type=float, default=300, help="seconds for an answer (default: 300)")
    parser.add_argument("--dtype", default="float32", help="data type of the model (default: float32)")
    parser.add_argument("--to", type=Path, default=Path("server_load.json"), help="JSON (default: server_load.json)")
    options = parser.parse_args()
    if options.clients < 1 or options.seconds <= 0 or options.greedy < 1:
        parser.error("--clients, --seconds and --greedy must be above 0.")
    options.queue_length = max(1, options.clients * 3 // 4) if options.queue_length is None else options.queue_length
    options.leavers = max(1, options.clients // 8) if options.leavers is None else options.leavers
    return options


@contextmanager
def _served(folder: Path, keys: list[str], options: argparse.Namespace) -> Iterator[tuple[psutil.Process, str]]:
    """Index the sample documents and serve them until the block ends."""
    index = folder / "samples.index"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    documents = [str(path) for path in sample_documents()]
    adding = [*_SRA_RAG, "index", "add", *documents, "--to", str(index)]
    subprocess.run(adding, check=True, timeout=300, **quiet)  # noqa: S603 - the command is fixed
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    limits = {
        "--port": port, "--concurrency": options.concurrency, "--queue-length": options.queue_length,
        "--request-timeout": options.request_timeout, "--context-tokens": options.context_tokens,
        "--dtype": options.dtype,
    }  # fmt: skip
    command = [*_SRA_RAG, "serve", str(index), *(str(part) for pair in limits.items() for part in pair)]
    with (folder / "server.log").open("w+") as log:
        environment = {**os.environ, "SRA_RAG_API_KEYS": ",".join(keys)}
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(address, server, folder / "server.log")
            yield psutil.Process(server.pid), address
        finally:
            server.terminate()
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and server.poll() is None:
        try:
            if httpx.get(f"{address}/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise SystemExit(f"The server did not start:\n{log.read_text()[-2000:]}")


async def _measured(load: Load, process: psutil.Process) -> list[tuple[float, float]]:
    """Run the load test; return the resident memory of the server as pairs of seconds and megabytes."""
    memory: list[tuple[float, float]] = []
    running = asyncio.create_task(load.run())
    started = time.monotonic()
    while not running.done():
        memory.append((time.monotonic() - started, process.memory_info().rss / 1e6))
        await asyncio.wait({running}, timeout=_EVERY)
    await running
    return memory


if __name__ == "__main__":
    sys.exit(main())
