"""How long sra-rag takes to start, and how soon an upload can be searched.

    python benchmarks/startup.py                 everything, in about two minutes
    python benchmarks/startup.py --rounds 3      a short run
    python benchmarks/startup.py --no-server     without the upload

Each round runs all commands one after the other, including `python -c "import typer"`. The time of a command is divided
by that of typer in the same round. The table shows the median seconds, the median ratio (in brackets the minimum and
maximum) and the peak memory of the process.

For the upload, the script starts `sra-rag serve` with an index in a temporary folder. Each round sends a new file with
one line of text and measures the time until the server answers, which it does when the document can be searched. The
first upload is reported separately.

The exit status is 1 if a target is missed: four times typer for `--help`, `--version` and `index list`, and 1.5 s for
an upload.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

_SRA_RAG = [sys.executable, "-c", "from sra_rag.cli import main; main()"]
_YARDSTICK = 'python -c "import typer"'
_MOST_RATIO = 4.0
_MOST_SECONDS = 1.5


def main() -> int:
    """Measure, print tables as Markdown and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="how often each command runs (default: 7)")
    parser.add_argument("--no-server", action="store_true", help="do not measure the upload")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1.")
    with tempfile.TemporaryDirectory(prefix="startup-") as folder:
        index = Path(folder) / "notes.index"
        note = Path(folder) / "note.txt"
        note.write_text("The rent of the house in Elm Street is 1,200 a month.\n", encoding="utf-8")
        adding = [*_SRA_RAG, "index", "add", str(note), "--to", str(index)]
        subprocess.run(adding, check=True, timeout=300, stdout=subprocess.DEVNULL)  # noqa: S603 - the command is fixed
        missed = measure_commands(index, options.rounds)
        if not options.no_server:
            missed += measure_uploads(index, options.rounds)
    for target in missed:
        print(f"missed: {target}", file=sys.stderr)
    return int(bool(missed))


def measure_commands(index: Path, rounds: int) -> list[str]:
    """Measure the commands, print a table and return the targets that were missed."""
    python = sys.executable
    limited = {
        "sra-rag --help": [*_SRA_RAG, "--help"],
        "sra-rag --version": [*_SRA_RAG, "--version"],
        "sra-rag index list": [*_SRA_RAG, "index", "list", str(index)],
    }
    commands = {
        _YARDSTICK: [python, "-c", "import typer"],
        **limited,
        "sra-rag index --help": [*_SRA_RAG, "index", "--help"],
        "sra-rag ask --help": [*_SRA_RAG, "ask", "--help"],
        "import sra_rag": [python, "-c", "import sra_rag"],
        "import sra_pipelines.reading.processes": [python, "-c", "import sra_pipelines.reading.processes"],
        "from sra_rag import load_model": [python, "-c", "from sra_rag import load_model"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    peaks = dict.fromkeys(commands, 0)
    for command in commands.values():  # fills the file caches
        run(command)
    for _ in range(rounds):
        for name, command in commands.items():
            taken, peak = run(command)
            seconds[name].append(taken)
            peaks[name] = max(peaks[name], peak)
    missed = []
    print("| start | seconds | times typer | MB |\n|---|---|---|---|")
    for name, taken_by_round in seconds.items():
        ratios = [taken / unit for taken, unit in zip(taken_by_round, seconds[_YARDSTICK], strict=True)]
        ratio = statistics.median(ratios)
        print(
            f"| `{name}` | {statistics.median(taken_by_round):.2f} | {ratio:.1f} ({min(ratios):.1f} to "
            f"{max(ratios):.1f}) | {peaks[name] / 1e6:.0f} |"
        )
        if name in limited and ratio > _MOST_RATIO:
            missed.append(f"{name} takes {ratio:.1f} times as long as typer; the target is at most {_MOST_RATIO:g}")
    return missed


def run(command: list[str]) -> tuple[float, int]:
    """Run a command; return its seconds and the peak memory of its process in bytes."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - the command is fixed
    _, status, usage = os.wait4(process.pid, 0)
    taken = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)  # tells subprocess that the process has ended
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}.")
    return taken, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure_uploads(index: Path, rounds: int) -> list[str]:
    """Measure uploads of one line, print a table and return the targets that were missed."""
    seconds = []
    with served(index) as address:
        for number in range(rounds + 1):
            content = f"The deposit of tenant number {number} is {number + 100} dollars.\n".encode()
            began = time.perf_counter()
            reply = httpx.post(
                f"{address}/v1/documents", files={"file": (f"tenant-{number}.txt", content)}, timeout=120
            )
            seconds.append(time.perf_counter() - began)
            reply.raise_for_status()
            held = {document["id"] for document in httpx.get(f"{address}/v1/documents").json()["data"]}
            if reply.json()["id"] not in held:
                raise SystemExit(f"The server answered before {reply.json()['id']!r} was in the index.")
    later = seconds[1:]
    print(f"\n| upload of one line | seconds |\n|---|---|\n| first | {seconds[0]:.2f} |")
    print(f"| later | {statistics.median(later):.2f} ({min(later):.2f} to {max(later):.2f}) |")
    slowest = max(seconds[0], statistics.median(later))
    return [f"an upload takes {slowest:.2f} s; the target is {_MOST_SECONDS} s"] if slowest > _MOST_SECONDS else []


@contextmanager
def served(index: Path) -> Iterator[str]:
    """Run a server for an index, without the web page, until the block ends; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*_SRA_RAG, "serve", str(index), "--port", str(port), "--no-page"]
    log = index.with_name("server.log")
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603 - the command is fixed
        try:
            address = f"http://127.0.0.1:{port}"
            until = time.monotonic() + 120
            while not is_up(address):
                if time.monotonic() > until or server.poll() is not None:
                    raise SystemExit(f"The server did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")
                time.sleep(0.2)
            yield address
        finally:
            server.terminate()
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def is_up(address: str) -> bool:
    """Return whether a server answers."""
    try:
        return httpx.get(f"{address}/health").status_code == 200
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    sys.exit(main())
