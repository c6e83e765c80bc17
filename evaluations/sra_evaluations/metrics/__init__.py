"""Metrics of an answer: right, faithful, traced to its pages. Each takes the answer and its example."""

from sra_evaluations.examples import Example
from sra_evaluations.metrics.abstention_score import score_abstention
from sra_evaluations.metrics.citation_score import score_citations
from sra_evaluations.metrics.correctness import score_answer
from sra_evaluations.metrics.faithfulness import score_faithfulness

__all__ = ["LOWER_IS_BETTER", "score"]

LOWER_IS_BETTER = frozenset(
    {
        "wrong_refusal",
        "wrong_abstention",
        "cut_off",
        "gold_nats",
        "gold_nats_per_token",
        "prefill_seconds",
        "decode_seconds_a_token",
        "peak_bytes",
    }
)


def score(said: str, example: Example) -> dict[str, float]:
    """Score an answer by every metric that needs no model and applies to its example; all are in [0, 1]."""
    found: dict[str, float] = {}
    for scorer in (score_answer, score_faithfulness, score_abstention, score_citations):
        found |= scorer(said, example)
    return found
