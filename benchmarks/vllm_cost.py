"""What reattention costs inside vLLM: prefill and decoding, with and without, in turn in one engine.

Run it in an environment with vLLM (`make test-vllm` makes one)::

    .venv-vllm/bin/python benchmarks/vllm_cost.py

Every repetition measures all settings one after the other, and ratios are taken within a repetition, so that what else
the machine does spoils them less. Decoding follows prompts that the engine has cached.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

PREFILL = {
    "vLLM": None,
    "rows=all": {"sra": 0.2},
    "rows=after_context": {"sra": "alpha=0.2,rows=after_context"},
    "policy=constant": {"sra": "alpha=0.1,policy=constant"},
}
DECODING = {
    "vLLM": None,
    "rows=generated": {"sra": "alpha=0.2,rows=generated"},
    "rows=generated, constant": {"sra": "alpha=0.1,rows=generated,policy=constant"},
}


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=None, help="a folder or a name on the hub (default: the embedded model)")
    parser.add_argument("--tokens", type=int, default=4096, help="of a prompt (default: 4096)")
    parser.add_argument("--batch", type=int, default=8, help="requests that decode at once (default: 8)")
    parser.add_argument("--new-tokens", type=int, default=16, help="decoded in a repetition (default: 16)")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--dtype", default="auto", help="as for vLLM (default: auto)")
    options = parser.parse_args()

    from vllm import LLM, SamplingParams

    from sra_rag.models.embedded import embedded_model_folder

    llm = LLM(
        options.model or str(embedded_model_folder()), dtype=options.dtype, enforce_eager=True, seed=0,
        max_model_len=options.tokens + 64, max_num_seqs=options.batch, max_num_batched_tokens=options.tokens + 64,
    )  # fmt: skip
    rng = random.Random(0)  # noqa: S311 - any prompt will do
    size = llm.get_tokenizer().vocab_size

    def prompt() -> dict[str, list[int]]:
        return {"prompt_token_ids": [rng.randrange(100, size) for _ in range(options.tokens)]}

    def seconds(prompts: list, extra: dict | None, tokens: int) -> float:
        if extra is not None and "after_context" in str(extra["sra"]):
            extra = extra | {"sra_context_length": options.tokens - 32}
        params = SamplingParams(max_tokens=tokens, temperature=0, ignore_eos=True, detokenize=False, extra_args=extra)
        started = time.perf_counter()
        llm.generate(prompts, params, use_tqdm=False)
        return time.perf_counter() - started

    seconds([prompt()], None, 2)  # what is done once
    print(f"{llm.llm_engine.vllm_config.model_config.dtype}, prompts of {options.tokens} tokens\n")
    # A prompt of its own for each: nothing of it is cached.
    table(
        "prefill of one prompt",
        options.repetitions,
        lambda: {name: seconds([prompt()], extra, 1) for name, extra in PREFILL.items()},
    )
    batch = [prompt() for _ in range(options.batch)]
    seconds(batch, None, 1)

    def decoding() -> dict[str, float]:
        return {
            name: (seconds(batch, extra, 1 + options.new_tokens) - seconds(batch, extra, 1)) / options.new_tokens
            for name, extra in DECODING.items()
        }

    table(f"a step of decoding, {options.batch} requests", options.repetitions, decoding)


def table(title: str, repetitions: int, measure) -> None:  # noqa: ANN001
    """Print medians of ratios to the first, with the least and greatest."""
    rounds = [measure() for _ in range(repetitions)]
    first, *others = rounds[0]
    print(f"| {title} | median of {repetitions}, least and greatest |\n|---|---|")
    print(f"| {first} | {statistics.median(r[first] for r in rounds):.3f} s |")
    for name in others:
        ratios = sorted(r[name] / r[first] for r in rounds)
        print(f"| {name} | {statistics.median(ratios):.2f}x ({ratios[0]:.2f}-{ratios[-1]:.2f}) |")
    print()


if __name__ == "__main__":
    main()
