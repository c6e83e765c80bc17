"""Agreement of vLLM and transformers with reattention, compared with the rounding of the data type.

    .venv-vllm/bin/python benchmarks/vllm_agreement.py                      20 prompts, 100 to 4,000 tokens, bfloat16
    .venv-vllm/bin/python benchmarks/vllm_agreement.py --longest 800 --dtype float32

Both process the same tokens, and the log-probability of each token is compared: first with reattention off, which shows
the difference without it, then with it on. Then vLLM continues with greedy decoding. Its tokens are compared with those
of transformers where the choice is clear: the logits of the two best tokens in transformers differ by more than twice
the largest difference with reattention off.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers

from sra_rag import SRAConfig, reattend

LENGTHS = (
    100, 110, 120, 135, 150, 165, 180, 200, 220, 250, 280, 320, 370, 430, 500, 600, 750, 1000, 2000, 4000,
)  # fmt: skip
GENERATED = 8
PROSE = Path(__file__).parents[1] / "tools" / "sample_documents" / "prose"


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """Comparison of one prompt.

    Parameters
    ----------
    length
        Length of the prompt in tokens.
    off, on
        Absolute differences of the log-probabilities of the prompt's tokens in nats, without and with reattention.
    effect
        Absolute changes of the log-probabilities in transformers by reattention, in nats.
    clear
        Number of tokens that vLLM generated with reattention where the choice is clear.
    equal
        Number of clear tokens that transformers chooses too.
    """

    length: int
    off: tuple[float, ...]
    on: tuple[float, ...]
    effect: tuple[float, ...]
    clear: int
    equal: int


class Pair:
    """The same model in vLLM and in transformers.

    Parameters
    ----------
    llm
        The ``LLM`` of vLLM.
    model
        The model of transformers, with the attention ``"sra"``.
    """

    def __init__(self, llm: Any, model: transformers.PreTrainedModel) -> None:
        self.llm, self.model = llm, model

    def compare(self, ids: list[int], sra: SRAConfig, context_length: int) -> Comparison:
        """Compare a prompt without and with reattention."""
        none = SRAConfig(alpha=0)
        plain, _, _ = self._transformers(ids, [], none, context_length)
        off = _differences(self._vllm(ids, none, context_length)[0], plain)
        actual, generated = self._vllm(ids, sra, context_length, GENERATED)
        expected, choices, margins = self._transformers(ids, generated, sra, context_length)
        clear = [n for n, margin in enumerate(margins) if margin > 2 * max(off)]
        return Comparison(
            len(ids), off, _differences(actual, expected), _differences(expected, plain), len(clear),
            sum(choices[n] == generated[n] for n in clear),
        )  # fmt: skip

    def _vllm(
        self, ids: list[int], sra: SRAConfig, context_length: int, new_tokens: int = 1
    ) -> tuple[list[float], list[int]]:
        from vllm import SamplingParams

        extra = {"sra": sra.to_dict(), "sra_context_length": context_length}
        params = SamplingParams(
            max_tokens=new_tokens, temperature=0, prompt_logprobs=0, detokenize=False, ignore_eos=True,
            extra_args=extra,
        )  # fmt: skip
        [output] = self.llm.generate([{"prompt_token_ids": ids}], params, use_tqdm=False)
        steps = zip(output.prompt_logprobs[1:], ids[1:], strict=True)
        return [step[token].logprob for step, token in steps], list(output.outputs[0].token_ids)

    def _transformers(
        self, ids: list[int], generated: list[int], sra: SRAConfig, context_length: int
    ) -> tuple[list[float], list[int], list[float]]:
        """Return log-probabilities of the prompt; for each generated token the best token and its margin in logits."""
        tokens = torch.tensor([ids + generated[:-1]], device=self.model.device)
        with torch.inference_mode(), reattend(self.model, sra, context_length=context_length, prompt_length=len(ids)):
            logits = self.model(tokens).logits[0].float()
        own = torch.tensor(ids[1:], device=logits.device)[:, None]
        logprobs = logits[: len(ids) - 1].log_softmax(-1).gather(1, own)[:, 0].tolist()
        best = logits[len(ids) - 1 :].topk(2)
        return logprobs, best.indices[:, 0].tolist(), (best.values[:, 0] - best.values[:, 1]).tolist()


def _differences(first: Sequence[float], second: Sequence[float]) -> tuple[float, ...]:
    return tuple(abs(a - b) for a, b in zip(first, second, strict=True))


def settings(number: int, length: int) -> tuple[SRAConfig, int]:
    """Return the settings and the context length of a prompt: alternately all rows and after_context."""
    return SRAConfig(alpha=0.3, rows="after_context" if number % 2 else "all"), length // 2


def main() -> None:
    """Compare prompts from the sample documents and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=None, help="folder, or name on the hub (default: the embedded model)")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    parser.add_argument("--longest", type=int, default=LENGTHS[-1], metavar="TOKENS", help="leave out longer prompts")
    options = parser.parse_args()
    lengths = [length for length in LENGTHS if length <= options.longest]
    if not lengths:
        parser.error(f"the shortest prompt has {LENGTHS[0]} tokens")

    from transformers import AutoModelForCausalLM, AutoTokenizer
    from vllm import LLM

    from sra_rag.models.embedded import embedded_model_folder

    folder = options.model or str(embedded_model_folder())
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sra", dtype=options.dtype).eval()
    if torch.cuda.is_available():
        model.cuda()
    llm = LLM(
        folder, dtype=options.dtype, enforce_eager=True, seed=0, skip_tokenizer_init=True, max_num_seqs=4,
        max_model_len=lengths[-1] + GENERATED + 1,
    )  # fmt: skip
    text = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted(PROSE.glob("*.md")))
    tokens = AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
    pair = Pair(llm, model)
    print(f"{options.dtype}; differences in nats, mean and maximum\n")
    print("| prompt | off | on | effect of reattention | clear tokens equal |\n|---|---|---|---|---|")
    every = []
    for number, length in enumerate(lengths):
        print(f"\r{number + 1} of {len(lengths)}", end="\r", file=sys.stderr, flush=True)
        start = number * 997 % (len(tokens) - length)
        sra, context_length = settings(number, length)
        every.append(pair.compare(tokens[start : start + length], sra, context_length))
        print(_row(f"{length:,}, {sra.rows}", every[-1:]), flush=True)
    print(_row("all", every))


def _row(name: str, comparisons: Sequence[Comparison]) -> str:
    cells = []
    for part in ("off", "on", "effect"):
        values = [value for comparison in comparisons for value in getattr(comparison, part)]
        cells.append(f"{statistics.fmean(values):.5f}, {max(values):.4f}")
    equal, clear = (sum(getattr(c, part) for c in comparisons) for part in ("equal", "clear"))
    return f"| {name} | {' | '.join(cells)} | {equal} of {clear} |"


if __name__ == "__main__":
    main()
