"""Implementation of ``sra-rag ask`` and ``sra-rag demo``: read and index documents, answer, and print the answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from sra_pipelines.answering.answers import Answer
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.commands.engine_choice import EngineChoice, open_engine
from sra_pipelines.commands.json_output import write_json
from sra_pipelines.commands.library_notices import quiet_libraries
from sra_pipelines.commands.terminal import Reporter, describe, progress_bars
from sra_pipelines.file_names import printable
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.index.stored_index import StoredIndex, open_index
from sra_pipelines.presets import Preset, load_preset
from sra_pipelines.readers import read_document
from sra_pipelines.reading.finding import find_documents
from sra_pipelines.values import Document, DocumentError
from sra_rag.config import SRAConfig
from sra_rag.generation.sampling import SamplingOptions

__all__ = ["answer_questions", "warn_about_splitting"]


def warn_about_splitting(index: StoredIndex, preset: Preset) -> None:
    """Warn on standard error if an index was split differently from a preset that is not the default."""
    if preset.name != "general" and index.splitting != preset.splitting.name:
        sys.stderr.write(
            f"sra-rag: {index.folder} was split with {index.splitting}, but the preset {preset.name!r} specifies "
            f"{preset.splitting.name}. The index is used unchanged. To use the splitting of the preset, build another "
            f"index: sra-rag index add FOLDER --to OTHER --preset {preset.name}\n"
        )


def answer_questions(
    questions: Sequence[str],
    paths: Sequence[Path],
    settings: Sequence[SRAConfig | None],
    *,
    index_folder: Path | None = None,
    choice: EngineChoice = EngineChoice(),  # noqa: B008 - frozen
    embedding: str | None = None,
    context_tokens: int | None,
    max_new_tokens: int,
    preset: Preset | str = "general",
    show_context: bool = False,
    attention: bool = False,
    as_json: bool = False,
    gold: Sequence[str] | None = None,
) -> bool:
    """Read and index documents, answer questions and print the answers; return whether all documents could be read."""
    quiet_libraries()
    console = Console(stderr=True)
    chosen = load_preset(preset)
    with ExitStack() as opened:
        with progress_bars(console) as start:
            stored = None if index_folder is None else open_index(index_folder, embedding)
            documents, problems = _read([] if stored else find_documents(paths), start("reading"))
            for problem in problems:
                line = printable(f"sra-rag: {problem}")
                console.print(line, style="red", soft_wrap=True, markup=False, highlight=False)
            if not documents and stored is None:
                return False
            options = SamplingOptions(max_new_tokens=max_new_tokens)
            engine = opened.enter_context(open_engine(choice, options=options, start=start))
            index = stored or _index_in_memory(documents, embedding, chosen, start("embedding"))
        if stored is not None:
            warn_about_splitting(stored, chosen)
            documents = stored.whole_documents() if as_json else []
        qa = DocumentQA(index, engine, context_tokens=context_tokens, preset=chosen)
        expected: Sequence[str | None] = gold or [None] * len(questions)
        report = [
            _ask_one(qa, question, settings, show_context, attention, as_json, answer)
            for question, answer in zip(questions, expected, strict=True)
        ]
    if as_json:
        _write_result(report[0], documents, problems)
    return not problems


def _index_in_memory(
    documents: Sequence[Document], embedding: str | None, preset: Preset, on_passages: Callable[[int, int], None]
) -> DocumentIndex:
    model = load_embedding(embedding or "embedded")
    return DocumentIndex(documents, model, splitting=preset.splitting, on_passages=on_passages)


def _write_result(report: Mapping[str, Any], documents: Sequence[Document], problems: Sequence[DocumentError]) -> None:
    """Write the answers to one question, the documents that were read, and those that could not be read."""
    result = {
        **report,
        "documents": [
            {"name": d.name, "path": str(d.path), "pages": len(d.pages), "pages_without_text": list(d.empty_pages)}
            for d in documents
        ],
        "problems": [str(problem) for problem in problems],
    }
    write_json(result)


def _ask_one(
    qa: DocumentQA,
    question: str,
    settings: Sequence[SRAConfig | None],
    show_context: bool,
    attention: bool,
    as_json: bool,
    gold: str | None,
) -> dict[str, Any]:
    retrieval = qa.retrieve(question)
    if as_json:
        answers = qa.compare(retrieval, list(settings), attention=attention)
        return {
            "question": question,
            "context": retrieval.context if show_context else None,
            "answers": [_answer_as_dict(answer) for answer in answers],
        }
    reporter = Reporter(streaming=sys.stdout.isatty())
    if len(settings) > 1:
        reporter.heading(f"\nQuestion: {question}")
    if gold is not None:
        reporter.heading(f"Expected: {gold}")
    if show_context:
        reporter.passages(retrieval.context)
    answers = []
    for sra in settings:
        if len(settings) > 1:
            reporter.heading(f"\n{describe(sra).capitalize()}:")
        answers.append(reporter.answer(qa.stream(retrieval, sra=sra, attention=attention), retrieval))
    if len(answers) == 2:
        reporter.heading("")
        reporter.ratio(answers)
    return {}


def _answer_as_dict(answer: Answer) -> dict[str, Any]:
    values = answer.to_dict()
    del values["question"]
    values["passages"] = [
        {"document": p.document, "page_index": p.page_index, "page_label": p.page_label, "score": p.score}
        for p in answer.passages
    ]
    return values


def _read(paths: Sequence[Path], advance: Any) -> tuple[list[Document], list[DocumentError]]:
    documents, problems = [], []
    for number, path in enumerate(paths, start=1):
        try:
            documents.append(read_document(path))
        except DocumentError as problem:
            problems.append(problem)
        advance(number, len(paths))
    return documents, problems
