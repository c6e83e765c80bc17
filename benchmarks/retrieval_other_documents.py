"""The gold page in the context, for 60 questions about contracts, reports, licences and manuals in three languages.

    apt-get download installation-guide-amd64 debian-faq-de debian-faq-fr    # and unpack the three PDF files
    python benchmarks/retrieval_other_documents.py --manuals FOLDER --cache CACHE

All documents, see `other_documents.py`, are in one index, and no question is told which document it is about. The
table shows for how many questions a gold page is among the passages, for budgets counted with the tokenizer of
`--model`; `--by-kind` and `--misses` say where pages are missing. The rows of LlamaIndex are those of
`retrieval_filings.py`. The settings of the search were not chosen on these questions.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import cache
from pathlib import Path

from other_documents import OwnQuestion, read_questions, write_documents
from retrieval_filings import BUDGETS, share
from retrieval_llama_index import LlamaIndexRows
from sra_pipelines import add_documents
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.stored_index import StoredIndex
from sra_pipelines.retrieval.retriever import Retriever
from transformers.utils import logging as transformers_logging

from sra_rag import Engine, load_model

Place = tuple[str, int]  # document and page
Hits = tuple[bool, ...]  # for each budget


def main() -> None:
    """Measure all rows and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manuals", type=Path, required=True, help="folder of the three manuals")
    parser.add_argument("--licences", type=Path, default=Path("/usr/share/common-licenses"), help="folder of licences")
    parser.add_argument("--cache", type=Path, required=True, help="folder for documents, indexes and vectors")
    parser.add_argument("--model", default="embedded", help="whose tokens are counted (default: embedded)")
    parser.add_argument("--no-llama-index", action="store_true", help="leave out the rows of LlamaIndex")
    parser.add_argument("--by-kind", action="store_true", help="print the table for each kind and language")
    parser.add_argument("--misses", action="store_true", help="list the questions without a gold page")
    options = parser.parse_args()
    transformers_logging.disable_progress_bar()

    paths = write_documents(options.cache / "documents", options.licences, options.manuals)
    model = load_embedding()
    at = options.cache / "other_documents.index"
    add_documents(at, paths, lambda: model, workers=0)
    index = StoredIndex(at, model)
    engine = Engine(load_model(options.model))
    count = cache(lambda text: len(engine.encode(text).token_ids))
    questions = read_questions()
    gold = [gold_places(question, index) for question in questions]

    rows: dict[str, list[Hits]] = {}
    if not options.no_llama_index:
        for name, retrieve in LlamaIndexRows(paths, options.cache / "llama_index", model).rows.items():
            rows[name] = hits(questions, gold, lambda question, budget, r=retrieve: r(question, budget, count))
    retrievers = {"without vocabulary": Retriever(index, vocabulary=()), "with vocabulary (default)": Retriever(index)}
    for name, retriever in retrievers.items():
        rows[name] = hits(
            questions,
            gold,
            lambda question, budget, r=retriever: {
                (p.document.removesuffix(".pdf"), p.page_index) for p in r.retrieve(question, budget, count)
            },
        )
    print_table(rows, "all", list(range(len(questions))))
    if options.by_kind:
        for kind, language in dict.fromkeys((question.kind, question.language) for question in questions):
            own = [i for i, q in enumerate(questions) if (q.kind, q.language) == (kind, language)]
            print_table(rows, f"{kind}, {language}", own)
    if options.misses:
        for i, question in enumerate(questions):
            found = {name: own[i] for name, own in rows.items() if name in retrievers}
            expansion = retrievers["with vocabulary (default)"].expansion(question.question)
            if not all(map(all, found.values())):
                topics = expansion.topics if expansion is not None else ()
                print(f"- {question.document}: {list(found.values())} {question.question} {topics}")


def gold_places(question: OwnQuestion, index: StoredIndex) -> set[Place]:
    """Return the gold pages of a question.

    Raises
    ------
    SystemExit
        If no page of the document contains a gold text.
    """
    [name] = [
        document.name for document in index.documents() if document.name.removesuffix(".pdf") == question.document
    ]
    places = {(question.document, page.index) for page in index.pages(name) if question.is_gold(page.text)}
    if not places:
        raise SystemExit(f"{question.document}: no page contains any of {question.gold}.")
    return places


def hits(
    questions: list[OwnQuestion], gold: list[set[Place]], retrieve: Callable[[str, int], set[Place]]
) -> list[Hits]:
    """Return for each question and budget whether a gold page is in the context."""
    return [
        tuple(bool(retrieve(question.question, budget) & own) for budget in BUDGETS)
        for question, own in zip(questions, gold, strict=True)
    ]


def print_table(rows: dict[str, list[Hits]], title: str, chosen: list[int]) -> None:
    """Print a table for some of the questions, with 95% intervals (Wilson)."""
    print(f"\n| gold page in the context, {len(chosen)} questions ({title}) | ", end="")
    print(" | ".join(f"{budget:,} tokens" for budget in BUDGETS) + " |")
    print("|---" * (len(BUDGETS) + 1) + "|")
    for name, own in rows.items():
        print(f"| {name} | {' | '.join(share([own[i][b] for i in chosen]) for b in range(len(BUDGETS)))} |", flush=True)


if __name__ == "__main__":
    main()
