"""The subcommand ``sra-rag mcp``; its implementation is imported after the options are checked."""

from __future__ import annotations

from typing import Annotated

import typer

from sra_pipelines.commands.conversation_commands import (
    KEYS_VARIABLE,
    Index,
    ServedSettings,
    api_keys,
    served_settings,
)
from sra_pipelines.commands.engine_choice import HERE, SERVED_AT_ONCE, EngineChoice
from sra_pipelines.commands.shared_options import (
    ContextTokens,
    Dtype,
    EngineKey,
    EngineOption,
    EngineTokenizer,
    EngineWindow,
    MaxNewTokens,
    OwnEmbedding,
    PresetOption,
    ServedModelName,
)
from sra_pipelines.presets import load_preset
from sra_rag.errors import require_extra
from sra_rag.importing import importing_libraries

__all__ = ["mcp"]


def mcp(
    index: Index,
    http: Annotated[
        bool, typer.Option("--http", help="Serve over HTTP, at /mcp; by default over standard input and output.")
    ] = False,
    host: Annotated[
        str, typer.Option(help="Address to listen on with --http; any address except loopback requires API keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on with --http.")] = 8000,
    api_key: Annotated[
        list[str] | None,
        typer.Option(
            help=f"API key that clients must send with --http; may be repeated. Or set ${KEYS_VARIABLE} "
            "(comma-separated)."
        ),
    ] = None,
    queue_length: Annotated[int, typer.Option(help="Maximum number of waiting requests; further ones fail.")] = 32,
    request_timeout: Annotated[float, typer.Option(help="Time limit per answer in seconds, including waiting.")] = 300,
    sra: ServedSettings = None,
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
    """Offer the documents of an index as tools of the Model Context Protocol: search, ask, read a page.

    For example, in the settings of a client:

      {"command": "sra-rag", "args": ["mcp", "contracts.index"]}

      sra-rag mcp contracts.index --http --port 8000
    """
    require_extra("sra-rag mcp", "mcp", "mcp", "fastapi", "uvicorn", "prometheus_client")
    with importing_libraries():
        from sra_pipelines.server import ServerSettings

    settings = ServerSettings(
        host=host, port=port, api_keys=api_keys(api_key), concurrency=1 if engine == HERE else SERVED_AT_ONCE,
        queue_length=queue_length, request_timeout=request_timeout, max_new_tokens=max_new_tokens,
        sra=served_settings(sra, engine),
    )  # fmt: skip
    choice = EngineChoice(engine, model, engine_key, tokenizer, window, dtype)
    chosen = load_preset(preset)
    with importing_libraries():
        from sra_pipelines.commands.conversation import serve_tools

    serve_tools(index, choice, settings, http=http, embedding=embedding, preset=chosen, context_tokens=context_tokens)
