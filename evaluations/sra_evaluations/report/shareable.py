"""A report that can be shared: figures, versions and hashes, and no text of documents, questions or answers."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sra_evaluations.report.breakdown import break_down
from sra_evaluations.results.comparison import Comparison
from sra_evaluations.results.records import write_whole
from sra_evaluations.results.statistics import estimate
from sra_evaluations.runs.named_settings import parse_setting
from sra_evaluations.tasks import load_task
from sra_rag.errors import ConfigError

__all__ = ["shareable", "write_shareable"]

_MODEL = ("architecture", "parameters", "dtype", "weights_sha256", "chat_template_sha256", "context_window")
_FEATURES = ("position", "passages", "pairs", "length", "prompt tokens")
_COSTS = ("prefill_seconds", "decode_seconds_a_token", "peak_bytes")


def write_shareable(comparison: Comparison, path: Path) -> None:
    """Write `shareable` as JSON; the file is written completely or not at all."""
    write_whole(path, json.dumps(shareable(comparison), indent=2) + "\n")


def shareable(comparison: Comparison) -> dict[str, Any]:
    """Return the results, without any text that comes from the user.

    Documents, questions, answers, names of examples and of features, addresses and paths are omitted. Tasks are named
    by their kind and their options without paths. A setting keeps its name if the name is the setting as written;
    otherwise it has a number.

    Returns
    -------
    report
        JSON-ready values; an interval that is not known is null.
    """
    manifest = comparison.manifest
    settings = {name: _setting_name(number, name, manifest) for number, name in enumerate(comparison.settings, start=1)}
    return {
        "format": 1,
        "model": {name: manifest["model"][name] for name in _MODEL if name in manifest["model"]},
        "versions": dict(manifest["versions"]),
        "machine": dict(manifest["machine"]),
        "seed": manifest["seed"],
        "max_new_tokens": manifest["max_new_tokens"],
        "baseline": settings[comparison.baseline],
        "settings": {settings[name]: content for name, content in manifest["settings"].items()},
        "tasks": [_task(comparison, task, number, settings) for number, task in enumerate(comparison.tasks, start=1)],
    }


def _setting_name(number: int, name: str, manifest: Mapping[str, Any]) -> str:
    try:
        written = parse_setting(name).to_dict() == manifest["settings"][name]
    except ConfigError:
        written = False
    return name if written and not Path(name).exists() else f"setting {number}"


def _task(comparison: Comparison, task: str, number: int, settings: Mapping[str, str]) -> dict[str, Any]:
    about = comparison.manifest["tasks"].get(task, {})
    kind, options = _kind_and_options(task, number)
    return {
        "task": kind,
        "options": options,
        "examples": about.get("examples"),
        "examples_sha256": about.get("sha256"),
        "metrics": {name: _metric(comparison, task, name, settings) for name in _metrics(comparison, task)},
        "by": {
            breakdown.feature: [
                {"value": part.label}
                | {settings[name]: _numbers(dataclasses.asdict(found)) for name, found in part.estimates.items()}
                for part in breakdown.parts
            ]
            for breakdown in break_down(comparison, task, comparison.headline(task))
            if breakdown.feature in _FEATURES and breakdown.numeric
        },
    }


def _metrics(comparison: Comparison, task: str) -> list[str]:
    timed = [name for name in _COSTS if any(comparison.values(task, s, name) for s in comparison.settings)]
    return [*comparison.metrics(task), *timed]


def _metric(comparison: Comparison, task: str, metric: str, settings: Mapping[str, str]) -> dict[str, Any]:
    findings = {finding.setting: finding for finding in comparison.findings(task, metric)}
    found: dict[str, Any] = {}
    for name, shown in settings.items():
        values = list(comparison.values(task, name, metric).values())
        if values:
            found[shown] = {"mean": _numbers(dataclasses.asdict(estimate(values)))}
        if name in findings:
            paired = _numbers(dataclasses.asdict(findings[name].difference))
            found[shown] |= {"difference": paired, "p_adjusted": findings[name].p_adjusted}
            found[shown] |= {"verdict": findings[name].verdict}
    return found


def _numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def _kind_and_options(task: str, number: int) -> tuple[str, dict[str, Any]]:
    """Return the kind of a task, and its options that hold no path; a task of the caller has only a number."""
    try:
        loaded = load_task(task)
    except ConfigError:
        return f"task {number}", {}
    hints = typing.get_type_hints(type(loaded))
    options = {}
    for field in dataclasses.fields(typing.cast("Any", loaded)):
        value = getattr(loaded, field.name)
        kinds = typing.get_args(hints[field.name]) or (hints[field.name],)
        # Of texts only those of a fixed choice are certain to be no path or name.
        if Path in kinds or (isinstance(value, str) and str in kinds):
            continue
        options[field.name] = value
    return loaded.name, options
