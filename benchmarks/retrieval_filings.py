"""The gold page in the context, for questions about filings: by this library and by LlamaIndex's default pipeline.

    python benchmarks/retrieval_filings.py FOLDER --cache CACHE

FOLDER holds `questions.jsonl` (id, document, question, answer, evidence: [{page, text}]) and `pdfs/`. Each question is
asked of its own filing. For budgets of 1,500, 3,000 and 6,000 tokens, counted with the tokenizer of `--model`, the
table shows for how many questions a page that is named as evidence is among the passages.

The settings of the vocabulary (`TopicSettings`) are also chosen without the filings of each company in turn, and the
questions about that company are then counted with the settings that the other companies chose ("cross-validated").

CACHE keeps the indexes of the filings and LlamaIndex's vectors, so that a second run takes minutes. The time of a
search is the processor's: embedding, search and fusion, without packing. `--llama-index` adds its rows:
`SimpleDirectoryReader`, `SentenceSplitter` (chunks of 1,024 tokens) and `VectorStoreIndex` with the same embedding
model, filled to the same budgets; and the same fused with BM25 by `QueryFusionRetriever`, if
llama-index-retrievers-bm25 is installed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from retrieval_llama_index import LlamaIndexRows
from scipy.stats import binomtest
from sra_pipelines import add_documents
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.retrieval.topic_fusion import TopicSettings
from transformers.utils import logging as transformers_logging

from sra_rag import Engine, load_model

BUDGETS = (1500, 3000, 6000)  # tokens
WARM_UP = "Who is the auditor?"  # builds the keyword index and finds the kinds of pages; its topic is not asked again
GRID = [  # the default first: it is chosen where others are not better
    TopicSettings(),
    *itertools.starmap(TopicSettings, itertools.product((0.5, 1.0, 2.0), (0.5, 1.0), (0.5, 1.0, 2.0), (1, 2, 3))),
]
Hits = tuple[bool, ...]  # whether a gold page is in the context, for each budget


def main() -> None:
    """Measure all rows and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of questions.jsonl and pdfs/")
    parser.add_argument("--cache", type=Path, required=True, help="folder for indexes and vectors")
    parser.add_argument("--model", default="embedded", help="whose tokens are counted (default: embedded)")
    parser.add_argument("--llama-index", action="store_true", help="add the rows of LlamaIndex")
    parser.add_argument("--cross-validate", action="store_true", help="choose settings without each company")
    parser.add_argument("--misses", action="store_true", help="list the questions without a gold page")
    options = parser.parse_args()
    transformers_logging.disable_progress_bar()

    questions = [json.loads(line) for line in (options.folder / "questions.jsonl").read_text().splitlines()]
    engine = Engine(load_model(options.model))
    count = cache(lambda text: len(engine.encode(text).token_ids))
    model = load_embedding()
    rows: dict[str, list[Hits]] = {}
    seconds: dict[str, tuple[list[float], list[float]]] = {}
    grid: list[list[Hits]] = []
    for index, own in by_filing(options.folder, options.cache, questions, model):
        if options.llama_index:
            pdf = options.folder / "pdfs" / f"{own[0]['document'].removesuffix('.pdf')}.pdf"
            for name, retrieve in LlamaIndexRows([pdf], options.cache / "llama_index", model).rows.items():
                rows.setdefault(name, []).extend(measure(retrieve, question, count) for question in own)
        for name, settings in {"without vocabulary": {"vocabulary": ()}, "with vocabulary (default)": {}}.items():
            index.embedding = model.model_copy()  # as in a new process: no vectors of phrases
            retriever = Retriever(index, **settings)
            retriever.search(WARM_UP)
            for question in own:
                times = seconds.setdefault(name, ([], []))
                for own_times in times:
                    started = time.process_time()
                    retriever.search(question["question"])
                    own_times.append(time.process_time() - started)
                rows.setdefault(name, []).append(measure(pages_by(retriever, count), question, count))
        if options.cross_validate:
            retriever = Retriever(Kept(index))
            for question in own:
                grid.append([])
                for settings in GRID:
                    retriever.topics = settings
                    grid[-1].append(measure(pages_by(retriever, count), question, count))
        print(f"{own[0]['document']}: {len(own)} questions", flush=True)
    companies = [question["document"].split("_")[0] for _, own in grouped(questions) for question in own]
    if options.cross_validate:
        chosen, rows["with vocabulary, cross-validated"] = cross_validated(np.array(grid), companies)
        lines = [f"- {company}: {settings}" for company, settings in chosen.items()]
        print("\n".join(["\nsettings chosen without each company:", *lines]))
    print_tables(rows, seconds, len(questions))
    if options.misses:
        print_misses(questions, rows["with vocabulary (default)"])


def print_tables(
    rows: dict[str, list[Hits]], seconds: dict[str, tuple[list[float], list[float]]], n_questions: int
) -> None:
    """Print how often a gold page is in the context, and the seconds of a search."""
    print(f"\n| gold page in the context, {n_questions} questions | " + " | ".join(f"{b:,} tokens" for b in BUDGETS))
    print("|---" * (len(BUDGETS) + 1) + "|")
    for name, hits in rows.items():
        print(f"| {name} | {' | '.join(share([hit[i] for hit in hits]) for i in range(len(BUDGETS)))} |")
    print("\n| CPU time of a search, median | when first asked of the filing | when asked again |\n|---|---|---|")
    for name, (first, again) in seconds.items():
        print(f"| {name} | {np.median(first) * 1000:.1f} ms | {np.median(again) * 1000:.1f} ms |")


def print_misses(questions: Sequence[dict[str, Any]], hits: Sequence[Hits]) -> None:
    """Print the questions without a gold page at some budget."""
    identified = [question for _, own in grouped(questions) for question in own]
    for question, hit in zip(identified, hits, strict=True):
        if not all(hit):
            print(f"- {question['document']}: {hit} {question['question'][:110]}")


class Kept:
    """An index of which each search is kept: all settings search for the same texts."""

    def __init__(self, index: StoredIndex) -> None:
        self.n_passages, self.revision = index.n_passages, index.revision
        self.passages = index.passages
        self.search = cache(index.search)


def grouped(questions: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the questions by filing, sorted by name."""
    names = sorted({question["document"] for question in questions})
    return [(name, [question for question in questions if question["document"] == name]) for name in names]


def by_filing(
    folder: Path, kept: Path, questions: Sequence[dict[str, Any]], model: Any
) -> Iterator[tuple[StoredIndex, list[dict[str, Any]]]]:
    """Yield the index of each filing, built once, with its questions."""
    for name, own in grouped(questions):
        stem = name.removesuffix(".pdf")
        at = kept / "indexes" / f"{stem}.index"
        at.parent.mkdir(parents=True, exist_ok=True)
        # Also where the index exists: a run that was stopped may have left it empty. What it has is not read again.
        add_documents(at, [folder / "pdfs" / f"{stem}.pdf"], lambda: model, workers=0)
        yield StoredIndex(at, model), own


def pages_by(retriever: Retriever, count: Callable[[str], int]) -> Callable[[str, int], set[int]]:
    """Return a function that returns the pages in the context for a question and a budget."""
    return lambda question, budget: {p.page_index for p in retriever.retrieve(question, budget, count)}


def measure(retrieve: Callable[..., set[int]], question: dict[str, Any], count: Callable[[str], int]) -> Hits:
    """Return for each budget whether a gold page is in the context."""
    gold = {evidence["page"] for evidence in question["evidence"]}
    if getattr(retrieve, "counts", False):
        return tuple(any(p in gold for _, p in retrieve(question["question"], budget, count)) for budget in BUDGETS)
    return tuple(bool(retrieve(question["question"], budget) & gold) for budget in BUDGETS)


def cross_validated(
    grid: np.ndarray[Any, Any], companies: Sequence[str]
) -> tuple[dict[str, TopicSettings], list[Hits]]:
    """Return the settings that the other companies choose, and the hits of each question with them.

    The settings with the most hits over all budgets are chosen; among equal ones the first.
    """
    chosen: dict[str, TopicSettings] = {}
    hits: list[Hits] = []
    for row, company in enumerate(companies):
        others = [i for i, other in enumerate(companies) if other != company]
        best = int(grid[others].sum(axis=(0, 2)).argmax())
        chosen[company] = GRID[best]
        hits.append(tuple(bool(hit) for hit in grid[row, best]))
    return chosen, hits


def share(hits: Sequence[bool]) -> str:
    """Return count, share and Wilson's interval of 95%."""
    low, high = binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
    return f"{sum(hits)}: {sum(hits) / len(hits):.0%} ({low:.0%}-{high:.0%})"


if __name__ == "__main__":
    main()
