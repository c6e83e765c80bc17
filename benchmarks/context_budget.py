"""How many tokens of context a model should get: right answers and seconds by budget, with and without evidence.

    python benchmarks/context_budget.py --model embedded --to budgets.jsonl
    python benchmarks/context_budget.py --report budgets.jsonl

The script asks every N-th question about the sample documents. A budget is the maximum number of tokens of passages in
the prompt. Each answer is one line of the results file; run the same command again to continue after a stop. Seconds
are processor seconds of a complete answer without a reused prefill; other programs on the machine hardly change them
(set OMP_NUM_THREADS=1). If the documents do not contain the answer, an answer is right if it says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from pathlib import Path

from sra_evaluations.examples import Example
from sra_evaluations.metrics.correctness import score_answer
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.checks.abstention import abstains
from sra_pipelines.checks.support import Support
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.readers import read_document
from sra_pipelines.samples import SampleQuestion, sample_documents, sample_questions

from sra_rag import Engine, load_model
from sra_rag.notation import parse_sra

SETTINGS = ("off", "evidence")


def main() -> None:
    """Measure and print the table, or only print the table of a results file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="as for load_model (default: embedded)")
    parser.add_argument("--dtype", default="auto", help="as for load_model (default: auto)")
    parser.add_argument("--budgets", type=int, nargs="+", default=[450, 1500, 6000], help="tokens of passages")
    parser.add_argument("--every", type=int, default=4, metavar="N", help="every N-th question (default: 4)")
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--to", type=Path, default=Path("budgets.jsonl"), help="file of the answers")
    parser.add_argument("--report", type=Path, metavar="FILE", help="only print the table of this file")
    options = parser.parse_args()
    if options.report is None:
        measure(options.model, options.dtype, options.budgets, options.every, options.max_new_tokens, options.to)
    sys.stdout.write(report(options.report or options.to))


def measure(model: str, dtype: str, budgets: list[int], every: int, max_new_tokens: int, to: Path) -> None:
    """Answer the questions and append each answer to the results file."""
    done = {(r["model"], r["budget"], r["sra"], r["question"]) for r in _records(to)}
    index = DocumentIndex([read_document(path) for path in sample_documents()], load_embedding())
    engine = Engine(load_model(model, dtype=dtype), max_prefixes=1)
    for budget in budgets:
        qa = DocumentQA(index, engine, context_tokens=budget)
        for question in sample_questions()[::every]:
            retrieval = qa.retrieve(question.question, max_new_tokens=max_new_tokens)
            for setting in SETTINGS:
                if (model, budget, setting, question.id) in done:
                    continue
                started = time.process_time()
                with engine.isolated():
                    answer = qa.ask(retrieval, sra=parse_sra(setting), max_new_tokens=max_new_tokens)
                generation = answer.generation
                line = {
                    "model": model, "budget": budget, "sra": setting, "question": question.id, "answer": answer.text,
                    "finish_reason": generation.finish_reason, "seconds": generation.timing.total_seconds,
                    "cpu_seconds": time.process_time() - started, "prompt_tokens": generation.usage.prompt_tokens,
                }  # fmt: skip
                with to.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")


def report(file: Path) -> str:
    """Return the table of a results file as Markdown: right answers, number of questions, and seconds per answer."""
    questions = {question.id: question for question in sample_questions()}
    cells: dict[tuple[str, int, str], list[tuple[float, float]]] = defaultdict(list)
    for record in _records(file):
        right = is_right(record["answer"], questions[record["question"]])
        cells[record["model"], record["budget"], record["sra"]].append((right, record["cpu_seconds"]))
    lines = ["| model | tokens of passages | right: off | right: evidence | CPU seconds: off | CPU seconds: evidence |"]
    lines.append("|---|---|---|---|---|---|")
    for model, budget in dict.fromkeys(key[:2] for key in cells):
        pairs = [cells[model, budget, setting] for setting in SETTINGS]
        right = [f"{sum(r for r, _ in cell):.0f} of {len(cell)}" for cell in pairs]
        seconds = [f"{sum(s for _, s in cell) / max(1, len(cell)):.1f}" for cell in pairs]
        lines.append(f"| {model} | {budget:,} | {' | '.join(right)} | {' | '.join(seconds)} |")
    return "\n".join(lines) + "\n"


def is_right(answer: str, question: SampleQuestion) -> bool:
    """Return whether an answer is right or, if the documents do not contain the answer, whether it says so."""
    if question.answer is None:
        return abstains(answer, Support((), ())) == "model says so"
    scores = score_answer(answer, Example(question.id, "", "", question.question, (question.answer,)))
    return scores["right"] == 1.0


def _records(file: Path) -> list[dict]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
