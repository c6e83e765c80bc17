"""How often the sources of an answer are right, for stored answers about the sample documents and three rules.

    python benchmarks/sources.py budgets.jsonl
    python benchmarks/sources.py samples.jsonl --setting off --setting evidence

The file has answers of benchmarks/context_budget.py, or of the task "samples" of benchmarks/evidence.py.

"always" gives sources for each answer, except if it says that the documents do not contain the answer; earlier versions
did this. "supported" gives sources only for answers that the passages support. "about the question" also requires that
the lines of the quotes have to do with the question, as `DocumentQA` does. A source is right if it is a gold page of
the question. Precision is the share of right sources among all sources; recall is the share of right answers with at
least one right source.
"""

from __future__ import annotations

import argparse
import json
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
from sra_pipelines.readers import read_document
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.samples import sample_documents, sample_questions

from sra_rag.models.loading import load_tokenizer

WAYS = ("always", "supported", "about the question")
# The task "samples" of benchmarks/evidence.py stores the text of a question.
BY_TEXT = {f"Question: {question.question}": question.id for question in sample_questions()}


def main() -> None:
    """Compute the table and print it as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("answers", type=Path, help="results file")
    parser.add_argument("--setting", action="append", help="only answers with this setting; repeat it for several")
    given = parser.parse_args()
    records = [_renamed(json.loads(line)) for line in given.answers.read_text(encoding="utf-8").splitlines()]
    records = [record for record in records if given.setting is None or record["sra"] in given.setting]
    retriever = Retriever(DocumentIndex([read_document(path) for path in sample_documents()], load_embedding()))
    tokenizer = load_tokenizer("embedded")
    questions = {question.id: question for question in sample_questions()}
    counts = {way: {"with": 0, "sources": 0, "right sources": 0, "traced": 0} for way in WAYS}
    n_right = 0
    for record in records:
        question = questions[record["question"]]
        found = retriever.retrieve_expanded(
            question.question, record["budget"], lambda text: len(tokenizer.encode(text, add_special_tokens=False))
        )
        passages = found.passages
        support = check_support(record["answer"], question.question, passages)
        gold = {(question.document, span.page) for span in question.evidence}
        right = question.answer is not None and is_right(record["answer"], question)
        n_right += right
        for way, count in counts.items():
            shown = abstains(record["answer"], support) is None
            if way != "always":
                shown = shown and is_grounded(question.question, passages, support)
            known = None if way == "always" else support  # earlier versions compared words only
            cited = (
                cite(record["answer"], question.question, passages, retriever.pages(), support=known) if shown else []
            )
            if way == "about the question":
                relevance = measure_relevance(
                    question.question, passages, cited, retriever.word_weights(question.question),
                    also=() if found.expansion is None else found.expansion.written, closest=found.closest,
                )  # fmt: skip
                cited = [] if relevance is not None and relevance.too_low else cited
            on_gold = [citation for citation in cited if (citation.document, citation.page_index) in gold]
            count["with"] += bool(cited)
            count["sources"] += len(cited)
            count["right sources"] += len(on_gold)
            count["traced"] += right and bool(on_gold)
    print("| sources | answers with sources | precision | recall |\n|---|---|---|---|")
    for way, count in counts.items():
        precision = f"{count['right sources']} of {count['sources']}"
        print(f"| {way} | {count['with']} of {len(records)} | {precision} | {count['traced']} of {n_right} |")


def _renamed(record: dict[str, Any]) -> dict[str, Any]:
    """Return an answer of either benchmark with the names of benchmarks/context_budget.py."""
    if "budget" in record:
        return record
    return {
        "question": BY_TEXT[record["question"]],
        "sra": record["setting"],
        "answer": record["answer"],
        "budget": 1500,
    }


if __name__ == "__main__":
    main()
