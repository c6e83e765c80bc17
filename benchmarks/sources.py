"""How often the sources of an answer are right, for the answers of benchmarks/context_budget.py and two rules.

    python benchmarks/sources.py budgets.jsonl

"always" gives sources for each answer, except if it says that the documents do not contain the answer; earlier versions
did this. "supported" gives sources only for answers that the passages support, as `DocumentQA` does. A source is right
if it is a gold page of the question. Precision is the share of right sources among all sources; recall is the share of
right answers with at least one right source.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from context_budget import is_right
from sra_pipelines.checks.abstention import abstains
from sra_pipelines.checks.citations import cite
from sra_pipelines.checks.grounding import is_grounded
from sra_pipelines.checks.support import check_support
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.readers import read_document
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.samples import sample_documents, sample_questions

from sra_rag.models.loading import load_tokenizer


def main() -> None:
    """Compute the table and print it as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("answers", type=Path, help="results file of benchmarks/context_budget.py")
    records = [json.loads(line) for line in parser.parse_args().answers.read_text(encoding="utf-8").splitlines()]
    retriever = Retriever(DocumentIndex([read_document(path) for path in sample_documents()], load_embedding()))
    tokenizer = load_tokenizer("embedded")
    questions = {question.id: question for question in sample_questions()}
    counts = {way: {"with": 0, "sources": 0, "right sources": 0, "traced": 0} for way in ("always", "supported")}
    n_right = 0
    for record in records:
        question = questions[record["question"]]
        passages = retriever.retrieve(
            question.question, record["budget"], lambda text: len(tokenizer.encode(text, add_special_tokens=False))
        )
        support = check_support(record["answer"], question.question, passages)
        gold = {(question.document, span.page) for span in question.evidence}
        right = question.answer is not None and is_right(record["answer"], question)
        n_right += right
        for way, count in counts.items():
            shown = abstains(record["answer"], support) is None
            if way == "supported":
                shown = shown and is_grounded(question.question, passages, support)
            cited = cite(record["answer"], question.question, passages, retriever.pages()) if shown else []
            on_gold = [citation for citation in cited if (citation.document, citation.page_index) in gold]
            count["with"] += bool(cited)
            count["sources"] += len(cited)
            count["right sources"] += len(on_gold)
            count["traced"] += right and bool(on_gold)
    print("| sources | answers with sources | precision | recall |\n|---|---|---|---|")
    for way, count in counts.items():
        precision = f"{count['right sources']} of {count['sources']}"
        print(f"| {way} | {count['with']} of {len(records)} | {precision} | {count['traced']} of {n_right} |")


if __name__ == "__main__":
    main()
