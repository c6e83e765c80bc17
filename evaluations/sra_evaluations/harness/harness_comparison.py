"""The harness's tasks under several settings of one model, its own metrics compared example by example."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

from sra_evaluations.harness.model import SRALM
from sra_evaluations.results.statistics import PairedDifference, paired_difference
from sra_evaluations.runs.named_settings import Setting
from sra_rag.errors import ConfigError, SRAError, first_line
from sra_rag.generation.engine import Engine

__all__ = ["HarnessFinding", "as_table", "compare_in_harness"]


@dataclasses.dataclass(frozen=True, slots=True)
class HarnessFinding:
    """One metric of one of the harness's tasks: a setting against the first one.

    Parameters
    ----------
    task, metric, filter
        Their names in the harness; a filter extracts the answer, ``"none"`` leaves it unchanged.
    higher_is_better
        Whether greater values are better, None if the task does not define it.
    setting, baseline
        What is compared.
    difference
        Setting minus baseline. Metrics of a whole corpus, such as BLEU, have no values of single examples; then there
        is no interval and no p-value (NaN).
    """

    task: str
    metric: str
    filter: str
    higher_is_better: bool | None
    setting: str
    baseline: str
    difference: PairedDifference


def compare_in_harness(
    engine: Engine,
    tasks: Sequence[str],
    settings: Sequence[Setting],
    *,
    to: Path,
    limit: int | None = None,
    num_fewshot: int | None = None,
    chat_template: bool = False,
    include_path: Path | None = None,
) -> list[HarnessFinding]:
    """Run tasks with every setting: the same examples, prompts and seeds.

    Parameters
    ----------
    engine
        The model.
    tasks
        Names that the harness knows, groups too.
    settings
        What to compare; the first is what the others are held against.
    to
        Folder; what the harness returns for each setting is written there as JSON, answers included.
    limit
        Examples of each task, at most.
    num_fewshot
        Number of examples with answers before each question; by default that of the task.
    chat_template
        Whether prompts go through the model's chat template.
    include_path
        A folder with your own tasks (YAML files).

    Raises
    ------
    ConfigError
        If the harness knows no such task, or its data cannot be loaded.
    """
    manager = TaskManager(include_path=None if include_path is None else str(include_path))
    unknown = [name for name in tasks if not manager.match_tasks([name])]
    if unknown:
        raise ConfigError(
            f"lm-evaluation-harness knows no task {', '.join(map(repr, unknown))}. `lm-eval ls tasks` lists them; "
            "--include-path adds a folder of your own."
        )
    to.mkdir(parents=True, exist_ok=True)
    results: dict[str, Mapping[str, Any]] = {}
    for setting in settings:
        try:
            found = simple_evaluate(
                model=SRALM(engine=engine, sra=setting.sra),
                tasks=list(tasks),
                limit=limit,
                num_fewshot=num_fewshot,
                apply_chat_template=chat_template,
                task_manager=manager,
                bootstrap_iters=0,
            )
        except SRAError:
            raise
        except OSError as error:
            raise ConfigError(
                f"The data of {', '.join(tasks)} could not be loaded: {first_line(error)}. Go online once, or "
                "give a task whose files are here."
            ) from error
        if found is None:
            raise ConfigError("The harness gave no results: it runs as one of several processes. Run one alone.")
        results[setting.name] = found
        path = to / f"harness-{''.join(c if c.isalnum() or c in '.=-_' else '_' for c in setting.name)}.json"
        path.write_text(json.dumps(found, default=str, ensure_ascii=False, indent=1), encoding="utf-8")
    baseline, *others = (setting.name for setting in settings)
    return [finding for other in others for finding in _findings(results, baseline, other)]


def as_table(findings: Sequence[HarnessFinding]) -> str:
    """Write findings as a Markdown table."""
    rows = [
        "| task | metric | n | baseline | setting | value | difference | 95% interval | p |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in findings:
        arrow = {True: " ↑", False: " ↓", None: ""}[one.higher_is_better]
        metric = one.metric + ("" if one.filter == "none" else f", {one.filter}") + arrow
        d = one.difference
        sure = "| |" if math.isnan(d.p_value) else f"{d.low:+.3g} to {d.high:+.3g} | {d.p_value:.3g} |"
        rows.append(
            f"| {one.task} | {metric} | {d.n} | {one.baseline}: {d.baseline:.4g} | {one.setting} | {d.other:.4g} | "
            f"{d.difference:+.4g} | {sure}"
        )
    return "\n".join(rows) + "\n"


def _findings(results: Mapping[str, Mapping[str, Any]], baseline: str, other: str) -> list[HarnessFinding]:
    findings = []
    for task, samples in results[baseline]["samples"].items():
        one, two = _values(samples), _values(results[other]["samples"][task])
        whole = results[baseline]["results"][task], results[other]["results"][task]
        for key in _metrics(whole[0]):
            metric, _, reading = key.partition(",")
            pairs = [(value, two[key][number]) for number, value in one.get(key, {}).items() if number in two[key]]
            if pairs:
                difference = paired_difference([base for base, _ in pairs], [new for _, new in pairs])
            else:
                n = len({sample["doc_id"] for sample in samples})
                difference = _unpaired(n, float(whole[0][key]), float(whole[1][key]))
            better = results[baseline]["higher_is_better"].get(task, {}).get(metric)
            findings.append(HarnessFinding(task, metric, reading, better, other, baseline, difference))
    return findings


def _metrics(results: Mapping[str, Any]) -> list[str]:
    """Keys of metrics, such as ``"acc,none"``, with a number; not those of their standard errors."""
    return [
        key for key, value in results.items() if "," in key and "_stderr," not in key and isinstance(value, int | float)
    ]


def _values(samples: Sequence[Mapping[str, Any]]) -> dict[str, dict[Any, float]]:
    """Values by metric and filter, and by example."""
    values: dict[str, dict[Any, float]] = {}
    for sample in samples:
        for metric in sample["metrics"]:
            if isinstance(sample[metric], bool | int | float):
                values.setdefault(f"{metric},{sample['filter']}", {})[sample["doc_id"]] = float(sample[metric])
    return values


def _unpaired(n: int, baseline: float, other: float) -> PairedDifference:
    return PairedDifference(n, baseline, other, other - baseline, math.nan, math.nan, math.nan, 0, 0)
