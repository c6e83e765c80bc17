"""What ``sra-rag evaluate`` does once its options are checked: run the tasks here or on Ray, and write the report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import typer
from rich.console import Console
from sra_pipelines.commands.engine_choice import EngineChoice, open_engine
from sra_pipelines.commands.library_notices import quiet_libraries
from sra_pipelines.commands.progress_bar import progress_bars
from sra_pipelines.ray.cluster import RayOptions

from sra_evaluations.results.comparison import Comparison
from sra_evaluations.runs.compare import compare
from sra_evaluations.runs.compare_on_ray import compare_on_ray
from sra_evaluations.runs.finished_runs import show_report
from sra_evaluations.runs.interrupts import INTERRUPTED, stopped_by_interrupt
from sra_evaluations.runs.measures import Measures, Scorer
from sra_evaluations.runs.named_settings import Setting
from sra_evaluations.tasks import Task
from sra_rag.generation.engine import Engine
from sra_rag.generation.engine_protocol import EngineProtocol
from sra_rag.models.embedded import EMBEDDED_NAME
from sra_rag.models.loading import load_model

__all__ = ["Evaluation", "evaluate_here", "evaluate_on_ray", "load_by_name"]


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluation:
    """What to run and what to measure, as the options of ``sra-rag evaluate`` give it.

    Parameters
    ----------
    tasks
        Tasks with the names that they have in results.
    settings
        Settings to compare.
    to
        Folder of results and report.
    limit
        Maximum number of examples of each task.
    seed
        Seed of the examples.
    generate, max_new_tokens
        As for `Measures`.
    nli, judge
        Names of the models that score answers, None for none.
    share
        File for a report without texts, None for none.
    """

    tasks: list[tuple[str, Task]]
    settings: list[Setting]
    to: Path
    limit: int
    seed: int
    generate: bool
    max_new_tokens: int
    nli: str | None
    judge: str | None
    share: Path | None = None


def evaluate_here(evaluation: Evaluation, choice: EngineChoice, batch_size: int | None) -> None:
    """Ask a model in this process, or on a server, and write the report.

    Parameters
    ----------
    evaluation
        What to run.
    choice
        Which model, and where it runs.
    batch_size
        Number of examples that are answered at once; by default what suits the place where the model runs.

    Raises
    ------
    typer.Exit
        After the report of a run that Ctrl-C stopped.
    """
    quiet_libraries()
    console = Console(stderr=True)
    with stopped_by_interrupt() as stop:
        with progress_bars(console) as start, open_engine(choice, start=start) as engine:
            measures = Measures(
                generate=evaluation.generate,
                max_new_tokens=evaluation.max_new_tokens,
                batch_size=batch_size or max(Measures().batch_size, engine.in_flight),
                scorers=tuple(_scorers(evaluation.nli, evaluation.judge, engine, start)),
            )
            comparison = compare(
                engine,
                evaluation.tasks,
                evaluation.settings,
                to=evaluation.to,
                limit=evaluation.limit,
                seed=evaluation.seed,
                measures=measures,
                on_progress=start,
                stop=stop,
            )
        interrupted = stop.is_set()
    _end(comparison, evaluation, console, interrupted=interrupted)


def evaluate_on_ray(evaluation: Evaluation, ray: RayOptions, *, model: str | None, dtype: str) -> None:
    """Ask models in Ray workers, and write the report.

    Parameters
    ----------
    evaluation
        What to run.
    ray
        The cluster and the number of workers.
    model, dtype
        As for `load_by_name`; by default the embedded model.

    Raises
    ------
    typer.Exit
        After the report of a run that Ctrl-C stopped.
    """
    quiet_libraries()
    console = Console(stderr=True)
    load = partial(
        load_by_name,
        model=_absolute(model) or EMBEDDED_NAME,
        dtype=dtype,
        nli=_absolute(evaluation.nli),
        judge=_absolute(evaluation.judge),
        generate=evaluation.generate,
        max_new_tokens=evaluation.max_new_tokens,
    )
    with stopped_by_interrupt() as stop:
        with progress_bars(console) as start:
            comparison = compare_on_ray(
                load,
                evaluation.tasks,
                evaluation.settings,
                to=evaluation.to,
                ray=ray,
                limit=evaluation.limit,
                seed=evaluation.seed,
                on_progress=start,
                stop=stop,
            )
        interrupted = stop.is_set()
    _end(comparison, evaluation, console, interrupted=interrupted)


def load_by_name(
    device_map: str,
    *,
    model: str,
    dtype: str = "auto",
    nli: str | None = None,
    judge: str | None = None,
    generate: bool = True,
    max_new_tokens: int = Measures().max_new_tokens,
) -> tuple[Engine, Measures]:
    """Load a model and the models that score its answers by their names, as each Ray worker does.

    Parameters
    ----------
    device_map, model, dtype
        As for `sra_rag.load_model`.
    nli, judge
        Names of the models that score answers, None for none.
    generate, max_new_tokens
        As for `Measures`.
    """
    engine = Engine(load_model(model, dtype=dtype, device_map=device_map))
    scorers = tuple(_scorers(nli, judge, engine, lambda _: None))
    return engine, Measures(generate=generate, max_new_tokens=max_new_tokens, scorers=scorers)


def _end(comparison: Comparison, evaluation: Evaluation, console: Console, *, interrupted: bool) -> None:
    """Write the reports, and print a note if the run was stopped."""
    show_report(comparison, evaluation.to, evaluation.share, console)
    if interrupted:
        console.print("Stopped. The same command continues from here.")
        raise typer.Exit(INTERRUPTED)


def _absolute(name: str | None) -> str | None:
    """Make a path absolute: a worker has another working directory."""
    return str(Path(name).resolve()) if name and Path(name).exists() else name


def _scorers(
    nli: str | None, judge: str | None, engine: EngineProtocol, start: Callable[[str], object]
) -> Iterator[Scorer]:
    if nli:
        from sra_evaluations.metrics.entailment import EntailmentScorer

        start(f"loading {nli}")
        yield EntailmentScorer(nli)
    if judge:
        from sra_evaluations.metrics.judge import load_judge

        start(f"loading {judge}")
        yield load_judge(judge, engine.loaded)
