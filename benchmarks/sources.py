"""How often the sources of an answer are right, for stored answers and three rules.

    python benchmarks/sources.py budgets.jsonl
    python benchmarks/sources.py samples.jsonl --setting off --setting evidence
    python benchmarks/sources.py financebench.jsonl --filings FOLDER --indexes indexes --tokenizer qwen2.5-coder-0.5b

The file has answers about the sample documents, of benchmarks/context_budget.py or of the task "samples" of
benchmarks/evidence.py; or with `--filings`, answers of benchmarks/financebench.py, which leaves the indexes that are
searched again. Of these an answer is right if it has an amount of the gold answer.

"always" gives sources for each answer, except if it says that the documents do not contain the answer; earlier versions
did this. "supported" gives sources only for answers that the passages support. "about the question" also requires that
the lines of the quotes have to do with the question, as `DocumentQA` does. A source is right if it is a gold page of
the question. Precision is the share of right sources among all sources; recall is the share of right answers with at
least one right source.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from context_budget import is_right
from sra_pipelines.checks.abstention import abstains
from sra_pipelines.checks.citations import cite
from sra_pipelines.checks.grounding import is_grounded
from sra_pipelines.checks.relevance import measure_relevance
from sra_pipelines.checks.support import check_support
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.index.stored_index import open_index
from sra_pipelines.readers import read_document
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.samples import sample_documents, sample_questions

from sra_rag.models.loading import load_tokenizer

BUDGET = 1500  # tokens of passages
WAYS = ("always", "supported", "about the question")
# The task "samples" of benchmarks/evidence.py stores the text of a question.
BY_TEXT = {f"Question: {question.question}": question.id for question in sample_questions()}


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """A stored answer; `gold` has the gold pages as (document, page)."""

    retriever: Retriever
    question: str
    budget: int
    answer: str
    gold: frozenset[tuple[str, int]]
    right: bool


def main() -> None:
    """Compute the table and print it as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("answers", type=Path, help="results file")
    parser.add_argument("--setting", action="append", help="only answers with this setting; repeat it for several")
    parser.add_argument("--filings", type=Path, help="FinanceBench: folder with questions.jsonl")
    parser.add_argument("--indexes", type=Path, default=Path("indexes"), help="FinanceBench: folder of the indexes")
    parser.add_argument("--tokenizer", default="embedded", help="model that the answers are of, to count tokens")
    given = parser.parse_args()
    records = [json.loads(line) for line in given.answers.read_text(encoding="utf-8").splitlines()]
    tokenizer = load_tokenizer(given.tokenizer)
    if given.filings is None:
        stored = list(_of_samples(records, given.setting))
    else:
        stored = list(_of_filings(records, given.setting, given.filings, given.indexes))
    counts = {way: {"with": 0, "sources": 0, "right sources": 0, "traced": 0} for way in WAYS}
    for one in stored:
        retriever = one.retriever
        found = retriever.retrieve_expanded(
            one.question, one.budget, lambda text: len(tokenizer.encode(text, add_special_tokens=False))
        )
        passages = found.passages
        support = check_support(one.answer, one.question, passages)
        for way, count in counts.items():
            shown = abstains(one.answer, support) is None
            if way != "always":
                shown = shown and is_grounded(one.question, passages, support)
            known = None if way == "always" else support  # earlier versions compared words only
            cited = cite(one.answer, one.question, passages, retriever.pages(), support=known) if shown else []
            if way == "about the question":
                relevance = measure_relevance(
                    one.question, passages, cited, retriever.word_weights(one.question),
                    also=() if found.expansion is None else found.expansion.written, closest=found.closest,
                    embedding=getattr(retriever.index, "embedding", None),
                )  # fmt: skip
                cited = [] if relevance is not None and relevance.too_low else cited
            on_gold = [citation for citation in cited if (citation.document, citation.page_index) in one.gold]
            count["with"] += bool(cited)
            count["sources"] += len(cited)
            count["right sources"] += len(on_gold)
            count["traced"] += one.right and bool(on_gold)
    n_right = sum(one.right for one in stored)
    print("| sources | answers with sources | precision | recall |\n|---|---|---|---|")
    for way, count in counts.items():
        precision = f"{count['right sources']} of {count['sources']}"
        print(f"| {way} | {count['with']} of {len(stored)} | {precision} | {count['traced']} of {n_right} |")


def _of_samples(records: Sequence[dict[str, Any]], settings: Sequence[str] | None) -> Iterator[Stored]:
    retriever = Retriever(DocumentIndex([read_document(path) for path in sample_documents()], load_embedding()))
    questions = {question.id: question for question in sample_questions()}
    for record in map(_renamed, records):
        if settings is not None and record["sra"] not in settings:
            continue
        question = questions[record["question"]]
        gold = frozenset((question.document, span.page) for span in question.evidence)
        right = question.answer is not None and is_right(record["answer"], question)
        yield Stored(retriever, question.question, record["budget"], record["answer"], gold, right)


def _of_filings(
    records: Sequence[dict[str, Any]], settings: Sequence[str] | None, filings: Path, indexes: Path
) -> Iterator[Stored]:
    lines = (filings / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = {question["id"]: question for question in map(json.loads, lines)}
    retrievers: dict[str, Retriever] = {}
    for record in records:
        question = questions[record["id"]]
        name = question["document"].removesuffix(".pdf")
        if name not in retrievers:
            retrievers[name] = Retriever(open_index(indexes / f"{name}.index"))
        gold = frozenset((name, evidence["page"]) for evidence in question["evidence"])
        for setting, answer in record["answers"].items():
            if settings is None or setting in settings:
                right = answer["holds_gold_figure"]
                yield Stored(retrievers[name], question["question"], BUDGET, answer["text"], gold, right)


def _renamed(record: dict[str, Any]) -> dict[str, Any]:
    """Return an answer of either benchmark with the names of benchmarks/context_budget.py."""
    if "budget" in record:
        return record
    return {
        "question": BY_TEXT[record["question"]],
        "sra": record["setting"],
        "answer": record["answer"],
        "budget": BUDGET,
    }


if __name__ == "__main__":
    main()
