"""Run every setting on every example of every task, in a folder that a later run continues."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sra_evaluations.examples import Example, content_hash
from sra_evaluations.results.comparison import Comparison
from sra_evaluations.results.provenance import describe_machine, describe_versions
from sra_evaluations.results.records import Records, example_name, write_examples
from sra_evaluations.runs.measures import Measures, Scorer
from sra_evaluations.runs.named_settings import Setting, as_settings
from sra_evaluations.runs.run_task import Stop, run_task
from sra_evaluations.tasks import Task, load_task
from sra_rag.config import SRALike
from sra_rag.errors import ConfigError
from sra_rag.generation.engine_protocol import EngineProtocol

__all__ = ["RunPlan", "compare", "describe_run", "plan_run", "warn_of_skipped"]

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class RunPlan:
    """The examples and settings of a run.

    Parameters
    ----------
    manifest
        Model, versions, settings and tasks of the run.
    examples
        Examples by the name of their task.
    settings
        All settings of the run.
    context_window
        Context window of the model, in tokens.
    """

    manifest: dict[str, Any]
    examples: dict[str, Sequence[Example]]
    settings: list[Setting]
    context_window: int


def compare(
    engine: EngineProtocol,
    tasks: Sequence[str | Task | tuple[str, Task]],
    settings: Sequence[Setting | SRALike],
    *,
    to: Path | str,
    limit: int = 100,
    seed: int = 0,
    measures: Measures | None = None,
    on_progress: Callable[[str], Callable[[int, int], None]] | None = None,
    stop: Stop | None = None,
) -> Comparison:
    """Run every setting on every example of every task, and continue where an earlier run stopped.

    Parameters
    ----------
    engine
        The model, in this process or on a server. The ``sra`` that `load_model` was given is ignored.
    tasks
        Names as for `load_task`, or your own tasks, as a pair with a name if the name differs from theirs.
    settings
        None or ``"off"`` for off, and others; see `sra_evaluations.runs.named_settings`.
    to
        Folder for results. It is created, or continued if it has results of the same model, seed and versions.
    limit
        Maximum number of examples of each task.
    seed
        Seed of the examples.
    measures
        What to measure.
    on_progress
        Called with the name of each task; what it returns is called with (answers done, total).
    stop
        Stops the run after the current answer when it is set.

    Raises
    ------
    ConfigError
        If a task or setting is not allowed, or the folder has other results.
    """
    measures = measures or Measures()
    plan = plan_run(engine, tasks, settings, limit=limit, seed=seed, measures=measures)
    records = Records(Path(to), plan.manifest)
    for name, examples in plan.examples.items():
        write_examples(Path(to), name, examples)
        skipped = run_task(
            engine,
            name,
            examples,
            plan.settings,
            records,
            measures,
            on_progress=on_progress(name) if on_progress else None,
            stop=stop,
        )
        warn_of_skipped(plan, name, skipped)
    return Comparison(records.manifest, records.records)


def plan_run(
    engine: EngineProtocol,
    tasks: Sequence[str | Task | tuple[str, Task]],
    settings: Sequence[Setting | SRALike],
    *,
    limit: int,
    seed: int,
    measures: Measures,
) -> RunPlan:
    """Make the examples and the manifest of a run. The arguments are those of `compare`."""
    named = as_settings(settings)
    loaded = [
        (task, load_task(task)) if isinstance(task, str) else task if isinstance(task, tuple) else (task.name, task)
        for task in tasks
    ]
    if not loaded:
        raise ConfigError("There is no task to run. Name one; see sra_evaluations.task_names().")
    examples = {
        name: task.examples(limit, seed, lambda text: len(engine.encode(text).token_ids)) for name, task in loaded
    }
    manifest = describe_run(engine, seed, measures.max_new_tokens) | {
        "scorers": [_name_of(scorer) for scorer in measures.scorers],
        "settings": {setting.name: setting.to_dict() for setting in named},
        "tasks": {
            name: {
                "examples": len(task_examples),
                "sha256": content_hash(task_examples),
                "names": [example_name(example) for example in task_examples],
            }
            for name, task_examples in examples.items()
        },
    }
    return RunPlan(manifest, dict(examples), named, engine.context_window)


def warn_of_skipped(plan: RunPlan, task: str, skipped: Sequence[str]) -> None:
    """Log which examples were omitted because they are too long."""
    if skipped:
        _logger.warning(
            "%s: %d of %d examples are longer than the model's window of %d tokens and were omitted (%s).",
            task, len(skipped), len(plan.examples[task]), plan.context_window, ", ".join(skipped[:3]),
        )  # fmt: skip


def describe_run(engine: EngineProtocol, seed: int, max_new_tokens: int) -> dict[str, Any]:
    """Return the part of a manifest that every run has: model, versions, machine, seed."""
    server = {f"{name} on the server": version for name, version in sorted(engine.server_versions.items())}
    return {
        "format": 1,
        "model": engine.describe(),
        "versions": describe_versions() | server,
        "machine": describe_machine(None if engine.loaded is None else engine.loaded.device),
        "seed": seed,
        "max_new_tokens": max_new_tokens,
    }


def _name_of(scorer: Scorer) -> str:
    """Return a name that identifies a scorer: its class or function, and its model if it has one."""
    kind = getattr(scorer, "__qualname__", type(scorer).__qualname__)
    name = getattr(scorer, "name", None)
    return kind if name is None else f"{kind}: {name}"
