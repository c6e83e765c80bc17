"""Answers on the open sample of FinanceBench: gold pages in the context, gold amounts in the answers.

    python benchmarks/financebench.py FOLDER --to results.jsonl

FOLDER contains `questions.jsonl` (id, document, question, answer, evidence: [{page, text}]) and `pdfs/`. Each question
is answered from its own filing. All settings have the same prompt. Results are appended one by one; run the same
command again to continue after a stop.

    python benchmarks/financebench.py FOLDER --retrieval-only --to found.jsonl

generates no answers. It only measures whether a gold page is among the retrieved passages, for several budgets of
tokens (counted with the tokenizer of `--model`), with search by meaning, by words, by both, and by both with whole
pages.

The index of each filing is stored in the folder of the results and used again by later runs.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy.stats import binomtest
from sra_pipelines import DocumentQA, add_documents, open_index
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.retrieval.retriever import Retriever
from transformers.utils import logging as transformers_logging

from sra_rag import Engine, SamplingOptions, load_model
from sra_rag.notation import parse_sra

SETTINGS = ("off", "alpha=0.3,rows=after_context", "evidence")
RETRIEVERS: dict[str, dict[str, Any]] = {
    "meaning (dense)": {"method": "dense", "whole_pages": False},
    "words (BM25)": {"method": "keywords", "whole_pages": False},
    "both, fused": {"whole_pages": False},
    "both, fused, whole pages": {},
}
BUDGETS = (1500, 3000, 6000)  # tokens
_AMOUNT = re.compile(r"\d[\d,]*\.?\d*")
_TOLERANCE = 0.01  # relative: gold answers are rounded


def main() -> None:
    """Answer all questions and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with questions.jsonl and pdfs/")
    parser.add_argument("--to", type=Path, required=True, help="JSONL file of results; continued if it exists")
    parser.add_argument("--model", default="embedded", help="as for load_model (default: embedded)")
    parser.add_argument("--dtype", default="auto", help="as for load_model (default: auto)")
    parser.add_argument(
        "--sra", action="append", help=f"a setting; repeat it for several (default: {', '.join(SETTINGS)})"
    )
    parser.add_argument("--context-tokens", type=int, default=1500, help="tokens of passages (default: 1500)")
    parser.add_argument("--indexes", type=Path, help="folder of the indexes (default: in the folder of the results)")
    parser.add_argument("--retrieval-only", action="store_true", help="measure retrieval only; generate no answers")
    options = parser.parse_args()
    transformers_logging.disable_progress_bar()

    questions = [json.loads(line) for line in (options.folder / "questions.jsonl").read_text().splitlines()]
    done = [json.loads(line) for line in options.to.read_text().splitlines()] if options.to.exists() else []
    known = {result["id"] for result in done}
    settings = tuple(options.sra or SETTINGS)
    model = load_model(options.model, dtype=options.dtype)
    engine = Engine(model, options=SamplingOptions(max_new_tokens=48))
    indexes = options.indexes or options.to.parent / "indexes"
    for name in sorted({question["document"] for question in questions if question["id"] not in known}):
        index, per_page = indexed(options.folder / "pdfs" / f"{name.removesuffix('.pdf')}.pdf", indexes)
        qa = DocumentQA(index, engine, context_tokens=options.context_tokens)
        for question in questions:
            if question["document"] == name and question["id"] not in known:
                result = search(qa, question) if options.retrieval_only else ask(qa, question, settings)
                result |= {"index_seconds_a_page": per_page, "model": options.model}
                done.append(result)
                with options.to.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(result) + "\n")
                sys.stderr.write(f"\r{len(done)} of {len(questions)} questions")
    sys.stderr.write("\n")
    if options.retrieval_only:
        report_retrieval(done)
    else:
        report(done, settings)


def indexed(filing: Path, folder: Path) -> tuple[StoredIndex, float | None]:
    """Return the index of a filing, created if needed, and the seconds per page that this took (None if it existed)."""
    at = folder / f"{filing.stem}.index"
    started = time.perf_counter()
    report = add_documents(at, [filing], load_embedding)
    index = open_index(at)
    pages = sum(document.n_pages for document in index.documents())
    return index, (time.perf_counter() - started) / pages if report.added else None


def search(qa: DocumentQA, question: dict[str, Any]) -> dict[str, Any]:
    """Retrieve passages for one question with every retriever and budget."""
    gold = {evidence["page"] for evidence in question["evidence"]}
    by_retriever: dict[str, dict[str, Any]] = {}
    for name, settings in RETRIEVERS.items():
        retriever = Retriever(qa.index, **settings)
        started = time.perf_counter()
        ranked = [passage.page_index for passage in retriever.search(question["question"])]
        by_retriever[name] = {
            "seconds": time.perf_counter() - started,
            "rank": next((rank for rank, page in enumerate(ranked, start=1) if page in gold), None),
        }
        for budget in BUDGETS:
            passages = retriever.retrieve(question["question"], budget, qa.count_tokens)
            by_retriever[name][str(budget)] = any(passage.page_index in gold for passage in passages)
    return {"id": question["id"], "found": by_retriever}


def report_retrieval(results: list[dict[str, Any]]) -> None:
    """Print for how many questions a gold page was retrieved, with 95% intervals (Wilson)."""
    print(f"| {len(results)} questions: gold page in | {' | '.join(f'{b:,} tokens' for b in BUDGETS)} |")
    print("|---" * (len(BUDGETS) + 1) + "|")
    for name in RETRIEVERS:
        shares = [share(sum(r["found"][name][str(b)] for r in results), len(results)) for b in BUDGETS]
        print(f"| {name} | {' | '.join(shares)} |")
    print("\nNo gold page within the largest budget; in brackets the rank of the first passage on a gold page:")
    for name in RETRIEVERS:
        missed = [(r["id"], r["found"][name]) for r in results if not r["found"][name][str(BUDGETS[-1])]]
        listed = [f"{question} ({result['rank']})" for question, result in missed]
        print(f"- {name}: {', '.join(listed) or 'none'}")


def ask(qa: DocumentQA, question: dict[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Answer one question with every setting."""
    retrieval = qa.retrieve(question["question"])
    pages = {passage.page_index for passage in retrieval.passages}
    gold = amounts(question["answer"])
    answers = {}
    for name, answer in zip(settings, qa.compare(retrieval, [parse_sra(name) for name in settings]), strict=True):
        timing = answer.generation.timing
        answers[name] = {
            "text": answer.text,
            "holds_gold_figure": any(near(amount, other) for amount in gold for other in amounts(answer.text)),
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
        "gold_page_in_context": any(evidence["page"] in pages for evidence in question["evidence"]),
        "answers": answers,
    }


def amounts(text: str) -> list[float]:
    """Return the numbers in a text, except years, which occur in most questions."""
    numbers = [number.replace(",", "").rstrip(".") for number in _AMOUNT.findall(text)]
    return [float(number) for number in numbers if not re.fullmatch(r"(19|20)\d\d", number)]


def near(amount: float, other: float) -> bool:
    """Return whether two amounts are equal except for rounding."""
    return abs(amount - other) <= _TOLERANCE * max(abs(amount), abs(other), 1e-9)


def report(results: list[dict[str, Any]], settings: Sequence[str]) -> None:
    """Print the table of results, with 95% intervals (Wilson)."""
    print(f"| {len(results)} questions | gold page in the context | gold amount in the answer | gold page cited |")
    print("|---|---|---|---|")
    in_context = share(sum(r["gold_page_in_context"] for r in results), len(results))
    with_figure = [r for r in results if r["gold_has_figure"]]
    for name in settings:
        right = share(sum(r["answers"][name]["holds_gold_figure"] for r in with_figure), len(with_figure))
        cited = share(sum(r["answers"][name]["cites_gold_page"] for r in results), len(results))
        print(f"| {name} | {in_context} | {right} | {cited} |")


def share(count: int, total: int) -> str:
    """Return a count with its share and interval."""
    if total == 0:
        return "-"
    interval = binomtest(count, total).proportion_ci(method="wilson")
    return f"{count} of {total}: {count / total:.0%} ({interval.low:.0%}-{interval.high:.0%})"


if __name__ == "__main__":
    main()
