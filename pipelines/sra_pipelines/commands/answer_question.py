"""Implementation of ``sra-rag ask``: read the documents, and pass them to `sra_pipelines.commands.answering`.

The libraries that answer take seconds to import. They are imported after the documents are read, while the progress bar
shows what is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from sra_pipelines.commands.engine_choice import EngineChoice
from sra_pipelines.commands.progress_bar import Advance, progress_bars
from sra_pipelines.file_names import visible
from sra_pipelines.presets import Preset
from sra_pipelines.readers import read_document
from sra_pipelines.reading.finding import LeftOut, find_documents
from sra_pipelines.values import Document, DocumentError
from sra_rag.config import SRAConfig
from sra_rag.importing import without_collection

__all__ = ["answer_question", "read_files"]

_NAMED = 5  # files in a message


def answer_question(
    question: str,
    paths: Sequence[Path],
    settings: Sequence[SRAConfig | None],
    *,
    index_folder: Path | None = None,
    choice: EngineChoice,
    embedding: str | None,
    context_tokens: int | None,
    max_new_tokens: int,
    preset: Preset,
    show_context: bool = False,
    attention: bool = False,
    as_json: bool = False,
) -> bool:
    """Read and index documents, answer a question and print the answers; return whether all documents could be read."""
    console = Console(stderr=True)
    with ExitStack() as opened:
        with progress_bars(console) as start:
            documents, problems = read_files([] if index_folder else paths, start("reading"), console)
            if not documents and index_folder is None:
                return False
            start("importing libraries")
            with without_collection():
                from sra_pipelines.commands.answering import Output, opened_pipeline

            pipeline = opened_pipeline(
                documents,
                index_folder,
                choice=choice,
                embedding=embedding,
                context_tokens=context_tokens,
                max_new_tokens=max_new_tokens,
                preset=preset,
                start=start,
            )
            qa = opened.enter_context(pipeline)
            start("searching")
            retrieval = qa.retrieve(question)
        output = Output(qa, console, show_context=show_context, attention=attention)
        if as_json:
            output.write_json(retrieval, settings, documents, problems)
        else:
            output.write_answers(retrieval, settings)
    return not problems


def read_files(paths: Sequence[Path], advance: Advance, console: Console) -> tuple[list[Document], list[DocumentError]]:
    """Read files and folders, and report on `console` what was read and what was not."""
    documents, problems = [], []
    skipped = LeftOut()
    found = find_documents(paths, skipped)
    for number, path in enumerate(found):
        advance(number, len(found), path.name)
        try:
            documents.append(read_document(path))
        except DocumentError as problem:
            problems.append(problem)
            _say(console, f"sra-rag: {problem}", "red")
    advance(len(found), len(found))
    _report_left_out(skipped, console)
    for document in documents:
        notices = list(document.notices)
        if document.empty_pages:
            notices.insert(0, f"{len(document.empty_pages)} of {len(document.pages)} pages without text")
        if notices:
            _say(console, f"note on {document.name}: {'; '.join(notices)}")
    if console.is_terminal and documents:
        _say(console, f"read {_described(documents)}", "dim")
    return documents, problems


def _described(documents: Sequence[Document]) -> str:
    pages = sum(len(document.pages) for document in documents)
    names = ", ".join(document.path.name for document in documents[:_NAMED])
    more = f" and {len(documents) - _NAMED} more" if len(documents) > _NAMED else ""
    return f"{names}{more}: {pages:,} page{'' if pages == 1 else 's'}"


def _report_left_out(skipped: LeftOut, console: Console) -> None:
    if skipped.files:
        names = ", ".join(str(path) for path in skipped.files[:_NAMED])
        more = f" and {len(skipped.files) - _NAMED} more" if len(skipped.files) > _NAMED else ""
        _say(console, f"skipped, unsupported file type: {names}{more}")
    for path in skipped.linked_folders:
        _say(console, f"skipped: {path} is a link to a folder. To read it, give {path.resolve()} too.")


def _say(console: Console, text: str, style: str | None = None) -> None:
    console.print(visible(text), style=style, soft_wrap=True, markup=False, highlight=False)
