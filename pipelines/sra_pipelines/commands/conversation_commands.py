"""The subcommands that answer until they are stopped: ``sra-rag chat`` and ``sra-rag serve``.

Their implementation is in `sra_pipelines.commands.conversation`, which is imported after the options are checked.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from sra_pipelines.commands.answer_commands import chosen_settings
from sra_pipelines.commands.engine_choice import HERE, SERVED_AT_ONCE, EngineChoice
from sra_pipelines.commands.shared_options import (
    Alpha,
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
from sra_pipelines.presets import load_preset
from sra_pipelines.readers.limits import ReadingLimits
from sra_rag.config import SRAConfig
from sra_rag.importing import importing_libraries

__all__ = ["KEYS_VARIABLE", "Index", "ServedSettings", "api_keys", "chat", "serve", "served_settings"]

KEYS_VARIABLE = "SRA_RAG_API_KEYS"
ServedSettings = Annotated[
    str | None,
    typer.Option(
        metavar="SETTING",
        show_default=False,
        help="Attention settings of requests that do not set them: off, evidence, 0.3, alpha=0.3,rows=after_context, a "
        "profile. By default evidence with a model in this process, and off with a model on a server.",
    ),
]
Index = Annotated[Path, typer.Argument(help="Folder of an index (see 'sra-rag index add').", metavar="INDEX")]


def chat(
    index: Index,
    model: ServedModelName = None,
    alpha: Alpha = None,
    rows: Rows = None,
    layers: Layers = None,
    policy: Policy = None,
    settings: Settings = None,
    preset: PresetOption = "general",
    context_tokens: ContextTokens = None,
    max_new_tokens: MaxNewTokens = 256,
    embedding: OwnEmbedding = None,
    dtype: Dtype = "auto",
    engine: EngineOption = HERE,
    engine_key: EngineKey = None,
    tokenizer: EngineTokenizer = None,
    window: EngineWindow = None,
) -> None:
    """Chat about the documents of an index; follow-up questions may refer to earlier turns.

    For example:

      sra-rag index add contracts/ --to contracts.index

      sra-rag chat contracts.index --alpha 0.3 --rows after_context

      sra-rag chat contracts.index --engine http://localhost:8000/v1
    """
    sra = chosen_settings(settings, alpha, rows, layers, policy, engine)
    chosen = load_preset(preset)  # an invalid preset raises before a model is loaded
    choice = EngineChoice(engine, model, engine_key, tokenizer, window, dtype)
    with importing_libraries():
        from sra_pipelines.commands.conversation import converse

    default = chosen_settings(None, None, None, None, None, engine)
    converse(
        index, choice, sra, default=default, embedding=embedding, preset=chosen, context_tokens=context_tokens,
        max_new_tokens=max_new_tokens,
    )  # fmt: skip


def serve(
    index: Index,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any address except loopback requires API keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    api_key: Annotated[
        list[str] | None,
        typer.Option(
            help=f"API key that clients must send; may be repeated. Or set ${KEYS_VARIABLE} (comma-separated)."
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            show_default=False,
            help="Number of answers generated concurrently: by default 1 with a model in this process, and "
            f"{SERVED_AT_ONCE} with a model on a server, which batches them.",
        ),
    ] = None,
    queue_length: Annotated[
        int, typer.Option(help="Maximum number of waiting requests; further ones receive status 429.")
    ] = 32,
    request_timeout: Annotated[float, typer.Option(help="Time limit per answer in seconds, including waiting.")] = 300,
    max_pages: Annotated[int, typer.Option(help="Maximum pages of an uploaded document.")] = 2000,
    grace: Annotated[float, typer.Option(help="Seconds to finish running answers after SIGTERM or Ctrl-C.")] = 30,
    sra: ServedSettings = None,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Also serve the web page at /.")] = True,
    model: ServedModelName = None,
    preset: PresetOption = "general",
    context_tokens: ContextTokens = None,
    max_new_tokens: MaxNewTokens = 512,
    embedding: OwnEmbedding = None,
    dtype: Dtype = "auto",
    engine: EngineOption = HERE,
    engine_key: EngineKey = None,
    tokenizer: EngineTokenizer = None,
    window: EngineWindow = None,
) -> None:
    """Answer questions about the documents of an index over HTTP, with an OpenAI-compatible API.

    For example:

      sra-rag serve contracts.index

      curl localhost:8000/v1/chat/completions -H 'Content-Type: application/json'
      -d '{"model": "sra-rag", "messages": [{"role": "user", "content": "Who are the parties?"}], "sra": 0.2}'

      sra-rag serve contracts.index --engine vllm --model Qwen/Qwen3-4B
    """
    with importing_libraries():
        from sra_pipelines.server import ServerSettings

    limits = ReadingLimits(max_pages=max_pages)
    choice = EngineChoice(engine, model, engine_key, tokenizer, window, dtype)
    if concurrency is None:
        concurrency = 1 if engine == HERE else SERVED_AT_ONCE
    settings = ServerSettings(
        host=host, port=port, api_keys=api_keys(api_key), concurrency=concurrency, queue_length=queue_length,
        request_timeout=request_timeout, grace=grace, max_new_tokens=max_new_tokens, sra=served_settings(sra, engine),
    )  # fmt: skip
    chosen = load_preset(preset)
    with importing_libraries():
        from sra_pipelines.commands.conversation import serve_index

    serve_index(
        index, choice, settings, limits, embedding=embedding, preset=chosen,
        context_tokens=context_tokens, max_new_tokens=max_new_tokens, page=page,
    )  # fmt: skip


def served_settings(settings: str | None, engine: str) -> SRAConfig | None:
    """Return the settings of requests that do not set them, given by ``--sra``; by default those of ``sra-rag ask``.

    Not every server supports settings, and a request without them must not fail, so with a server the default is off.
    """
    if settings is None and engine != HERE:
        return None
    return chosen_settings(settings, None, None, None, None, engine)


def api_keys(given: list[str] | None) -> tuple[str, ...]:
    """Return the keys of the option ``--api-key`` and of the environment variable."""
    listed = os.environ.get(KEYS_VARIABLE, "").split(",")
    return (*(given or ()), *(key.strip() for key in listed if key.strip()))
