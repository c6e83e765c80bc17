"""Select the passages that fit into a prompt."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

from sra_pipelines.retrieval.merging import merge_passages
from sra_pipelines.values import Passage
from sra_rag.errors import ConfigError

__all__ = ["Order", "Pages", "PlacedPage", "format_passages", "pack_passages", "ranks_of", "tokens_needed"]

Order = Literal["document", "best_first", "best_last", "ends"]
Pages = Mapping[tuple[str, int], Sequence[Passage]]

_MOST_OF_A_PAGE = 0.75  # share of the characters of a page
_SEAM = 2  # tokens of the separator between two passages
_AHEAD = 4  # passages that are packed before the placed pages; see docs/retrieval.md
_SHORTENED = 0.5  # share of the budget for all placed pages, if they are shortened


@dataclasses.dataclass(frozen=True, slots=True)
class PlacedPage:
    """A page that a question needs, whatever its rank.

    Parameters
    ----------
    passages
        All passages of the page.
    shortened
        Function that returns the page with its most relevant rows only, within a number of tokens; None if they do not
        fit.
    """

    passages: Sequence[Passage]
    shortened: Callable[[int], Passage | None]

    @property
    def key(self) -> tuple[str, int]:
        """Document and index of the page."""
        return self.passages[0].document, self.passages[0].page_index


def pack_passages(
    passages: Sequence[Passage],
    budget: int,
    count_tokens: Callable[[str], int],
    *,
    order: Order = "document",
    pages: Pages | None = None,
    placed: Sequence[PlacedPage] = (),
    ahead: int = _AHEAD,
) -> list[Passage]:
    """Select the best passages that fit into a token budget, and order them.

    Passages of a page that overlap or are adjacent are merged.

    Parameters
    ----------
    passages
        Candidate passages, best first.
    budget
        Maximum number of tokens of the selected passages, including their headings.
    count_tokens
        Function that returns the number of tokens of a text.
    order
        ``"document"``: document order, starting with the document of the best passage. It keeps adjacent passages
        together, and prompts with the same passages have the same beginning, which the prefix cache can reuse.
        ``"best_first"``, ``"best_last"``: by rank. ``"ends"``: the best at both ends and the worst in the middle, where
        models pay the least attention ("Lost in the Middle", arXiv 2307.03172).
    pages
        All passages of each page. If given, a page of which three quarters are selected is included completely if it
        fits, and the remaining budget is used to complete pages, best first.
    placed
        Pages that must be included as far as they fit, most important first. They follow the first `ahead` passages,
        and are shortened to their most relevant rows if they do not fit completely. Space for the rows is reserved.
    ahead
        Number of passages that are packed before `placed`.

    Raises
    ------
    ConfigError
        If `order` is not one of these values.
    """
    if order not in get_args(Order):
        raise ConfigError(f"order={order!r} is not allowed. Use one of {', '.join(get_args(Order))}.")
    packing = _Packing(budget, count_tokens)
    own = {page.key for page in placed}
    others = [passage for passage in passages if (passage.document, passage.page_index) not in own]
    if placed:
        rows = {page.key: page.shortened(int(budget * _SHORTENED / len(placed))) for page in placed}
        reserved = {key: packing.cost([row]) for key, row in rows.items() if row is not None}
        packing.left -= sum(reserved.values())
        packing.fill(others[:ahead], None)
        for page in placed:
            packing.left += reserved.get(page.key, 0)
            if not packing.add(page.passages) and (shortened := rows[page.key]) is not None:
                packing.add([shortened])
        others = others[ahead:]
    packing.fill(others, pages)
    if pages is not None:
        for key in list(packing.taken):
            if key not in own:
                packing.add(pages.get(key, ()))
    return _ordered(packing.taken, {id(p): i for i, p in enumerate(passages)}, order)


def ranks_of(packed: Sequence[Passage], passages: Sequence[Passage]) -> list[int]:
    """Return the rank of the best part of each packed passage in `passages`, best first.

    A packed passage that none of them is a part of gets their number.
    """
    by_page: dict[tuple[str, int], list[int]] = {}
    for rank, passage in enumerate(passages):
        by_page.setdefault((passage.document, passage.page_index), []).append(rank)
    return [
        next(
            (rank for rank in by_page.get((one.document, one.page_index), ()) if passages[rank].text in one.text),
            len(passages),
        )
        for one in packed
    ]


def format_passages(passages: Sequence[Passage]) -> str:
    """Return the passages as one text for the prompt, each after a heading with its document and page."""
    return "\n\n".join(f"[{p.document}, page {p.page_label}]\n{p.text}" for p in passages)


def tokens_needed(passage: Passage, count_tokens: Callable[[str], int]) -> int:
    """Return the number of tokens that a passage takes in a prompt, with its heading and the separator."""
    return count_tokens(format_passages([passage])) + _SEAM


class _Packing:
    """The passages selected so far by page, and their token counts."""

    def __init__(self, budget: int, count_tokens: Callable[[str], int]) -> None:
        self.left = budget
        self.count_tokens = count_tokens
        self.taken: dict[tuple[str, int], list[Passage]] = {}
        self._cost: dict[tuple[str, int], int] = {}

    def add(self, passages: Sequence[Passage]) -> bool:
        """Add passages of one page, all or none; return whether they fit."""
        if not passages:
            return False
        page = passages[0].document, passages[0].page_index
        before = self.taken.get(page, [])
        known = {id(p) for p in before} | {p.key for p in before if p.end}
        after = before + [p for p in passages if id(p) not in known and (not p.end or p.key not in known)]
        cost = self.cost(after)
        if cost - self._cost.get(page, 0) > self.left:
            return False
        self.left -= cost - self._cost.get(page, 0)
        self.taken[page], self._cost[page] = after, cost
        return True

    def fill(self, passages: Sequence[Passage], pages: Pages | None) -> None:
        """Add passages one by one as far as they fit, and the pages of which most is then included."""
        for passage in passages:
            if self.add([passage]) and pages is not None:
                whole = pages.get((passage.document, passage.page_index), ())
                if self.share(passage, whole) >= _MOST_OF_A_PAGE:
                    self.add(whole)

    def cost(self, passages: Sequence[Passage]) -> int:
        """Return the number of tokens of passages of one page, merged."""
        return sum(tokens_needed(passage, self.count_tokens) for passage in merge_passages(passages))

    def share(self, passage: Passage, whole: Sequence[Passage]) -> float:
        """Return the share of the page of `passage` that is selected, in [0, 1]."""
        taken = merge_passages(self.taken[passage.document, passage.page_index])
        length = sum(len(p.text) for p in merge_passages(whole))
        return sum(len(p.text) for p in taken) / length if length else 0.0


def _ordered(taken: Mapping[tuple[str, int], list[Passage]], rank: Mapping[int, int], order: Order) -> list[Passage]:
    ranked: list[tuple[int, Passage]] = []
    for passages in taken.values():
        for merged in merge_passages(passages):
            members = [p for p in passages if p is merged or p.text in merged.text]
            ranked.append((min(rank.get(id(p), len(rank)) for p in members), merged))
    ranked.sort(key=lambda pair: pair[0])
    best = [passage for _, passage in ranked]
    if order == "best_first":
        return best
    if order == "best_last":
        return best[::-1]
    if order == "ends":
        return best[::2] + best[1::2][::-1]
    first_of = {p.document: i for i, p in reversed(list(enumerate(best)))}
    place = {id(p): i for i, p in enumerate(best)}
    return sorted(best, key=lambda p: (first_of[p.document], p.page_index, p.start, place[id(p)]))
