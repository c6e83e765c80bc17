"""The summary in Markdown: the verdict first, then every metric with its interval and n."""

from __future__ import annotations

from sra_evaluations.comparison import Comparison, Finding
from sra_evaluations.metrics import LOWER_IS_BETTER

__all__ = ["sentence", "summarize"]


def summarize(comparison: Comparison) -> str:
    """Write the findings of all tasks."""
    lines = [f"# With and without reattention: {comparison.manifest['model']['name']}", ""]
    if len(comparison.settings) > 1:
        for task in comparison.tasks:
            lines += [f"- {sentence(finding)}" for finding in comparison.findings(task, comparison.headline(task))]
        lines.append("")
    for task in comparison.tasks:
        lines += [f"## {task}", "", *_table(comparison, task), ""]
    return "\n".join(lines)


def sentence(finding: Finding) -> str:
    """Say in plain words what a finding means."""
    found = finding.difference
    return (
        f"**{finding.setting}** on {finding.task}: {finding.verdict}. {finding.metric} {found.other:.3f} against "
        f"{found.baseline:.3f} with {finding.baseline} ({found.difference:+.3f}, 95% interval {found.low:+.3f} to "
        f"{found.high:+.3f}; n = {found.n}; corrected p = {finding.p_adjusted:.3f})."
    )


def _table(comparison: Comparison, task: str) -> list[str]:
    lines = ["| metric | setting | mean | difference | 95% interval | better / worse | n | p, corrected |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for metric in comparison.metrics(task):
        for f in comparison.findings(task, metric):
            d = f.difference
            better, worse = (d.less, d.more) if metric in LOWER_IS_BETTER else (d.more, d.less)
            lines.append(
                f"| {metric} | {f.setting} | {d.other:.3f} ({f.baseline}: {d.baseline:.3f}) | {d.difference:+.3f} | "
                f"{d.low:+.3f} to {d.high:+.3f} | {better} / {worse} | {d.n} | {f.p_adjusted:.3f} |"
            )
    return lines
