"""Questions over documents, with the passages that retrieval finds: the sample documents, a folder, or an index.

Questions are rows with ``id``, ``document``, ``question``, ``answer`` (null: the documents do not contain it) and
``evidence``, a list of objects with ``page``, from 0. The names that FinanceBench (arXiv 2311.11944) gives these fields
are known too: ``financebench_id``, ``doc_name`` and ``evidence_page_num``.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from sra_pipelines.readers import read_document
from sra_pipelines.retrieval.packing import Order, format_passages
from sra_pipelines.samples import SAMPLES_DIR

from sra_evaluations.examples import Example, document_stem
from sra_evaluations.tasks.haystack import CountTokens
from sra_evaluations.tasks.jsonl_rows import answers_of, choose, field_of, read_rows
from sra_rag.errors import ConfigError

if TYPE_CHECKING:  # they import torch, which the list of tasks and their options does not need
    from sra_pipelines.index.passage_index import PassageIndex
    from sra_pipelines.retrieval.retriever import Retriever

__all__ = ["DocumentQuestions"]

_INSTRUCTION = (
    "Answer the question from the passages below and from nothing else. Be brief: give the figure, name or clause "
    "that is asked for. If the passages do not hold the answer, say that the documents do not say."
)


@dataclasses.dataclass(frozen=True, slots=True)
class DocumentQuestions:
    """Questions about documents.

    Parameters
    ----------
    folder
        Folder of ``questions.jsonl`` and the documents, next to it or in ``pdfs/``; passages for a question are
        retrieved from its document. By default the sample documents that come with the package.
    index
        An index on disk (``sra-rag index add``): passages are retrieved from all its documents, and `folder` needs only
        ``questions.jsonl``.
    tokens
        Maximum number of tokens of the passages in a prompt.
    embedding
        Name of the embedding model that searches; ignored with an index, which has its own.
    order
        Of the passages in the prompt, as for `sra_pipelines.retrieval.packing.pack_passages`.
    keep
        Folder in which the indexes of documents are stored for the next run.
    gold
        False removes the passages of the gold pages: the right answer is that the documents do not contain it. Passages
        of other pages may still repeat the answer, so questions whose answer is in one of them are omitted.
    """

    name: ClassVar[str] = "documents"
    folder: Path | None = None
    index: Path | None = None
    tokens: int = 1500
    embedding: str = "embedded"
    order: Order = "document"
    keep: Path | None = None
    gold: bool = True

    def __post_init__(self) -> None:
        if self.tokens < 1:
            raise ConfigError(f"tokens={self.tokens} is not allowed: it must be at least 1.")
        if self.order not in get_args(Order):
            raise ConfigError(f"order={self.order!r} is not allowed. Use one of {', '.join(get_args(Order))}.")

    def examples(self, count: int, seed: int, count_tokens: CountTokens) -> list[Example]:
        """Read the questions, or `count` of them chosen by `seed`, and find passages for each."""
        from sra_pipelines.retrieval.retriever import Retriever

        folder = self.folder or SAMPLES_DIR
        source = folder if folder.is_file() else folder / "questions.jsonl"
        rows = [_renamed(row) for row in read_rows(source)]
        chosen = choose(len(rows), count, f"{self.name} {seed}")
        searched: dict[str, Retriever] = {}
        examples: dict[int, Example] = {}
        # Document by document: no more than one index is held at a time.
        for at in sorted(chosen, key=lambda at: str(rows[at].get("document"))):
            document = str(field_of(rows[at], "document", source))
            name = "" if self.index else document
            if name not in searched:
                searched = {name: Retriever(self._open(source.parent, document), order=self.order)}
            example = self._example(rows[at], source, document_stem(document), searched[name], count_tokens)
            if self.gold:
                examples[at] = example
            elif (without := _without_gold(example)) is not None:
                examples[at] = without
        return [examples[at] for at in chosen if at in examples]

    def _open(self, folder: Path, document: str) -> PassageIndex:
        from sra_pipelines.index.embedding import load_embedding
        from sra_pipelines.index.memory import DocumentIndex
        from sra_pipelines.index.stored_index import open_index
        from sra_pipelines.index.writer import add_documents

        if self.index is not None:
            return open_index(self.index)
        path = _find(folder, document)
        if self.keep is None:
            return DocumentIndex([read_document(path)], load_embedding(self.embedding))
        stored = self.keep / f"{path.stem}.index"
        report = add_documents(stored, [path], lambda: load_embedding(self.embedding), embedding_name=self.embedding)
        if report.failed:
            [(_, reason), *_] = report.failed.items()
            raise ConfigError(f"{path} could not be read: {reason} Correct it, or omit its questions.")
        return open_index(stored, self.embedding)

    def _example(
        self, row: dict[str, Any], source: Path, document: str, retriever: Retriever, count_tokens: CountTokens
    ) -> Example:
        question = str(field_of(row, "question", source))
        retrieved = retriever.retrieve_expanded(question, self.tokens, count_tokens)
        passages = retrieved.passages
        evidence = row.get("evidence") or []
        if not isinstance(evidence, list) or not all(isinstance(part, dict) for part in evidence):
            raise ConfigError(f"{source}: 'evidence' is a list of objects with a 'page', from 0.")
        pages = sorted({int(field_of(part, "page", source)) for part in evidence})
        found = [
            n
            for n, passage in enumerate(passages)
            if passage.page_index in pages and document_stem(passage.document) == document
        ]
        features: dict[str, float | str] = {"document": document}
        if pages:
            features["gold page"] = "in the context" if found else "not in the context"
        if found and len(passages) > 1:
            features["position"] = found[0] / (len(passages) - 1)
        return Example(
            id=str(field_of(row, "id", source)),
            instruction=_INSTRUCTION,
            context=format_passages(passages),
            question=f"Question: {question}",
            answers=answers_of(field_of(row, "answer", source)),
            features=features,
            gold=tuple(passages[n].text for n in found),
            passages=tuple(passages),
            gold_pages=tuple((document, page) for page in pages),
            passage_scores=tuple(-float(rank) for rank in retrieved.ranks),
        )


def _without_gold(example: Example) -> Example | None:
    """Take the passages of the gold pages out; None if that makes no question that the documents do not answer."""
    from sra_evaluations.metrics.correctness import is_right

    others = [number for number, passage in enumerate(example.passages) if passage.text not in example.gold]
    kept = tuple(example.passages[number] for number in others)
    scores = tuple(example.passage_scores[number] for number in others)
    context = format_passages(kept)
    if not example.answers or not example.gold or any(is_right(context, answer) for answer in example.answers):
        return None
    features = {name: value for name, value in example.features.items() if name == "document"}
    return dataclasses.replace(
        example, id=f"{example.id}-absent", context=context, answers=(), features=features, gold=(), passages=kept,
        passage_scores=scores,
    )  # fmt: skip


def _renamed(row: dict[str, Any]) -> dict[str, Any]:
    names = {"financebench_id": "id", "doc_name": "document", "evidence_page_num": "page"}
    renamed = {names.get(name, name): value for name, value in row.items()}
    if isinstance(renamed.get("evidence"), list):
        renamed["evidence"] = [_renamed(part) if isinstance(part, dict) else part for part in renamed["evidence"]]
    return renamed


def _find(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.pdf", folder / "pdfs" / name, folder / "pdfs" / f"{name}.pdf"):
        if candidate.is_file():
            return candidate
    raise ConfigError(f"{folder}: the document {name!r} of the questions is neither here nor in pdfs/. Put it there.")
