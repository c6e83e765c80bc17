"""The findings of each task, computed once for the summary and the page."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from sra_evaluations.report.breakdown import Breakdown, break_down
from sra_evaluations.report.wording import amount
from sra_evaluations.results.comparison import Comparison, Finding, Verdict

__all__ = ["Cost", "Examples", "TaskResults", "collect", "cost_words", "in_short", "overall_cost"]

Examples = Mapping[tuple[str, str], Mapping[str, Any]]

_COSTS = {
    "prefill_seconds": ("prefill", "{:.2f} s"),
    "decode_seconds_a_token": ("decoding a token", "{:.3f} s"),
    "peak_bytes": ("peak memory", "{:.2f} GB"),
}
_GIGA = 1e9
_UNTIMED = "no timed example has both settings"


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """What a setting costs compared with the baseline, over timed examples that both have.

    Parameters
    ----------
    label
        Name of the quantity.
    ratio, least, greatest
        Median of the ratios of single examples, which one slow moment does not change, and their minimum and maximum.
    baseline, other
        Medians, with their unit.
    n
        Number of timed examples.
    """

    label: str
    ratio: float
    least: float
    greatest: float
    baseline: str
    other: str
    n: int


@dataclasses.dataclass(frozen=True, slots=True)
class TaskResults:
    """Findings of one task.

    Parameters
    ----------
    name, headline
        The task, and the metric by which it is judged.
    plain
        Whether it is plain text: only the likelihood of its continuation is measured.
    asked
        Number of examples of the run, None if it is not known.
    answered
        Number of examples that a setting has answered, by setting.
    findings
        Findings by metric, one for each other setting that has it.
    costs
        Costs by setting; empty if nothing was timed.
    breakdowns
        The headline metric by features.
    """

    name: str
    headline: str
    plain: bool
    asked: int | None
    answered: Mapping[str, int]
    findings: Mapping[str, list[Finding]]
    costs: Mapping[str, list[Cost]]
    breakdowns: Sequence[Breakdown]

    @property
    def verdicts(self) -> list[Finding]:
        """Findings in the headline metric."""
        return self.findings[self.headline]


def collect(comparison: Comparison, examples: Examples) -> list[TaskResults]:
    """Compute the findings of every task with measurements.

    Parameters
    ----------
    comparison
        The results.
    examples
        From `sra_evaluations.results.records.read_examples`; some may be missing.
    """
    return [_collect(comparison, task, examples) for task in comparison.tasks if comparison.metrics(task)]


def in_short(results: Sequence[TaskResults], setting: str) -> dict[Verdict, str]:
    """Describe, by verdict, the tasks on which a setting helps, hurts or shows no difference, and by how much."""
    verdicts: dict[Verdict, list[str]] = {"helps": [], "hurts": [], "no difference shown": []}
    for task in results:
        for finding in task.verdicts:
            if finding.setting == setting:
                verdicts[finding.verdict].append(f"{task.name} ({amount(finding)})")
    return {verdict: f"on {'; on '.join(tasks)}" for verdict, tasks in verdicts.items() if tasks}


def overall_cost(comparison: Comparison, results: Sequence[TaskResults], setting: str) -> str:
    """Describe what a setting costs over all tasks together."""
    return _cost_words(_costs(comparison, [task.name for task in results], setting), _UNTIMED)


def cost_words(task: TaskResults, setting: str) -> str:
    """Describe what a setting costs on a task, or why that is not known."""
    reason = "nothing is generated on this task" if task.plain else _UNTIMED
    return _cost_words(task.costs[setting], reason)


def _cost_words(costs: Sequence[Cost], reason: str) -> str:
    if not costs:
        return f"Cost: not timed ({reason})."
    parts = []
    for cost in costs:
        spread = f", single examples {cost.least:.2f} to {cost.greatest:.2f}" if cost.n > 1 else ""
        parts.append(f"{cost.label} {cost.ratio:.2f} times ({cost.other} for {cost.baseline}{spread}; n = {cost.n})")
    return f"Cost: {', '.join(parts)}."


def _collect(comparison: Comparison, task: str, examples: Examples) -> TaskResults:
    records = {s: comparison.examples(task, s) for s in comparison.settings}
    names = {name for names in records.values() for name in names}
    asked = comparison.manifest["tasks"].get(task, {}).get("examples")
    return TaskResults(
        name=task,
        headline=comparison.headline(task),
        plain=bool(names) and all(examples.get((task, name), {}).get("plain", False) for name in names),
        asked=asked,
        answered={setting: len(names) for setting, names in records.items()},
        findings={metric: comparison.findings(task, metric) for metric in comparison.metrics(task)},
        costs={setting: _costs(comparison, [task], setting) for setting in comparison.settings},
        breakdowns=break_down(comparison, task, comparison.headline(task)),
    )


def _costs(comparison: Comparison, tasks: Sequence[str], setting: str) -> list[Cost]:
    costs = []
    for metric, (label, written) in _COSTS.items():
        scale = _GIGA if metric == "peak_bytes" else 1.0
        pairs = []
        for task in tasks:
            base, other = (comparison.values(task, name, metric) for name in (comparison.baseline, setting))
            pairs += [(base[name] / scale, other[name] / scale) for name in base if name in other and base[name] > 0]
        if setting != comparison.baseline and pairs:
            before, after = (written.format(statistics.median(side)) for side in zip(*pairs, strict=True))
            ratios = [other / base for base, other in pairs]
            costs.append(Cost(label, statistics.median(ratios), min(ratios), max(ratios), before, after, len(pairs)))
    return costs
