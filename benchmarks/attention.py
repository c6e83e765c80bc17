"""Cost of sharpened attention: time and memory as ratios to plain attention.

    make bench                                    the table of the README, with the embedded model
    python benchmarks/attention.py --quick        1,024 tokens only; takes a minute
    python benchmarks/attention.py --model NAME   another model, on the device that load_model chooses
    python benchmarks/attention.py --shape FOLDER the architecture of FOLDER/config.json, with random weights
    python benchmarks/attention.py --part decoding     only the table of decoding, or with prefill that of prefill
    python benchmarks/attention.py --cpu-time     seconds of the processor, on a machine that does other work too

"sdpa" is the model with the attention of transformers, "off" with that of this library and without settings.
Each repetition runs the variants one after the other and divides each time by that of "sdpa" in the same
repetition. The table shows the median ratio and, in brackets, the minimum and maximum. With ``--cpu-time``, use one
thread (`OMP_NUM_THREADS=1`): the seconds of several threads are added up, and some of them only wait.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import transformers

from sra_rag import SRAConfig, load_model, reattend
from sra_rag.attention import ATTENTION_NAME
from sra_rag.attention.compiling import decoding_kernel
from sra_rag.attention.fast import fast_reattention
from sra_rag.attention.reference import scaled_reattention
from sra_rag.attention.session import Session
from sra_rag.attention.visibility import Visibility
from sra_rag.generation.prefix_cache import cache_argument

ALPHA = 0.2
QUESTION_TOKENS = 64  # rows after the context, for rows="after_context"
DECODED = 24
Clock = Callable[[], float]
VARIANTS: dict[str, SRAConfig | None] = {
    "sdpa": None,
    "off": None,
    'SRA, rows="all"': SRAConfig(alpha=ALPHA),
    'SRA, rows="after_context"': SRAConfig(alpha=ALPHA, rows="after_context"),
    'SRA, policy="constant"': SRAConfig(alpha=ALPHA, policy="constant"),
}


def main() -> None:
    """Measure and print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="as for load_model (default: embedded)")
    parser.add_argument("--shape", metavar="FOLDER", help="folder with a config.json: its architecture, random weights")
    parser.add_argument("--dtype", default="auto", help="as for load_model (default: auto)")
    parser.add_argument("--repetitions", type=int, default=3, help="repetitions of each measurement (default: 3)")
    parser.add_argument("--cpu-time", action="store_true", help="measure seconds of the processor")
    parser.add_argument("--quick", action="store_true", help="measure 1,024 tokens only, and no memory")
    parser.add_argument("--part", choices=["prefill", "decoding"], help="measure only this part (default: all)")
    parser.add_argument("--peak-of", metavar="VARIANT", help=argparse.SUPPRESS)
    parser.add_argument("--length", type=int, default=8192 - QUESTION_TOKENS, help=argparse.SUPPRESS)
    options = parser.parse_args()

    name, model = arbitrary(options) if options.shape else loaded(options)
    if options.peak_of:
        prefill(model, options.length, options.peak_of, time.perf_counter)
        print(peak_bytes())
        return
    clock = time.process_time if options.cpu_time else time.perf_counter
    device = torch.cuda.get_device_name() if model.device.type == "cuda" else platform.processor() or "CPU"
    print(
        f"Model {name}, {model.dtype}, on {device} with {torch.get_num_threads()} threads; "
        f"torch {torch.__version__}, transformers {transformers.__version__}; alpha {ALPHA}; "
        f"{'processor time' if options.cpu_time else 'elapsed time'}.\n"
    )
    lengths = [1024] if options.quick else [1024, 4096, 8192 - QUESTION_TOKENS]
    decoding_kernel(wait=True)  # or the first answers do without it
    if options.part != "decoding":
        prefill_table(model, lengths, options.repetitions, clock)
    decode_at = 1024 if options.quick else 4096
    if options.part != "prefill":
        decode_table(model, decode_at, options.repetitions, clock)
    if options.part is not None:
        return
    against_reference(model, [1024] if options.quick else [1024, 2048], options.repetitions, clock)
    if options.quick:
        return
    if model.device.type == "cpu":
        memory(options)
    else:
        memory_of_gpu(model, options.length)


def loaded(options: argparse.Namespace) -> tuple[str, transformers.PreTrainedModel]:
    """Load the model of the option ``--model``."""
    model = load_model(options.model, dtype=options.dtype)
    return model.name, model.model


def arbitrary(options: argparse.Namespace) -> tuple[str, transformers.PreTrainedModel]:
    """Create a model with random weights, on the device that load_model would choose."""
    config = transformers.AutoConfig.from_pretrained(options.shape)
    dtype = "bfloat16" if options.dtype == "auto" else options.dtype
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype)).eval()
    return f"with random weights and the architecture of {options.shape}", model


def prefill_table(model: transformers.PreTrainedModel, lengths: list[int], repetitions: int, clock: Clock) -> None:
    """Print the ratios for the prefill of a prompt."""
    cells: dict[str, list[str]] = {name: [] for name in VARIANTS}
    for length in lengths:
        prefill(model, length, "sdpa", clock)  # warm up
        runs = [{name: prefill(model, length, name, clock) for name in VARIANTS} for _ in range(repetitions)]
        cells["sdpa"].append(f"{statistics.median(run['sdpa'] for run in runs):.3g} s")
        for name in list(VARIANTS)[1:]:
            cells[name].append(spread([run[name] / run["sdpa"] for run in runs]))
    print("| prefill | " + " | ".join(f"{n:,} tokens" for n in lengths) + " |")
    print("|---" * (len(lengths) + 1) + "|")
    for name, row in cells.items():
        print(f"| {name} | " + " | ".join(row) + " |", flush=True)
    print()


@contextmanager
def variant(model: transformers.PreTrainedModel, name: str, context_length: int) -> Iterator[None]:
    """Attend as a variant does, within the block."""
    if name != "sdpa":
        with reattend(model, VARIANTS[name], context_length=context_length):
            yield
        return
    model.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        model.set_attn_implementation(ATTENTION_NAME)


@torch.inference_mode()
def prefill(model: transformers.PreTrainedModel, length: int, name: str, clock: Clock) -> float:
    """Return the seconds of a prefill of `length` tokens."""
    ids = tokens(model, length)
    with variant(model, name, length - QUESTION_TOKENS):
        return timed(model, lambda: model(ids, use_cache=True, logits_to_keep=1), clock)


@torch.inference_mode()
def decode_table(model: transformers.PreTrainedModel, length: int, repetitions: int, clock: Clock) -> None:
    """Print the ratios for decoding one token after `length` tokens; the variants alternate for each token."""
    ids = tokens(model, length)
    caches, seconds = {}, {name: [] for name in VARIANTS}
    for name in VARIANTS:
        with variant(model, name, length - QUESTION_TOKENS):
            caches[name] = cache_argument(model, transformers.DynamicCache(config=model.config))
            model(ids, use_cache=True, logits_to_keep=1, **caches[name])
    for _ in range(DECODED * repetitions):
        for name in VARIANTS:
            with variant(model, name, length - QUESTION_TOKENS):
                step = lambda cache=caches[name]: model(ids[:, :1], use_cache=True, **cache)  # noqa: E731
                seconds[name].append(timed(model, step, clock))
    print(f"| decoding a token after {length:,} tokens | median of {DECODED * repetitions} (middle half) |\n|---|---|")
    print(f"| sdpa | {statistics.median(seconds['sdpa']):.3g} s |")
    for name in list(VARIANTS)[1:]:
        ratios = [variant / base for variant, base in zip(seconds[name], seconds["sdpa"], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"| {name} | {middle:.2f}x ({low:.2f}-{high:.2f}) |", flush=True)
    print()


@torch.inference_mode()
def against_reference(model: transformers.PreTrainedModel, lengths: list[int], repetitions: int, clock: Clock) -> None:
    """Print the time of the attention of one layer, as a ratio to the eager reference, which stores all scores."""
    config = model.config.get_text_config()
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    sra = SRAConfig(alpha=ALPHA)
    print("| attention of one layer | time of the fast path / the eager reference |\n|---|---|")
    for n in lengths:
        q, k, v = (
            torch.randn(1, h, n, size, dtype=model.dtype, device=model.device) for h in (heads, kv_heads, kv_heads)
        )
        visibility = Visibility(Session(sra, 1, heads), n, n)

        def fast(q=q, k=k, v=v, visibility=visibility) -> None:  # noqa: ANN001 - the defaults bind values; callers pass nothing
            fast_reattention(q, k, v, visibility=visibility, layer=0, scale=size**-0.5)

        def eager(q=q, k=k, v=v) -> None:  # noqa: ANN001 - the defaults bind values; callers pass nothing
            scaled_reattention(q, k, v, alpha=ALPHA, is_causal=True)

        fast()
        ratios = [timed(model, fast, clock) / timed(model, eager, clock) for _ in range(max(3, repetitions))]
        print(f"| {n:,} tokens | {spread(ratios)} |", flush=True)
    print()


def memory(options: argparse.Namespace) -> None:
    """Print the peak memory of the prefill of one long prompt; each variant runs in its own process."""
    print(f"| peak memory of the process, prefill of {options.length:,} tokens | |\n|---|---|")
    peaks = {}
    for name in VARIANTS:
        chosen = ["--shape", options.shape] if options.shape else ["--model", options.model]
        command = [sys.executable, __file__, *chosen, "--dtype", options.dtype, "--peak-of", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - this file
        peaks[name] = int(done.stdout.split()[-1])
        shown = f"{peaks[name] / 2**30:.2f} GiB" if name == "sdpa" else f"{peaks[name] / peaks['sdpa']:.2f}x"
        print(f"| {name} | {shown} |", flush=True)


def memory_of_gpu(model: transformers.PreTrainedModel, length: int) -> None:
    """Print the peak GPU memory of the prefill of one long prompt, including the weights."""
    print(f"| peak memory of the GPU, prefill of {length:,} tokens | |\n|---|---|")
    peaks = {}
    for name in VARIANTS:
        torch.cuda.reset_peak_memory_stats()
        prefill(model, length, name, time.perf_counter)
        peaks[name] = torch.cuda.max_memory_allocated()
        shown = f"{peaks[name] / 2**30:.2f} GiB" if name == "sdpa" else f"{peaks[name] / peaks['sdpa']:.2f}x"
        print(f"| {name} | {shown} |", flush=True)


def peak_bytes() -> int:
    """Return the peak memory of this process in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def tokens(model: transformers.PreTrainedModel, length: int) -> torch.Tensor:
    """Return random tokens, the same in every call."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(100, model.config.vocab_size - 100, (1, length), generator=generator).to(model.device)


def timed(model: transformers.PreTrainedModel, work: Callable[[], object], clock: Clock) -> float:
    """Return the seconds of a clock that `work` takes, including work on the device."""
    synchronize = torch.cuda.synchronize if model.device.type == "cuda" else lambda: None
    synchronize()
    started = clock()
    work()
    synchronize()
    return clock() - started


def spread(ratios: list[float]) -> str:
    """Return the median and, in brackets, the minimum and maximum."""
    return f"{statistics.median(ratios):.2f}x ({min(ratios):.2f}-{max(ratios):.2f})"


if __name__ == "__main__":
    main()
