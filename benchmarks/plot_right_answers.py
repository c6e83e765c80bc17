"""Draw the plot of right answers in the README, with and without evidence, from committed results.

    python benchmarks/plot_right_answers.py

``docs/results/right_answers.json`` has one row per model and task, with the number of questions and of right answers.
`docs/measurements.md` lists the commands that produced them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "sra-rag"  # the same file for the same results

import matplotlib.pyplot as plt  # noqa: E402 - after the choice of the backend
from scipy.stats import binomtest  # noqa: E402

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Write ``docs/images/right_answers.svg``."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rows = json.loads((DOCS / "results" / "right_answers.json").read_text(encoding="utf-8"))
    figure, axes = plt.subplots(figsize=(8, 0.75 * len(rows) + 1.1), layout="constrained")
    for number, row in enumerate(reversed(rows)):
        for offset, name, colour in ((0.18, "off", "#9aa5b1"), (-0.18, "evidence", "#1f7a5c")):
            interval = binomtest(row[name], row["questions"]).proportion_ci(method="wilson")
            share = row[name] / row["questions"]
            error = [[100 * (share - interval.low)], [100 * (interval.high - share)]]
            axes.barh(
                number + offset, 100 * share, height=0.34, color=colour, xerr=error, ecolor="#334e68", capsize=2,
                label=f"{name}" if number == 0 else None,
            )  # fmt: skip
            axes.text(102, number + offset, f"{row[name]} of {row['questions']}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [f"{row['model']}\n{row['task']}" for row in reversed(rows)], fontsize=8)
    axes.set_xlim(0, 100)
    axes.set_xlabel("right answers, % (95% interval)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper right", ncols=2, frameon=False)
    (DOCS / "images").mkdir(exist_ok=True)
    figure.savefig(DOCS / "images" / "right_answers.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
