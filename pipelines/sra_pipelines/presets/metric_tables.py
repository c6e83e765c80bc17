"""Read the ``[[row]]`` and ``[[metric]]`` tables of a preset file, and further names for them; errors name the line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from sra_pipelines.metrics.metric import Metric, Metrics, RowNames
from sra_pipelines.presets.vocabulary_tables import table_fields, table_place
from sra_pipelines.retrieval.vocabulary import compiled
from sra_rag.errors import ConfigError

__all__ = ["METRIC_TABLES", "FurtherNames", "MetricTables", "join_metrics", "read_metrics"]

METRIC_TABLES = ("row", "metric", "row_names", "metric_names")
"""Names of the tables that `read_metrics` reads."""

_ROW = {
    "name": str, "asked": list, "labels": list, "pages": list, "parts": list, "sign": str, "groups": list,
    "unlabelled": str,
}  # fmt: skip
_METRIC = {"name": str, "asked": list, "computed": list, "unit": str}
_ROW_NAMES = {"row": str, "asked": list, "labels": list, "parts": list, "groups": list}
_METRIC_NAMES = {"metric": str, "asked": list}


@dataclasses.dataclass(frozen=True, slots=True)
class FurtherNames:
    """Further names of a row or metric, such as those in another language.

    Parameters
    ----------
    kind
        ``"row"`` or ``"metric"``.
    name
        Name of the row or metric.
    names
        What is added to its fields: texts by the name of the field.
    where
        File and line, for messages.
    """

    kind: str
    name: str
    names: Mapping[str, tuple[str, ...]]
    where: str

    def __post_init__(self) -> None:
        for patterns in self.names.values():
            for pattern in patterns:
                compiled(pattern)

    def add_to(self, named: dict[str, Any]) -> None:
        """Add the names to one of several rows or metrics.

        Raises
        ------
        ConfigError
            If there is none with the name.
        """
        if self.name not in named:
            known = ", ".join(named) or f"a file with {self.kind} tables too"
            raise ConfigError(f"{self.where}: there is no {self.kind} {self.name!r}. Use {known}.")
        own = named[self.name]
        fields = {field: (*getattr(own, field), *texts) for field, texts in self.names.items()}
        named[self.name] = dataclasses.replace(own, **fields)


@dataclasses.dataclass(frozen=True, slots=True)
class MetricTables:
    """The tables of a file.

    Parameters
    ----------
    rows, metrics
        Its rows and metrics.
    names
        Further names of rows and metrics, which can be those of other files.
    """

    rows: tuple[RowNames, ...]
    metrics: tuple[Metric, ...]
    names: tuple[FurtherNames, ...]


def read_metrics(values: Mapping[str, Any], path: str, text: str) -> MetricTables:
    """Return the tables of a file; formulas are read when all files are joined.

    Parameters
    ----------
    values
        The values of the file; those of `METRIC_TABLES` are lists of tables.
    path, text
        Path and text of the file, for messages.

    Raises
    ------
    ConfigError
        If a table is invalid; the message names the file, the line and what is allowed.
    """

    def names(kind: str) -> Any:
        def made(where: str, **fields: Any) -> FurtherNames:
            return FurtherNames(kind, fields.pop(kind), fields, where)

        return made

    rows = _read(values, path, text, "row", lambda _, **fields: RowNames(**fields), _ROW, ("name", "labels", "pages"))
    metrics = _read(
        values, path, text, "metric", lambda _, **fields: Metric(**fields), _METRIC, ("name", "asked", "computed")
    )
    further = _read(values, path, text, "row_names", names("row"), _ROW_NAMES, ("row",))
    further += _read(values, path, text, "metric_names", names("metric"), _METRIC_NAMES, ("metric", "asked"))
    return MetricTables(rows, metrics, further)


def _read(
    values: Mapping[str, Any], path: str, text: str, name: str, make: Any, keys: Mapping[str, type],
    required: tuple[str, ...],
) -> Any:  # fmt: skip
    made = []
    for number, table in enumerate(values.get(name, [])):
        where = table_place(path, text, name, number)
        try:
            made.append(make(where, **table_fields(table, where, keys, required, {})))
        except ConfigError as error:
            raise error if str(error).startswith(where) else ConfigError(f"{where}: {error}") from error
    return tuple(made)


def join_metrics(parts: Sequence[MetricTables]) -> Metrics:
    """Join the rows and metrics of several files; of those with the same name, the first counts.

    Raises
    ------
    ConfigError
        If further names are for a row or metric that no file has.
    FormulaError
        If a formula cannot be read, or names a row that no file has.
    """
    rows = {row.name: row for part in reversed(parts) for row in reversed(part.rows)}
    metrics = {metric.name: metric for part in reversed(parts) for metric in reversed(part.metrics)}
    for names in (names for part in parts for names in part.names):
        names.add_to(rows if names.kind == "row" else metrics)
    return Metrics(tuple(rows.values()), tuple(metrics.values()))
