"""Whether the pages that an answer cites are those that contain the gold answer."""

from __future__ import annotations

from sra_pipelines.checks.abstention import abstains
from sra_pipelines.checks.citations import cite
from sra_pipelines.checks.support import check_support

from sra_evaluations.examples import Example, document_stem

__all__ = ["score_citations"]


def score_citations(said: str, example: Example) -> dict[str, float]:
    """Score the citations that sra-rag gives an answer.

    Returns
    -------
    dict
        ``citation_precision``: the share of cited pages that are gold (0 where an answer is traced to none), and
        ``citation_recall``: the share of gold pages that are cited; both in [0, 1]. Empty where the gold pages are not
        known, the context does not contain one, or the answer refuses.
    """
    gold = set(example.gold_pages)
    if not gold or not example.gold or abstains(said, check_support(said, example.question, example.passages)):
        return {}
    cited = {(document_stem(c.document), c.page_index) for c in cite(said, example.question, example.passages)}
    right = len(gold & cited)
    return {"citation_precision": right / len(cited) if cited else 0.0, "citation_recall": right / len(gold)}
