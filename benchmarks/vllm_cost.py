"""Cost of reattention in vLLM: prefill and decoding with and without it, alternately in one engine.

Run it in an environment with vLLM (`make test-vllm` creates one)::

    .venv-vllm/bin/python benchmarks/vllm_cost.py
    .venv-vllm/bin/python benchmarks/vllm_cost.py --layers 4     in a tenth of the time
    .venv-vllm/bin/python benchmarks/vllm_cost.py --only evidence
    OMP_NUM_THREADS=1 .venv-vllm/bin/python benchmarks/vllm_cost.py --clock cpu    on a shared machine

Each repetition measures all settings one after the other, and ratios are computed within a repetition, so that other
programs on the machine affect them less. Decoding is measured per step of the engine, with all requests in each step,
after prompts that are in the cache.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

QUESTION = 128  # tokens after the context
LINES = 100  # spans of the context that evidence is chosen from
LOOKING = 10  # heads that look; all weigh
EVIDENCE = "evidence"
PREFILL = {
    "vLLM": None,
    'rows="all"': {"sra": 0.2},
    'rows="after_context"': {"sra": "alpha=0.2,rows=after_context"},
    'policy="constant"': {"sra": "alpha=0.1,policy=constant"},
}
DECODING = {
    "vLLM": None,
    'rows="generated"': {"sra": "alpha=0.2,rows=generated"},
    'rows="generated", policy="constant"': {"sra": "alpha=0.1,rows=generated,policy=constant"},
}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

Prompt = dict[str, list[int]]


class Engine:
    """A vLLM engine that is driven step by step.

    Parameters
    ----------
    options
        Options of the command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        from vllm import LLM

        from sra_rag.models.embedded import embedded_model_folder

        model = options.model or str(embedded_model_folder())
        length = options.tokens + 1 + options.new_tokens + 2
        self.llm = LLM(
            model, dtype=options.dtype, enforce_eager=not options.compiled, seed=0, skip_tokenizer_init=True,
            max_model_len=length, max_num_seqs=options.batch, max_num_batched_tokens=length, max_logprobs=LINES,
            **({} if options.layers is None else fewer_layers(model, options.layers)),
        )  # fmt: skip
        self.tokens = options.tokens
        self.clock: Callable[[], float] = CLOCKS[options.clock]
        self._vocabulary = self.llm.llm_engine.vllm_config.model_config.get_vocab_size()
        self._rng = random.Random(0)  # noqa: S311 - the content of the prompts does not matter
        self._asked = 0
        edges = [(self.tokens + 1 - QUESTION) * n // LINES for n in range(LINES + 1)]
        spans = list(itertools.pairwise(edges))
        layers = self.llm.llm_engine.vllm_config.model_config.hf_text_config.num_hidden_layers
        heads = sorted({(layers * n // LOOKING, 0) for n in range(LOOKING)})
        self.look = {"sra_return_evidence": {"spans": spans, "heads": heads}}
        # Ten lines: a passage.
        self.evidence = {"sra": "evidence=4", "sra_evidence": [[spans[LINES // 2][0], spans[LINES // 2 + 9][1], 4]]}

    @property
    def dtype(self) -> str:
        """Data type of the model."""
        return str(self.llm.llm_engine.vllm_config.model_config.dtype)

    def prompt(self) -> Prompt:
        """Return a new random prompt. It has one more token, because vLLM never takes the last token from its cache."""
        return {"prompt_token_ids": [self._rng.randrange(100, self._vocabulary) for _ in range(self.tokens + 1)]}

    def steps(self, prompts: list[Prompt], extra: dict[str, Any] | None, new_tokens: int) -> list[float]:
        """Answer prompts; return the seconds of each step of the engine."""
        from vllm import SamplingParams

        logprobs = None
        if extra is not None and ("after_context" in str(extra.get("sra")) or extra in (self.look, self.evidence)):
            logprobs = LINES if extra is self.look else None
            extra = extra | {"sra_context_length": self.tokens + 1 - QUESTION}
        engine = self.llm.llm_engine
        params = SamplingParams(
            max_tokens=new_tokens, temperature=0, ignore_eos=True, detokenize=False, extra_args=extra, logprobs=logprobs
        )
        for prompt in prompts:
            self._asked += 1
            engine.add_request(str(self._asked), prompt, params)
        seconds = []
        while engine.has_unfinished_requests():
            started = self.clock()
            engine.step()
            seconds.append(self.clock() - started)
        return seconds


def fewer_layers(model: str, layers: int) -> dict[str, Any]:
    """Return options of vLLM for random weights and fewer layers, with the output layer reduced by the same factor."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model)
    share = layers / config.num_hidden_layers
    smaller = {"num_hidden_layers": layers, "vocab_size": 64 * round(config.vocab_size * share / 64)}
    return {"hf_overrides": smaller, "load_format": "dummy"}


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=None, help="folder, or name on the hub (default: the embedded model)")
    parser.add_argument("--part", choices=["prefill", "decoding"], help="measure only this part (default: both)")
    parser.add_argument("--tokens", type=int, default=4096, help="tokens of a prompt (default: 4096)")
    parser.add_argument("--batch", type=int, default=8, help="requests that are decoded together (default: 8)")
    parser.add_argument("--new-tokens", type=int, default=8, help="tokens decoded per repetition (default: 8)")
    parser.add_argument("--repetitions", type=int, default=3, help="number of repetitions (default: 3)")
    parser.add_argument("--dtype", default="auto", help="as for vLLM (default: auto)")
    parser.add_argument(
        "--layers", type=int, metavar="N",
        help="use N layers with random weights, which have the same relative cost, to save time",
    )  # fmt: skip
    parser.add_argument(
        "--off", action="store_true", help="measure only vLLM, to compare with vLLM without sra-rag (VLLM_PLUGINS=)"
    )
    parser.add_argument(
        "--only",
        metavar="WORD",
        help='measure only vLLM and the settings whose name contains a word, such as "evidence"',
    )
    parser.add_argument(
        "--compiled", action="store_true", help="the default of vLLM: compiled, and with CUDA graphs on GPUs"
    )
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall",
        help="wall (default), or cpu: processor time of all threads, which other programs hardly change",
    )  # fmt: skip
    options = parser.parse_args()
    if min(options.tokens - QUESTION, options.batch, options.new_tokens - 1, options.repetitions) < 1:
        parser.error(
            f"required: --tokens above {QUESTION}, --new-tokens of at least 2, --batch and --repetitions of at least 1"
        )

    engine = Engine(options)
    engine.steps([engine.prompt()], None, 2)  # first call, which includes work that is done only once
    layers = "" if options.layers is None else f"{options.layers} layers, "
    print(f"{layers}{engine.dtype}, prompts of {options.tokens} tokens, {options.clock} time\n", flush=True)
    if options.part != "decoding":
        measure_prefill(engine, options)
    if options.part != "prefill":
        measure_decoding(engine, options)


def measure_prefill(engine: Engine, options: argparse.Namespace) -> None:
    """Measure prompts that are not in the cache."""
    table(
        "prefill of one prompt",
        options.repetitions,
        chosen(
            options,
            {
                name: lambda extra=extra: sum(engine.steps([engine.prompt()], extra, 1))
                for name, extra in PREFILL.items()
            }
            | {f"{EVIDENCE}, the look and the answer": lambda: _look_and_answer(engine)},
        ),
    )


def _look_and_answer(engine: Engine) -> float:
    """Time both requests: the second takes the context from the prefix cache."""
    prompt = engine.prompt()
    return sum(engine.steps([prompt], engine.look, 1)) + sum(engine.steps([prompt], engine.evidence, 1))


def measure_decoding(engine: Engine, options: argparse.Namespace) -> None:
    """Measure decoding steps after cached prompts, with all requests in each step."""
    batch = []
    for number in range(options.batch):
        print(f"\rprefill of prompt {number + 1} of {options.batch}", end="", file=sys.stderr, flush=True)
        batch.append(engine.prompt())
        engine.steps(batch[-1:], None, 1)
    table(
        f"a step of decoding, {options.batch} requests",
        options.repetitions,
        chosen(
            options,
            {
                name: lambda extra=extra: statistics.median(engine.steps(batch, extra, options.new_tokens)[1:])
                for name, extra in (DECODING | {EVIDENCE: engine.evidence}).items()
            },
        ),
    )


def chosen(options: argparse.Namespace, variants: dict[str, Callable[[], float]]) -> dict[str, Callable[[], float]]:
    """Return the first variant, which is vLLM, and the others that are to be measured."""
    first, *others = variants
    kept = [name for name in others if not options.off and (options.only is None or options.only in name)]
    return {name: variants[name] for name in (first, *kept)}


def table(title: str, repetitions: int, variants: dict[str, Callable[[], float]]) -> None:
    """Measure the variants; print median, minimum and maximum of the ratios to the first variant."""
    rounds = []
    for repetition in range(repetitions):
        rounds.append({})
        for name, measure in variants.items():
            print(f"\r{title}, {repetition + 1} of {repetitions}: {name:40}", end="", file=sys.stderr, flush=True)
            rounds[-1][name] = measure()
    print("\r" + " " * 100 + "\r", end="", file=sys.stderr)
    first, *others = variants
    print(f"| {title} | median of {repetitions} (minimum-maximum) |\n|---|---|")
    print(f"| {first} | {statistics.median(r[first] for r in rounds):.4g} s |")
    for name in others:
        ratios = sorted(r[name] / r[first] for r in rounds)
        print(f"| {name} | {statistics.median(ratios):.2f}x ({ratios[0]:.2f}-{ratios[-1]:.2f}) |")
    print(flush=True)


if __name__ == "__main__":
    main()
