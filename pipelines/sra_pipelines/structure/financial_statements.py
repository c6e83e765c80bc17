"""Find the pages of the financial statements by their title and their typical rows."""

from __future__ import annotations

import dataclasses
import itertools
import re
import unicodedata
from collections.abc import Mapping, Sequence

from sra_pipelines.structure.page_lines import Line
from sra_pipelines.structure.statement_rows import STATEMENTS

__all__ = ["StatementPage", "find_statements"]

_LONGEST_TITLE = 110  # characters
_WORDS = re.compile(
    r"s\s?t\s?a\s?t\s?e\s?m\s?e\s?n\s?t|b\s?a\s?l\s?a\s?n\s?c\s?e|profit and loss"
    r"|rechnung\b|bilan|compte de résultat|flux de trésorerie|situation financière",
    re.I,
)  # in every title
_NOT_A_TITLE = re.compile(r"see |accompanying|integral part|refer |included in|in the |\.{3}|…|[a-z]\.$| page ", re.I)
_UNTITLED = 6  # typical rows that a page without the title needs, if no page of the document has it
_CONTINUED = 2  # typical rows, all different from those of the page before


@dataclasses.dataclass(frozen=True, slots=True)
class StatementPage:
    """A page that contains a financial statement.

    Parameters
    ----------
    page_index
        Zero-based position of the page.
    kind
        Kind of the statement, a key of `STATEMENTS`.
    title
        The title as written; empty if the page continues the statement of the page before, or has no title.
    n_rows
        Number of different typical rows on the page.
    """

    page_index: int
    kind: str
    title: str
    n_rows: int


def find_statements(pages: Mapping[int, Sequence[Line]]) -> list[StatementPage]:
    """Return the statements of a document, the main page of each kind first.

    Parameters
    ----------
    pages
        The lines of the pages by their index.
    """
    rows = {index: _typical_rows(lines) for index, lines in pages.items()}
    titles = {index: _titles(lines) for index, lines in pages.items() if any(rows[index].values())}
    hits: list[StatementPage] = []
    for kind, form in STATEMENTS.items():
        own = [
            StatementPage(index, kind, title[kind], len(rows[index][kind]))
            for index, title in titles.items()
            if kind in title and len(rows[index][kind]) >= form.least
        ]
        if not own:
            own = [
                StatementPage(index, kind, "", len(typical[kind]))
                for index, typical in rows.items()
                if len(typical[kind]) >= _UNTITLED
            ]
        own.sort(key=lambda page: (-_rank(page), page.page_index))
        own = own if any(page.title for page in own) else own[:1]
        hits += _with_continuations(own, rows, titles)
    return hits


def _typical_rows(lines: Sequence[Line]) -> dict[str, set[int]]:
    labels = {line.label for line in lines if line.label}
    return {
        kind: {number for number, row in enumerate(form.rows) if any(row.match(label) for label in labels)}
        for kind, form in STATEMENTS.items()
    }


def _titles(lines: Sequence[Line]) -> dict[str, str]:
    """Return the titles of statements on a page by kind; a title can be on two lines."""
    titles: dict[str, str] = {}
    pairs = [f"{line.text} {following.text}" for line, following in itertools.pairwise(lines) if not line.label]
    for candidate in [*(line.text for line in lines if not line.label), *pairs]:
        if len(candidate) > _LONGEST_TITLE or not _WORDS.search(candidate) or _NOT_A_TITLE.search(candidate):
            continue
        plain = re.sub(r"[^a-z()]", "", unicodedata.normalize("NFKD", candidate.lower()))
        for kind, form in STATEMENTS.items():
            if kind not in titles and form.title.search(plain):
                titles[kind] = " ".join(candidate.split())
    return titles


def _rank(page: StatementPage) -> float:
    """Return a number that is higher for the consolidated statements than for those of a parent or a segment."""
    plain = re.sub(r"[^a-z]", "", page.title.lower())
    main = 1.5 if re.search("consolid|combined|group|konzern", plain) else 0.0
    other = 3.0 if re.search("parent|registrantonly|guarantor|consolidating|schedule|segment|proforma", plain) else 0.0
    return page.n_rows + main - other


def _with_continuations(
    pages: Sequence[StatementPage], rows: Mapping[int, Mapping[str, set[int]]], titles: Mapping[int, dict[str, str]]
) -> list[StatementPage]:
    """Add the page after a statement if it has other typical rows of it and no title of another statement."""
    indexes = {page.page_index for page in pages}
    hits: list[StatementPage] = []
    for page in pages:
        hits.append(page)
        following = page.page_index + 1
        if following in indexes or titles.get(following) or following not in rows:
            continue
        more = rows[following][page.kind] - rows[page.page_index][page.kind]
        if len(more) >= _CONTINUED and page.kind != "comprehensive_income":
            hits.append(StatementPage(following, page.kind, "", len(more)))
    return hits
