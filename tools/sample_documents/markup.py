"""Lay out a text file: `#` headings, `-` bullets, numbered clauses, `@table NAME` lines, paragraphs.

`{field}` stands for a figure of the model: a whole number prints as £ million with one decimal.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .layout import Booklet, Entry, Style, Table

PROSE_DIR = Path(__file__).parent / "prose"
_CLAUSE = re.compile(r"(\d+\.\d+) (.*)", re.DOTALL)
_SUB_CLAUSE = re.compile(r"(\([a-z]+\)) (.*)", re.DOTALL)


def amount(tenths: int) -> str:
    """Format £0.1 million as £ million: `1,234.5`, `(6.7)` for negative, `-` for nothing."""
    if tenths == 0:
        return "-"
    text = f"{abs(tenths) / 10:,.1f}"
    return f"({text})" if tenths < 0 else text


def percent(part: float, whole: float) -> str:
    """Format a share as a percentage with one decimal."""
    return f"{100 * part / whole:.1f}%"


class _Figures(string.Formatter):
    """Whole numbers print as £ million unless a format is given."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, int) and not format_spec:
            return amount(value)
        return str(super().format_field(value, format_spec))


def fill(text: str, facts: Mapping[str, object]) -> str:
    """Put the model's figures into a text.

    Raises
    ------
    KeyError
        Where the text names a figure that `facts` lacks.
    """
    return _Figures().vformat(text, (), facts)


def lay_out(booklet: Booklet, text: str, facts: Mapping[str, object], tables: Mapping[str, Table]) -> None:
    """Lay out one text; blocks are separated by blank lines."""
    for block in re.split(r"\n\s*\n", text.strip()):
        line = " ".join(block.split())
        if line.startswith("@table "):
            booklet.table(tables[line.removeprefix("@table ")])
        elif line.startswith("#"):
            marks, title = line.split(" ", 1)
            new_page = marks.endswith("!")
            booklet.heading(marks.count("#"), fill(title, facts), new_page)
        elif line.startswith("- "):
            for item in re.split(r"\n- ", "\n" + block.strip())[1:]:
                words = " ".join(item.split())
                booklet.paragraph(fill(words, facts), mark="-", indent=2, hang=5)
        else:
            _paragraph(booklet, fill(line, facts))


def _paragraph(booklet: Booklet, line: str) -> None:
    if match := _CLAUSE.fullmatch(line):
        booklet.paragraph(match[2], mark=match[1], hang=11)
    elif match := _SUB_CLAUSE.fullmatch(line):
        booklet.paragraph(match[2], mark=match[1], indent=11, hang=8)
    else:
        booklet.paragraph(line)


def write_document(
    path: Path,
    style: Style,
    cover: tuple[str, ...],
    parts: tuple[str, ...],
    facts: Mapping[str, object],
    tables: Mapping[str, Table],
) -> None:
    """Write a PDF from text files, in two passes so that the contents know their pages.

    Parameters
    ----------
    path
        The PDF to write.
    style
        Titles and spacing.
    cover
        The lines below the title on the cover.
    parts
        Names of text files below `PROSE_DIR`, in order.
    facts, tables
        What `{field}` and `@table NAME` stand for.
    """
    texts = [(PROSE_DIR / part).read_text(encoding="utf-8") for part in parts]

    def one_pass(contents: Sequence[Entry]) -> Booklet:
        booklet = Booklet(style)
        booklet.cover(style.title, cover)
        booklet.contents_page(contents)
        for text in texts:
            lay_out(booklet, text, facts, tables)
        return booklet

    one_pass(one_pass([]).entries).save(path)
