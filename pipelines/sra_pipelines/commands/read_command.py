"""The subcommand ``sra-rag read``: print what the readers read of a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sra_pipelines.commands.json_output import write_json
from sra_pipelines.commands.shared_options import AsJson
from sra_pipelines.file_names import visible, visible_name

if TYPE_CHECKING:
    from sra_pipelines.values import Document, Page

__all__ = ["read"]


def read(
    file: Annotated[Path, typer.Argument(help="The document.")],
    as_json: AsJson = False,
) -> None:
    """Print the text of a document as it is read, page by page, with headings and what was left out.

    This is the text that is searched and given to the model: if an amount is missing here, no answer contains it.

    For example:

      sra-rag read contract.pdf

      sra-rag read --json prices.xlsx
    """
    from rich.console import Console

    from sra_pipelines.commands.progress_bar import progress_bars
    from sra_pipelines.readers import read_document

    with progress_bars(Console(stderr=True)) as start:
        document = read_document(file, start(f"reading {visible_name(file.name)}"))
    if as_json:
        write_json(_as_dict(document))
    else:
        sys.stdout.write(visible(_as_text(document)))


def _as_dict(document: Document) -> dict[str, Any]:
    return {
        "name": document.name,
        "path": str(document.path),
        "pages": [
            {
                "index": page.index,
                "label": page.label,
                "text": page.text,
                "headings": [{"start": heading.start, "text": heading.text} for heading in page.headings],
                "notices": list(page.notices),
            }
            for page in document.pages
        ],
        "notices": list(document.notices),
    }


def _as_text(document: Document) -> str:
    n_pages = len(document.pages)
    parts = [f"{document.path}: {n_pages} page{'' if n_pages == 1 else 's'}\n"]
    parts += [_page_as_text(page) for page in document.pages]
    return "\n".join(parts)


def _page_as_text(page: Page) -> str:
    lines = [f"--- page {page.label} ---"]
    if page.headings:
        lines.append(f"headings: {'; '.join(heading.text for heading in page.headings)}")
    lines += [f"note: {notice}" for notice in page.notices]
    lines += [page.text or "(no text)", ""]
    return "\n".join(lines)
