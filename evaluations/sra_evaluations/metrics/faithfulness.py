"""Whether an answer is faithful to its context, without a model: the context supports it, or it refuses to answer."""

from __future__ import annotations

from sra_pipelines.checks.abstention import abstains
from sra_pipelines.checks.support import check_support
from sra_pipelines.values import Passage

from sra_evaluations.examples import Example

__all__ = ["score_faithfulness"]


def score_faithfulness(said: str, example: Example) -> dict[str, float]:
    """Score what an answer rests on.

    Returns
    -------
    dict
        ``claims_supported`` and ``sentences_supported``: the share of figures, dates and names, and of sentences, that
        are in the context or the question, where there are any and the answer does not refuse. ``right_refusal``
        (only if the documents do not contain the answer; it is ``right`` too) and ``wrong_refusal`` (only if the
        context contains it): 1 if the answer states that there is none. All are in [0, 1]; of ``wrong_refusal``
        less is better.
    """
    support = check_support(said, example.question, [Passage("context", 0, "1", example.context)])
    refused = abstains(said, support) == "model says so"
    scores: dict[str, float] = {}
    if not example.answers:
        scores = {"right": float(refused), "right_refusal": float(refused)}
    elif example.gold or not example.gold_pages:  # else retrieval missed the answer, and refusing is no fault
        scores = {"wrong_refusal": float(refused)}
    if refused:
        return scores
    for name, claims in (("claims_supported", support.claims), ("sentences_supported", support.sentences)):
        if claims:
            scores[name] = sum(claim.supported for claim in claims) / len(claims)
    return scores
