"""The subcommand ``sra-rag evaluate``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from sra_pipelines.commands.engine_choice import (
    HERE,
    SERVED_AT_ONCE,
    EngineChoice,
    EngineKey,
    EngineOption,
    EngineTokenizer,
    EngineWindow,
    ServedModelName,
    open_engine,
)
from sra_pipelines.commands.library_notices import quiet_libraries
from sra_pipelines.commands.terminal import progress_bars
from sra_pipelines.ray.cluster import RayOptions

from sra_evaluations.report import write_report
from sra_evaluations.runs.compare import compare
from sra_evaluations.runs.compare_on_ray import compare_on_ray
from sra_evaluations.runs.interrupts import INTERRUPTED, stopped_by_interrupt
from sra_evaluations.runs.named_settings import as_settings, parse_setting
from sra_evaluations.runs.rescoring import rescored
from sra_evaluations.runs.run_task import Measures, Scorer
from sra_evaluations.tasks import load_task, task_options
from sra_rag.errors import ConfigError
from sra_rag.generation.engine import Engine
from sra_rag.generation.engine_protocol import EngineProtocol
from sra_rag.models.embedded import EMBEDDED_NAME
from sra_rag.models.loading import load_model

__all__ = ["evaluate", "load_by_name"]

_IN_BATCH = Measures().batch_size

Tasks = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TASK",
        show_default=False,
        help="NAME, NAME:option=value,option=value or a .jsonl file of your own questions. Names and options: "
        + "; ".join(f"{name} ({', '.join(options)})" for name, options in task_options().items()),
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--sra",
        metavar="SETTING",
        help="A setting, and again for each other: off, 0.2 (alpha), option=value,option=value or a profile.json; "
        "NAME: in front names it. By default off and 0.2.",
    ),
]
Dtype = Annotated[str, typer.Option(metavar="TYPE", help="float32, bfloat16, float16, or auto: what is fastest here.")]
To = Annotated[Path, typer.Option(metavar="FOLDER", help="Results and report; a run that was stopped goes on in it.")]
Limit = Annotated[int, typer.Option(min=1, metavar="N", help="Examples of each task, at most.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Of the examples.")]
MaxNewTokens = Annotated[int, typer.Option(min=1, metavar="N", help="Tokens that an answer may take.")]
BatchSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        show_default=False,
        help=f"Examples that are answered at once: by default {_IN_BATCH} by a model in this process, "
        f"{SERVED_AT_ONCE} by a server.",
    ),
]
Generate = Annotated[
    bool,
    typer.Option(
        " /--no-generate", show_default=False, help="Generate no answers, measure only the likelihood of gold ones."
    ),
]
Nli = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Also score the share of sentences that this NLI cross-encoder, a name on the hub or a folder, finds "
        "entailed by the passages.",
    ),
]
Judge = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Also have a model judge whether answers are faithful and correct: a model as for --model, or "
        "provider:model, such as openai:gpt-5, through LangChain.",
    ),
]
Ray = Annotated[bool, typer.Option("--ray", help="Ask in workers of Ray, started on this machine; see --ray-address.")]
RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Ask in workers on this cluster of Ray: auto (that of this machine), or HOST:PORT. Each "
        "loads the model by its name.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Workers of Ray; by default one a GPU, or one for four processors as far as memory suffices.",
    ),
]
ReportOnly = Annotated[
    bool,
    typer.Option("--report-only", help="Run nothing; score the answers in the folder anew and write the report."),
]


def evaluate(
    tasks: Tasks = None,
    settings: Settings = None,
    model: ServedModelName = None,
    to: To = Path("evaluation"),
    limit: Limit = 100,
    seed: Seed = 0,
    max_new_tokens: MaxNewTokens = 48,
    batch_size: BatchSize = None,
    generate: Generate = True,
    nli: Nli = None,
    judge: Judge = None,
    report_only: ReportOnly = False,
    dtype: Dtype = "auto",
    engine: EngineOption = HERE,
    engine_key: EngineKey = None,
    tokenizer: EngineTokenizer = None,
    window: EngineWindow = None,
    ray: Ray = False,
    ray_address: RayAddress = None,
    workers: Workers = None,
) -> None:
    """Measure whether reattention helps a model: the same prompts with every setting, answers compared in pairs.

    For example:

      sra-rag evaluate documents --sra off --sra alpha=0.3,rows=after_context

      sra-rag evaluate needle:length=4000 key-value:pairs=50 --to results

      sra-rag evaluate my-questions.jsonl --sra off --sra profile.json

      sra-rag evaluate documents --engine http://localhost:8000/v1

      sra-rag evaluate --report-only --to results

    Writes report.html, summary.md and every answer (records.jsonl) into the
    folder. Ctrl-C ends it behind the present answer; the same command goes on
    from there. docs/evaluation.md says what tasks, options and metrics mean.
    """
    chosen = as_settings([parse_setting(text) for text in settings or ["off", "0.2"]])
    tasks = tasks or []
    loaded = [load_task(text) for text in tasks]  # refused before anything is loaded
    if not tasks and not report_only:
        raise ConfigError(
            f"There is no task to run. Name one or more of {', '.join(task_options())}, or a .jsonl file."
        )
    if (nli or judge) and not generate:
        raise ConfigError("--nli and --judge judge answers; with --no-generate there are none. Leave one of them out.")
    choice = EngineChoice(engine, model, engine_key, tokenizer, window, dtype)
    if workers is not None and not (ray or ray_address):
        raise ConfigError("--workers are workers of Ray. Give --ray or --ray-address too, or leave it out.")
    on_ray = RayOptions(ray_address, workers) if ray or ray_address else None
    if on_ray is not None and engine != HERE:
        raise ConfigError(
            f"--engine {engine} and --ray cannot go together: workers of Ray load a model of their own. Leave one out."
        )
    if on_ray is not None and batch_size is not None:
        raise ConfigError("--batch-size says nothing to workers of Ray, which answer example by example. Leave it out.")
    quiet_libraries()
    console = Console(stderr=True)
    if report_only:
        comparison = rescored(to)
    elif on_ray is not None:
        load = partial(
            load_by_name,
            model=_from_anywhere(model) or EMBEDDED_NAME,
            dtype=dtype,
            nli=_from_anywhere(nli),
            judge=_from_anywhere(judge),
            generate=generate,
            max_new_tokens=max_new_tokens,
        )
        with stopped_by_interrupt() as stop:
            with progress_bars(console) as start:
                comparison = compare_on_ray(
                    load,
                    list(zip(tasks, loaded, strict=True)),
                    chosen,
                    to=to,
                    ray=on_ray,
                    limit=limit,
                    seed=seed,
                    on_progress=start,
                    stop=stop,
                )
            interrupted = stop.is_set()
    else:
        with stopped_by_interrupt() as stop:
            with progress_bars(console) as start, open_engine(choice, start=start) as measured:
                scorers = tuple(_scorers(nli, judge, measured, start))
                comparison = compare(
                    measured,
                    list(zip(tasks, loaded, strict=True)),
                    chosen,
                    to=to,
                    limit=limit,
                    seed=seed,
                    measures=Measures(
                        generate=generate,
                        max_new_tokens=max_new_tokens,
                        batch_size=batch_size or max(_IN_BATCH, measured.in_flight),
                        scorers=scorers,
                    ),
                    on_progress=start,
                    stop=stop,
                )
            interrupted = stop.is_set()
    report = write_report(comparison, to)
    sys.stdout.write(report.summary.read_text(encoding="utf-8"))
    console.print(f"Report: {report.html}", soft_wrap=True, markup=False, highlight=False)
    if not report_only and interrupted:
        console.print("Stopped. The same command goes on from here.")
        raise typer.Exit(INTERRUPTED)


def load_by_name(
    device_map: str,
    *,
    model: str,
    dtype: str = "auto",
    nli: str | None = None,
    judge: str | None = None,
    generate: bool = True,
    max_new_tokens: int = 48,
) -> tuple[Engine, Measures]:
    """Load a model and what measures its answers, as the command's options name them: what each worker of Ray does.

    Parameters
    ----------
    device_map
        As for `sra_rag.load_model`.
    model, dtype, nli, judge, generate, max_new_tokens
        The options.
    """
    engine = Engine(load_model(model, dtype=dtype, device_map=device_map))
    scorers = tuple(_scorers(nli, judge, engine, lambda _: None))
    return engine, Measures(generate=generate, max_new_tokens=max_new_tokens, scorers=scorers)


def _from_anywhere(name: str | None) -> str | None:
    """Make a path absolute: workers look for it from where they are."""
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
