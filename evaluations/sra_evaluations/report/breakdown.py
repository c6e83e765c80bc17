"""A metric by what examples differ in: position, length, passages, and whatever else a task records."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

import numpy as np

from sra_evaluations.results.comparison import Comparison
from sra_evaluations.results.statistics import Estimate, estimate, estimate_difference

__all__ = [
    "Breakdown",
    "Part",
    "attention_by_passage",
    "break_down",
    "lengths_of",
    "part_of_all",
    "parts_across_tasks",
    "too_many",
]

_BINS = 5
_MOST_VALUES = 12  # numbers beyond are put in bins, as are those of fewer than two examples each
_MOST_NAMES = 12
_MOST_PASSAGES = 20  # of a figure
_LENGTH = "prompt tokens"
# Prompts of one length differ by a few tokens; below this ratio of longest to shortest they count as the same.
_SPREAD = 1.25

Value = float | str
Values = Mapping[str, Mapping[str, float]]


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """Examples that have one value of a feature.

    Parameters
    ----------
    label
        The value, or the range.
    estimates
        Mean by setting.
    differences
        Other minus baseline, paired, by setting; their intervals are not corrected for the number of parts.
    """

    label: str
    estimates: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]


@dataclasses.dataclass(frozen=True, slots=True)
class Breakdown:
    """A metric by one feature.

    Parameters
    ----------
    title, feature, metric
        What is shown.
    numeric
        Whether the values are numbers, in their order.
    parts
        In order.
    """

    title: str
    feature: str
    metric: str
    numeric: bool
    parts: Sequence[Part]


def break_down(comparison: Comparison, task: str, metric: str) -> list[Breakdown]:
    """Break a metric down by every feature in which the examples of a task differ."""
    found = []
    values = {setting: comparison.values(task, setting, metric) for setting in comparison.settings}
    for feature, by_example in _features(comparison, task).items():
        groups = _groups(by_example)
        parts = [_part(label, _only(values, names), comparison.baseline) for label, names in groups.items()]
        parts = [part for part in parts if part.estimates]
        if len(parts) > 1:
            found.append(Breakdown(task, feature, metric, _numeric(by_example), parts))
    return found


def part_of_all(comparison: Comparison, task: str, metric: str) -> Breakdown:
    """Return a metric of a task as a whole, for tasks that cannot be broken down."""
    values = {setting: comparison.values(task, setting, metric) for setting in comparison.settings}
    return Breakdown(task, "all examples", metric, False, [_part("all", values, comparison.baseline)])


def attention_by_passage(comparison: Comparison, task: str) -> Breakdown | None:
    """Return the attention of the gold answer on each passage, by place in the prompt; None if it was not measured."""
    shares: dict[str, dict[str, tuple[float, ...]]] = {}
    for setting in comparison.settings:
        for name in comparison.examples(task, setting):
            if (found := comparison.record(task, setting, name).passage_attention) is not None:
                shares.setdefault(setting, {})[name] = found
    most = max((len(found) for by_example in shares.values() for found in by_example.values()), default=0)
    parts = []
    for place in range(min(most, _MOST_PASSAGES)):
        values = {
            setting: {name: found[place] for name, found in by_example.items() if place < len(found)}
            for setting, by_example in shares.items()
        }
        parts.append(_part(f"{place + 1}", values, comparison.baseline))
    return Breakdown(task, "passage", "passage_attention", True, parts) if parts else None


def too_many(comparison: Comparison, task: str) -> dict[str, int]:
    """Return the features that are not broken down because they have too many values, and how many."""
    return {
        feature: len(set(by_example.values()))
        for feature, by_example in _features(comparison, task).items()
        if not _numeric(by_example) and len(set(by_example.values())) > _MOST_NAMES
    }


def parts_across_tasks(comparison: Comparison) -> list[Breakdown]:
    """Hold tasks next to each other that are written alike but for one number, as ``needle:length=500`` and another."""
    families: dict[tuple[str, str, str, str], dict[float, str]] = {}
    for task in comparison.tasks:
        if comparison.metrics(task):
            name, options = _options(task)
            for option, number in (_constants(comparison, task) | _numbers(options)).items():
                others = ",".join(f"{key}={value}" for key, value in sorted(options.items()) if key != option)
                family = (name, others, option, comparison.headline(task))
                families.setdefault(family, {})[number] = task
    found = []
    for (name, others, option, metric), tasks in families.items():
        parts = []
        for number, task in sorted(tasks.items()):
            values = {setting: comparison.values(task, setting, metric) for setting in comparison.settings}
            parts.append(_part(f"{number:g}", values, comparison.baseline))
        parts = [part for part in parts if part.estimates]
        if len(parts) > 1:
            title = f"{name}:{others}" if others else name
            found.append(Breakdown(title, option, metric, True, parts))
    return found


def _part(label: str, values: Values, baseline: str) -> Part:
    base = values.get(baseline, {})
    differences = {}
    for setting, by_example in values.items():
        shared = [name for name in base if name in by_example]
        if setting != baseline and shared:
            differences[setting] = estimate_difference([base[n] for n in shared], [by_example[n] for n in shared])
    estimates = {setting: estimate(list(them.values())) for setting, them in values.items() if them}
    return Part(label, estimates, differences)


def _only(values: Values, names: set[str]) -> Values:
    return {
        setting: {n: value for n, value in by_example.items() if n in names} for setting, by_example in values.items()
    }


def _features(comparison: Comparison, task: str) -> dict[str, dict[str, Value]]:
    """Values by feature and example; the length of the prompt is one where lengths differ."""
    found: dict[str, dict[str, Value]] = {}
    lengths: dict[str, Value] = {}
    for setting in comparison.settings:
        for name in comparison.examples(task, setting):
            record = comparison.record(task, setting, name)
            for feature, value in record.features.items():
                plain = value if isinstance(value, int | float | str) else json.dumps(value)
                found.setdefault(feature, {})[name] = plain
            if record.prompt_tokens:
                lengths[name] = record.prompt_tokens
    numbers = [float(tokens) for tokens in lengths.values()]
    if numbers and max(numbers) >= _SPREAD * min(numbers):
        found[_LENGTH] = lengths
    return found


def lengths_of(comparison: Comparison, task: str) -> tuple[int, int] | None:
    """Return the shortest and the longest prompt of a task in tokens, None where they are not known."""
    records = (comparison.record(task, s, n) for s in comparison.settings for n in comparison.examples(task, s))
    found = [record.prompt_tokens for record in records if record.prompt_tokens]
    return (min(found), max(found)) if found else None


def _groups(by_example: Mapping[str, Value]) -> dict[str, set[str]]:
    """Examples by value, by range where there are many numbers; nothing where there are too many names."""
    groups: dict[str, set[str]] = {}
    distinct = set(by_example.values())
    if not _numeric(by_example):
        for name in sorted(by_example, key=lambda name: str(by_example[name])):
            groups.setdefault(str(by_example[name]), set()).add(name)
        return groups if len(distinct) <= _MOST_NAMES else {}
    numbers = {name: float(value) for name, value in by_example.items()}
    if len(distinct) <= _BINS or (len(distinct) <= _MOST_VALUES and len(numbers) >= 2 * len(distinct)):
        for name in sorted(numbers, key=lambda name: numbers[name]):
            groups.setdefault(f"{round(numbers[name], 3):g}", set()).add(name)
        return groups
    edges = np.quantile(sorted(numbers.values()), np.arange(1, _BINS) / _BINS)
    binned: dict[int, set[str]] = {}
    for name, number in numbers.items():
        binned.setdefault(int(np.searchsorted(edges, number)), set()).add(name)
    for _, names in sorted(binned.items()):
        within = [numbers[name] for name in names]
        groups[f"{min(within):.4g} to {max(within):.4g}"] = names
    return groups


def _numeric(by_example: Mapping[str, Value]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in by_example.values())


def _constants(comparison: Comparison, task: str) -> dict[str, float]:
    """Numeric features that are the same in all examples of a task, such as a length that its name leaves out."""
    return {
        feature: float(next(iter(by_example.values())))
        for feature, by_example in _features(comparison, task).items()
        if feature != _LENGTH and _numeric(by_example) and len(set(by_example.values())) == 1
    }


def _options(task: str) -> tuple[str, dict[str, str]]:
    name, _, written = task.partition(":")
    pairs = (part.partition("=") for part in written.split(",") if part)
    return name, {key: value for key, _, value in pairs}


def _numbers(options: Mapping[str, str]) -> dict[str, float]:
    numbers = {}
    for key, value in options.items():
        try:
            numbers[key] = float(value)
        except ValueError:
            continue
    return numbers
