"""Exact dense search over many passages: seconds to fill FAISS, milliseconds of a search, and memory.

    OMP_NUM_THREADS=1 python benchmarks/exact_search.py 1000000

Vectors are random, with the dimension of the embedded model; a search returns 200 passages. Times are CPU times.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import numpy as np
from sra_pipelines.index.stores.vector_store import FaissStore, VectorDocument

DIMENSION = 384
AT_ONCE = 10_000
SEARCHES = 30
LIMIT = 200


def main() -> None:
    """Print one row for each number of passages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="+", help="numbers of passages, in ascending order")
    print("| passages | fill | search, p50 (p95) | memory |\n|---|---|---|---|")
    for size in parser.parse_args().sizes:
        store, random, filled = FaissStore(), np.random.default_rng(size), 0.0
        for first in range(0, size, AT_ONCE):
            vectors = unit_vectors(random, min(AT_ONCE, size - first))
            started = time.process_time()
            store.add([VectorDocument(f"{first:024x}", (), vectors)])
            filled += time.process_time() - started
        times = []
        for vector in unit_vectors(random, SEARCHES):
            started = time.process_time()
            store.search(vector, LIMIT)
            times.append(1000 * (time.process_time() - started))
        middle, high = np.percentile(times, [50, 95])
        print(
            f"| {size:,} | {filled:.1f} s | {middle:.1f} ms ({high:.1f} ms) | {peak() / 2**20:,.0f} MiB |", flush=True
        )


def unit_vectors(random: np.random.Generator, number: int) -> np.ndarray:
    """Return random vectors of length 1."""
    vectors = random.standard_normal((number, DIMENSION), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def peak() -> int:
    """Return the peak memory of this process in bytes."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


if __name__ == "__main__":
    main()
