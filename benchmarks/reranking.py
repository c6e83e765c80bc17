"""How often the passage with the answer is ranked first, by the evidence heads and by the embedding model.

    python benchmarks/reranking.py DATA.jsonl.gz --questions 20

DATA has one JSON object per line, ``.gz`` or not, with question, answers, title and text (the passage with the answer),
such as the Natural Questions of "Lost in the Middle" (arXiv 2307.03172). Each passage is ranked together with passages
of other questions that do not contain the answer: random ones, or (`--distractors similar`) those with the highest
cosine to the question, which are the hardest ones for the embedding model.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest
from sra_evaluations.tasks.jsonl_rows import read_rows
from sra_pipelines.index.embedding import load_embedding
from transformers.utils import logging as transformers_logging

from sra_rag import Engine, load_model


def main() -> None:
    """Rank the passages of each question with both methods and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="JSONL file of questions and passages, .gz or not")
    parser.add_argument("--questions", type=int, default=20, help="how many questions (default: 20)")
    parser.add_argument("--passages", type=int, default=10, help="passages per question (default: 10)")
    parser.add_argument("--distractors", choices=("random", "similar"), default="random", help="default: random")
    parser.add_argument("--model", default="embedded", help="as for load_model (default: embedded)")
    parser.add_argument("--seed", type=int, default=0, help="seed for questions, passages and positions (default: 0)")
    parser.add_argument("--to", type=Path, help="JSONL file of results; continued if it exists (use the same options)")
    options = parser.parse_args()
    transformers_logging.disable_progress_bar()

    rows = read_rows(options.data)
    texts = [f"{row['title']}\n{row['text']}" for row in rows]
    rng = random.Random(options.seed)  # noqa: S311 - no secret
    embedding = load_embedding()
    vectors = np.array(embedding.get_text_embedding_batch(texts)) if options.distractors == "similar" else None
    engine = Engine(load_model(options.model))
    done = options.to.read_text(encoding="utf-8").splitlines() if options.to is not None and options.to.exists() else []
    known = {result["row"]: result for result in map(json.loads, done)}
    results: list[dict[str, Any]] = []
    for gold in rng.sample(range(len(rows)), options.questions):
        question = str(rows[gold]["question"])
        vector = np.array(embedding.get_query_embedding(question))
        others = without_answer(rows, gold)
        if vectors is None:
            chosen = rng.sample(others, options.passages - 1)
        else:
            chosen = sorted(others, key=lambda number: -float(vectors[number] @ vector))[: options.passages - 1]
            rng.shuffle(chosen)
        place = rng.randrange(options.passages)
        chosen.insert(place, gold)
        if gold in known:
            results.append(known[gold])
            continue
        passages = [texts[number] for number in chosen]
        started = time.perf_counter()
        heads = engine.rank_passages(question, passages)
        seconds = time.perf_counter() - started
        cosine = (np.array(embedding.get_text_embedding_batch(passages)) @ vector).tolist()
        result = {"row": gold, "gold": place, "heads": heads, "cosine": cosine, "seconds": seconds}
        results.append(result)
        print(f"{len(results)} of {options.questions}: {question} ({seconds:.0f} s)", flush=True)
        if options.to is not None:
            with options.to.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")
    print(f"\n| {options.passages} passages, {options.distractors} | the right one is first | among the first three |")
    print("|---|---|---|")
    for name in ("heads", "cosine"):
        places = [place_of(result[name], result["gold"]) for result in results]
        print(f"| by {name} | {share(places, 1)} | {share(places, 3)} |")
    print(f"\nMedian seconds to rank by heads: {np.median([result['seconds'] for result in results]):.1f}")


def without_answer(rows: list[dict[str, Any]], gold: int) -> list[int]:
    """Return the indices of the rows whose passages do not contain an answer to the question of row `gold`."""
    answers = [str(answer).lower() for answer in rows[gold]["answers"]]
    texts = [str(row["text"]).lower() for row in rows]
    return [n for n, text in enumerate(texts) if n != gold and not any(answer in text for answer in answers)]


def place_of(scores: list[float], gold: int) -> int:
    """Return the rank of the right passage, from 1; passages with an equal score are counted as better."""
    return 1 + sum(score >= scores[gold] for number, score in enumerate(scores) if number != gold)


def share(places: list[int], first: int) -> str:
    """Return how many ranks are at most `first`, with the 95% Wilson interval."""
    hits = sum(place <= first for place in places)
    low, high = binomtest(hits, len(places)).proportion_ci(method="wilson")
    return f"{hits} of {len(places)}: {hits / len(places):.0%} ({low:.0%}-{high:.0%})"


if __name__ == "__main__":
    main()
