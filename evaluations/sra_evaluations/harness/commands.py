"""The subcommand ``sra-rag harness``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from sra_pipelines.commands.shared_options import Dtype, LocalModel

from sra_evaluations.runs.commands import ComparedSettings
from sra_evaluations.runs.named_settings import as_settings, parse_setting
from sra_rag.errors import ConfigError, require_extra
from sra_rag.importing import importing_libraries

__all__ = ["harness"]

Tasks = Annotated[
    list[str], typer.Argument(help="Names of lm-evaluation-harness, such as squadv2, babilong or longbench_qasper.")
]
To = Annotated[Path, typer.Option(help="Folder of what the harness returns: one JSON file a setting, and a table.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Examples of each task, at most.")]
Fewshot = Annotated[int | None, typer.Option(min=0, help="Examples with answers in front; by default the task's own.")]
ChatTemplate = Annotated[bool, typer.Option(help="Whether prompts go through the model's chat template.")]
IncludePath = Annotated[Path | None, typer.Option(help="A folder with tasks of your own (YAML files).")]


def harness(
    tasks: Tasks,
    settings: ComparedSettings = None,
    model: LocalModel = "embedded",
    to: To = Path("harness"),
    limit: Limit = None,
    num_fewshot: Fewshot = None,
    chat_template: ChatTemplate = False,
    include_path: IncludePath = None,
    dtype: Dtype = "auto",
) -> None:
    """Run tasks of lm-evaluation-harness with every setting, and compare its metrics in pairs.

    For example:

      sra-rag harness squadv2 --limit 100 --model Qwen/Qwen3-4B --chat-template --sra off --sra 0.2

    The first setting is the baseline.
    """
    require_extra("sra-rag harness", "lm-eval", "lm_eval")
    chosen = as_settings([parse_setting(text) for text in settings or ["off", "0.2"]])
    rivals = [setting.name for setting in chosen if setting.rival is not None]
    if rivals:
        raise ConfigError(
            f"{', '.join(rivals)}: rivals change the passages of a prompt, which the harness does not mark. Use "
            "sra-rag evaluate for them, or leave them out."
        )
    if len(chosen) < 2:
        raise ConfigError(f"There is only {chosen[0].name!r} to run. Give --sra twice or more, the baseline first.")
    with importing_libraries():
        from sra_pipelines.commands.library_notices import quiet_libraries

        from sra_evaluations.harness.harness_comparison import as_table, compare_in_harness
        from sra_rag.generation.engine import Engine
        from sra_rag.models.loading import load_model

    quiet_libraries()
    findings = compare_in_harness(
        Engine(load_model(model, dtype=dtype)),
        tasks,
        chosen,
        to=to,
        limit=limit,
        num_fewshot=num_fewshot,
        chat_template=chat_template,
        include_path=include_path,
    )
    table = as_table(findings)
    (to / "harness.md").write_text(table, encoding="utf-8")
    sys.stdout.write(table)
