"""Read the ``[[row]]`` and ``[[metric]]`` tables of a preset file; errors name the line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sra_pipelines.metrics.metric import Metric, Metrics, RowNames
from sra_pipelines.presets.vocabulary_tables import table_fields, table_place
from sra_rag.errors import ConfigError

__all__ = ["join_metrics", "read_metrics"]

_ROW = {
    "name": str, "asked": list, "labels": list, "pages": list, "parts": list, "sign": str, "groups": list,
    "unlabelled": str,
}  # fmt: skip
_METRIC = {"name": str, "asked": list, "computed": list, "unit": str}


def read_metrics(values: Mapping[str, Any], path: str, text: str) -> tuple[tuple[RowNames, ...], tuple[Metric, ...]]:
    """Return the rows and the metrics of a file; formulas are read when all files are joined.

    Parameters
    ----------
    values
        The values of the file; ``row`` and ``metric`` are lists of tables.
    path, text
        Path and text of the file, for messages.

    Raises
    ------
    ConfigError
        If a table is invalid; the message names the file, the line and what is allowed.
    """
    rows = _read(values, path, text, "row", RowNames, _ROW, ("name", "labels", "pages"))
    metrics = _read(values, path, text, "metric", Metric, _METRIC, ("name", "asked", "computed"))
    return rows, metrics


def _read(
    values: Mapping[str, Any], path: str, text: str, name: str, kind: Any, keys: Mapping[str, type],
    required: tuple[str, ...],
) -> Any:  # fmt: skip
    made = []
    for number, table in enumerate(values.get(name, [])):
        where = table_place(path, text, name, number)
        try:
            made.append(kind(**table_fields(table, where, keys, required, {})))
        except ConfigError as error:
            raise error if str(error).startswith(where) else ConfigError(f"{where}: {error}") from error
    return tuple(made)


def join_metrics(parts: list[tuple[tuple[RowNames, ...], tuple[Metric, ...]]]) -> Metrics:
    """Join the rows and metrics of several files; of those with the same name, the first counts.

    Raises
    ------
    FormulaError
        If a formula cannot be read, or names a row that no file has.
    """
    rows = {row.name: row for own, _ in reversed(parts) for row in reversed(own)}
    metrics = {metric.name: metric for _, own in reversed(parts) for metric in reversed(own)}
    return Metrics(tuple(rows.values()), tuple(metrics.values()))
