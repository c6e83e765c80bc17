"""The plot of a metric by position and length, for notebooks: its points are the means of the parts."""

import pytest
from sra_evaluations import Comparison
from sra_evaluations.report.feature_plot import draw_by_feature
from sra_evaluations.results.record import Record

from sra_rag import SRAConfig
from sra_rag.errors import ConfigError

SETTINGS = {"off": None, "on": SRAConfig(alpha=0.2).to_dict()}
POSITIONS = (0.0, 0.5, 1.0)


def comparison(tasks):
    """Two examples at each position: off is right at the end only, on is right in the middle half of the time too."""
    records = []
    for task, length in tasks.items():
        for number, position in enumerate(2 * POSITIONS):
            right = {"off": position == 1.0, "on": position == 1.0 or (position == 0.5 and number < 3)}
            records += [
                Record.from_dict(
                    {
                        "task": task, "example": f"e{number}", "setting": setting,
                        "scores": {"right": float(right[setting]), "f1": 0.25},
                        "features": {"position": position, "length": length},
                    }
                )
                for setting in SETTINGS
            ]  # fmt: skip
    manifest = {"settings": SETTINGS, "tasks": {task: {"examples": 6} for task in tasks}}
    return Comparison(manifest, records)


def lines(figure):
    """Return the heights of the points by the name of their setting."""
    (axes,) = figure.axes
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    drawn = [container[0].get_ydata().tolist() for container in axes.containers]
    return dict(zip(names, drawn, strict=True))


def test_the_points_are_the_means_by_position():
    figure = draw_by_feature(comparison({"needle": 500}), "needle", "position")
    assert lines(figure) == {"off": [0.0, 0.0, 1.0], "on": [0.0, 0.5, 1.0]}
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.5", "1"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("position", "answers right")


def test_another_metric_can_be_drawn():
    figure = draw_by_feature(comparison({"needle": 500}), "needle", "position", metric="f1")
    assert lines(figure) == {"off": [0.25] * 3, "on": [0.25] * 3}


def test_tasks_of_two_lengths_are_drawn_side_by_side():
    figure = draw_by_feature(comparison({"needle:length=500": 500, "needle:length=2000": 2000}), "needle", "length")
    assert lines(figure) == {"off": [pytest.approx(1 / 3)] * 2, "on": [pytest.approx(1 / 2)] * 2}
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["500", "2000"]


def test_a_feature_that_examples_do_not_differ_in_is_refused_with_those_that_they_do():
    with pytest.raises(ConfigError, match=r"'needle' do not differ in 'colour'. They differ in position\."):
        draw_by_feature(comparison({"needle": 500}), "needle", "colour")
    with pytest.raises(ConfigError, match="There is no task 'other'"):
        draw_by_feature(comparison({"needle": 500}), "other", "position")
