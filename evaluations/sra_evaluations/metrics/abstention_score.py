"""Whether sra-rag rightly abstains, where retrieval brought the passages."""

from __future__ import annotations

from sra_pipelines.checks.abstention import abstains
from sra_pipelines.checks.support import check_support

from sra_evaluations.examples import Example

__all__ = ["score_abstention"]


def score_abstention(said: str, example: Example) -> dict[str, float]:
    """Score `Answer.abstained`: the model states that there is no answer, or the documents do not support it.

    Returns
    -------
    dict
        ``right_abstention`` (only if the documents do not contain the answer) and ``wrong_abstention`` (only if the
        context contains it; lower is better): 1 if sra-rag reports a non-answer. Empty where there are no passages,
        or retrieval missed the answer.
    """
    if not example.passages:
        return {}
    abstained = float(abstains(said, check_support(said, example.question, example.passages)) is not None)
    if not example.answers:
        return {"right_abstention": abstained}
    return {"wrong_abstention": abstained} if example.gold else {}
