"""Open documents and a model for ``sra-rag ask`` and ``sra-rag demo``, and write answers with each setting."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from sra_pipelines.answering.answers import Answer, Retrieval
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.commands.engine_choice import EngineChoice, open_engine
from sra_pipelines.commands.json_output import write_json
from sra_pipelines.commands.library_notices import quiet_libraries
from sra_pipelines.commands.progress_bar import Start, progress_bars, show_until
from sra_pipelines.commands.terminal import Reporter, describe
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.index.passage_index import PassageIndex
from sra_pipelines.index.schema import StoreError
from sra_pipelines.index.stored_index import StoredIndex, open_index
from sra_pipelines.presets import Preset
from sra_pipelines.values import Document, DocumentError
from sra_rag.config import SRAConfig
from sra_rag.generation.sampling import SamplingOptions

__all__ = ["Output", "asking", "opened_pipeline", "require_passages", "warn_about_no_passages", "warn_about_splitting"]


@contextmanager
def opened_pipeline(
    documents: Sequence[Document],
    index_folder: Path | None,
    *,
    choice: EngineChoice,
    embedding: str | None,
    context_tokens: int | None,
    max_new_tokens: int,
    preset: Preset,
    start: Start,
) -> Iterator[DocumentQA]:
    """Open an index of documents, or the index in a folder, and a model that answers from it.

    Parameters
    ----------
    documents
        The documents to index in memory, if there is no index folder.
    index_folder
        Folder of an index on disk.
    choice, embedding, context_tokens, max_new_tokens, preset
        See the options of ``sra-rag ask``.
    start
        Starts a step of the progress bar.
    """
    quiet_libraries()
    stored = None if index_folder is None else open_index(index_folder, embedding)
    if stored is not None:
        require_passages(stored)
        warn_about_splitting(stored, preset)
    with open_engine(choice, options=SamplingOptions(max_new_tokens=max_new_tokens), start=start) as engine:
        index: PassageIndex = stored or _index_in_memory(documents, embedding, preset, start)
        yield DocumentQA(index, engine, context_tokens=context_tokens, preset=preset)


def require_passages(index: StoredIndex) -> None:
    """Raise `StoreError` if an index is empty: each answer would be that the documents do not say."""
    if not index.n_passages:
        raise StoreError(f"{index.folder}: the index has no documents. {_add_some(index)}")


def warn_about_no_passages(index: StoredIndex) -> None:
    """Warn on standard error that an index is empty; documents may be added while a server runs."""
    if not index.n_passages:
        sys.stderr.write(f"sra-rag: {index.folder}: the index has no documents yet. {_add_some(index)}\n")


def _add_some(index: StoredIndex) -> str:
    return f"Add some: sra-rag index add FOLDER --to {index.folder}"


def warn_about_splitting(index: StoredIndex, preset: Preset) -> None:
    """Warn on standard error if an index was split differently from a preset that is not the default."""
    if preset.name != "general" and index.splitting != preset.splitting.name:
        sys.stderr.write(
            f"sra-rag: {index.folder} was split with {index.splitting}, but the preset {preset.name!r} specifies "
            f"{preset.splitting.name}. The index is used unchanged. To use the splitting of the preset, build another "
            f"index: sra-rag index add FOLDER --to OTHER --preset {preset.name}\n"
        )


def asking(qa: DocumentQA, retrieval: Retrieval) -> str:
    """Return what the progress bar shows while a model reads the passages and the question."""
    count = len(retrieval.passages)
    return f"asking {qa.engine.name} about {count} passage{'' if count == 1 else 's'}"


class Output:
    """Writes the answers to a question, as text or as JSON.

    Parameters
    ----------
    qa
        Answers the question.
    console
        Where the progress bar is shown while the model reads the passages.
    show_context
        Whether to write the passages in the prompt.
    attention
        Whether to write the share of attention that each passage received.
    """

    def __init__(
        self, qa: DocumentQA, console: Console, *, show_context: bool = False, attention: bool = False
    ) -> None:
        self.qa = qa
        self.console = console
        self.show_context = show_context
        self.attention = attention
        self.reporter = Reporter(streaming=sys.stdout.isatty())

    def write_answers(self, retrieval: Retrieval, settings: Sequence[SRAConfig | None]) -> list[Answer]:
        """Answer with each setting, write the answers and their difference, and return them."""
        reporter = self.reporter
        if len(settings) > 1:
            reporter.heading(f"\nQuestion: {retrieval.question}")
        if self.show_context:
            reporter.passages(retrieval.context)
        answers = []
        for sra in settings:
            if len(settings) > 1:
                reporter.heading(f"\n{describe(sra).capitalize()}:")
            pieces = self.qa.stream(retrieval, sra=sra, attention=self.attention)
            shown = show_until(pieces, asking(self.qa, retrieval), self.console, until_end=not reporter.streaming)
            answers.append(reporter.answer(shown, retrieval))
        if len(answers) == 2:
            reporter.heading("")
            reporter.comparison(answers[0], answers[1])
        return answers

    def write_demonstration(self, retrieval: Retrieval, settings: Sequence[SRAConfig | None]) -> None:
        """Answer with each setting, and write each answer with its best source and quote."""
        for sra in settings:
            with progress_bars(self.console) as start:
                start(asking(self.qa, retrieval))
                answer = self.qa.ask(retrieval, sra=sra)
            self.reporter.in_brief("off" if sra is None or not sra.enabled else describe(sra), answer)

    def write_json(
        self,
        retrieval: Retrieval,
        settings: Sequence[SRAConfig | None],
        documents: Sequence[Document],
        problems: Sequence[DocumentError],
    ) -> None:
        """Write the answers, the documents that were read, and those that could not be read, as one JSON object."""
        with progress_bars(self.console) as start:
            start(asking(self.qa, retrieval))
            answers = self.qa.compare(retrieval, list(settings), attention=self.attention)
        if isinstance(self.qa.index, StoredIndex):
            documents = self.qa.index.whole_documents()
        result = {
            "question": retrieval.question,
            "context": retrieval.context if self.show_context else None,
            "answers": [_answer_as_dict(answer) for answer in answers],
            "documents": [
                {"name": d.name, "path": str(d.path), "pages": len(d.pages), "pages_without_text": list(d.empty_pages)}
                for d in documents
            ],
            "problems": [str(problem) for problem in problems],
        }
        write_json(result)


def _index_in_memory(
    documents: Sequence[Document], embedding: str | None, preset: Preset, start: Start
) -> DocumentIndex:
    start("loading the embedding model")
    model = load_embedding(embedding or "embedded")
    return DocumentIndex(documents, model, splitting=preset.splitting, on_passages=start("embedding"))


def _answer_as_dict(answer: Answer) -> dict[str, Any]:
    values = answer.to_dict()
    del values["question"]
    values["passages"] = [
        {"document": p.document, "page_index": p.page_index, "page_label": p.page_label, "score": p.score}
        for p in answer.passages
    ]
    return values
