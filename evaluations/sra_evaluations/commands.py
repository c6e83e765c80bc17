"""The subcommand ``sra-rag evaluate``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from sra_pipelines.library_notices import quiet_libraries
from sra_pipelines.terminal import progress_bars

from sra_evaluations.comparison import compare
from sra_evaluations.interrupts import INTERRUPTED, stopped_by_interrupt
from sra_evaluations.report import write_report
from sra_evaluations.rescoring import rescored
from sra_evaluations.running import Measures, Scorer
from sra_evaluations.settings import as_settings, parse_setting
from sra_evaluations.tasks import load_task, task_names
from sra_rag.errors import ConfigError
from sra_rag.generation.engine import Engine
from sra_rag.models.loading import load_model

__all__ = ["evaluate"]

Tasks = Annotated[
    list[str],
    typer.Argument(
        help="NAME or NAME:option=value,option=value, or a .jsonl file of your own questions. Names are "
        f"{', '.join(task_names())}."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--sra",
        help="A setting to compare, several times: off, 0.2, alpha=0.3,rows=after_context, a profile.json; NAME: in "
        "front names it. By default: off and alpha 0.2.",
    ),
]
Model = Annotated[str, typer.Option(help="'embedded', a name on the Hugging Face hub, a folder or a .gguf file.")]
Dtype = Annotated[str, typer.Option(help="float32, bfloat16, float16, or auto: what is fastest here.")]
To = Annotated[Path, typer.Option(help="Folder of results and report; a run that was stopped goes on in it.")]
Limit = Annotated[int, typer.Option(min=1, help="Examples of each task, at most.")]
Seed = Annotated[int, typer.Option(help="Of the examples.")]
MaxNewTokens = Annotated[int, typer.Option(min=1, help="Tokens that an answer may take.")]
Generate = Annotated[
    bool, typer.Option(help="Generate answers; without, only the likelihood of gold ones is measured.")
]
Nli = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL_OR_FOLDER",
        help="Also score the share of sentences that this NLI cross-encoder finds entailed by the passages, such as "
        "cross-encoder/nli-deberta-v3-base.",
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
ReportOnly = Annotated[
    bool, typer.Option("--report-only", help="Run nothing; score what is there anew and write the report.")
]


def evaluate(
    tasks: Tasks,
    settings: Settings = None,
    model: Model = "embedded",
    to: To = Path("evaluation"),
    limit: Limit = 100,
    seed: Seed = 0,
    max_new_tokens: MaxNewTokens = 48,
    generate: Generate = True,
    nli: Nli = None,
    judge: Judge = None,
    report_only: ReportOnly = False,
    dtype: Dtype = "auto",
) -> None:
    """Measure whether reattention helps a model: the same prompts with every setting, answers compared in pairs.

    For example:

      sra-rag evaluate documents --sra off --sra 0.2 --sra alpha=0.3,rows=after_context

      sra-rag evaluate needle:length=4000 key-value:pairs=50 --limit 50 --to results

      sra-rag evaluate my-questions.jsonl --model Qwen/Qwen3-4B --sra off --sra profile.json

    Writes report.html, summary.md and every answer (records.jsonl) into the folder. Ctrl-C ends it behind the present
    answer; the same command goes on from there.
    """
    chosen = as_settings([parse_setting(text) for text in settings or ["off", "0.2"]])
    loaded = [load_task(text) for text in tasks]  # refused before anything is loaded
    if (nli or judge) and not generate:
        raise ConfigError("--nli and --judge judge answers; with --no-generate there are none. Leave one of them out.")
    quiet_libraries()
    console = Console(stderr=True)
    if report_only:
        comparison = rescored(to)
    else:
        with stopped_by_interrupt() as stop:
            with progress_bars(console) as start:
                start(f"loading {model}")
                engine = Engine(load_model(model, dtype=dtype))
                scorers = tuple(_scorers(nli, judge, engine, start))
                comparison = compare(
                    engine,
                    list(zip(tasks, loaded, strict=True)),
                    chosen,
                    to=to,
                    limit=limit,
                    seed=seed,
                    measures=Measures(generate=generate, max_new_tokens=max_new_tokens, scorers=scorers),
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


def _scorers(nli: str | None, judge: str | None, engine: Engine, start: Callable[[str], object]) -> Iterator[Scorer]:
    if nli:
        from sra_evaluations.metrics.entailment import EntailmentScorer

        start(f"loading {nli}")
        yield EntailmentScorer(nli)
    if judge:
        from sra_evaluations.metrics.judge import load_judge

        start(f"loading {judge}")
        yield load_judge(judge, engine)
