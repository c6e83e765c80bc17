"""The subcommand ``sra-rag evaluate``.

The work is done by `sra_evaluations.runs.evaluate_tasks`, which is imported after the options were checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from sra_pipelines.commands.engine_choice import HERE, SERVED_AT_ONCE, EngineChoice
from sra_pipelines.commands.shared_options import (
    Dtype,
    EngineKey,
    EngineOption,
    EngineTokenizer,
    EngineWindow,
    MaxNewTokens,
    Ray,
    RayAddress,
    ServedModelName,
)

from sra_evaluations.runs.measures import Measures
from sra_evaluations.runs.named_settings import as_settings, parse_setting
from sra_evaluations.tasks import load_task, task_options
from sra_rag.errors import ConfigError
from sra_rag.importing import importing_libraries

__all__ = ["ComparedSettings", "evaluate"]

_IN_BATCH, _TOKENS = Measures().batch_size, Measures().max_new_tokens

Tasks = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TASK",
        show_default=False,
        help="NAME, NAME:option=value,option=value or a .jsonl file of your own questions. Names and options: "
        + "; ".join(f"{name} ({', '.join(options)})" for name, options in task_options().items()),
    ),
]
ComparedSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--sra",
        metavar="SETTING",
        help="A setting to compare: off, 0.2 (alpha), option=value,option=value, a rival, or a profile.json; a prefix "
        "NAME: sets its name. Repeat the option for each setting. By default off and evidence; with a model on a "
        "server off and 0.2.",
    ),
]
To = Annotated[
    Path,
    typer.Option(metavar="FOLDER", help="Folder for results and report. A run that was stopped is continued there."),
]
Limit = Annotated[int, typer.Option(min=1, metavar="N", help="Maximum number of examples of each task.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Seed of the examples.")]
BatchSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        show_default=False,
        help=f"Number of examples answered at once. By default {_IN_BATCH} for a model in this process, and "
        f"{SERVED_AT_ONCE} for a server.",
    ),
]
Generate = Annotated[
    bool,
    typer.Option(
        " /--no-generate",
        show_default=False,
        help="Generate no answers; measure only the likelihood of the gold answers.",
    ),
]
Nli = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Also score the share of sentences that are entailed by the passages according to this NLI cross-encoder: "
        "a name on the hub or a folder.",
    ),
]
Judge = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Also let a model judge whether answers are faithful and correct: a model as for --model, or "
        "provider:model, such as openai:gpt-5, which is called through LangChain.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Number of Ray workers; by default one per GPU, or one per four processors as far as memory allows.",
    ),
]
Read = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Run nothing; print N answers with their scores, to check by hand whether the scores are right.",
    ),
]
Share = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Also write a JSON file that can be shared: figures, versions and hashes, no texts and no paths.",
    ),
]
ReportOnly = Annotated[
    bool,
    typer.Option(
        "--report-only", help="Do not run the model; score the answers in the folder again and write the report."
    ),
]


def evaluate(
    tasks: Tasks = None,
    settings: ComparedSettings = None,
    model: ServedModelName = None,
    to: To = Path("evaluation"),
    limit: Limit = 100,
    seed: Seed = 0,
    max_new_tokens: MaxNewTokens = _TOKENS,
    batch_size: BatchSize = None,
    generate: Generate = True,
    nli: Nli = None,
    judge: Judge = None,
    report_only: ReportOnly = False,
    read: Read = None,
    share: Share = None,
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

      sra-rag evaluate --report-only --to results --share report.json

      sra-rag evaluate --read 50 --to results

    Writes report.html, summary.md and every answer (records.jsonl) into the
    folder. Ctrl-C stops the run after the current answer; the same command
    continues it. docs/evaluation.md explains the tasks, options and metrics.
    """
    chosen = as_settings([parse_setting(text) for text in settings or default_settings(engine)])
    tasks = tasks or []
    loaded = [(text, load_task(text)) for text in tasks]
    if not tasks and not report_only and read is None:
        raise ConfigError(
            f"There is no task to run. Name one or more of {', '.join(task_options())}, or a .jsonl file."
        )
    if (nli or judge) and not generate:
        raise ConfigError("--nli and --judge need answers, and --no-generate generates none. Omit one of them.")
    choice = EngineChoice(engine, model, engine_key, tokenizer, window, dtype)
    on_ray = bool(ray or ray_address)
    _check_ray(on_ray, workers, engine, batch_size)
    with importing_libraries():
        from sra_pipelines.ray.cluster import RayOptions

        from sra_evaluations.runs.evaluate_tasks import Evaluation, evaluate_here, evaluate_on_ray
        from sra_evaluations.runs.finished_runs import print_judged_answers, report_again

    if read is not None:
        print_judged_answers(to, read)
        return
    if report_only:
        report_again(to, share)
        return
    evaluation = Evaluation(loaded, chosen, to, limit, seed, generate, max_new_tokens, nli, judge, share)
    if on_ray:
        evaluate_on_ray(evaluation, RayOptions(ray_address, workers), model=model, dtype=dtype)
    else:
        evaluate_here(evaluation, choice, batch_size)


def default_settings(engine: str) -> list[str]:
    """Return the settings that are compared without ``--sra``: off, and the default of ``sra-rag ask``."""
    return ["off", "evidence" if engine == HERE else "0.2"]


def _check_ray(on_ray: bool, workers: int | None, engine: str, batch_size: int | None) -> None:
    """Reject options that a run on Ray does not support, and those that only a run on Ray supports."""
    if workers is not None and not on_ray:
        raise ConfigError("--workers is the number of Ray workers. Give --ray or --ray-address too, or omit --workers.")
    if on_ray and engine != HERE:
        raise ConfigError(
            f"--engine {engine} and --ray cannot be combined: Ray workers load a model themselves. Omit one of them."
        )
    if on_ray and batch_size is not None:
        raise ConfigError(
            "--batch-size has no effect on Ray workers, which answer one example at a time. Omit --batch-size."
        )
