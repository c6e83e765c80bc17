"""What the vocabulary and the kinds of pages cost: CPU time of a search and of indexing, with and without, in turn.

    python benchmarks/retrieval_cost.py FOLDER --cache CACHE

FOLDER and CACHE are those of `retrieval_filings.py`. With and without alternate in one process, question by question
and filing by filing, so that both meet the same machine; the table shows medians of CPU time and of the ratios of the
pairs. A search is that of `Retriever.search`: embedding, search and fusion, without packing. Indexing without kinds
leaves out what finds and keeps them, and nothing else. `--index NAME` names the filings that are indexed (by default
the two short ones).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
from retrieval_filings import WARM_UP, by_filing
from sra_pipelines import add_documents
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.stored_document import insert_document
from sra_pipelines.retrieval.retriever import Retriever
from transformers.utils import logging as transformers_logging

SHORT = ("ULTABEAUTY_2023Q4_EARNINGS", "MGMRESORTS_2022Q4_EARNINGS")


def main() -> None:
    """Measure both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of questions.jsonl and pdfs/")
    parser.add_argument("--cache", type=Path, required=True, help="folder for indexes")
    parser.add_argument("--index", nargs="*", default=SHORT, metavar="NAME", help="filings that are indexed")
    parser.add_argument("--repetitions", type=int, default=3, help="how often each is measured (default: 3)")
    options = parser.parse_args()
    transformers_logging.disable_progress_bar()
    print("| CPU time, medians | with | without | with / without, median of pairs | pairs |\n|---|---|---|---|---|")
    print_row("a search", "ms", 1000, searches(options.folder, options.cache, options.repetitions))
    pdfs = [options.folder / "pdfs" / f"{name}.pdf" for name in options.index]
    print_row(f"indexing {len(pdfs)} filings, each", "s", 1, indexing(pdfs, options.repetitions))


def searches(folder: Path, kept: Path, repetitions: int) -> list[tuple[float, float]]:
    """Return the seconds of each search with and without vocabulary."""
    questions = [json.loads(line) for line in (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    pairs = []
    for index, own in by_filing(folder, kept, questions, load_embedding()):
        retrievers = Retriever(index), Retriever(index, vocabulary=())
        for retriever in retrievers:
            retriever.search(WARM_UP)
        for repetition in range(repetitions):
            for question in own:
                seconds = [0.0, 0.0]
                for which in (0, 1) if repetition % 2 else (1, 0):
                    started = time.process_time()
                    retrievers[which].search(question["question"])
                    seconds[which] = time.process_time() - started
                pairs.append((seconds[0], seconds[1]))
    return pairs


def indexing(pdfs: list[Path], repetitions: int) -> list[tuple[float, float]]:
    """Return the seconds of adding each filing to an empty index, with and without kinds of pages."""
    model = load_embedding()
    model.get_text_embedding("warm up")
    pairs = []
    for repetition in range(repetitions):
        for pdf in pdfs:
            seconds = [0.0, 0.0]
            for which in (0, 1) if repetition % 2 else (1, 0):
                seconds[which] = _added(pdf, model, kinds=which == 0)
            pairs.append((seconds[0], seconds[1]))
    return pairs


def _added(pdf: Path, model: object, *, kinds: bool) -> float:
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        if kinds:
            add_documents(Path(folder) / "index", [pdf], lambda: model, workers=0)
        else:
            with patch("sra_pipelines.index.preparation.insert_with_values", insert_document):
                add_documents(Path(folder) / "index", [pdf], lambda: model, workers=0)
        return time.process_time() - started


def print_row(name: str, unit: str, factor: float, pairs: list[tuple[float, float]]) -> None:
    """Print the medians of both and of their ratios."""
    with_it, without = (np.median(side) * factor for side in zip(*pairs, strict=True))
    ratio = np.median([one / other for one, other in pairs])
    print(f"| {name} | {with_it:.1f} {unit} | {without:.1f} {unit} | {ratio:.2f} | {len(pairs)} |", flush=True)


if __name__ == "__main__":
    main()
