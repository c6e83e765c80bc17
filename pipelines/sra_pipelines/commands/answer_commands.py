"""The subcommands that answer from documents: ``sra-rag ask`` and ``sra-rag demo``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sra_pipelines.answering.answers import Answer
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.commands.engine_choice import (
    HERE,
    EngineChoice,
    EngineKey,
    EngineOption,
    EngineTokenizer,
    EngineWindow,
    ServedModelName,
    open_engine,
)
from sra_pipelines.commands.library_notices import quiet_libraries
from sra_pipelines.commands.terminal import Reporter, describe, progress_bars
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.index.passage_index import PassageIndex
from sra_pipelines.index.stored_index import StoredIndex, open_index
from sra_pipelines.presets import Preset, load_preset, preset_names, preset_path
from sra_pipelines.readers import read_document
from sra_pipelines.reading.finding import find_documents
from sra_pipelines.samples import sample_documents, sample_questions
from sra_pipelines.values import Document, DocumentError
from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.generation.sampling import SamplingOptions
from sra_rag.notation import parse_indices, parse_sra

__all__ = ["ask", "demo", "presets"]

_UNREADABLE = 2
_DEMO_QUESTIONS = ("report-total-assets-2025", "report-north-america-2024")

Question = Annotated[str, typer.Argument(help="The question, in quotes.")]
Documents = Annotated[list[Path] | None, typer.Argument(help="Files, or folders of them; or give --index.")]
Index = Annotated[Path | None, typer.Option("--index", help="Index on disk (see 'sra-rag index'), instead of files.")]
Dtype = Annotated[str, typer.Option(help="float32, bfloat16, float16, or auto: what is fastest here.")]
Embedding = Annotated[str, typer.Option(help="Embedding model: 'embedded', a name on the hub or a folder.")]
OwnEmbedding = Annotated[
    str | None,
    typer.Option(
        help="Embedding model: 'embedded' (the default), a name on the hub or a folder; an index has its own."
    ),
]
Alpha = Annotated[float, typer.Option(help="Strength of reattention; 0 is off.")]
Rows = Annotated[
    str,
    typer.Option(
        help="What is sharpened: all; after_context (question and answer, nearly free); generated (answer only)."
    ),
]
Layers = Annotated[str, typer.Option(help="Layers to sharpen: all, last:N, or such as 0,3,10-19.")]
Policy = Annotated[str, typer.Option(help="entropy (the paper's), constant or focus.")]
Settings = Annotated[
    str | None,
    typer.Option(
        "--sra", help="Settings instead of the four above: off, 0.3, alpha=0.3,rows=after_context, or a JSON profile."
    ),
]
Compare = Annotated[bool, typer.Option("--compare", help="Answer without and with reattention, side by side.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
ShowContext = Annotated[bool, typer.Option("--show-context", help="Print the passages the model was given.")]
ContextTokens = Annotated[
    int | None,
    typer.Option(help="Tokens of passages to read; by default what the model's window leaves, at most 6000."),
]
PresetOption = Annotated[
    str, typer.Option("--preset", help="Prompt and checks: a name (see 'sra-rag presets'), or a file of your own.")
]
Attention = Annotated[bool, typer.Option("--attention", help="Print the share of attention that each passage got.")]
MaxNewTokens = Annotated[int, typer.Option(help="Tokens that an answer may take.")]


def ask(
    question: Question,
    documents: Documents = None,
    index: Index = None,
    model: ServedModelName = None,
    compare: Compare = False,
    alpha: Alpha = 0.2,
    rows: Rows = "all",
    layers: Layers = "all",
    policy: Policy = "entropy",
    settings: Settings = None,
    context_tokens: ContextTokens = None,
    max_new_tokens: MaxNewTokens = 128,
    preset: PresetOption = "general",
    show_context: ShowContext = False,
    attention: Attention = False,
    as_json: AsJson = False,
    embedding: OwnEmbedding = None,
    dtype: Dtype = "auto",
    engine: EngineOption = HERE,
    engine_key: EngineKey = None,
    tokenizer: EngineTokenizer = None,
    window: EngineWindow = None,
) -> None:
    """Answer a question from documents, citing document and page.

    For example:

      sra-rag ask "When does the agreement end?" contract.pdf

      sra-rag ask --compare --rows after_context "What was revenue in 2023?" reports/

      sra-rag ask --preset legal "Who are the parties?" --index my-index

      sra-rag ask --engine http://localhost:8000/v1 "When does the agreement end?" contract.pdf

    Exit code 2 if a document could not be read; the others are answered from all the same.
    """
    sra = chosen_settings(settings, alpha, rows, layers, policy)
    choice = EngineChoice(engine, model, engine_key, tokenizer, window, dtype)
    if bool(documents) == (index is not None):
        raise ConfigError("Give either files and folders or --index INDEX, and not both.")
    readable = _answer_questions(
        [question],
        documents or [],
        [None, sra] if compare else [sra],
        index_folder=index,
        choice=choice,
        embedding=embedding,
        context_tokens=context_tokens,
        max_new_tokens=max_new_tokens,
        preset=load_preset(preset),
        show_context=show_context,
        attention=attention,
        as_json=as_json,
    )
    if not readable:
        raise typer.Exit(_UNREADABLE)


def demo(alpha: Alpha = 0.2, rows: Rows = "all", context_tokens: ContextTokens = 1500) -> None:
    """Ask the sample documents (an annual report and a services agreement), without and with reattention."""
    by_id = {question.id: question for question in sample_questions()}
    chosen = [by_id[name] for name in _DEMO_QUESTIONS]
    _answer_questions(
        [question.question for question in chosen],
        sample_documents(),
        [None, SRAConfig(alpha=alpha, rows=rows)],  # type: ignore[arg-type]  # validated there
        context_tokens=context_tokens,
        max_new_tokens=64,
        gold=[f"{question.answer} ({question.document}, page {question.evidence[0].page + 1})" for question in chosen],
    )


def presets(
    name: Annotated[str | None, typer.Argument(help="Print the file of this preset: a start for your own.")] = None,
) -> None:
    """List the presets: prompt, retrieval, splitting and checks for a kind of document.

    For example:

      sra-rag presets legal > mine.toml

      sra-rag ask --preset mine.toml "Who are the parties?" contract.pdf
    """
    if name is not None:
        sys.stdout.write(preset_path(name).read_text(encoding="utf-8"))
        return
    for known in preset_names():
        sys.stdout.write(f"{known:12} {load_preset(known).description}\n")


def chosen_settings(settings: str | None, alpha: float, rows: str, layers: str, policy: str) -> SRAConfig | None:
    """Read settings as they are written in one option, or the options that stand for one; None is off."""
    if settings is not None:
        return parse_sra(settings)
    chosen = parse_indices("--layers", layers)
    return SRAConfig(alpha=alpha, rows=rows, layers=chosen, policy=policy)  # type: ignore[arg-type]  # validated there


def tell_splitting(index: StoredIndex, preset: Preset) -> None:
    """Say on standard error that an index is split otherwise than a preset other than the default would split it."""
    if preset.name != "general" and index.splitting != preset.splitting.name:
        sys.stderr.write(
            f"sra-rag: {index.folder} is split otherwise ({index.splitting}) than the preset {preset.name!r} says "
            f"({preset.splitting.name}). It is used as it is; for the preset's own splitting build another: "
            f"sra-rag index add FOLDER --to OTHER --preset {preset.name}\n"
        )


def _answer_questions(
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
    """Read, index, ask and report; return whether every document could be read."""
    quiet_libraries()
    console = Console(stderr=True)
    with ExitStack() as opened:
        with progress_bars(console) as start:
            stored = None if index_folder is None else open_index(index_folder, embedding)
            documents, problems = _read([] if stored else find_documents(paths), start("reading"))
            for problem in problems:
                console.print(f"sra-rag: {problem}", style="red", soft_wrap=True, markup=False, highlight=False)
            if not documents and stored is None:
                return False
            options = SamplingOptions(max_new_tokens=max_new_tokens)
            engine = opened.enter_context(open_engine(choice, options=options, start=start))
            index: PassageIndex = stored or DocumentIndex(
                documents,
                load_embedding(embedding or "embedded"),
                splitting=load_preset(preset).splitting,
                on_passages=start("embedding"),
            )
        if stored is not None:
            tell_splitting(stored, load_preset(preset))
        qa = DocumentQA(index, engine, context_tokens=context_tokens, preset=preset)
        expected: Sequence[str | None] = gold or [None] * len(questions)
        report = [
            _ask_one(qa, question, settings, show_context, attention, as_json, answer)
            for question, answer in zip(questions, expected, strict=True)
        ]
    if as_json:
        result: dict[str, Any] = report[0]
        result["documents"] = [
            {"name": d.name, "path": str(d.path), "pages": len(d.pages), "pages_without_text": list(d.empty_pages)}
            for d in (documents or (stored.whole_documents() if stored else []))
        ]
        result["problems"] = [str(problem) for problem in problems]
        sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    return not problems


def _ask_one(
    qa: DocumentQA,
    question: str,
    settings: Sequence[SRAConfig | None],
    show_context: bool,
    attention: bool,
    as_json: bool,
    gold: str | None,
) -> dict[str, Any]:
    found = qa.retrieve(question)
    if as_json:
        answers = qa.compare(found, list(settings), attention=attention)
        return {
            "question": question,
            "context": found.context if show_context else None,
            "answers": [_answer_as_dict(answer) for answer in answers],
        }
    reporter = Reporter(streaming=sys.stdout.isatty())
    if len(settings) > 1:
        reporter.heading(f"\nQuestion: {question}")
    if gold is not None:
        reporter.heading(f"Expected: {gold}")
    if show_context:
        reporter.passages(found.context)
    answers = []
    for sra in settings:
        if len(settings) > 1:
            reporter.heading(f"\n{describe(sra).capitalize()}:")
        answers.append(reporter.answer(qa.stream(found, sra=sra, attention=attention), found))
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
