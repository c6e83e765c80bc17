"""The summary in Markdown: verdicts in plain words first, then every metric with its interval and n."""

from __future__ import annotations

from collections.abc import Sequence

from sra_evaluations.report.breakdown import parts_across_tasks
from sra_evaluations.report.task_results import Examples, TaskResults, collect, cost_words, in_short, overall_cost
from sra_evaluations.report.text_tables import Table, table_of_metrics, table_side_by_side
from sra_evaluations.report.wording import lead, metric_of, reasons
from sra_evaluations.results.comparison import Comparison

__all__ = ["summarize"]


def summarize(comparison: Comparison, examples: Examples, results: Sequence[TaskResults] | None = None) -> str:
    """Write the findings of all tasks.

    Parameters
    ----------
    comparison
        The results.
    examples
        From `sra_evaluations.results.records.read_examples`.
    results
        From `sra_evaluations.report.task_results.collect`, where they are there already.
    """
    tasks = list(results) if results is not None else collect(comparison, examples)
    lines = [f"# With and without reattention: {_plain(str(comparison.manifest['model']['name']))}", ""]
    if not tasks:
        lines += ["Nothing has been measured yet.", ""]
    others = [setting for setting in comparison.settings if setting != comparison.baseline]
    if tasks and others:
        lines += [f"- **{_plain(setting)}**: {_plain(_in_short(comparison, tasks, setting))}" for setting in others]
        lines += ["", "In brackets: difference, 95% interval, number of examples."]
        lines += ["Of the negative log-likelihood, lower is better.", ""]
    for task in tasks:
        lines += [f"## {_plain(task.name)}", ""]
        for finding in task.verdicts:
            said = f"{lead(finding)} {reasons(finding, plain=task.plain)} {cost_words(task, finding.setting)}"
            lines.append(f"- {_plain(said)}")
        lines += ["", *_markdown(table_of_metrics(comparison, task)), ""]
        for breakdown in task.breakdowns:
            lines += _by(metric_of(task.headline, plain=task.plain).label, breakdown.feature)
            lines += [*_markdown(table_side_by_side(breakdown, comparison.settings)), ""]
    for breakdown in parts_across_tasks(comparison):
        lines += [f"## {_plain(breakdown.title)} by {_plain(breakdown.feature)}", ""]
        lines += [*_markdown(table_side_by_side(breakdown, comparison.settings)), ""]
    return "\n".join(lines)


def _in_short(comparison: Comparison, tasks: Sequence[TaskResults], setting: str) -> str:
    said = "; ".join(f"{verdict} {where}" for verdict, where in in_short(tasks, setting).items())
    return (
        f"{said or 'no example has both this setting and the baseline yet'}. {overall_cost(comparison, tasks, setting)}"
    )


def _by(label: str, feature: str) -> list[str]:
    return [f"### {label[:1].upper()}{label[1:]}, by {_plain(feature)}", ""]


def _markdown(table: Table) -> list[str]:
    lines = [table.headings, ["---"] * len(table.headings), *table.rows]
    return [f"| {' | '.join(map(_plain, line))} |" for line in lines]


def _plain(text: str) -> str:
    """Keep a name from being read as markup: no breaks of lines or cells, no HTML."""
    return " ".join(text.split()).replace("<", "&lt;").replace("|", "\\|")
