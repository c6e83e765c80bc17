"""Answers on FinanceBench's open sample: gold pages in the context, gold figures in the answers.

    python benchmarks/financebench.py FOLDER --to results.jsonl

FOLDER holds `questions.jsonl` (id, document, question, answer, evidence: [{page, text}]) and `pdfs/`. Each question
is asked of its own filing. All settings see the same prompt. Results are appended as they come; a run that was stopped
goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from scipy.stats import binomtest
from sra_pipelines import DocumentIndex, DocumentQA, read_document
from sra_pipelines.embedding import load_embedding
from transformers.utils import logging as transformers_logging

from sra_rag import Engine, SamplingOptions, SRAConfig, load_model

SETTINGS: dict[str, SRAConfig | None] = {
    "off": None,
    "alpha 0.2, all rows": SRAConfig(alpha=0.2),
    "alpha 0.2, after_context": SRAConfig(alpha=0.2, rows="after_context"),
}
_FIGURE = re.compile(r"\d[\d,]*\.?\d*")
_TOLERANCE = 0.01  # relative: gold answers are rounded


def main() -> None:
    """Ask all questions and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of questions.jsonl and pdfs/")
    parser.add_argument("--to", type=Path, required=True, help="JSONL file of results, continued if it exists")
    parser.add_argument("--model", default="embedded", help="as for load_model (default: embedded)")
    parser.add_argument("--context-tokens", type=int, default=1500, help="tokens of passages (default: 1500)")
    options = parser.parse_args()
    transformers_logging.disable_progress_bar()

    questions = [json.loads(line) for line in (options.folder / "questions.jsonl").read_text().splitlines()]
    done = [json.loads(line) for line in options.to.read_text().splitlines()] if options.to.exists() else []
    known = {result["id"] for result in done}
    engine = Engine(load_model(options.model), options=SamplingOptions(max_new_tokens=48))
    embedding = load_embedding()
    for name in sorted({question["document"] for question in questions if question["id"] not in known}):
        started = time.perf_counter()
        document = read_document(options.folder / "pdfs" / f"{name.removesuffix('.pdf')}.pdf")
        qa = DocumentQA(DocumentIndex([document], embedding), engine, context_tokens=options.context_tokens)
        per_page = (time.perf_counter() - started) / len(document.pages)
        for question in questions:
            if question["document"] == name and question["id"] not in known:
                result = ask(qa, question) | {"index_seconds_a_page": per_page, "model": options.model}
                done.append(result)
                with options.to.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(result) + "\n")
                sys.stderr.write(f"\r{len(done)} of {len(questions)} questions")
    sys.stderr.write("\n")
    report(done)


def ask(qa: DocumentQA, question: dict[str, Any]) -> dict[str, Any]:
    """Ask one question with every setting."""
    found = qa.retrieve(question["question"])
    given = {passage.page_index for passage in found.passages}
    gold = figures(question["answer"])
    answers = {}
    for name, answer in zip(SETTINGS, qa.compare(found, list(SETTINGS.values())), strict=True):
        timing = answer.generation.timing
        answers[name] = {
            "text": answer.text,
            "holds_gold_figure": any(near(one, other) for one in gold for other in figures(answer.text)),
            "cites_gold_page": any(
                c.page_index == evidence["page"] for c in answer.citations for evidence in question["evidence"]
            ),
            "prefill_seconds": timing.prefill_seconds,
            "decode_seconds": timing.decode_seconds,
            "cached_tokens": answer.generation.usage.cached_tokens,
        }
    return {
        "id": question["id"],
        "gold": question["answer"],
        "gold_has_figure": bool(gold),
        "gold_page_in_context": any(evidence["page"] in given for evidence in question["evidence"]),
        "answers": answers,
    }


def figures(text: str) -> list[float]:
    """Numbers in a text, without years (they stand in most questions)."""
    numbers = [found.replace(",", "").rstrip(".") for found in _FIGURE.findall(text)]
    return [float(number) for number in numbers if not re.fullmatch(r"(19|20)\d\d", number)]


def near(one: float, other: float) -> bool:
    """Whether two figures are the same but for rounding."""
    return abs(one - other) <= _TOLERANCE * max(abs(one), abs(other), 1e-9)


def report(results: list[dict[str, Any]]) -> None:
    """Print what came out, with 95% intervals (Wilson)."""
    print(f"| {len(results)} questions | gold page in the context | gold figure in the answer | gold page cited |")
    print("|---|---|---|---|")
    in_context = share(sum(r["gold_page_in_context"] for r in results), len(results))
    with_figure = [r for r in results if r["gold_has_figure"]]
    for name in SETTINGS:
        right = share(sum(r["answers"][name]["holds_gold_figure"] for r in with_figure), len(with_figure))
        cited = share(sum(r["answers"][name]["cites_gold_page"] for r in results), len(results))
        print(f"| {name} | {in_context} | {right} | {cited} |")


def share(count: int, total: int) -> str:
    """Count, share and interval."""
    if total == 0:
        return "-"
    interval = binomtest(count, total).proportion_ci(method="wilson")
    return f"{count} of {total}: {count / total:.0%} ({interval.low:.0%}-{interval.high:.0%})"


if __name__ == "__main__":
    main()
