"""The subcommands that answer from documents: ``sra-rag ask`` and ``sra-rag demo``.

Their implementations are in `sra_pipelines.commands.answer_question` and `demonstration`, which are imported after the
options are checked.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sra_pipelines.commands.engine_choice import HERE, EngineChoice
from sra_pipelines.commands.shared_options import (
    Alpha,
    AsJson,
    ContextTokens,
    Dtype,
    EngineKey,
    EngineOption,
    EngineTokenizer,
    EngineWindow,
    Layers,
    MaxNewTokens,
    OwnEmbedding,
    Policy,
    PresetOption,
    Rows,
    ServedModelName,
    Settings,
)
from sra_pipelines.file_names import visible_name
from sra_pipelines.presets import load_preset, preset_names, preset_path
from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.notation import parse_indices, parse_sra

__all__ = ["ask", "demo", "presets"]

_UNREADABLE = 2

Question = Annotated[str, typer.Argument(help="The question, in quotes.")]
Documents = Annotated[
    list[Path] | None, typer.Argument(help="Files or folders of documents; alternatively, give --index.")
]
Index = Annotated[
    Path | None, typer.Option("--index", help="Folder of an index (see 'sra-rag index'), instead of files.")
]
Compare = Annotated[bool, typer.Option("--compare", help="Also answer with unmodified attention, for comparison.")]
ShowContext = Annotated[bool, typer.Option("--show-context", help="Print the passages in the prompt.")]
Attention = Annotated[
    bool, typer.Option("--attention", help="Print the share of attention that each passage received.")
]


def ask(
    question: Question,
    documents: Documents = None,
    index: Index = None,
    model: ServedModelName = None,
    compare: Compare = False,
    alpha: Alpha = None,
    rows: Rows = None,
    layers: Layers = None,
    policy: Policy = None,
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

    The exit code is 2 if a document could not be read; the answer is then based on the other documents.
    """
    sra = chosen_settings(settings, alpha, rows, layers, policy, engine)
    choice = EngineChoice(engine, model, engine_key, tokenizer, window, dtype)
    _require_question_and_documents(question, documents or [], index)
    chosen = load_preset(preset)
    from sra_pipelines.commands.answer_question import answer_question

    readable = answer_question(
        question,
        documents or [],
        [None, sra] if compare else [sra],
        index_folder=index,
        choice=choice,
        embedding=embedding,
        context_tokens=context_tokens,
        max_new_tokens=max_new_tokens,
        preset=chosen,
        show_context=show_context,
        attention=attention,
        as_json=as_json,
    )
    if not readable:
        raise typer.Exit(_UNREADABLE)


def demo(
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="'embedded', a name from 'sra-rag models' or on the Hugging Face hub, a folder or a .gguf file.",
        ),
    ] = None,
    settings: Settings = None,
    context_tokens: ContextTokens = 1500,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="First fetch the model that the demo prefers, if it is not here (491 MB).")
    ] = False,
) -> None:
    """Answer questions about the sample documents (an annual report and a contract), without and with reattention.

    Without --model, the demo uses the smallest model from 'sra-rag models' that answers four of its five questions, if
    it was fetched, and otherwise the embedded model, which is small and often wrong.
    """
    sra = chosen_settings(settings, None, None, None, None)
    from sra_pipelines.commands.demonstration import demonstrate

    demonstrate(model, sra, context_tokens=context_tokens, fetch=fetch)


def presets(
    name: Annotated[
        str | None, typer.Argument(help="Print the file of this preset, as a template for your own.")
    ] = None,
) -> None:
    """List the presets, which set the prompt, retrieval, splitting and checks for a kind of document.

    For example:

      sra-rag presets legal > mine.toml

      sra-rag ask --preset mine.toml "Who are the parties?" contract.pdf
    """
    if name is not None:
        sys.stdout.write(preset_path(name).read_text(encoding="utf-8"))
        return
    for preset_name in preset_names():
        sys.stdout.write(f"{preset_name:12} {load_preset(preset_name).description}\n")


def _require_question_and_documents(question: str, documents: Sequence[Path], index: Path | None) -> None:
    """Raise for what can be said before a model is loaded."""
    if not question.strip():
        raise ConfigError("The question is empty. Give a question, in quotes.")
    if os.path.exists(question) and not (documents and documents[0].exists()):
        raise ConfigError(f"{question} is a file or folder. Give the question first, in quotes, then the documents.")
    if not documents and index is None:
        raise ConfigError("No documents are given. Name files or folders after the question, or give --index INDEX.")
    missing = [path for path in documents if not path.exists()]
    is_a_word = any(len(path.parts) == 1 and not path.suffix for path in missing)
    if is_a_word and not any(character.isspace() for character in question):
        # Words of a question without quotes are taken as documents.
        words = " ".join([question, *map(str, missing)])
        files = "".join(f" {shlex.quote(str(path))}" for path in documents if path.exists())
        raise ConfigError(
            f"There is no file or folder {visible_name(str(missing[0]))}. If it is part of the question, give the "
            f'question in quotes: sra-rag ask "{visible_name(words)}"{files or " DOCUMENT"}'
        )
    if documents and index is not None:
        raise ConfigError("Give either files and folders or --index INDEX, but not both.")


def chosen_settings(
    settings: str | None,
    alpha: float | None,
    rows: str | None,
    layers: str | None,
    policy: str | None,
    engine: str = HERE,
) -> SRAConfig | None:
    """Return the attention settings given by ``--sra``, or by the separate options; None means off.

    The default is evidence, with values that depend on the model. Not every server supports evidence, so the default
    for a model on a server is sharpening.
    """
    if settings is not None:
        return parse_sra(settings)
    given: dict[str, Any] = {"alpha": alpha, "rows": rows, "policy": policy}
    given["layers"] = None if layers is None else parse_indices("--layers", layers)
    chosen = {name: value for name, value in given.items() if value is not None}
    return SRAConfig.coerce("evidence") if not chosen and engine == HERE else SRAConfig.from_dict(chosen)
