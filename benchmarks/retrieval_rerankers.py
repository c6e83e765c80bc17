"""Re-rankers after the search with vocabulary: the gold page in the context, for questions about filings.

    python benchmarks/retrieval_rerankers.py FOLDER --cache CACHE --to results.jsonl
    python benchmarks/retrieval_rerankers.py FOLDER --cache CACHE --to other.jsonl --cross-encoder NAME

FOLDER and CACHE are those of `retrieval_filings.py`. The best passages of the search are re-ranked, those that follow
keep their places, and the result is packed as always: into budgets of 1,500, 3,000 and 6,000 tokens, with the
statements that the vocabulary places. The re-rankers are the embedded model's evidence heads (`Engine.rank_passages`,
see docs/rerank.md), or with `--cross-encoder` a cross-encoder, by its name on the hub or its folder. Results are
appended question by question; the same command continues after a stop.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from resumed_results import ResumedResults, filing_arguments, read_questions
from retrieval_filings import BUDGETS, measure, pages_by, share
from sra_pipelines.retrieval.reranking import Reranker
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.values import Passage

from sra_rag import Engine, load_model

ROWS = ("without vocabulary", "with vocabulary (default)")
RERANKED = "with vocabulary, re-ranked"


def main() -> None:
    """Measure with and without re-ranking and print the table."""
    parser = filing_arguments(__doc__)
    parser.add_argument("--cross-encoder", help="rank with this cross-encoder instead of the heads of --model")
    parser.add_argument("--passages", type=int, default=20, help="best passages that are re-ranked (default: 20)")
    options = parser.parse_args()

    questions, results = read_questions(options.folder), ResumedResults(options.to)
    engine = Engine(load_model(options.model))
    count = cache(lambda text: len(engine.encode(text).token_ids))
    other: Any = Reranker(options.cross_encoder) if options.cross_encoder else ByHeads(engine)
    for index, question in results.missing(options.folder, options.cache, questions):
        result: dict[str, Any] = {"id": question["id"]}
        for name, vocabulary in zip(ROWS, ((), None), strict=True):
            result[name] = measure(pages_by(Retriever(index, vocabulary=vocabulary), count), question, count)
        reranker: Any = Best(other, options.passages)
        result[RERANKED] = measure(pages_by(Retriever(index, reranker=reranker), count), question, count)
        result["seconds"] = reranker.seconds
        results.add(result, len(questions))
    done = results.done
    print(
        f"\n| gold page in the context, {len(done)} questions | " + " | ".join(f"{b:,} tokens" for b in BUDGETS) + " |"
    )
    print("|---" * (len(BUDGETS) + 1) + "|")
    for row in (*ROWS, RERANKED):
        print(f"| {row} | {' | '.join(share([result[row][i] for result in done]) for i in range(len(BUDGETS)))} |")
    seconds = np.median([result["seconds"] for result in done])
    print(f"\nMedian CPU seconds of re-ranking {options.passages} passages: {seconds:.1f}")


class ByHeads:
    """Ranks passages by the evidence heads of a language model."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def rerank(self, question: str, passages: Sequence[Passage]) -> list[Passage]:
        """Return the passages with their shares of the attention, best first."""
        scores = self.engine.rank_passages(question, [passage.text for passage in passages])
        rated = [dataclasses.replace(p, score=score) for p, score in zip(passages, scores, strict=True)]
        return sorted(rated, key=lambda passage: -passage.score)


class Best:
    """Re-ranks the best passages only, once for each question, and measures the time."""

    def __init__(self, reranker: Any, n_passages: int) -> None:
        self.reranker, self.n_passages = reranker, n_passages
        self.seconds = 0.0
        self._ranked: dict[str, list[Passage]] = {}

    def rerank(self, question: str, passages: Sequence[Passage]) -> list[Passage]:
        """Return all passages, the best of them re-ranked."""
        if question not in self._ranked:
            started = time.process_time()
            best = self.reranker.rerank(question, passages[: self.n_passages])
            self._ranked[question] = [*best, *passages[self.n_passages :]]
            self.seconds = time.process_time() - started
        return self._ranked[question]


if __name__ == "__main__":
    main()
