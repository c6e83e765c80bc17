"""Fetch a model with a bar on standard error."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from sra_rag.models.downloadable import DownloadableModel
from sra_rag.models.fetching import Source, fetch_model

__all__ = ["fetch_with_bar"]


def fetch_with_bar(model: DownloadableModel, source: Source = "auto") -> Path:
    """Fetch a model as `fetch_model` does and show each step: as a bar, or as lines where there is no terminal."""
    console = Console(file=sys.stderr)
    title = f"{model.name}: {model.title}. Licence: {model.licence}, {model.terms}"
    console.print(title, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        return fetch_model(
            model,
            source=source,
            progress=lambda step, done: console.print(f"{model.name}: {step} ({done / 1e6:.0f} MB)", highlight=False),
        )
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(model.name, total=model.size)
        return fetch_model(
            model,
            source=source,
            progress=lambda step, done: bar.update(task, description=f"{model.name}: {step}", completed=done),
        )
