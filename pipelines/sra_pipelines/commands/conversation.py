"""Implementation of ``sra-rag chat``, ``serve`` and ``mcp``: open an index and a model, and answer questions."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from sra_pipelines.answering.answers import Answer, Retrieval
from sra_pipelines.answering.chat import Chat
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.commands.answering import asking, require_passages, warn_about_no_passages, warn_about_splitting
from sra_pipelines.commands.engine_choice import EngineChoice, open_engine
from sra_pipelines.commands.library_notices import quiet_libraries
from sra_pipelines.commands.progress_bar import progress_bars, show_until
from sra_pipelines.commands.terminal import Reporter, describe
from sra_pipelines.index.stored_index import StoredIndex, open_index
from sra_pipelines.presets import Preset
from sra_pipelines.readers.limits import ReadingLimits
from sra_rag.config import SRAConfig
from sra_rag.errors import SRAError
from sra_rag.generation.engine_protocol import EngineProtocol
from sra_rag.generation.sampling import SamplingOptions
from sra_rag.heads.known import evidence_heads, fitted_settings
from sra_rag.notation import parse_sra

if TYPE_CHECKING:
    from sra_pipelines.server import ServerSettings  # requires the extra "serve"

__all__ = ["converse", "serve_index", "serve_tools"]

_QUIT = ("/quit", "/exit", "quit", "exit")
_HELP = """\
Ask a question about the documents, or use a command:
  /sra SETTING  change the attention settings: evidence, off, 0.3, or any other value of --sra
  /both         answer the last question without and with reattention
  /reset        clear the conversation
  /help         show this help
  /quit         quit (or press Ctrl-D); Ctrl-C stops an answer, and twice at the prompt quits
"""


def converse(
    index: Path,
    choice: EngineChoice,
    sra: SRAConfig | None,
    *,
    default: SRAConfig | None,
    embedding: str | None,
    preset: Preset,
    context_tokens: int | None,
    max_new_tokens: int,
) -> None:
    """Answer questions from standard input until it ends.

    Parameters
    ----------
    index
        Folder of an index on disk.
    choice
        The model and where it runs.
    sra
        Initial attention settings; None is off.
    default
        Settings that ``/both`` compares with off, if the current setting is off.
    embedding, preset, context_tokens, max_new_tokens
        See the options of ``sra-rag chat``.
    """
    with _opened(index, choice, embedding, max_new_tokens, check=require_passages) as (stored, answers):
        warn_about_splitting(stored, preset)
        qa = DocumentQA(stored, answers, context_tokens=context_tokens, preset=preset)
        _Conversation(Chat(qa), sra, default).run()


def serve_index(
    index: Path,
    choice: EngineChoice,
    settings: ServerSettings,
    limits: ReadingLimits,
    *,
    embedding: str | None,
    preset: Preset,
    context_tokens: int | None,
    max_new_tokens: int,
    page: bool,
) -> None:
    """Serve an index over HTTP until a signal stops the server.

    Parameters
    ----------
    index
        Folder of an index on disk.
    choice
        The model and where it runs.
    settings
        Address, keys and limits of the server.
    limits
        Limits on documents that clients upload.
    embedding, preset, context_tokens, max_new_tokens, page
        See the options of ``sra-rag serve``.
    """
    from sra_pipelines.server import DocumentShelf, create_app
    from sra_pipelines.server.serving import require_free_address, run_server

    require_free_address(settings)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # The server cannot answer without vLLM, so when vLLM exits, the server shuts down as it does on SIGTERM.
    with _opened(index, choice, embedding, max_new_tokens, _stop_serving) as (stored, answers):
        warn_about_no_passages(stored)
        warn_about_splitting(stored, preset)
        find_heads(answers, settings)
        qa = DocumentQA(stored, answers, context_tokens=context_tokens, preset=preset)
        shelf = DocumentShelf(stored, index.with_name(f"{index.name}.uploads"), limits)
        run_server(create_app(qa, settings, shelf=shelf, page=page), settings)


def serve_tools(
    index: Path,
    choice: EngineChoice,
    settings: ServerSettings,
    *,
    http: bool,
    embedding: str | None,
    preset: Preset,
    context_tokens: int | None,
) -> None:
    """Serve the documents of an index as tools of the Model Context Protocol.

    Parameters
    ----------
    index
        Folder of an index on disk.
    choice
        The model and where it runs.
    settings
        Limits; for `http` also the address and keys.
    http
        Whether to serve over HTTP until a signal stops the server; otherwise over stdio until standard input ends.
    embedding, preset, context_tokens
        See the options of ``sra-rag mcp``.
    """
    from sra_pipelines.server import create_app
    from sra_pipelines.server.serving import require_free_address, run_server
    from sra_pipelines.server.tools.stdio import run_stdio

    if http:
        require_free_address(settings)
    logging.basicConfig(level=logging.INFO if http else logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    with _opened(index, choice, embedding, settings.max_new_tokens, _stop_serving) as (stored, answers):
        warn_about_no_passages(stored)
        warn_about_splitting(stored, preset)
        find_heads(answers, settings)
        qa = DocumentQA(stored, answers, context_tokens=context_tokens, preset=preset)
        if http:
            run_server(create_app(qa, settings, mcp=True), settings)
        else:
            run_stdio(qa, settings)


@contextmanager
def _opened(
    index: Path,
    choice: EngineChoice,
    embedding: str | None,
    max_new_tokens: int,
    on_end: Callable[[], None] | None = None,
    check: Callable[[StoredIndex], None] | None = None,
) -> Iterator[tuple[StoredIndex, EngineProtocol]]:
    quiet_libraries()
    with ExitStack() as opened:
        with progress_bars(Console(stderr=True)) as start:
            start(f"opening {index}")
            stored = open_index(index, embedding)
            if check is not None:
                check(stored)
            options = SamplingOptions(max_new_tokens=max_new_tokens)
            engine = opened.enter_context(open_engine(choice, options=options, start=start, on_end=on_end))
        yield stored, engine


def find_heads(engine: EngineProtocol, settings: ServerSettings) -> None:
    """Find the evidence heads of a model that is not known, so that the first request does not wait for them."""
    if engine.loaded is None:  # on a server, whose heads are known or named in the settings
        return
    sra = fitted_settings(settings.sra, engine.loaded)
    if sra is not None and sra.evidence is not None and sra.evidence.most_heads:
        evidence_heads(engine.loaded)


def _stop_serving() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _edit_lines() -> None:
    """Let `input` edit lines: arrow keys, earlier lines, lines of any length, and several pasted lines as one."""
    with suppress(ImportError):  # Python may be built without it
        import readline  # noqa: F401 - its import is enough


class _Conversation:
    """A chat in the terminal or over a pipe, with one question per line.

    Parameters
    ----------
    chat
        Answers the questions.
    sra
        Initial attention settings; None is off.
    default
        Settings that ``/both`` compares with off, if the current setting is off.
    """

    def __init__(self, chat: Chat, sra: SRAConfig | None, default: SRAConfig | None) -> None:
        self.chat = chat
        self.sra = sra
        self.default = default
        self.last: Retrieval | None = None
        self.interactive = sys.stdin.isatty()
        self.console = Console(stderr=True)
        self.reporter = Reporter(streaming=sys.stdout.isatty())

    def run(self) -> None:
        """Answer questions until the end of the input."""
        if self.interactive:
            self.reporter.heading(_HELP + f"\nCurrent setting: {describe(self.sra)}.")
            _edit_lines()
        leaving = False
        while True:
            try:
                line = input("\n> " if self.interactive else "").strip()
            except EOFError:
                return
            except KeyboardInterrupt:
                if leaving or not self.interactive:
                    raise
                leaving = True
                self.reporter.heading("\n(press Ctrl-C again to quit)")
                continue
            leaving = False
            if line in _QUIT:
                return
            if line:
                self._handle(line)

    def _handle(self, line: str) -> None:
        try:
            if line.startswith("/"):
                self._command(line)
            else:
                with progress_bars(self.console) as start:
                    start("searching")
                    self.last = self.chat.retrieve(line)
                self._answer(self.chat.stream(line, found=self.last, sra=self.sra), self.last)
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
            self.reporter.heading(f"Current setting: {describe(self.sra)}.")
        elif name == "/reset":
            self.chat.reset()
            self.reporter.heading("The conversation was cleared.")
        elif name == "/both" and self.last is None:
            self.reporter.heading("There is no question yet. Ask one first.")
        elif name == "/both" and self.last is not None:
            for sra in (None, self.sra or self.default):
                self.reporter.heading(f"\n{describe(sra).capitalize()}:")
                self._answer(self.chat.qa.stream(self.last, sra=sra), self.last)
        else:
            self.reporter.heading(_HELP if name == "/help" else f"There is no command {name}.\n{_HELP}")

    def _answer(self, pieces: Generator[str | Answer, None, None], retrieval: Retrieval) -> None:
        description = asking(self.chat.qa, retrieval)
        shown = show_until(pieces, description, self.console, until_end=not self.reporter.streaming)
        self.reporter.answer(shown, retrieval)
