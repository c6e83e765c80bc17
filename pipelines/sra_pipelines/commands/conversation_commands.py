"""The subcommands that go on answering: ``sra-rag chat`` and ``sra-rag serve``."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sra_pipelines.answering.chat import Chat
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.commands.answer_commands import (
    Alpha,
    ContextTokens,
    Dtype,
    Layers,
    MaxNewTokens,
    OwnEmbedding,
    Policy,
    PresetOption,
    Rows,
    Settings,
    chosen_settings,
    tell_splitting,
)
from sra_pipelines.commands.engine_choice import (
    HERE,
    SERVED_AT_ONCE,
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
from sra_pipelines.index.stored_index import StoredIndex, open_index
from sra_pipelines.presets import load_preset
from sra_pipelines.readers.limits import ReadingLimits
from sra_rag.config import SRAConfig
from sra_rag.errors import SRAError
from sra_rag.generation.engine_like import EngineLike
from sra_rag.generation.sampling import SamplingOptions
from sra_rag.notation import parse_sra

__all__ = ["chat", "serve"]

_KEYS = "SRA_RAG_API_KEYS"

Index = Annotated[Path, typer.Argument(help="An index that `sra-rag index add` made.", metavar="INDEX")]

_HELP = """\
Ask anything about the documents. Besides:
  /sra 0.3      answer with reattention of that strength (/sra off: without it; settings and files as for --sra)
  /both         answer the last question without and with reattention
  /reset        forget the conversation
  /help         show this
  /quit         leave (or Ctrl-D); Ctrl-C stops an answer
"""


def chat(
    index: Index,
    model: ServedModelName = None,
    alpha: Alpha = 0.2,
    rows: Rows = "all",
    layers: Layers = "all",
    policy: Policy = "entropy",
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
    """Talk about the documents of an index; follow-up questions may point back.

    For example:

      sra-rag index add contracts/ --to contracts.index

      sra-rag chat contracts.index --alpha 0.3 --rows after_context

      sra-rag chat contracts.index --engine http://localhost:8000/v1
    """
    sra = chosen_settings(settings, alpha, rows, layers, policy)
    chosen = load_preset(preset)  # refused before anything is loaded
    choice = EngineChoice(engine, model, engine_key, tokenizer, window, dtype)
    with _opened(index, choice, embedding, max_new_tokens) as (stored, answers):
        tell_splitting(stored, chosen)
        _Conversation(Chat(DocumentQA(stored, answers, context_tokens=context_tokens, preset=chosen)), sra).run()


def serve(
    index: Index,
    host: Annotated[str, typer.Option(help="Address to listen on; others than loopback need API keys.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    api_key: Annotated[
        list[str] | None,
        typer.Option(help=f"A key that clients must bring; may be repeated. Or ${_KEYS}, with commas."),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            show_default=False,
            help=f"Answers written at once: by default 1 with a model in this process, {SERVED_AT_ONCE} on a server, "
            "which writes them together.",
        ),
    ] = None,
    queue_length: Annotated[int, typer.Option(help="Requests that may wait; more get status 429.")] = 32,
    request_timeout: Annotated[float, typer.Option(help="Seconds that an answer may take, waiting included.")] = 300,
    max_pages: Annotated[int, typer.Option(help="Pages of a document that clients send.")] = 2000,
    grace: Annotated[float, typer.Option(help="Seconds that answers under way get on SIGTERM or Ctrl-C.")] = 30,
    sra: Annotated[
        str,
        typer.Option(help="Settings for requests that bring none: off, 0.3, alpha=0.3,rows=after_context, a profile."),
    ] = "off",
    page: Annotated[bool, typer.Option("--page/--no-page", help="Serve the web page at / beside the API.")] = True,
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
    """Answer from the documents of an index over HTTP, as OpenAI's API does.

    For example:

      sra-rag serve contracts.index

      curl localhost:8000/v1/chat/completions -H 'Content-Type: application/json'
      -d '{"model": "sra-rag", "messages": [{"role": "user", "content": "Who are the parties?"}], "sra": 0.2}'

      sra-rag serve contracts.index --engine vllm --model Qwen/Qwen3-4B
    """
    from sra_pipelines.server import DocumentShelf, ServerSettings, create_app

    keys = [*(api_key or ()), *(key.strip() for key in os.environ.get(_KEYS, "").split(",") if key.strip())]
    limits = ReadingLimits(max_pages=max_pages)
    choice = EngineChoice(engine, model, engine_key, tokenizer, window, dtype)
    if concurrency is None:
        concurrency = 1 if engine == HERE else SERVED_AT_ONCE
    settings = ServerSettings(
        host=host, port=port, api_keys=tuple(keys), concurrency=concurrency, queue_length=queue_length,
        request_timeout=request_timeout, grace=grace, max_new_tokens=max_new_tokens, sra=parse_sra(sra),
    )  # fmt: skip
    from sra_pipelines.server.serving import run_server

    chosen = load_preset(preset)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # Without vLLM nothing can be answered: the server then ends as it does when it is told to.
    with _opened(index, choice, embedding, max_new_tokens, _stop_serving) as (stored, answers):
        tell_splitting(stored, chosen)
        qa = DocumentQA(stored, answers, context_tokens=context_tokens, preset=chosen)
        shelf = DocumentShelf(stored, index.with_name(f"{index.name}.uploads"), limits)
        run_server(create_app(qa, settings, shelf=shelf, page=page), settings)


@contextmanager
def _opened(
    index: Path,
    choice: EngineChoice,
    embedding: str | None,
    max_new_tokens: int,
    on_end: Callable[[], None] | None = None,
) -> Iterator[tuple[StoredIndex, EngineLike]]:
    quiet_libraries()
    with ExitStack() as opened:
        with progress_bars(Console(stderr=True)) as start:
            start(f"opening {index}")
            stored = open_index(index, embedding)
            options = SamplingOptions(max_new_tokens=max_new_tokens)
            engine = opened.enter_context(open_engine(choice, options=options, start=start, on_end=on_end))
        yield stored, engine


def _stop_serving() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class _Conversation:
    """A chat in the terminal, or over a pipe: one question a line."""

    def __init__(self, chat: Chat, sra: SRAConfig | None) -> None:
        self.chat = chat
        self.sra = sra
        self.last: str | None = None
        self.interactive = sys.stdin.isatty()
        self.reporter = Reporter(streaming=sys.stdout.isatty())

    def run(self) -> None:
        """Answer until the input ends."""
        if self.interactive:
            self.reporter.heading(_HELP + f"\nNow {describe(self.sra)}.")
        while True:
            try:
                line = input("\n> " if self.interactive else "").strip()
            except EOFError:
                return
            if line == "/quit":
                return
            if line:
                self._take(line)

    def _take(self, line: str) -> None:
        try:
            if line.startswith("/"):
                self._command(line)
            else:
                self.last = line
                found = self.chat.retrieve(line)
                self.reporter.answer(self.chat.stream(line, found=found, sra=self.sra), found)
        except KeyboardInterrupt:
            if not self.interactive:
                raise
            self.reporter.heading("\n(stopped)")
        except SRAError as error:
            self.reporter.heading(f"sra-rag: {error}")

    def _command(self, line: str) -> None:
        name, _, value = line.partition(" ")
        if name == "/sra":
            self.sra = parse_sra(value.strip() or "off")
            self.reporter.heading(f"Now {describe(self.sra)}.")
        elif name == "/reset":
            self.chat.reset()
            self.reporter.heading("The conversation is forgotten.")
        elif name == "/both" and self.last is not None:
            found = self.chat.qa.retrieve(self.last)
            for sra in (None, self.sra or SRAConfig(alpha=0.2)):
                self.reporter.heading(f"\n{describe(sra).capitalize()}:")
                self.reporter.answer(self.chat.qa.stream(found, sra=sra), found)
        else:
            self.reporter.heading(_HELP)
