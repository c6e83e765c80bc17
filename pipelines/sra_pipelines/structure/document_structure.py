"""What the pages of a document are, and its types; found once and kept as text in an index."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

from sra_pipelines.retrieval.merging import by_page, merge_passages
from sra_pipelines.structure.page_kinds import PageKind, document_types, find_page_kinds
from sra_pipelines.values import Passage

__all__ = ["RULES", "DocumentStructure", "find_structure"]

RULES = 1
"""Version of the rules for kinds of pages. Increase it when they change: earlier kinds are then found again."""


@dataclasses.dataclass(frozen=True, slots=True)
class DocumentStructure:
    """What the pages of a document are.

    Parameters
    ----------
    kinds
        The kinds of its pages, see `find_page_kinds`.
    types
        Its types, see `document_types`.
    """

    kinds: tuple[PageKind, ...]
    types: frozenset[str]

    def to_json(self) -> str:
        """Return the structure as text."""
        kinds = [[page.page_index, page.kind, page.number, page.title] for page in self.kinds]
        return json.dumps({"types": sorted(self.types), "kinds": kinds}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> DocumentStructure:
        """Return the structure that `to_json` has written."""
        values = json.loads(text)
        return cls(tuple(PageKind(*kind) for kind in values["kinds"]), frozenset(values["types"]))


def find_structure(passages: Sequence[Passage]) -> DocumentStructure:
    """Find what the pages of one document are, from all of its passages."""
    texts: Mapping[int, str] = {
        page_index: "\n".join(passage.text for passage in merge_passages(own))
        for (_, page_index), own in by_page(passages).items()
    }
    kinds = find_page_kinds(texts)
    return DocumentStructure(tuple(kinds), document_types(texts, kinds))
