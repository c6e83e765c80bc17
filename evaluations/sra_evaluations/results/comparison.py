"""The results of a run: paired differences between settings, task by task, and a verdict on each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sra_evaluations.metrics import LOWER_IS_BETTER
from sra_evaluations.results.record import Record
from sra_evaluations.results.records import read_run
from sra_evaluations.results.statistics import PairedDifference, adjusted, paired_difference
from sra_rag.errors import ConfigError

__all__ = ["Comparison", "Finding", "Verdict"]

Verdict = Literal["helps", "hurts", "no difference shown"]

_COSTS = ("prefill_seconds", "decode_seconds_a_token", "peak_bytes")
_LEVEL = 0.05
# The metrics by which a task is judged, in order: the first that it has.
_HEADLINES = ("right", "gold_nats_per_token")


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One metric of one task: a setting against the baseline.

    Parameters
    ----------
    task, metric, setting, baseline
        What is compared.
    difference
        Other minus baseline, over the examples that both have.
    p_adjusted
        The p-value, corrected for the number of settings that the metric of this task was tried with (Benjamini and
        Hochberg).
    """

    task: str
    metric: str
    setting: str
    baseline: str
    difference: PairedDifference
    p_adjusted: float

    @property
    def verdict(self) -> Verdict:
        """The verdict: a difference counts if its interval excludes 0 and its corrected p is below 5%."""
        if not self.difference.shown or self.p_adjusted >= _LEVEL:
            return "no difference shown"
        return "helps" if (self.difference.difference > 0) != (self.metric in LOWER_IS_BETTER) else "hurts"


class Comparison:
    """The results of a run, paired example by example.

    Parameters
    ----------
    manifest, records
        From `sra_evaluations.results.records.read_run`.
    """

    def __init__(self, manifest: Mapping[str, Any], records: Sequence[Record]) -> None:
        self.manifest = manifest
        self.records = tuple(records)
        self._by_task: dict[str, dict[str, dict[str, Record]]] = {}
        # A file of questions may have changed, or fewer be asked than last time: what counts are the latest examples.
        wanted = {task: set(it["names"]) for task, it in manifest["tasks"].items() if "names" in it}
        for record in records:
            if record.example not in wanted.get(record.task, {record.example}):
                continue
            by_setting = self._by_task.setdefault(record.task, {})
            by_setting.setdefault(record.setting, {})[record.example] = record

    @classmethod
    def read(cls, folder: Path | str) -> Comparison:
        """Read what `compare` or ``sra-rag evaluate`` wrote."""
        return cls(*read_run(Path(folder)))

    @property
    def tasks(self) -> list[str]:
        """Tasks that have results."""
        return list(self._by_task)

    @property
    def settings(self) -> list[str]:
        """Settings in the order in which they were named."""
        return list(self.manifest["settings"])

    @property
    def baseline(self) -> str:
        """The setting that the others are compared with: the first that is off, else the first."""
        off = [name for name, sra in self.manifest["settings"].items() if sra is None]
        return (off or self.settings)[0]

    def metrics(self, task: str) -> list[str]:
        """Metrics that a task has, in the order in which they were measured."""
        found = {name: None for rows in self._rows(task).values() for row in rows.values() for name in row.scores}
        return list(found)

    def headline(self, task: str) -> str:
        """Return the metric by which a task is judged: answers right, or the likelihood where none are generated."""
        metrics = self.metrics(task)
        if not metrics:
            raise ConfigError(f"{task}: nothing was measured yet.")
        return next((name for name in _HEADLINES if name in metrics), metrics[0])

    def values(self, task: str, setting: str, metric: str, where: Mapping[str, Any] | None = None) -> dict[str, float]:
        """Return a metric by example; `where` keeps those with these features. `cost` metrics are values too."""
        values = {}
        for example, record in self._rows(task).get(setting, {}).items():
            if all(record.features.get(name) == value for name, value in (where or {}).items()):
                value = _cost(record, metric) if metric in _COSTS else record.scores.get(metric)
                if value is not None:
                    values[example] = value
        return values

    def features(self, task: str, name: str) -> list[Any]:
        """Values that a feature, such as ``position``, takes in a task, sorted."""
        rows = [row for by_example in self._rows(task).values() for row in by_example.values()]
        return sorted({row.features[name] for row in rows if name in row.features})

    def difference(
        self,
        metric: str,
        setting: str,
        *,
        task: str | None = None,
        baseline: str | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> PairedDifference:
        """Compare one setting with the baseline on the examples that both have.

        Parameters
        ----------
        metric, setting
            What to compare.
        task
            By default all tasks together.
        baseline
            By default `baseline`.
        where
            Keeps examples with these features, such as ``{"position": 0.5}``.

        Raises
        ------
        ConfigError
            If no example has the metric under both.
        """
        one: list[float] = []
        other: list[float] = []
        for name in [task] if task is not None else self.tasks:
            base = self.values(name, baseline or self.baseline, metric, where)
            new = self.values(name, setting, metric, where)
            shared = [example for example in base if example in new]
            one += [base[example] for example in shared]
            other += [new[example] for example in shared]
        if not one:
            raise ConfigError(
                f"No example has {metric!r} under both {baseline or self.baseline!r} and {setting!r}. Metrics are "
                f"{', '.join(sorted({m for t in self.tasks for m in self.metrics(t)}))}; settings are "
                f"{', '.join(self.settings)}."
            )
        return paired_difference(one, other)

    def findings(self, task: str, metric: str) -> list[Finding]:
        """Compare every other setting with the baseline, with p-values corrected for the number of settings."""
        others = [
            name
            for name in self.settings
            if name != self.baseline
            and self.values(task, name, metric).keys() & self.values(task, self.baseline, metric).keys()
        ]
        differences = [self.difference(metric, name, task=task) for name in others]
        corrected = adjusted([difference.p_value for difference in differences])
        return [
            Finding(task, metric, name, self.baseline, difference, p)
            for name, difference, p in zip(others, differences, corrected, strict=True)
        ]

    def verdict(self, setting: str, *, task: str, metric: str | None = None) -> Verdict:
        """Say whether a setting helps, for use in a test: ``assert comparison.verdict(...) != "hurts"``.

        Raises
        ------
        ConfigError
            If no example has the metric under both settings.
        """
        metric = metric or self.headline(task)
        self.difference(metric, setting, task=task)
        return next(finding.verdict for finding in self.findings(task, metric) if finding.setting == setting)

    def changed(self, task: str, setting: str) -> tuple[list[str], list[str]]:
        """Return the examples whose answer the setting made right, and those that it made wrong."""
        metric = self.headline(task)
        sign = -1 if metric in LOWER_IS_BETTER else 1
        base, other = self.values(task, self.baseline, metric), self.values(task, setting, metric)
        changes = {name: sign * (other[name] - value) for name, value in base.items() if name in other}
        better = sorted((name for name, change in changes.items() if change > 0), key=lambda name: -changes[name])
        worse = sorted((name for name, change in changes.items() if change < 0), key=lambda name: changes[name])
        return better, worse

    def examples(self, task: str, setting: str) -> list[str]:
        """Return the names of the examples that a setting has answered."""
        return list(self._rows(task).get(setting, {}))

    def record(self, task: str, setting: str, example: str) -> Record:
        """Return the record of one answer."""
        return self._rows(task)[setting][example]

    def _rows(self, task: str) -> dict[str, dict[str, Record]]:
        if task not in self._by_task:
            raise ConfigError(f"There is no task {task!r} among the results. There are {', '.join(self._by_task)}.")
        return self._by_task[task]


def _cost(record: Record, metric: str) -> float | None:
    """Seconds and memory, of examples that shared nothing with others."""
    if not record.timed:
        return None
    if metric == "peak_bytes":
        return record.peak_bytes
    if record.seconds is None or record.usage is None:
        return None
    if metric == "prefill_seconds":
        return record.seconds.prefill_seconds
    tokens = record.usage.completion_tokens - 1
    return record.seconds.decode_seconds / tokens if tokens > 0 else None
