"""Cost of evidence: time of complete answers with and without it, and peak memory.

    python benchmarks/evidence_cost.py
    python benchmarks/evidence_cost.py --model NAME --lengths 1500 4000 --repetitions 5
    python benchmarks/evidence_cost.py --batch 4                                  several prompts in a batch
    python benchmarks/evidence_cost.py --settings evidence                        one setting, in less time
    OMP_NUM_THREADS=1 python benchmarks/evidence_cost.py --clock cpu              on a shared machine

Each repetition answers a prompt with evidence off and with each setting, without reusing a prefill, and divides the
time of each setting by that of "off". Each time is also printed as it is measured, with the number of prompts whose
evidence was weighed. The table shows the median ratio and, in brackets, the minimum and maximum. All
answers have the same number of tokens. The prompts are invented passages, repeated up to the required length; those of
a batch have different questions.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import statistics
import subprocess
import sys
import time

from sra_rag import Engine, SamplingOptions, load_model
from sra_rag.attention.compiling import decoding_kernel
from sra_rag.heads.known import evidence_heads
from sra_rag.heads.probes import make_probes
from sra_rag.notation import parse_sra

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
SETTINGS = ["evidence", "evidence=4", "alpha=0.3,rows=after_context"]


def main() -> None:
    """Measure and print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="as for load_model (default: embedded)")
    parser.add_argument("--dtype", default="auto", help="as for load_model (default: auto)")
    parser.add_argument("--lengths", type=int, nargs="+", default=[1500, 4000], help="tokens of the prompt")
    parser.add_argument("--tokens", type=int, default=48, help="tokens of each answer")
    parser.add_argument("--repetitions", type=int, default=4)
    parser.add_argument("--settings", nargs="+", default=SETTINGS, metavar="SRA", help="settings to measure")
    parser.add_argument("--batch", type=int, default=1, help="prompts that are answered together")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="elapsed time, or CPU time of this process")
    parser.add_argument("--peak-of", metavar="SETTING", help=argparse.SUPPRESS)
    options = parser.parse_args()
    decoding_kernel(wait=True)  # or the first answers do without it
    # A stop token would end some answers early.
    engine = Engine(
        load_model(options.model, dtype=options.dtype),
        options=SamplingOptions(max_new_tokens=options.tokens, extra={"min_new_tokens": options.tokens}),
        max_prefixes=0,
    )
    if options.peak_of:
        weighed = answer(engine, options.lengths[0], options.peak_of, options.batch)
        print(f"{weighed} of {options.batch} prompts are weighed", file=sys.stderr)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    evidence_heads(engine.loaded)
    print(f"| answer of {options.tokens} tokens | " + " | ".join(f"{n:,} tokens" for n in options.lengths) + " |")
    print("|---" * (len(options.lengths) + 1) + "|")
    columns = [times(engine, length, options) for length in options.lengths]
    print("| off | " + " | ".join(f"{statistics.median(column['off']):.2f} s" for column in columns) + " |")
    for name in options.settings:
        cells = []
        for column in columns:
            ratios = [seconds / base for seconds, base in zip(column[name], column["off"], strict=True)]
            cells.append(f"{statistics.median(ratios):.2f}x ({min(ratios):.2f}-{max(ratios):.2f})")
        print(f"| `{name}` | " + " | ".join(cells) + " |")
    peaks = {}
    for name in ("off", "evidence"):
        command = [sys.executable, __file__, "--model", options.model, "--dtype", options.dtype, "--peak-of", name]
        command += ["--lengths", str(options.lengths[-1]), "--tokens", "8", "--batch", str(options.batch)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - this file
        peaks[name] = int(done.stdout.split()[-1])
    print(f"\nPeak memory at {options.lengths[-1]:,} tokens: {peaks['off'] / 2**20:.2f} GiB without, ", end="")
    print(f"{peaks['evidence'] / peaks['off']:.2f}x with evidence.")


def times(engine: Engine, length: int, options: argparse.Namespace) -> dict[str, list[float]]:
    """Return the seconds of each repetition by setting, after one answer that is not timed."""
    clock = CLOCKS[options.clock]
    answer(engine, length, "off", options.batch)
    seconds: dict[str, list[float]] = {name: [] for name in ("off", *options.settings)}
    names = list(seconds)
    for repetition in range(options.repetitions):
        first = repetition % len(names)  # another setting is first in each repetition
        for name in names[first:] + names[:first]:
            started = clock()
            weighed = answer(engine, length, name, options.batch)
            seconds[name].append(clock() - started)
            print(
                f"{length} tokens, {name}: {seconds[name][-1]:.2f} s, evidence weighed in {weighed} of {options.batch}",
                file=sys.stderr,
                flush=True,
            )
    return seconds


def answer(engine: Engine, length: int, setting: str, batch: int) -> int:
    """Answer questions with about `length` tokens of passages each, in one batch; return how many weighed evidence."""
    passages: list[str] = []
    total = 0
    for text in itertools.cycle(probe.passages[probe.gold] for probe in make_probes(80)):
        passages.append(f"Passage {len(passages) + 1}\n{text}")
        total += len(engine.encode(passages[-1]).token_ids) + 1
        if total > length:
            break
    context = "\n\n".join(passages)
    messages = [
        [{"role": "user", "content": f"{context}\n\nQuestion: {probe.question}"}] for probe in make_probes(batch)
    ]
    generations = engine.generate_batch(
        messages, contexts=[context] * batch, passage_lists=[passages] * batch, sra=parse_sra(setting)
    )
    return sum(bool(generation.evidence and generation.evidence.chosen) for generation in generations)


if __name__ == "__main__":
    main()
