"""Seconds and memory of loading GGUF files: unpacked the first time, and from the cache afterwards.

    python benchmarks/gguf_loading.py model-q4_k_m.gguf model-q8_0.gguf

Each load is a process of its own, with a cache that is empty at first and removed at the end. Seconds are those of the
processor, all threads together, so that other work on the machine does not count; memory is the peak of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

MEBIBYTE = 1024**2


def main() -> None:
    """Load all files twice and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="GGUF files")
    parser.add_argument("--dtype", default="auto", help="as for load_model (default: auto)")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        print(json.dumps(load(given.files[0], given.dtype)))
        return
    table = Table("file", "size", "first load", "peak memory", "later loads", "peak memory", "unpacked")
    for file in track(given.files, "loading"):
        with tempfile.TemporaryDirectory() as cache:
            first, later = (in_a_process(file, given.dtype, cache) for _ in range(2))
            unpacked = sum(path.stat().st_size for path in Path(cache).rglob("*") if path.is_file())
        table.add_row(
            file.name,
            f"{file.stat().st_size / MEBIBYTE:,.0f} MiB",
            f"{first['seconds']:.1f} s",
            f"{first['peak'] / MEBIBYTE:,.0f} MiB",
            f"{later['seconds']:.1f} s",
            f"{later['peak'] / MEBIBYTE:,.0f} MiB",
            f"{unpacked / MEBIBYTE:,.0f} MiB",
        )
    Console(width=120).print(table)


def in_a_process(file: Path, dtype: str, cache: str) -> dict[str, float]:
    """Load a file in a process of its own, and return what `load` measured there."""
    command = [sys.executable, __file__, str(file), "--dtype", dtype, "--once"]
    done = subprocess.run(command, env=os.environ | {"SRA_RAG_CACHE": cache}, check=True, capture_output=True)  # noqa: S603
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def load(file: Path, dtype: str) -> dict[str, float]:
    """Load a file and return the processor's seconds, without those of imports, and the peak memory in bytes."""
    from sra_rag import load_model

    started = time.process_time()
    load_model(file, dtype=dtype)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"seconds": time.process_time() - started, "peak": usage.ru_maxrss * 1024}


if __name__ == "__main__":
    main()
