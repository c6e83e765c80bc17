"""The command line ``sra-rag``: subcommands come from the entry-point group ``sra_rag.commands``.

A subcommand is only imported when it runs. The list of ``sra-rag --help`` needs names and one line of help
only, which are available without an import.
"""

from __future__ import annotations

import atexit
import errno
import functools
import importlib.metadata
import importlib.util
import inspect
import logging
import os
import re
import sys
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from sra_rag import __version__
from sra_rag.errors import MissingExtraError, SRAError

__all__ = ["load_command", "main", "make_app", "run"]

_GROUP = "sra_rag.commands"
_BAD_INPUT = 2
_INTERRUPTED = 130
_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_PLAIN_TYPES = {"int": "N", "float": "NUMBER", "str": "TEXT", "path": "PATH", "file": "PATH", "directory": "PATH"}

# The first sentence of each command's own help; a test compares them. A command of another distribution is imported
# for its help.
_SHORT_HELP = {
    "ask": "Answer a question from documents, citing document and page.",
    "bake": "Fold a constant setting into a model's weights: a checkpoint that runs anywhere, without sra-rag.",
    "calibrate": "Find the settings that help a model most, without labels, and write them as a profile.",
    "chat": "Chat about the documents of an index; follow-up questions may refer to earlier turns.",
    "demo": "Answer questions about the sample documents (an annual report and a contract), without and with "
    "reattention.",
    "evaluate": "Measure whether reattention helps a model: the same prompts with every setting, answers compared in "
    "pairs.",
    "harness": "Run tasks of lm-evaluation-harness with every setting, and compare its metrics in pairs.",
    "heads": "Show the evidence heads of a model: those that attend to the passage that answers a question.",
    "index": "Manage an index of documents on disk: add, remove, list, check, store.",
    "mcp": "Offer the documents of an index as tools of the Model Context Protocol: search, ask, read a page.",
    "models": "List the models that come by name and whether they are here; get fetches one.",
    "presets": "List the presets, which set the prompt, retrieval, splitting and checks for a kind of document.",
    "read": "Print the text of a document as it is read, page by page, with headings and what was left out.",
    "serve": "Answer questions about the documents of an index over HTTP, with an OpenAI-compatible API.",
}


def make_app() -> typer.Typer:
    """Return the command line with the subcommands of all installed parts; none of them is imported yet."""
    app = typer.Typer(
        cls=_EntryPointGroup,
        name="sra-rag",
        help="Answer questions from documents with a local language model whose attention keeps to them "
        "(Scaled ReAttention).",
        no_args_is_help=True,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},  # also of the commands
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def options(
        version: Annotated[
            bool,
            typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
        ] = False,
    ) -> None:
        pass

    return app


def load_command(entry: importlib.metadata.EntryPoint) -> TyperCommand | TyperGroup:
    """Import a subcommand.

    Parameters
    ----------
    entry
        Entry point whose object is a function with typer's annotations, or a `typer.Typer` with several.

    Raises
    ------
    MissingExtraError
        If the extra that the command needs is not installed.
    """
    target: Callable[..., None] | typer.Typer = entry.load()
    app = typer.Typer()
    app.callback()(lambda: None)  # makes it a group even with a single command, so that the command keeps its name
    if isinstance(target, typer.Typer):
        for command in target.registered_commands:
            command.cls = _PlainCommand
            if command.callback is not None:
                command.callback = _interruptible(command.callback)
        app.add_typer(target, name=entry.name, cls=_PlainGroup)
    else:
        app.command(entry.name, cls=_PlainCommand)(_interruptible(target))
    return typer.main.get_group(app).commands[entry.name]  # type: ignore[return-value]  # typer makes no other kinds


class _PlainCommand(TyperCommand):
    """A command whose help shows the values of options as ``N``, ``TEXT`` or ``PATH``, not as Python types."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        if self.help is not None:
            # Lines of the docstring are joined for terminals of any width; those of examples are indented.
            self.help = re.sub(r"(?<=\S)\n(?=\S)", " ", inspect.cleandoc(self.help))

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, including the help option."""
        return _with_plain_types(super().get_params(ctx))


class _PlainGroup(TyperGroup):
    """As `_PlainCommand`, for a command with subcommands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, including the help option."""
        return _with_plain_types(super().get_params(ctx))


def _with_plain_types(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if isinstance(parameter, TyperArgument) or getattr(parameter, "is_flag", False):
            parameter.display_type_rich = lambda ctx: None  # an argument's name says it; a flag has no value
        elif parameter.metavar is None:
            parameter.metavar = _plain_type(parameter)
    return parameters


def _plain_type(parameter: Any) -> str:
    shown = parameter.display_type(None).strip("<>").removeprefix("list[").removesuffix("]").removesuffix(" range")
    return _PLAIN_TYPES.get(shown.lower(), shown)


class _EntryPointGroup(_PlainGroup):
    """The subcommands of the installed entry points: listed by name, imported when chosen."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        entries = importlib.metadata.entry_points(group=_GROUP)
        self._entries = {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.name)}
        for name in self._entries:
            self.add_command(TyperCommand(name))

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # typer has its own context class
        """Return a subcommand for the list, with its name and short help only."""
        entry = self._entries.get(cmd_name)
        return None if entry is None else TyperCommand(cmd_name, short_help=_short_help(entry))

    def resolve_command(
        self, ctx: Any, args: list[str]
    ) -> tuple[str | None, TyperCommand | TyperGroup | None, list[str]]:
        """Import the subcommand that the arguments choose, and return it with the remaining arguments."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else load_command(self._entries[name]), rest


def _short_help(entry: importlib.metadata.EntryPoint) -> str:
    try:
        # Imports the parent packages of the module, which check for their extra, but not the module itself.
        importlib.util.find_spec(entry.module)
        return _SHORT_HELP.get(entry.name) or load_command(entry).get_short_help_str(limit=120)
    except MissingExtraError as error:
        from rich.markup import escape  # the install command contains brackets

        return f"Not installed. {escape(str(error))}"


def _interruptible(command: Callable[..., None]) -> Callable[..., None]:
    """Make Ctrl-C end a command with a short message and the exit code that shells expect, instead of typer's."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            sys.stderr.write("\nsra-rag: interrupted.\n")
            raise typer.Exit(_INTERRUPTED) from None

    return run


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"sra-rag {__version__}\n")
        raise typer.Exit


def run() -> None:
    """Run the command line as a program: as `main`, and then end the process at once.

    Python would first free the modules of all libraries one by one. With those of a model that takes a second or two,
    in which a finished command seems to hang. Handlers for the end of the process still run.
    """
    code = 1  # of an exception, whose traceback Python has printed by then

    def leave() -> None:
        nonlocal code
        logging.shutdown()
        with suppress(ValueError):  # it was closed
            try:
                sys.stdout.flush()
            except BrokenPipeError:
                code = code or 1
            except OSError as error:
                code = code or _report(error)  # reported before, if it is why the command failed
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(code)

    _open_closed_streams()
    atexit.register(leave)  # before the commands are imported: the last that is registered runs first
    try:
        main()
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        raise
    except KeyboardInterrupt:
        code = _INTERRUPTED
        raise


def _visible(message: str) -> str:
    """Return a message with control characters escaped, which a terminal would obey; a path in it may hold some."""
    return "".join(c if c in "\n\t" or unicodedata.category(c)[0] != "C" else ascii(c)[1:-1] for c in message)


def main() -> None:
    """Run the command line; bad input ends with one line on standard error and exit code 2."""
    if sys.argv[1:2] != ["harness"]:  # it has no progress bar of its own
        os.environ.setdefault("TQDM_DISABLE", "1")  # read when tqdm is imported; no bars of libraries between ours
    try:
        make_app()()
    except SRAError as error:
        sys.stderr.write(f"sra-rag: {_visible(str(error))}\n")
        sys.exit(_BAD_INPUT)
    except OSError as error:  # a file or folder of the arguments that cannot be written, or a full disk
        if error.strerror is None or (error.filename is None and error.errno not in _CANNOT_WRITE):
            raise
        sys.exit(_report(error))


def _report(error: OSError) -> int:
    """Write why a file, or the output, cannot be written, and return the exit code."""
    subject = "The output or a temporary file cannot be written" if error.filename is None else str(error.filename)
    sys.stderr.write(f"sra-rag: {_visible(subject)}: {error.strerror}.\n")
    return _BAD_INPUT


def _open_closed_streams() -> None:
    """Replace standard streams that are closed, as by ``>&-``, so that no file gets their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open until the end


if __name__ == "__main__":
    run()
