"""Metrics, numbers and verdicts in plain words, the same in the summary and on the page."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from sra_evaluations.metrics import LOWER_IS_BETTER
from sra_evaluations.results.comparison import Finding
from sra_evaluations.results.statistics import Estimate, PairedDifference

__all__ = ["Metric", "amount", "lead", "metric_of", "p_value", "reasons", "signed_interval", "size"]

Unit = Literal["share", "nats", "nats a token", "number"]


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """How a metric is named and written.

    Parameters
    ----------
    name, label
        Its name in records, and in words.
    unit
        ``"share"`` is written in percent, and its differences in points.
    judged
        Whether higher or lower values are better at all.
    digits
        Number of decimal places of a share in percent.
    """

    name: str
    label: str
    unit: Unit = "number"
    judged: bool = True
    digits: int = 1

    def value(self, number: float) -> str:
        """Write a value."""
        if math.isnan(number):
            return "unknown"
        return f"{number:.{self.digits}%}" if self.unit == "share" else f"{number:.3f}"

    def change(self, number: float) -> str:
        """Write a difference, with its sign and without its unit."""
        if math.isnan(number):
            return "unknown"
        # Adding 0 turns the -0.0 that rounding leaves into 0.
        if self.unit == "share":
            return f"{round(100 * number, self.digits) + 0:+.{self.digits}f}"
        return f"{round(number, 3) + 0:+.3f}"

    @property
    def change_unit(self) -> str:
        """What differences are counted in."""
        return {"share": "points", "number": ""}.get(self.unit, self.unit)


def _named(unit: Unit, labels: dict[str, str]) -> dict[str, Metric]:
    return {name: Metric(name, label, unit) for name, label in labels.items()}


_METRICS = {
    **_named(
        "share",
        {
            "right": "answers right",
            "right_not_copied": "answers right that do not begin as a copy of the passage",
            "exact_match": "answers equal to the gold answer (exact match)",
            "f1": "words shared with the gold answer (F1)",
            "contains": "answers that contain the gold answer",
            "figures": "answers with the gold figure",
            "cut_off": "answers cut off at the limit of tokens",
            "right_refusal": "unanswerable questions refused",
            "wrong_refusal": "answerable questions refused",
            "right_abstention": "unanswerable questions for which sra-rag reports a non-answer",
            "wrong_abstention": "answerable questions for which sra-rag reports a non-answer",
            "claims_supported": "figures, dates and names supported by the context",
            "sentences_supported": "sentences supported by the context",
            "citation_precision": "cited pages that contain the answer",
            "citation_recall": "pages with the answer that are cited",
            "entailed": "sentences that a passage entails",
            "judged_faithful": "answers judged faithful",
            "judged_correct": "points for correctness, of those that are possible",
        },
    ),
    "gold_nats": Metric("gold_nats", "negative log-likelihood of the whole gold answer", "nats"),
    "gold_nats_per_token": Metric("gold_nats_per_token", "negative log-likelihood of the gold answer", "nats a token"),
    "passage_attention": Metric("passage_attention", "attention on each passage", "share", judged=False, digits=2),
    "gold_attention": Metric("gold_attention", "attention on the gold passage", "share", judged=False, digits=2),
}


def metric_of(name: str, *, plain: bool = False) -> Metric:
    """Return how a metric is named and written; the metric of a custom scorer is named as in its records.

    Parameters
    ----------
    name
        Name of the metric in records.
    plain
        Whether it was measured on the continuation of a text instead of on an answer.
    """
    metric = _METRICS.get(name, Metric(name, name.replace("_", " ")))
    return dataclasses.replace(metric, label=metric.label.replace("gold answer", "plain text")) if plain else metric


def p_value(p: float) -> str:
    """Write a p-value with its sign of comparison."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def signed_interval(metric: Metric, found: PairedDifference | Estimate) -> str:
    """Write the interval of a difference; one example has none, nor have differences that are all the same."""
    if math.isnan(found.low):
        return "no interval"
    if found.low == found.high:
        return "all alike"
    return f"{metric.change(found.low)} to {metric.change(found.high)}"


def size(metric: Metric, difference: PairedDifference, baseline: str) -> str:
    """Say how large a difference is, and of what."""
    change, unit = difference.difference, metric.change_unit
    values = f"{metric.value(difference.other)} against {metric.value(difference.baseline)} with {baseline}"
    if change == 0:
        return f"{_capital(metric.label)}: {values}, the same"
    amount = " ".join(filter(None, (metric.change(abs(change)).removeprefix("+"), unit)))
    if metric.unit.startswith("nats"):
        better = (change > 0) != (metric.name in LOWER_IS_BETTER)
        return f"{_capital(metric.label)}: {amount} {'better' if better else 'worse'}, {values}"
    return f"{_capital(metric.label)}: {values}, {amount} {'more' if change > 0 else 'less'}"


def amount(finding: Finding) -> str:
    """Write the difference alone, with its unit, its interval and n."""
    metric, found = metric_of(finding.metric), finding.difference
    if found.more == found.less == 0:
        return f"no example changed, n = {found.n}"
    written = " ".join(filter(None, (metric.change(found.difference), metric.change_unit)))
    return f"{written}, {signed_interval(metric, found)}, n = {found.n}"


def lead(finding: Finding) -> str:
    """Say the verdict."""
    return {
        "helps": f"{finding.setting} helps on {finding.task}.",
        "hurts": f"{finding.setting} hurts on {finding.task}.",
        "no difference shown": f"{finding.setting} on {finding.task}: no difference shown.",
    }[finding.verdict]


def reasons(finding: Finding, *, plain: bool = False) -> str:
    """Say in plain words what a verdict rests on; see `metric_of` for `plain`."""
    found, metric = finding.difference, metric_of(finding.metric, plain=plain)
    return f"{size(metric, found, finding.baseline)} ({_evidence(finding, metric)}).{_caution(finding)}"


def _evidence(finding: Finding, metric: Metric) -> str:
    found = finding.difference
    if found.n == 1:
        return "n = 1, which has no interval"
    if found.more == found.less == 0:
        return f"not one of n = {found.n} examples changed in it"
    unit = metric.change_unit and f" {metric.change_unit}"
    between = "no interval, all changed alike"
    if found.low < found.high:
        between = f"95% interval {signed_interval(metric, found)}{unit}"
    return f"{between}; n = {found.n}; corrected p {p_value(finding.p_adjusted)}"


def _caution(finding: Finding) -> str:
    if finding.difference.shown and finding.verdict == "no difference shown":
        return " The interval leaves zero out, but the p-value, corrected for the settings tried, is not under 0.05."
    return ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
