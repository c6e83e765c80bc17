"""Whether it shows that the passages do not hold the answer: features of answers with and without the right passage.

    python benchmarks/abstention.py passages --data multidoc_qa.jsonl.gz --rows 0:50 --to chosen.jsonl
    python benchmarks/abstention.py samples --to samples.jsonl

"passages": rows of Natural Questions, each asked twice among ten passages: the right one and the nine nearest to the
question, and the ten nearest without it. "samples": the questions about the sample documents with what is retrieved for
them, and those that can be answered also without the passages of their gold pages. No passage of the second kind
contains a right answer. Each answer is one line of the results file; run the same command again to continue.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evidence import SEED, rows_and_similarities
from rich.progress import track
from sra_evaluations.metrics.correctness import is_right
from sra_pipelines.answering.answers import Retrieval
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.checks.grounding import is_grounded
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.readers import read_document
from sra_pipelines.retrieval.packing import format_passages
from sra_pipelines.samples import sample_documents, sample_questions
from sra_pipelines.values import Passage

from sra_rag import Engine, SamplingOptions, load_model
from sra_rag.notation import parse_sra


@dataclasses.dataclass(frozen=True)
class Item:
    """A question and its passages; `answers` is empty if no passage holds one."""

    id: str
    question: str
    passages: tuple[Passage, ...]
    cosines: tuple[float, ...]
    answers: tuple[str, ...]
    closest: float  # cosine of the best passage of the index, without passages that were taken out


def passages_items(data: Path, rows: slice, vectors: Path | None, count: int = 10) -> Iterator[Item]:
    """Yield each row with its gold passage and without it."""
    everything, near = rows_and_similarities(data, vectors)
    order = list(range(len(everything)))
    random.Random(SEED).shuffle(order)  # noqa: S311 - no secret
    for gold in order[rows]:
        row = everything[gold]
        wanted = [answer.lower() for answer in row["answers"]]
        others = [i for i, o in enumerate(everything) if i != gold and not any(w in o["text"].lower() for w in wanted)]
        if len(others) < count:  # an answer such as '2' is in most passages
            continue
        others = sorted(others, key=lambda i: -near[gold, i])[:count]
        for with_gold in (True, False):
            chosen = others[: count - 1] if with_gold else list(others)
            rng = random.Random(gold)  # noqa: S311
            rng.shuffle(chosen)
            if with_gold:
                chosen.insert(rng.randrange(count), gold)
            texts = tuple(
                Passage(everything[i]["title"], 0, "1", everything[i]["text"], end=len(everything[i]["text"]))
                for i in chosen
            )
            cosines = tuple(float(near[gold, i]) for i in chosen)
            question = row["question"][:1].upper() + row["question"][1:] + "?"
            answers = tuple(row["answers"]) if with_gold else ()
            yield Item(f"{gold}{'' if with_gold else '-absent'}", question, texts, cosines, answers, max(cosines))


def sample_items(qa: DocumentQA) -> Iterator[Item]:
    """Yield the sample questions, and those that can be answered without the passages of their gold pages."""
    for question in sample_questions():
        retrieval = qa.retrieve(question.question)
        dense = qa.index.search(question.question, 2000)
        pages = {(question.document, span.page) for span in question.evidence}
        answers = () if question.answer is None else (question.answer,)

        def item(name: str, passages: tuple[Passage, ...], answers: tuple[str, ...], hits: list[Passage]) -> Item:
            near = [max([h.score for h in hits if _overlap(h, passage)], default=0.0) for passage in passages]
            return Item(name, question.question, passages, tuple(near), answers, hits[0].score)  # noqa: B023

        held = [p for p in retrieval.passages if (p.document, p.page_index) in pages]
        if not answers or held:
            yield item(question.id, retrieval.passages, answers, dense)
        without = [hit for hit in dense if (hit.document, hit.page_index) not in pages]
        if not answers or not held:
            continue
        kept = tuple(p for p in retrieval.passages if p not in held)
        if kept and not any(is_right(passage.text, question.answer or "", question.question) for passage in kept):
            yield item(f"{question.id}-absent", kept, (), without)


def _overlap(hit: Passage, passage: Passage) -> bool:
    same = hit.document == passage.document and hit.page_index == passage.page_index
    return same and hit.start < max(passage.end, passage.start + 1) and passage.start < hit.end


def measure(qa: DocumentQA, item: Item, sra: str) -> dict[str, Any]:
    """Answer a question, and return the features of the answer."""
    retrieval = Retrieval(item.question, item.passages, format_passages(item.passages))
    started = time.process_time()
    answer = qa.ask(retrieval, sra=parse_sra(sra))
    engine, texts = qa.engine, retrieval.passage_texts()
    given = {"context": retrieval.context, "passages": texts}
    seconds = time.process_time() - started
    neutral = dataclasses.replace(retrieval, question="N/A")
    baseline = engine.generate(neutral.messages(), **given, sra=parse_sra("evidence"), max_new_tokens=1).evidence
    found = answer.generation.evidence
    return {
        "item": item.id, "sra": sra, "answerable": bool(item.answers), "question": item.question,
        "answers": item.answers, "answer": answer.text, "abstained": answer.abstained,
        "grounded": is_grounded(item.question, item.passages, answer.supported),
        "right": bool(item.answers) and any(is_right(answer.text, gold, item.question) for gold in item.answers),
        "cosines": item.cosines, "closest": item.closest,
        "shares": None if found is None else found.shares, "chosen": None if found is None else found.chosen,
        "neutral": None if baseline is None else baseline.shares,
        "best_lines": [e.line for e in answer.evidence or ()],
        "passages": [p.text for p in item.passages], "seconds": seconds,
    }  # fmt: skip


def main() -> None:
    """Answer the questions and store the features."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["passages", "samples"])
    parser.add_argument("--data", type=Path, help="Natural Questions, as JSONL compressed with gzip")
    parser.add_argument("--rows", default="0:50")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--sra", default="evidence")
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--to", type=Path, required=True)
    given = parser.parse_args()
    engine = Engine(
        load_model(given.model, dtype=given.dtype), options=SamplingOptions(max_new_tokens=given.tokens), max_prefixes=2
    )
    documents = [read_document(path) for path in sample_documents()] if given.task == "samples" else []
    qa = DocumentQA(DocumentIndex(documents, load_embedding()), engine, context_tokens=1500)
    if given.task == "samples":
        items = list(sample_items(qa))
    else:
        rows = slice(*map(int, given.rows.split(":")))
        items = list(passages_items(given.data, rows, given.vectors))
    random.Random(SEED).shuffle(items)  # noqa: S311 - so that a part of the run has all kinds
    done = set()
    if given.to.exists():
        done = {json.loads(line)["item"] for line in given.to.read_text(encoding="utf-8").splitlines()}
    for item in track(items, "answering"):
        if item.id not in done:
            with given.to.open("a", encoding="utf-8") as file:
                file.write(json.dumps(measure(qa, item, given.sra)) + "\n")


if __name__ == "__main__":
    main()
