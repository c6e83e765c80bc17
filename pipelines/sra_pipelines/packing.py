"""Pack the passages that a prompt has room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sra_pipelines.passages import Passage

__all__ = ["format_passages", "pack_passages"]


def pack_passages(passages: Sequence[Passage], budget: int, count_tokens: Callable[[str], int]) -> list[Passage]:
    """Take passages, best first, as long as they fit; then put them as they stand in the documents.

    Reading order keeps neighbouring passages of a page together, and makes the prompt of a second question that
    finds the same passages begin alike.

    Parameters
    ----------
    passages
        Best first.
    budget
        Tokens that the passages may take, headings included.
    count_tokens
        Counts the tokens of a text.
    """
    taken: list[Passage] = []
    used = 0
    for passage in passages:
        cost = count_tokens(format_passages([passage])) + 2  # what joins it to the next
        if used + cost > budget:
            continue
        taken.append(passage)
        used += cost
    first_of = {p.document: i for i, p in reversed(list(enumerate(passages)))}
    order = {id(p): i for i, p in enumerate(passages)}
    return sorted(taken, key=lambda p: (first_of[p.document], p.page_index, order[id(p)]))


def format_passages(passages: Sequence[Passage]) -> str:
    """Write passages as the model reads them, each under its document and page."""
    return "\n\n".join(f"[{p.document}, page {p.page_label}]\n{p.text}" for p in passages)
