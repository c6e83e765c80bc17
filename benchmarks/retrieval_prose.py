"""Whether the vocabulary loses anything on other documents: the sample documents, and Natural Questions.

    python benchmarks/retrieval_prose.py --natural-questions DATA.jsonl.gz --cache CACHE

The sample documents (a report and a contract of this package) are in one index; the table shows for how many of their
answerable questions a gold page is in the context. DATA has one JSON object a line, ``.gz`` or not, with question,
title and text; all its passages are in one index, so that the distractors of a question are the most similar ones of
all; the table shows for how many questions the right passage is first, and among the first three.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from scipy.stats import binomtest
from sra_pipelines import add_documents
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.samples import sample_documents, sample_questions

from sra_rag import Engine, load_model

BUDGETS = (400, 800, 1500)  # tokens
ROWS = {"without vocabulary": (), "with vocabulary (default)": None}


def main() -> None:
    """Measure both and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--natural-questions", type=Path, help="JSONL file of questions and passages, .gz or not")
    parser.add_argument("--cache", type=Path, required=True, help="folder for indexes")
    parser.add_argument("--model", default="embedded", help="whose tokens are counted (default: embedded)")
    options = parser.parse_args()
    model = load_embedding()
    engine = Engine(load_model(options.model))

    at = options.cache / "samples.index"
    add_documents(at, sample_documents(), lambda: model, workers=0)
    samples(StoredIndex(at, model), cache(lambda text: len(engine.encode(text).token_ids)))
    if options.natural_questions is not None:
        opened = gzip.open if options.natural_questions.suffix == ".gz" else open
        with opened(options.natural_questions, "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        folder = options.cache / "natural_questions"
        folder.mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(rows):
            (folder / f"{number}.txt").write_text(f"{row['title']}\n{row['text']}", encoding="utf-8")
        at = options.cache / "natural_questions.index"
        add_documents(at, [folder], lambda: model, workers=0)
        natural_questions(StoredIndex(at, model), [row["question"] for row in rows])


def samples(index: StoredIndex, count: Callable[[str], int]) -> None:
    """Print for how many sample questions a gold page is in the context."""
    questions = [question for question in sample_questions() if question.evidence]
    print(f"| {len(questions)} sample questions: gold page in | {' | '.join(f'{b:,} tokens' for b in BUDGETS)} |")
    print("|---" * (len(BUDGETS) + 1) + "|")
    for name, vocabulary in ROWS.items():
        retriever = Retriever(index, vocabulary=vocabulary)
        cells = []
        for budget in BUDGETS:
            hits = []
            for question in questions:
                gold = {(question.document, evidence.page) for evidence in question.evidence}
                packed = retriever.retrieve(question.question, budget, count)
                hits.append(bool(gold & {(passage.document, passage.page_index) for passage in packed}))
            cells.append(share(hits))
        n_matching = sum(retriever.expansion(question.question) is not None for question in questions)
        print(f"| {name} ({n_matching} questions match) | {' | '.join(cells)} |", flush=True)


def natural_questions(index: StoredIndex, questions: list[str]) -> None:
    """Print for how many questions their own passage is first, and among the first three."""
    print(f"\n| {len(questions)} Natural Questions: right passage | first | among the first three | CPU ms a search |")
    print("|---|---|---|---|")
    for name, vocabulary in ROWS.items():
        retriever = Retriever(index, vocabulary=vocabulary)
        retriever.search(questions[0])  # builds the keyword index
        first, three, seconds = [], [], []
        for number, question in enumerate(questions):
            started = time.process_time()
            hits = [passage.document for passage in retriever.search(question)]
            seconds.append(time.process_time() - started)
            documents = list(dict.fromkeys(hits))[:3]
            first.append(documents[:1] == [str(number)])
            three.append(str(number) in documents)
        print(f"| {name} | {share(first)} | {share(three)} | {1000 * np.median(seconds):.1f} |", flush=True)


def share(hits: list[bool]) -> str:
    """Return count, share and Wilson's interval of 95%."""
    low, high = binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
    return f"{sum(hits)}: {sum(hits) / len(hits):.0%} ({low:.0%}-{high:.0%})"


if __name__ == "__main__":
    main()
