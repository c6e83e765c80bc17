"""A plot of a metric by position, length or another feature, for notebooks and files; the report has its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sra_evaluations.report.breakdown import Breakdown, break_down, parts_across_tasks
from sra_evaluations.report.wording import metric_of
from sra_evaluations.results.comparison import Comparison
from sra_rag.errors import ConfigError
from sra_rag.evidence.plain_axes import plain_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_by_feature"]


def draw_by_feature(comparison: Comparison, task: str, feature: str, *, metric: str | None = None) -> Figure:
    """Draw the mean of a metric with its 95% interval for each value of a feature, one line for each setting.

    Parameters
    ----------
    comparison
        Results of `sra_evaluations.compare`, or read from a folder with ``Comparison.read``.
    task
        Name of a task of the results. For tasks whose names differ in one number, such as ``needle:length=500`` and
        ``needle:length=2000``, the name without it (``needle``) draws them side by side.
    feature
        What the examples differ in, such as ``"position"`` or ``"prompt tokens"``.
    metric
        By default the metric by which the task is judged.

    Returns
    -------
    figure
        A figure of matplotlib, which a notebook shows and ``savefig`` writes to a file.

    Raises
    ------
    ConfigError
        If the task has no results, or its examples do not differ in the feature.
    """
    breakdowns = {found.feature: found for found in _breakdowns(comparison, task, metric)}
    if feature not in breakdowns:
        known = f"They differ in {', '.join(breakdowns)}." if breakdowns else "They differ in no feature."
        raise ConfigError(f"The examples of {task!r} do not differ in {feature!r}. {known}")
    breakdown = breakdowns[feature]
    figure, axes = plain_axes(4.8, 2.9)
    n_settings = len(comparison.settings)
    for number, setting in enumerate(comparison.settings):
        estimates = [
            (at, part.estimates[setting]) for at, part in enumerate(breakdown.parts) if setting in part.estimates
        ]
        shift = 0.3 * ((number + 0.5) / n_settings - 0.5)  # intervals of two settings do not cover each other
        # An interval that is not known, as for a single example, is not drawn.
        below = [0.0 if math.isnan(found.low) else max(0.0, found.value - found.low) for _, found in estimates]
        above = [0.0 if math.isnan(found.high) else max(0.0, found.high - found.value) for _, found in estimates]
        axes.errorbar(
            [at + shift for at, _ in estimates],
            [found.value for _, found in estimates],
            yerr=(below, above),
            label=setting,
            marker="o",
            capsize=2.5,
            linestyle="-" if breakdown.numeric else "",
        )
    axes.set_xticks(range(len(breakdown.parts)), [part.label for part in breakdown.parts])
    axes.set(xlabel=feature, ylabel=metric_of(breakdown.metric).label)
    figure.legend(loc="outside upper center", ncols=n_settings, frameon=False)
    return figure


def _breakdowns(comparison: Comparison, task: str, metric: str | None) -> list[Breakdown]:
    side_by_side = [found for found in parts_across_tasks(comparison) if found.title == task]
    if task not in comparison.tasks and side_by_side:
        return [found for found in side_by_side if metric in (None, found.metric)]
    return break_down(comparison, task, metric or comparison.headline(task))
