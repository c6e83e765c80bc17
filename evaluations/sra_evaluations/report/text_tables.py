"""The numbers of the report as tables of text, for the page and for the summary."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

from sra_evaluations.metrics import LOWER_IS_BETTER
from sra_evaluations.report.breakdown import Breakdown
from sra_evaluations.report.entropy_profile import EntropyProfile
from sra_evaluations.report.strength import Strengths
from sra_evaluations.report.task_results import TaskResults
from sra_evaluations.report.wording import Metric, metric_of, p_value, signed_interval
from sra_evaluations.results.comparison import Comparison, Finding
from sra_evaluations.results.statistics import Estimate, estimate

__all__ = ["Table", "table_of_layers", "table_of_metrics", "table_of_parts", "table_of_strengths", "table_side_by_side"]

_NONE = "-"


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """Headings and rows; the first cell of a row names it."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def groups(self) -> list[tuple[str, list[Sequence[str]]]]:
        """Rows that follow each other under one name, with the text after it."""
        return [
            (name, [row[1:] for row in rows]) for name, rows in itertools.groupby(self.rows, key=lambda row: row[0])
        ]


def table_of_metrics(comparison: Comparison, task: TaskResults) -> Table:
    """Every metric under every setting."""
    rows = []
    for name, findings in task.findings.items():
        metric, found = metric_of(name, plain=task.plain), {finding.setting: finding for finding in findings}
        label = f"{metric.label}, {metric.unit}" if metric.unit.startswith("nats") else metric.label
        for setting in comparison.settings:
            values = list(comparison.values(task.name, setting, name).values())
            if values:
                mean = estimate(values)
                about = _difference(metric, found.get(setting))
                rows.append([label, setting, _interval(metric, mean), str(mean.n), *about])
    headings = ["metric", "setting", "mean and 95% interval", "n"]
    headings += [f"difference from {comparison.baseline}", "pairs", "better / worse", "corrected p"]
    return Table(headings, rows)


def table_of_parts(breakdown: Breakdown, settings: Sequence[str]) -> Table:
    """A metric by the parts of a feature."""
    metric, rows = metric_of(breakdown.metric), []
    for part in breakdown.parts:
        for setting in settings:
            if setting in part.estimates:
                mean, found = part.estimates[setting], part.differences.get(setting)
                change = [_NONE, _NONE]
                if found is not None:
                    unit = metric.change_unit and f" {metric.change_unit}"
                    written = f"{metric.change(found.value)}{unit} ({signed_interval(metric, found)})"
                    change = [written, str(found.n)]
                rows.append([part.label, setting, _interval(metric, mean), str(mean.n), *change])
    return Table(
        [breakdown.feature, "setting", "mean and 95% interval", "n", "difference and 95% interval", "pairs"], rows
    )


def table_side_by_side(breakdown: Breakdown, settings: Sequence[str]) -> Table:
    """A metric by the parts of a feature, one column a setting."""
    metric = metric_of(breakdown.metric)
    shown = [setting for setting in settings if any(setting in part.estimates for part in breakdown.parts)]
    rows = []
    for part in breakdown.parts:
        cells = [
            f"{_interval(metric, found)}, n = {found.n}" if (found := part.estimates.get(setting)) else _NONE
            for setting in shown
        ]
        rows.append([part.label, *cells])
    return Table([breakdown.feature, *shown], rows)


def table_of_strengths(series: Sequence[Strengths]) -> Table:
    """Differences against off by alpha."""
    rows = []
    for one in series:
        for alpha, finding in one.points:
            metric = metric_of(finding.metric)
            found = finding.difference
            difference = f"{metric.change(found.difference)} ({signed_interval(metric, found)})"
            rows.append(
                [f"{alpha:g}", one.label, difference, str(found.n), p_value(finding.p_adjusted).removeprefix("= ")]
            )
    return Table(["alpha", "of", "difference and 95% interval", "n", "corrected p"], rows)


def table_of_layers(profile: EntropyProfile, settings: Sequence[str]) -> Table:
    """Entropy by layer, and its change."""
    shown = [setting for setting in settings if setting in profile.by_layer]
    metric = Metric("entropy", "entropy", "nats")
    headings, rows = ["layer"], []
    for setting in shown:
        headings.append(setting)
        if setting in profile.change_by_layer:
            headings.append(f"{setting}: change and 95% interval")
    for layer in range(len(profile.by_layer[shown[0]])):
        row = [str(layer)]
        for setting in shown:
            row.append(metric.value(profile.by_layer[setting][layer].value))
            if setting in profile.change_by_layer:
                change = profile.change_by_layer[setting][layer]
                between = "no interval" if profile.n == 1 else f"{change.low:+.3f} to {change.high:+.3f}"
                row.append(f"{metric.change(change.value)} ({between})")
        rows.append(row)
    return Table(headings, rows)


def _interval(metric: Metric, found: Estimate) -> str:
    if math.isnan(found.low):
        return f"{metric.value(found.value)} (no interval)"
    return f"{metric.value(found.value)} ({metric.value(found.low)} to {metric.value(found.high)})"


def _difference(metric: Metric, finding: Finding | None) -> list[str]:
    if finding is None:
        return [_NONE] * 4
    found, unit = finding.difference, metric.change_unit and f" {metric.change_unit}"
    better, worse = (found.less, found.more) if finding.metric in LOWER_IS_BETTER else (found.more, found.less)
    counted = f"{better} / {worse}" if metric.judged else f"{found.more} more / {found.less} less"
    return [
        f"{metric.change(found.difference)}{unit} ({signed_interval(metric, found)})",
        str(found.n),
        counted,
        p_value(finding.p_adjusted).removeprefix("= "),
    ]
