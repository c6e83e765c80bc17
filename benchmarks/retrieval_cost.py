"""What the vocabulary, the kinds of pages and the counts of keywords cost: CPU time of a search and of indexing.

    python benchmarks/retrieval_cost.py FOLDER --cache CACHE

FOLDER and CACHE are those of `retrieval_filings.py`. Searches with and without the vocabulary alternate in one process,
question by question, so that both meet the same machine; the table shows medians of CPU time and of the ratios of the
pairs. A search is that of `Retriever.search`: embedding, search and fusion, without packing. A filing is always indexed
with both values; after it, each of them is computed again from its passages, and "without" is the time of indexing less
that time. `--index NAME` names the filings that are indexed (by default the two short ones).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from retrieval_filings import WARM_UP, by_filing
from sra_pipelines import add_documents
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.retrieval.keyword_counts import KeywordCounter
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.structure.document_structure import find_structure
from sra_pipelines.values import Passage
from transformers.utils import logging as transformers_logging

SHORT = ("ULTABEAUTY_2023Q4_EARNINGS", "MGMRESORTS_2022Q4_EARNINGS")
VALUES: dict[str, Callable[[Sequence[Passage]], object]] = {
    "kinds of pages": lambda passages: find_structure(passages).to_json(),
    "counts of keywords": lambda passages: KeywordCounter().count(passages).pack(),
}


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
    print_row("a search, vocabulary", "ms", 1000, searches(options.folder, options.cache, options.repetitions))
    pdfs = [options.folder / "pdfs" / f"{name}.pdf" for name in options.index]
    for name, pairs in indexing(pdfs, options.repetitions).items():
        print_row(f"indexing {len(pdfs)} filings, each, {name}", "s", 1, pairs)


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
                times = [0.0, 0.0]
                for which in (0, 1) if repetition % 2 else (1, 0):
                    retriever, text = retrievers[which], question["question"]
                    times[which] = seconds(lambda retriever=retriever, text=text: retriever.search(text))
                pairs.append((times[0], times[1]))
    return pairs


def indexing(pdfs: list[Path], repetitions: int) -> dict[str, list[tuple[float, float]]]:
    """Return, for each value, the seconds of indexing each filing, and these less those of the value."""
    model = load_embedding()
    model.get_text_embedding("warm up")
    pairs: dict[str, list[tuple[float, float]]] = {}
    for _ in range(repetitions):
        for pdf in pdfs:
            with tempfile.TemporaryDirectory() as folder:
                index = Path(folder) / "index"
                total = seconds(lambda index=index, pdf=pdf: add_documents(index, [pdf], lambda: model, workers=0))
                passages = StoredIndex(index, model).passages()
            for name, compute in VALUES.items():
                own = seconds(lambda compute=compute, passages=passages: compute(passages))
                pairs.setdefault(name, []).append((total, total - own))
    return pairs


def seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of a function."""
    started = time.process_time()
    work()
    return time.process_time() - started


def print_row(name: str, unit: str, factor: float, pairs: list[tuple[float, float]]) -> None:
    """Print the medians of both and of their ratios."""
    with_it, without = (np.median(side) * factor for side in zip(*pairs, strict=True))
    ratio = np.median([one / other for one, other in pairs])
    print(f"| {name} | {with_it:.1f} {unit} | {without:.1f} {unit} | {ratio:.2f} | {len(pairs)} |", flush=True)


if __name__ == "__main__":
    main()
