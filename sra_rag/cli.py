"""The command line ``sra-rag``: subcommands come from the entry-point group ``sra_rag.commands``.

The core knows none of them by name, so it imports nothing above it.
"""

from __future__ import annotations

import functools
import importlib.metadata
import sys
from collections.abc import Callable
from typing import Any

import typer

from sra_rag.errors import MissingExtraError, SRAError

__all__ = ["main", "make_app"]

_GROUP = "sra_rag.commands"
_BAD_INPUT = 2
_INTERRUPTED = 130


def make_app() -> typer.Typer:
    """Gather the subcommands of all installed parts."""
    app = typer.Typer(
        name="sra-rag",
        help="Answer questions from documents with a local language model whose attention keeps to them "
        "(Scaled ReAttention).",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def options() -> None:
        """Take no options of its own; makes even a single subcommand one that is named."""

    options.__doc__ = None
    for entry in sorted(importlib.metadata.entry_points(group=_GROUP), key=lambda entry: entry.name):
        try:
            command = entry.load()
        except MissingExtraError as error:
            _add_missing(app, entry.name, str(error))
        else:
            _add(app, entry.name, command)
    return app


def _add(app: typer.Typer, name: str, command: Callable[..., None] | typer.Typer) -> None:
    """Add a command, or a group of commands."""
    if not isinstance(command, typer.Typer):
        app.command(name)(_interruptible(command))
        return
    for one in command.registered_commands:
        if one.callback is not None:
            one.callback = _interruptible(one.callback)
    app.add_typer(command, name=name)


def _interruptible(command: Callable[..., None]) -> Callable[..., None]:
    """Make Ctrl-C end a command with a word and the exit code that shells expect, before the library's own way."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            sys.stderr.write("\nsra-rag: interrupted.\n")
            raise typer.Exit(_INTERRUPTED) from None

    return run


def _add_missing(app: typer.Typer, name: str, message: str) -> None:
    @app.command(
        name,
        help=f"Not installed. {message}",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )
    def missing() -> None:
        raise SRAError(message)


def main() -> None:
    """Run the command line; bad input ends with one line on standard error and exit code 2."""
    try:
        make_app()()
    except SRAError as error:
        sys.stderr.write(f"sra-rag: {error}\n")
        sys.exit(_BAD_INPUT)


if __name__ == "__main__":
    main()
