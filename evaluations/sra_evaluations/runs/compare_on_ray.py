"""Run settings on examples in workers of Ray: all settings of an example in one of them, so that prefills are shared.

Each worker loads the model by its name, once, and has to find the one that the manifest names. The process that asked
writes the results, alone, as they come; a later run on Ray goes on from there, also with other workers. Nothing is
timed: workers on one machine slow each other down.
"""

from __future__ import annotations

import dataclasses
import gc
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sra_pipelines.ray.cluster import RayOptions, Workers, place_workers, ray_cluster
from sra_pipelines.ray.pieces import Piece, RayWorker, work_on_ray
from sra_pipelines.ray.versions import installed_versions

from sra_evaluations.examples import Example
from sra_evaluations.results.comparison import Comparison
from sra_evaluations.results.record import Record
from sra_evaluations.results.records import Records, example_name, write_examples
from sra_evaluations.runs.compare import RunPlan, plan_run, warn_of_skipped
from sra_evaluations.runs.measures import Measures
from sra_evaluations.runs.named_settings import Setting
from sra_evaluations.runs.run_task import Advance, Stop, answers, in_sharing_order
from sra_evaluations.tasks import Task
from sra_rag.config import SRALike
from sra_rag.errors import ConfigError
from sra_rag.generation.engine import Engine

__all__ = ["EvaluationWorker", "Load", "compare_on_ray"]

Load = Callable[[str], tuple[Engine, Measures]]
"""Takes a device map, as `sra_rag.load_model` does, and loads a model and what measures its answers."""

_CPUS = 4  # for each worker, where there is no GPU
_BESIDE_WEIGHTS = 2 << 30  # bytes: Python, PyTorch, prefills that are kept


class EvaluationWorker(RayWorker):
    """Answers examples with every setting."""

    def load(self, load: Load, model: Mapping[str, Any]) -> None:  # type: ignore[override]  # its own arguments
        """Load the model, which has to be the one that the manifest describes."""
        self._engine, measures = load("auto")
        self._measures = dataclasses.replace(measures, timed=0)
        found = self._engine.describe()
        different = [
            f"{name} {found[name]} instead of {wanted}" for name, wanted in model.items() if found[name] != wanted
        ]
        if different:
            raise ConfigError(
                f"it has another model than the machine where the command was started: {', '.join(different)}. Give "
                "every node the same files, and name the type of numbers (--dtype) where another is fastest on each."
            )

    def work(self, piece: Piece) -> Piece:
        """Take an example and settings, and return their records; ``skipped`` means that the example is too long."""
        example = Example.from_dict(piece.said["example"])
        settings = [Setting.from_dict(name, content) for name, content in piece.said["settings"].items()]
        records = []
        skipped = False
        for setting in in_sharing_order(settings):
            [(_, record)] = answers(self._engine, piece.said["task"], [example], setting, self._measures)
            if record is None:
                skipped = True
                break
            records.append(dataclasses.replace(record, worker=platform.node()).to_dict())
        return Piece({"task": piece.said["task"], "id": example.id, "records": records, "skipped": skipped})


def compare_on_ray(
    load: Load,
    tasks: Sequence[str | Task | tuple[str, Task]],
    settings: Sequence[Setting | SRALike],
    *,
    to: Path | str,
    ray: RayOptions | None = None,
    limit: int = 100,
    seed: int = 0,
    on_progress: Callable[[str], Advance] | None = None,
    stop: Stop | None = None,
) -> Comparison:
    """Run every setting on every example of every task on Ray, and continue where an earlier run stopped.

    Parameters
    ----------
    load
        Loads the model: once here, on the processor, to make the examples and to know it again, and once in each
        worker. A function of a module that is installed on every node, such as
        `sra_evaluations.runs.evaluate_tasks.load_by_name`, or a `functools.partial` of one.
    tasks, settings, to, limit, seed
        As for `sra_evaluations.compare`.
    ray
        The cluster and the number of workers; by default on this machine.
    on_progress
        Called with the name of each step and task; what it returns is called with (answers done, total).
    stop
        Stops the run after the next example that arrives; the next run asks again what the workers were answering then.

    Raises
    ------
    ConfigError
        If a task or setting is not allowed, the folder has other results, or memory does not suffice for the workers.
    MissingExtraError, RayError
        If Ray is not installed, cannot be reached, or one of its workers has another model or other versions.
    """
    start = on_progress or (lambda _: lambda done, total: None)
    options = ray or RayOptions()
    start("starting Ray")
    with ray_cluster(options):
        start("loading the model")
        engine, measures = load("cpu")
        plan = plan_run(engine, tasks, settings, limit=limit, seed=seed, measures=measures)
        plan.manifest["machine"] = {"ray": installed_versions(["ray"])["ray"]}
        weights = sum(tensor.numel() * tensor.element_size() for tensor in engine.loaded.model.state_dict().values())
        del engine, measures  # the workers have their own
        gc.collect()
        rows = sum(len(examples) for examples in plan.examples.values())
        workers = place_workers(options.workers, rows, cpus=_CPUS, memory=2 * weights + _BESIDE_WEIGHTS)
        records = Records(Path(to), plan.manifest)
        records.note({"workers": _described(workers)})
        for task, examples in plan.examples.items():
            write_examples(Path(to), task, examples)
        pieces = _unanswered(plan, records)
        arguments = {"load": load, "model": plan.manifest["model"]}
        with closing(
            work_on_ray(pieces, EvaluationWorker, workers, versions=plan.manifest["versions"], arguments=arguments)
        ) as found:
            _collect(plan, records, found, start, stop)
    return Comparison(records.manifest, records.records)


def _described(workers: Workers) -> dict[str, int]:
    return {
        "workers": workers.count,
        "nodes": workers.nodes,
        "cpus_a_worker": workers.cpus,
        "gpus_a_worker": workers.gpus,
    }


def _unanswered(plan: RunPlan, records: Records) -> list[Piece]:
    """Return each example with the settings that it has to be run with yet."""
    pieces = []
    for task, examples in plan.examples.items():
        for example in examples:
            name = example_name(example)
            left = {
                setting.name: setting.to_dict()
                for setting in plan.settings
                if (task, name, setting.name) not in records
            }
            if left:
                pieces.append(Piece({"task": task, "example": example.to_dict(), "settings": left}))
    return pieces


def _collect(
    plan: RunPlan,
    records: Records,
    found: Iterator[Piece],
    start: Callable[[str], Advance],
    stop: Stop | None,
) -> None:
    """Write the records that arrive, until all are there or it is time to stop."""
    bars = {task: start(task) for task in plan.examples}
    total = {task: len(examples) * len(plan.settings) for task, examples in plan.examples.items()}
    done = {
        task: sum(
            (task, example_name(example), setting.name) in records for example in examples for setting in plan.settings
        )
        for task, examples in plan.examples.items()
    }
    skipped: dict[str, list[str]] = {task: [] for task in plan.examples}
    for task, bar in bars.items():
        bar(done[task], total[task])
    while stop is None or not stop.is_set():
        piece = next(found, None)
        if piece is None:
            break
        task = piece.said["task"]
        for record in piece.said["records"]:
            records.add(Record.from_dict(record))
        if piece.said["skipped"]:
            skipped[task].append(piece.said["id"])
        done[task] += len(piece.said["records"])
        bars[task](done[task], total[task])
    for task, ids in skipped.items():
        warn_of_skipped(plan, task, ids)
