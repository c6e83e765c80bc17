"""The page: everything that was found, in one HTML file that loads nothing and runs nothing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from sra_evaluations.report.again import run_again
from sra_evaluations.report.breakdown import (
    Breakdown,
    attention_by_passage,
    break_down,
    lengths_of,
    part_of_all,
    parts_across_tasks,
    too_many,
)
from sra_evaluations.report.changes import Changes, find_changes
from sra_evaluations.report.entropy_profile import entropy_profile
from sra_evaluations.report.figures import Figure, entropy_figures, parts_figure, strengths_figure
from sra_evaluations.report.strength import by_strength
from sra_evaluations.report.task_results import Examples, TaskResults, cost_words, in_short, overall_cost
from sra_evaluations.report.text_tables import Table, table_of_metrics
from sra_evaluations.report.wording import metric_of, reasons
from sra_evaluations.results.comparison import Comparison

__all__ = ["render_page"]

_LIKELIHOOD = "gold_nats_per_token"
_ATTENTION = "gold_attention"
_NOT_COPIED = "right_not_copied"


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one setting on one task."""

    setting: str
    verdict: str
    said: str
    also: str
    cost: str


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """What the page shows of one task."""

    name: str
    about: str
    verdicts: Sequence[Verdict]
    metrics: Table
    breakdowns: Sequence[Figure]
    not_broken_down: Mapping[str, int]
    attention: Sequence[Figure]
    strengths: Sequence[Figure]
    entropies: Sequence[Figure]
    changes: Mapping[str, tuple[Changes, Changes]]


def render_page(comparison: Comparison, examples: Examples, results: Sequence[TaskResults]) -> str:
    """Write the page.

    Parameters
    ----------
    comparison
        The results.
    examples
        From `sra_evaluations.results.records.read_examples`.
    results
        From `sra_evaluations.report.task_results.collect`.
    """
    manifest, tasks = comparison.manifest, list(results)
    # The baseline is series 0, which is drawn in the colour of text.
    others = [setting for setting in comparison.settings if setting != comparison.baseline]
    series = {setting: number for number, setting in enumerate([comparison.baseline, *others])}
    return _template().render(
        model=manifest["model"],
        baseline=comparison.baseline,
        in_short={s: (in_short(tasks, s), overall_cost(comparison, tasks, s)) for s in others},
        sections=[_section(comparison, task, examples, series) for task in tasks],
        across=[(b.title, parts_figure(b, series)) for b in parts_across_tasks(comparison)],
        again=run_again(manifest, comparison.records, examples),
        versions=manifest["versions"],
        machine={**manifest["machine"], **manifest.get("workers", {})},
        examples_table=Table(
            ["task", "examples", "SHA-256"],
            [[name, str(it.get("examples", "")), it.get("sha256", "")] for name, it in manifest["tasks"].items()],
        ),
        settings={name: json.dumps(sra, indent=2) for name, sra in manifest["settings"].items()},
        seed=manifest["seed"],
        max_new_tokens=manifest["max_new_tokens"],
    )


def _section(comparison: Comparison, task: TaskResults, examples: Examples, series: Mapping[str, int]) -> Section:
    profile = entropy_profile(comparison, task.name)
    metrics = [name for name in dict.fromkeys((task.headline, _LIKELIHOOD)) if name in task.findings]
    strengths = [found for name in metrics if (found := by_strength(comparison, task.findings[name]))]
    attention: list[Breakdown] = []
    if _ATTENTION in task.findings:
        attention = [b for b in break_down(comparison, task.name, _ATTENTION) if b.numeric]
        attention = attention or [part_of_all(comparison, task.name, _ATTENTION)]
    if (by_passage := attention_by_passage(comparison, task.name)) is not None:
        attention.append(by_passage)
    by_position: list[Breakdown] = []
    if _NOT_COPIED in task.findings:
        by_position = [b for b in break_down(comparison, task.name, _NOT_COPIED) if b.feature == "position"]
    judged = metric_of(task.headline, plain=task.plain)
    return Section(
        name=task.name,
        about=_about(comparison, task),
        verdicts=_verdicts(task),
        metrics=table_of_metrics(comparison, task),
        breakdowns=[parts_figure(b, series, plain=task.plain) for b in [*task.breakdowns, *by_position]],
        not_broken_down=too_many(comparison, task.name),
        attention=[parts_figure(b, series) for b in attention],
        strengths=[strengths_figure(found, comparison.baseline, plain=task.plain) for found in strengths],
        entropies=entropy_figures(profile, series) if profile else [],
        changes={
            finding.setting: find_changes(comparison, task.name, finding.setting, judged, examples, series)
            for finding in task.verdicts
        },
    )


def _verdicts(task: TaskResults) -> list[Verdict]:
    likelihoods = {}
    if task.headline != _LIKELIHOOD:
        likelihoods = {finding.setting: finding for finding in task.findings.get(_LIKELIHOOD, [])}
    return [
        Verdict(
            setting=finding.setting,
            verdict=finding.verdict,
            said=reasons(finding, plain=task.plain),
            also=reasons(likelihoods[finding.setting]) if finding.setting in likelihoods else "",
            cost=cost_words(task, finding.setting),
        )
        for finding in task.verdicts
    ]


def _about(comparison: Comparison, task: TaskResults) -> str:
    """Describe how many examples have answers, and how long the prompts are."""
    metric = metric_of(task.headline, plain=task.plain)
    answered = ", ".join(f"{n} with {setting}" for setting, n in task.answered.items())
    counts = set(task.answered.values())
    if len(counts) == 1 and counts == {task.asked}:
        answered = f"{task.asked} examples, each with every setting"
    elif task.asked is not None:
        answered = f"Of {task.asked} examples there are so far: {answered} (others were not run yet, or are too long)"
    lengths = lengths_of(comparison, task.name)
    long = f" Prompts of {lengths[0]:,} to {lengths[1]:,} tokens." if lengths else ""
    return f"{answered}.{long} Judged by: {metric.label}."


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("sra_evaluations.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = lambda text: text.replace("n = ", "n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")
    return environment.get_template("report.html.j2")
