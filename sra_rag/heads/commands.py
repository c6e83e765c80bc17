"""The subcommand ``sra-rag heads``: show the heads of a model that attend to the passage that answers a question."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sra_rag.importing import importing_libraries

__all__ = ["heads"]


def heads(
    model: Annotated[
        str, typer.Option(help="'embedded', a name on the Hugging Face hub, a folder or a .gguf file.")
    ] = "embedded",
    top: Annotated[int, typer.Option(help="How many heads to show.", min=1)] = 20,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16 or auto.")] = "auto",
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write a picture of layers and heads: an .svg, .png or .pdf file. Needs matplotlib.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Show the evidence heads of a model: those that attend to the passage that answers a question.

    The heads of a model that is not built in are found on first use, with 40 questions about invented
    passages, and saved in the cache.

    For example:

      sra-rag heads

      sra-rag heads --model Qwen/Qwen2.5-1.5B-Instruct --top 40

      sra-rag heads --plot heads.svg
    """
    # Imported here, so that the help of the command does not wait for torch.
    with importing_libraries():
        from sra_rag.heads.known import evidence_heads, measured_settings
        from sra_rag.heads.plot import check_plot_file, plot_heads
        from sra_rag.models.loading import load_model
        from sra_rag.models.sources import describe_loading

    if plot is not None:
        check_plot_file(plot)
    with Console(stderr=True).status(escape(describe_loading(model))):
        loaded = load_model(model, dtype=dtype)
    ranked = evidence_heads(loaded)
    best = ranked[:top]
    if plot is not None:
        text = loaded.model.config.get_text_config(decoder=True)
        plot_heads(
            ranked, plot, n_layers=text.num_hidden_layers, n_heads=text.num_attention_heads, top=top,
            title=f"Evidence heads of {model}",
        )  # fmt: skip
    settings = measured_settings(loaded)
    if as_json:
        content = {"model": model, "heads": [dataclasses.asdict(head) for head in best], "sra": settings.to_dict()}
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
        return
    table = Table("layer", "head", "share of the right passage", "finds it", title=f"Evidence heads of {model}")
    for head in best:
        table.add_row(str(head.layer), str(head.head), f"{head.share:.2f}", f"{head.accuracy:.0%}")
    console = Console()
    console.print(table)
    console.print(
        "Of ten passages, one of which answers the question; chance is 0.10 and 10%. Settings that '--sra evidence' "
        f"takes for this model: {json.dumps(settings.to_dict()['evidence'])}, alpha {settings.max_alpha:g}",
        highlight=False, markup=False,
    )  # fmt: skip
