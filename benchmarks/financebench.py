"""Answers on FinanceBench's open sample: gold pages in the context, gold figures in the answers.

    python benchmarks/financebench.py FOLDER --to results.jsonl

FOLDER holds `questions.jsonl` (id, document, question, answer, evidence: [{page, text}]) and `pdfs/`. Each question
is asked of its own filing. All settings see the same prompt. Results are appended as they come; a run that was stopped
goes on where it was.

    python benchmarks/financebench.py FOLDER --retrieval-only --to found.jsonl

asks no model: it only measures whether a gold page is among what is retrieved, for several budgets of tokens (counted
with the tokenizer of `--model`), searching by meaning, by words, by both, and by both with whole pages.

Each filing gets an index on disk beside the results, made once and used by every later run.
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
from sra_pipelines import DocumentQA, add_documents, open_index
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.retrieval.retriever import Retriever
from transformers.utils import logging as transformers_logging

from sra_rag import Engine, SamplingOptions, SRAConfig, load_model

SETTINGS: dict[str, SRAConfig | None] = {
    "off": None,
    "alpha 0.2, all rows": SRAConfig(alpha=0.2),
    "alpha 0.2, after_context": SRAConfig(alpha=0.2, rows="after_context"),
}
RETRIEVERS: dict[str, dict[str, Any]] = {
    "meaning (dense)": {"method": "dense", "whole_pages": False},
    "words (BM25)": {"method": "keywords", "whole_pages": False},
    "both, fused": {"whole_pages": False},
    "both, fused, whole pages": {},
}
BUDGETS = (1500, 3000, 6000)  # tokens
_FIGURE = re.compile(r"\d[\d,]*\.?\d*")
_TOLERANCE = 0.01  # relative: gold answers are rounded


def main() -> None:
    """Ask all questions and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of questions.jsonl and pdfs/")
    parser.add_argument("--to", type=Path, required=True, help="JSONL file of results, continued if it exists")
    parser.add_argument("--model", default="embedded", help="as for load_model (default: embedded)")
    parser.add_argument("--context-tokens", type=int, default=1500, help="tokens of passages (default: 1500)")
    parser.add_argument("--indexes", type=Path, help="folder of the filings' indexes (default: beside the results)")
    parser.add_argument("--retrieval-only", action="store_true", help="measure retrieval; ask no model")
    options = parser.parse_args()
    transformers_logging.disable_progress_bar()

    questions = [json.loads(line) for line in (options.folder / "questions.jsonl").read_text().splitlines()]
    done = [json.loads(line) for line in options.to.read_text().splitlines()] if options.to.exists() else []
    known = {result["id"] for result in done}
    engine = Engine(load_model(options.model), options=SamplingOptions(max_new_tokens=48))
    indexes = options.indexes or options.to.parent / "indexes"
    for name in sorted({question["document"] for question in questions if question["id"] not in known}):
        index, per_page = indexed(options.folder / "pdfs" / f"{name.removesuffix('.pdf')}.pdf", indexes)
        qa = DocumentQA(index, engine, context_tokens=options.context_tokens)
        for question in questions:
            if question["document"] == name and question["id"] not in known:
                result = (search if options.retrieval_only else ask)(qa, question) | {
                    "index_seconds_a_page": per_page,
                    "model": options.model,
                }
                done.append(result)
                with options.to.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(result) + "\n")
                sys.stderr.write(f"\r{len(done)} of {len(questions)} questions")
    sys.stderr.write("\n")
    (report_retrieval if options.retrieval_only else report)(done)


def indexed(filing: Path, folder: Path) -> tuple[StoredIndex, float | None]:
    """Open the index of one filing, made if there is none; with the seconds a page that took, None if nothing was."""
    at = folder / f"{filing.stem}.index"
    started = time.perf_counter()
    report = add_documents(at, [filing], load_embedding)
    index = open_index(at)
    pages = sum(document.n_pages for document in index.documents())
    return index, (time.perf_counter() - started) / pages if report.added else None


def search(qa: DocumentQA, question: dict[str, Any]) -> dict[str, Any]:
    """Retrieve for one question in every way, at every budget."""
    gold = {evidence["page"] for evidence in question["evidence"]}
    found: dict[str, dict[str, Any]] = {}
    for name, settings in RETRIEVERS.items():
        retriever = Retriever(qa.index, **settings)
        started = time.perf_counter()
        ranked = [passage.page_index for passage in retriever.search(question["question"])]
        found[name] = {
            "seconds": time.perf_counter() - started,
            "rank": next((rank for rank, page in enumerate(ranked, start=1) if page in gold), None),
        }
        for budget in BUDGETS:
            passages = retriever.retrieve(question["question"], budget, qa.count_tokens)
            found[name][str(budget)] = any(passage.page_index in gold for passage in passages)
    return {"id": question["id"], "found": found}


def report_retrieval(results: list[dict[str, Any]]) -> None:
    """Print for how many questions a gold page was retrieved, with 95% intervals (Wilson)."""
    print(f"| {len(results)} questions: gold page in | {' | '.join(f'{b:,} tokens' for b in BUDGETS)} |")
    print("|---" * (len(BUDGETS) + 1) + "|")
    for name in RETRIEVERS:
        shares = [share(sum(r["found"][name][str(b)] for r in results), len(results)) for b in BUDGETS]
        print(f"| {name} | {' | '.join(shares)} |")
    print("\nNot found within the largest budget, with the rank of the first passage on a gold page:")
    for name in RETRIEVERS:
        missed = [(r["id"], r["found"][name]) for r in results if not r["found"][name][str(BUDGETS[-1])]]
        listed = [f"{name_} ({found['rank']})" for name_, found in missed]
        print(f"- {name}: {', '.join(listed) or 'none'}")


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
