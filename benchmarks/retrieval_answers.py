"""Amounts in the answers to questions about filings, with and without vocabulary: by the model and by code.

    python benchmarks/retrieval_answers.py FOLDER --cache CACHE --to results.jsonl

FOLDER and CACHE are those of `retrieval_filings.py`. Asked are the questions whose gold answer contains an amount, with
the preset `financial`, which lets code compute what a question asks for from verified amounts (`Answer.calculation`).
An amount is right if it equals an amount of the gold answer within 1%, in any scale (8,738 million is 8.7 billion), or
as a share (0.308 is 30.8%). With `--code-only` no answers are generated (half a minute of CPU time each with the
embedded model): code looks for the amounts of asked calculations in the passages alone. Results are appended question
by question; the same command continues after a stop.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from financebench import amounts, near
from retrieval_filings import by_filing, share
from sra_pipelines import DocumentQA
from sra_pipelines.checks.asked_amounts import asked_amounts
from sra_pipelines.checks.calculations import Calculation, asked_operation, calculate
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.presets import load_preset
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.values import Passage
from transformers.utils import logging as transformers_logging

from sra_rag import Engine, SamplingOptions, load_model

PRESET = load_preset("financial")
ROWS = {"without vocabulary": (), "with vocabulary (default)": PRESET.vocabulary}
SCALES = (1.0, 1e3, 1e6, 1e9, 100.0)  # between units, thousands, millions and billions; between shares and per cent


def main() -> None:
    """Answer the questions and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of questions.jsonl and pdfs/")
    parser.add_argument("--cache", type=Path, required=True, help="folder for indexes")
    parser.add_argument("--to", type=Path, required=True, help="JSONL file of results; continued if it exists")
    parser.add_argument("--model", default="embedded", help="as for load_model (default: embedded)")
    parser.add_argument("--sra", default="off", help="attention settings, such as 'evidence' (default: off)")
    parser.add_argument("--code-only", action="store_true", help="generate no answers: calculations by code alone")
    parser.add_argument("--context-tokens", type=int, default=1500, help="tokens of passages (default: 1500)")
    options = parser.parse_args()
    transformers_logging.disable_progress_bar()

    questions = [json.loads(line) for line in (options.folder / "questions.jsonl").read_text().splitlines()]
    questions = [question for question in questions if amounts(question["answer"])]
    done = [json.loads(line) for line in options.to.read_text().splitlines()] if options.to.exists() else []
    known = {result["id"] for result in done}
    engine = Engine(load_model(options.model), options=SamplingOptions(max_new_tokens=64))
    sra = None if options.sra == "off" else options.sra
    for index, own in by_filing(options.folder, options.cache, questions, load_embedding()):
        for question in own:
            if question["id"] in known:
                continue
            result: dict[str, Any] = {"id": question["id"], "gold": question["answer"]}
            for name, vocabulary in ROWS.items():
                qa = DocumentQA(
                    index,
                    engine,
                    context_tokens=options.context_tokens,
                    preset=PRESET,
                    retriever=Retriever(index, vocabulary=vocabulary),
                )
                if options.code_only:
                    passages: Sequence[Passage] = qa.retrieve(question["question"]).passages
                    text, calculation = "", by_code(question["question"], passages)
                else:
                    answer = qa.ask(question["question"], sra=sra)
                    passages, text, calculation = answer.passages, answer.text, answer.calculation
                pages = {passage.page_index for passage in passages}
                result[name] = {
                    "text": text,
                    "calculation": calculation and calculation.text,
                    "gold_page": any(evidence["page"] in pages for evidence in question["evidence"]),
                }
            done.append(result)
            with options.to.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")
            print(f"{len(done)} of {len(questions)} questions", flush=True)
    print(
        f"\n| {len(done)} questions, {options.context_tokens:,} tokens | gold page in the context | right amount "
        "by the model | calculations by code | right amount by code |\n|---|---|---|---|---|"
    )
    for name in ROWS:
        cells = [share([result[name]["gold_page"] for result in done])]
        cells.append(share([is_right(result[name]["text"], result["gold"]) for result in done]))
        cells.append(str(sum(result[name]["calculation"] is not None for result in done)))
        cells.append(share([is_right(computed(result[name]), result["gold"]) for result in done]))
        print(f"| {name} | {' | '.join(cells)} |")


def by_code(question: str, passages: Sequence[Passage]) -> Calculation | None:
    """Return what code computes for a question without a model, from the tables of the passages."""
    operation = asked_operation(question)
    return operation and calculate(operation, asked_amounts(question, operation, passages))


def computed(result: dict[str, Any]) -> str:
    """Return the result of a calculation as text, without its operands; empty if nothing was computed."""
    return (result["calculation"] or "").rpartition("=")[2]


def is_right(text: str, gold: str) -> bool:
    """Return whether a text contains an amount of the gold answer, in any scale."""
    return any(_same(amount, other) for amount in amounts(gold) for other in amounts(text))


def _same(amount: float, other: float, scales: Sequence[float] = SCALES) -> bool:
    return any(near(amount * scale, other) or near(amount, other * scale) for scale in scales)


if __name__ == "__main__":
    main()
