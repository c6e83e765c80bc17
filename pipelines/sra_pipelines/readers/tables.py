"""Write table rows as self-contained lines, each cell with the name of its column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from sra_pipelines.values import Page

__all__ = ["join_cells", "table_lines", "table_pages"]

_ROWS_A_PAGE = 100
_NUMBER = re.compile(r"[-+($€£]*\d[\d.,\s]*[%)]*")
_YEAR = re.compile(r"(?:19|20)\d\d")


def join_cells(cells: Iterable[str]) -> str:
    """Return a row as one line: ``Revenue | 82,400 | 79,100``."""
    return " | ".join(cell for cell in (" ".join(cell.split()) for cell in cells) if cell)


def table_lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield rows as lines; after a header row, cells have their column name: ``Item: Revenue | 2023: 82,400``."""
    names: list[str] = []
    for row in rows:
        cells = [" ".join(cell.split()) for cell in row]
        if not any(cells):
            continue
        if not names:
            if _are_names(cells):
                names = cells
            yield join_cells(cells)
            continue
        named = zip(names + [""] * (len(cells) - len(names)), cells, strict=False)
        yield " | ".join(f"{name}: {cell}" if name else cell for name, cell in named if cell)


def table_pages(tables: Iterable[tuple[str, Iterable[Sequence[str]]]]) -> Iterator[Page]:
    """Yield tables as pages of at most a hundred rows.

    Parameters
    ----------
    tables
        Name and rows of each table; with an empty name, the pages are labelled with numbers.
    """
    index = 0
    for name, rows in tables:
        lines = list(table_lines(rows))
        for start in range(0, max(1, len(lines)), _ROWS_A_PAGE):
            part = lines[start : start + _ROWS_A_PAGE]
            label = name or str(index + 1)
            if name and len(lines) > _ROWS_A_PAGE:
                label = f"{name}, rows {start + 1}-{start + len(part)}"
            yield Page(index, label, "\n".join(part))
            index += 1


def _are_names(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    numbers = [cell for cell in filled if _NUMBER.fullmatch(cell) and not _YEAR.fullmatch(cell)]
    return len(filled) >= 2 and not numbers and len(set(filled)) == len(filled)
