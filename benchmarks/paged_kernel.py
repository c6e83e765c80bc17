"""The kernel that sharpens rows in vLLM on a GPU, alone, against FlashAttention over the same paged cache.

    .venv-vllm/bin/python benchmarks/paged_kernel.py
    TRITON_INTERPRET=1 .venv-vllm/bin/python benchmarks/paged_kernel.py --check     without a GPU, no times

Shapes of one layer of Llama-3.1-8B (32 query heads, 8 key heads of 128), bfloat16, blocks of 16 keys, scattered in the
cache. "Decoding" has one row for each of eight requests, "prefill" the rows of one. The columns: milliseconds on the
device; the keys that are read (and values, for FlashAttention), as a share of what a copy of the same size moves in
that time; and microseconds of the host for one call, without waiting for the device.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from vllm_sra.gpu.sharpened_rows import SharpenedRows
from vllm_sra.gpu.sharpening_kernel import sharpen
from vllm_sra.plugin.batch import RowSpan

from sra_rag import SRAConfig
from sra_rag.attention.session import Session

HEADS, KV_HEADS, SIZE, BLOCK = 32, 8, 128, 16
REQUESTS = 8
REPETITIONS, WARM_UP = 20, 3
SRA = SRAConfig(alpha=0.2)


class Batch:
    """Requests whose keys and values are in scattered blocks of one cache.

    Parameters
    ----------
    requests, rows, keys
        Number of requests, and of the query rows and keys of each.
    device
        Device of the tensors.
    """

    def __init__(self, requests: int, rows: int, keys: int, device: torch.device) -> None:
        blocks = -(-keys // BLOCK)
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        self.rows, self.keys, self.requests = rows, keys, requests
        self.cache = torch.randn(requests * blocks, 2, BLOCK, KV_HEADS, SIZE, device=device, dtype=dtype)
        self.table = torch.randperm(requests * blocks, device=device).to(torch.int32).view(requests, blocks)
        self.query = torch.randn(requests * rows, HEADS, SIZE, device=device, dtype=dtype)
        spans = [
            RowSpan(Session(SRA, 1, HEADS), n * rows, (n + 1) * rows, keys - rows, self.table[n], n)
            for n in range(requests)
        ]
        self._rows = SharpenedRows(spans, HEADS // KV_HEADS, device, sharpen)
        self._starts = torch.arange(0, requests * rows + 1, rows, device=device, dtype=torch.int32)
        self._lengths = torch.full((requests,), keys, device=device, dtype=torch.int32)

    @property
    def key_bytes(self) -> int:
        """Bytes of the keys of all requests."""
        return self.cache.element_size() * self.requests * self.keys * KV_HEADS * SIZE

    def sharpen(self) -> torch.Tensor:
        """Multiply the rows by their factors."""
        return self._rows.scaled(self.query, self.cache[:, 0], self.table, layer=0, scale=SIZE**-0.5)

    def attend(self) -> torch.Tensor:
        """Attend with FlashAttention, as vLLM calls it."""
        from vllm.vllm_flash_attn import flash_attn_varlen_func

        return flash_attn_varlen_func(
            self.query, self.cache[:, 0], self.cache[:, 1], max_seqlen_q=self.rows, cu_seqlens_q=self._starts,
            max_seqlen_k=self.keys, seqused_k=self._lengths, softmax_scale=SIZE**-0.5, causal=True,
            block_table=self.table,
        )  # fmt: skip


def main() -> None:
    """Measure and print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 4096, 8192], help="keys of a request")
    parser.add_argument("--check", action="store_true", help="call the kernel once with tiny shapes on the CPU")
    options = parser.parse_args()
    if options.check:
        check()
        return
    device = torch.device("cuda")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}\n")
    print("| | ms | share of a copy's bandwidth | host, microseconds |\n|---|---|---|---|")
    for keys in options.lengths:
        for kind, requests, rows in ((f"decoding, {REQUESTS} requests", REQUESTS, 1), ("prefill", 1, keys)):
            batch = Batch(requests, rows, keys, device)
            copy = device_ms(lambda batch=batch: batch.cache.clone()) / (4 * batch.key_bytes)  # reads and writes both
            for name, work, read in (
                ("sharpening", batch.sharpen, batch.key_bytes),
                ("FlashAttention", batch.attend, 2 * batch.key_bytes),
            ):
                took = device_ms(work)
                print(
                    f"| {name}, {kind}, {keys:,} keys | {took:.3f} | {read * copy / took:.0%} | {host_us(work):.0f} |"
                )


def check() -> None:
    """Compare the kernel with its factors computed step by step, for one small batch."""
    from vllm_sra.gpu.row_tiles import sharpen_reference

    batch = Batch(2, 3, 40, torch.device("cpu"))
    actual = batch.sharpen()
    batch._rows._sharpen = sharpen_reference
    torch.testing.assert_close(actual, batch.sharpen(), atol=1e-4, rtol=1e-4)
    print("The kernel and the reference agree.")


def device_ms(work: Callable[[], object]) -> float:
    """Return the median time on the device, in milliseconds."""
    for _ in range(WARM_UP):
        work()
    times = []
    for _ in range(REPETITIONS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def host_us(work: Callable[[], object]) -> float:
    """Return the median time of a call on the host, in microseconds."""
    times = []
    for _ in range(REPETITIONS):
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1e6)
    torch.cuda.synchronize()
    return statistics.median(times)


if __name__ == "__main__":
    main()
