"""Figures of the report: a drawing with its caption, its legend and its numbers as a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from sra_evaluations.report.breakdown import Breakdown
from sra_evaluations.report.entropy_profile import EntropyProfile
from sra_evaluations.report.plots import (
    MARKS,
    draw_heat_map,
    draw_layers,
    draw_parts,
    draw_strengths,
    series_color,
)
from sra_evaluations.report.strength import Strengths
from sra_evaluations.report.text_tables import Table, table_of_layers, table_of_parts, table_of_strengths
from sra_evaluations.report.wording import metric_of
from sra_evaluations.results.statistics import Estimate

__all__ = ["Entry", "Figure", "entropy_figures", "parts_figure", "strengths_figure"]

_TABLE_BELOW = "The numbers are in the table that follows."


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A line of a legend."""

    mark: str
    color: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """A drawing and what belongs to it; `table` is None if the table of another figure has its numbers."""

    title: str
    caption: str
    drawing: Markup
    legend: Sequence[Entry]
    table: Table | None


def parts_figure(breakdown: Breakdown, series: Mapping[str, int], *, plain: bool = False) -> Figure:
    """Draw a metric by a feature.

    Parameters
    ----------
    breakdown
        What to draw.
    series
        The number of each setting.
    plain
        As for `metric_of`.
    """
    metric = metric_of(breakdown.metric, plain=plain)
    points: dict[int, list[tuple[float, Estimate]]] = {}
    for at, part in enumerate(breakdown.parts):
        for setting, found in part.estimates.items():
            points.setdefault(series[setting], []).append((float(at), found))
    shown = [setting for setting, number in series.items() if number in points]
    counts = [found.n for part in breakdown.parts for found in part.estimates.values()]
    title = f"{_capital(metric.label)}, by {breakdown.feature}"
    return Figure(
        title=title,
        caption=f"Mean and 95% interval; {_n(counts)} a point.",
        drawing=draw_parts(
            [part.label for part in breakdown.parts],
            points,
            x=breakdown.feature,
            y={"share": "mean share", "number": "mean"}.get(metric.unit, f"mean, {metric.unit}"),
            connected=breakdown.numeric,
            share=metric.unit == "share",
            alt=f"{title}, under {', '.join(shown)}. {_TABLE_BELOW}",
        ),
        legend=[_entry(series[setting], setting) for setting in shown],
        table=table_of_parts(breakdown, list(series)),
    )


def strengths_figure(series: Sequence[Strengths], baseline: str, *, plain: bool = False) -> Figure:
    """Draw the difference against off by alpha."""
    metric = metric_of(series[0].points[0][1].metric, plain=plain)
    factor = 100 if metric.unit == "share" else 1
    points = {}
    for number, one in enumerate(series, start=1):
        points[number] = [
            (alpha, Estimate(factor * d.difference, factor * d.low, factor * d.high, d.n))
            for alpha, d in ((alpha, finding.difference) for alpha, finding in one.points)
        ]
    counts = [found.n for them in points.values() for _, found in them]
    title = f"{_capital(metric.label)}, by alpha"
    unit = f", {metric.change_unit}" if metric.change_unit else ""
    return Figure(
        title=title,
        caption=f"Paired difference from {baseline} and 95% interval; {_n(counts)} a point. Zero is {baseline}.",
        drawing=draw_strengths(
            points,
            y=f"difference{unit}",
            alt=f"{title}: difference from {baseline}, for {'; '.join(s.label for s in series)}. {_TABLE_BELOW}",
        ),
        legend=[_entry(number, one.label) for number, one in enumerate(series, start=1)],
        table=table_of_strengths(series),
    )


def entropy_figures(profile: EntropyProfile, series: Mapping[str, int]) -> list[Figure]:
    """Draw the entropy by layer, its change, and the change by head for each setting."""
    shown = [setting for setting in series if setting in profile.by_layer]
    title = "Entropy of the attention, by layer"
    about = f"Mean over heads and examples, for the rows that predict the gold answer; bands: 95%; n = {profile.n}."
    figures = [
        Figure(
            title=title,
            caption=about,
            drawing=draw_layers(
                {series[setting]: profile.by_layer[setting] for setting in shown},
                y="entropy, nats",
                alt=f"{title}, under {', '.join(shown)}. {_TABLE_BELOW}",
            ),
            legend=[_entry(series[setting], setting) for setting in shown],
            table=table_of_layers(profile, list(series)),
        )
    ]
    limit = max((float(np.abs(change).max()) for change in profile.change_by_head.values()), default=0.0)
    for setting, change in profile.change_by_head.items():
        layer, head = np.unravel_index(int(np.abs(change).argmax()), change.shape)
        most = f"Most in layer {layer}, head {head}: {change[layer, head]:+.3f} nats"
        figures.append(
            Figure(
                title=f"Change of entropy by layer and head: {setting}",
                caption=f"Paired difference from the baseline, mean over examples; n = {profile.n}. {most}.",
                drawing=draw_heat_map(
                    change,
                    # Nothing changed: any limit will do, but for zero.
                    limit or 1.0,
                    label="nats",
                    alt=f"Heat map of the change of entropy under {setting} by layer and head, in nats. {most}.",
                ),
                legend=(),
                table=_table_of_heads(change),
            )
        )
    return figures


def _table_of_heads(change: np.ndarray) -> Table:
    headings = ["layer", *(f"head {head}" for head in range(change.shape[1]))]
    return Table(headings, [[str(n), *(f"{value:+.3f}" for value in row)] for n, row in enumerate(change)])


def _entry(number: int, name: str) -> Entry:
    return Entry(MARKS[number % len(MARKS)], series_color(number), name)


def _n(counts: Sequence[int]) -> str:
    least, most = min(counts), max(counts)
    return f"n = {least}" if least == most else f"n = {least} to {most}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
