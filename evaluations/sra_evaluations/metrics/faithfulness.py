"""Whether an answer keeps to its context, without a model: what it says stands there, or it says that nothing does."""

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
        (only where the documents do not hold the answer; it is ``right`` too) and ``wrong_refusal`` (only where the
        context holds it): 1 if the answer says that the documents do not say. All lie in [0, 1]; of ``wrong_refusal``
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
