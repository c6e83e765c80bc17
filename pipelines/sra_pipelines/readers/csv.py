"""Reader for CSV and TSV files with any common separator."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

from sra_pipelines.readers.csv_dialect import dialect_of, stated_separator
from sra_pipelines.readers.tables import table_pages
from sra_pipelines.readers.txt import decode
from sra_pipelines.values import Page

__all__ = ["read"]

_LONGEST_CELL = 2**31 - 1  # characters, the most that every platform accepts


def read(path: Path, on_page: Callable[[int, int], None] | None = None) -> list[Page]:
    """Read a table, with a hundred rows per page."""
    text = decode(path)
    csv.field_size_limit(_LONGEST_CELL)  # for this whole process; the default refuses a cell of 131,072 characters
    separator, text = stated_separator(text)
    dialect = dialect_of(text, separator or ("\t" if path.suffix.lower() == ".tsv" else ","))
    if separator is not None:
        dialect = dataclasses.replace(dialect, delimiter=separator)
    rows = csv.reader(io.StringIO(text, newline=""), **dataclasses.asdict(dialect))
    pages = list(table_pages([("", rows)]))
    if on_page is not None:
        on_page(len(pages), len(pages))
    return pages
