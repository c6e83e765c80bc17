"""Draw right answers with and without evidence from committed results: by model and task, and by place of the passage.

    python benchmarks/plot_right_answers.py

``docs/results/right_answers.json`` has one row per model and task, with the number of questions and of right answers;
``docs/results/right_by_place.json`` one per model, with the number of questions, and of right answers at each place.
`docs/measurements.md` lists the commands that produced them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "sra-rag"  # the same file for the same results

import matplotlib.pyplot as plt  # noqa: E402 - after the choice of the backend
from matplotlib.figure import Figure  # noqa: E402
from scipy.stats import binomtest  # noqa: E402

DOCS = Path(__file__).parents[1] / "docs"


COLOURS = {"off": "#9aa5b1", "evidence": "#1f7a5c"}


def main() -> None:
    """Write ``docs/images/right_answers.svg`` and ``right_by_place.svg``."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    (DOCS / "images").mkdir(exist_ok=True)
    for name, draw in (("right_answers", _by_task), ("right_by_place", _by_place)):
        rows = json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
        draw(rows).savefig(DOCS / "images" / f"{name}.svg", metadata={"Date": None})


def _by_task(rows: list[dict[str, Any]]) -> Figure:
    figure, axes = plt.subplots(figsize=(8, 0.75 * len(rows) + 1.1), layout="constrained")
    for number, row in enumerate(reversed(rows)):
        for offset, (name, colour) in zip((0.18, -0.18), COLOURS.items(), strict=True):
            share, error = _percent(row[name], row["questions"])
            axes.barh(
                number + offset, share, height=0.34, color=colour, xerr=[[error[0]], [error[1]]], ecolor="#334e68",
                capsize=2, label=f"{name}" if number == 0 else None,
            )  # fmt: skip
            axes.text(102, number + offset, f"{row[name]} of {row['questions']}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [f"{row['model']}\n{row['task']}" for row in reversed(rows)], fontsize=8)
    axes.set_xlim(0, 100)
    axes.set_xlabel("right answers, % (95% interval)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper right", ncols=2, frameon=False)
    return figure


def _by_place(rows: list[dict[str, Any]]) -> Figure:
    figure, panels = plt.subplots(1, len(rows), figsize=(9, 3.2), sharey=True, layout="constrained")
    for axes, row in zip(panels, rows, strict=True):
        for offset, (name, colour) in zip((-0.06, 0.06), COLOURS.items(), strict=True):
            found = [_percent(right, row["questions"]) for right in row[name]]
            places = [place + offset for place in range(len(found))]
            errors = list(zip(*(error for _, error in found), strict=True))
            axes.errorbar(
                places, [share for share, _ in found], errors, color=colour, marker="o", capsize=2, label=name
            )
        axes.set_xticks(range(len(row["places"])), row["places"], fontsize=8)
        axes.set_title(f"{row['model']}, {row['questions']} questions", fontsize=10)
        axes.set_xlabel("place of the right passage of ten")
        axes.set_ylim(0, 100)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("right answers, % (95% interval)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
    return figure


def _percent(right: int, questions: int) -> tuple[float, tuple[float, float]]:
    """Return a share in per cent, and the lengths of its interval below and above."""
    interval = binomtest(right, questions).proportion_ci(method="wilson")
    share = right / questions
    return 100 * share, (100 * (share - interval.low), 100 * (interval.high - share))


if __name__ == "__main__":
    main()
