"""The subcommands ``sra-rag calibrate`` and ``sra-rag bake``; each imports what it needs when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from sra_pipelines.commands.shared_options import Dtype, LocalModel

from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.importing import importing_libraries

if TYPE_CHECKING:
    from rich.console import Console
    from sra_pipelines.index.passage_index import PassageIndex

    from sra_evaluations.calibration.profile import Profile

__all__ = ["bake_command", "calibrate_command"]

Sources = Annotated[
    list[Path] | None,
    typer.Argument(help="An index (see 'sra-rag index'), or documents and folders of them; by default none is needed."),
]
To = Annotated[Path, typer.Option(help="File of the profile; measurements are stored in a folder next to it.")]
Search = Annotated[str, typer.Option(help="evidence (what is weighed), or sharpening (needs documents).")]
Use = Annotated[
    bool | None,
    typer.Option(
        "--use/--no-use",
        help="Whether --sra evidence takes the result for this model from now on; by default without documents only.",
    ),
]
Minutes = Annotated[
    float | None,
    typer.Option(min=0.1, help="Minutes to spend after the questions are made: 15 for evidence, 30 for sharpening."),
]
Questions = Annotated[
    int, typer.Option(min=16, help="Number of questions to make from documents: half to search, half to confirm.")
]
Tokens = Annotated[int, typer.Option(min=64, help="Number of tokens of passages in a prompt.")]
Harm = Annotated[
    float, typer.Option(min=0.0, help="Sharpening: nats per token by which other text may become less likely.")
]
JudgedBy = Annotated[
    str, typer.Option(help="Sharpening: answers (generated), or likelihood (of right ones; weaker evidence).")
]
Finalists = Annotated[int | None, typer.Option(min=1, help="Number of settings that are confirmed.")]
Seed = Annotated[int, typer.Option(help="Seed of questions and texts.")]


def calibrate_command(
    sources: Sources = None,
    model: LocalModel = "embedded",
    to: To = Path("profile.json"),
    search: Search = "evidence",
    use: Use = None,
    minutes: Minutes = None,
    questions: Questions = 400,
    tokens: Tokens = 1200,
    harm: Harm = 0.02,
    judged_by: JudgedBy = "answers",
    finalists: Finalists = None,
    seed: Seed = 0,
    dtype: Dtype = "auto",
) -> None:
    """Find the settings that help a model most, without labels, and write them as a profile.

    For example:

      sra-rag calibrate --model Qwen/Qwen3-4B

      sra-rag calibrate contracts/ --model Qwen/Qwen3-4B --to qwen.json

      sra-rag ask --sra qwen.json "When does the agreement end?" contracts/

    Without documents, the questions are those on invented contracts, reports and tables that come with sra-rag. From
    documents, questions are made: an amount, a date or a name is removed from a sentence. Settings of evidence
    (what is weighed, how much, in which heads, with or without sharpening) are searched by generated answers and
    confirmed by answers to other questions. If none is significantly better than off, the profile is off. Ctrl-C keeps
    the measurements; the same command continues.
    """
    if search not in ("evidence", "sharpening"):
        raise ConfigError(f"--search {search!r} is not allowed. Use evidence or sharpening.")
    if search == "sharpening" and not sources:
        raise ConfigError("--search sharpening needs documents: give an index, or documents and folders of them.")
    with importing_libraries():
        from rich.console import Console
        from sra_pipelines.commands.library_notices import quiet_libraries
        from sra_pipelines.commands.progress_bar import progress_bars

        from sra_evaluations.calibration.evidence_search import EvidenceSearchOptions, calibrate_evidence
        from sra_evaluations.calibration.probe_questions import make_probe_questions
        from sra_evaluations.calibration.search import CalibrationOptions, calibrate, document_questions
        from sra_evaluations.runs.interrupts import INTERRUPTED, stopped_by_interrupt
        from sra_rag.generation.engine import Engine
        from sra_rag.heads.known import keep_settings
        from sra_rag.models.loading import load_model
        from sra_rag.models.sources import describe_loading

    if search == "sharpening":
        whole = CalibrationOptions(
            minutes=minutes or 30.0,
            questions=questions,
            tokens=tokens,
            harm=harm,
            judged_by=judged_by,  # type: ignore[arg-type]  # checked there
            finalists=finalists or 3,
            seed=seed,
        )
    else:
        options = EvidenceSearchOptions(minutes=minutes or 15.0, finalists=finalists or 2, seed=seed)
    quiet_libraries()
    console = Console(stderr=True)
    folder = to.with_suffix(".calibration")
    with stopped_by_interrupt() as stop, progress_bars(console) as start:
        index = _open(sources, console) if sources else None
        start(describe_loading(model))
        engine = Engine(load_model(model, dtype=dtype))
        if search == "sharpening" and index is not None:
            profile = calibrate(engine, index, folder, whole, on_progress=start, stop=stop)
        else:
            halves = (
                make_probe_questions(seed)
                if index is None
                else document_questions(engine, index, questions, seed, tokens)
            )
            profile = calibrate_evidence(engine, *halves, folder, options, on_progress=start, stop=stop)
    profile.to_json(to)
    sys.stdout.write(_describe(profile))
    console.print(f"Profile: {to}", soft_wrap=True, markup=False, highlight=False)
    if stop.is_set():
        console.print("Stopped. The same command continues from here.")
        raise typer.Exit(INTERRUPTED)
    if (use if use is not None else not sources) and search == "evidence" and profile.chosen != "off":
        keep_settings(engine.loaded, profile.sra)
        console.print(f"--sra evidence now takes these settings for {model}.", markup=False, highlight=False)


def bake_command(
    profile: Annotated[Path, typer.Option(help="A profile, or a JSON file of settings; policy constant, all rows.")],
    out: Annotated[Path, typer.Option(help="Folder of the new checkpoint; must not be there yet.")],
    model: LocalModel = "embedded",
    dtype: Dtype = "auto",
) -> None:
    """Fold a constant setting into a model's weights: a checkpoint that runs anywhere, without sra-rag.

    For example:

      sra-rag bake --profile qwen.json --model Qwen/Qwen3-4B --out qwen-sharpened

    The result is checked against the setting before it is saved. Settings that weights cannot represent are rejected.
    """
    sra = SRAConfig.from_json(profile)
    with importing_libraries():
        from sra_pipelines.commands.library_notices import quiet_libraries

        from sra_rag.models.baking import save_baked
        from sra_rag.models.loading import load_model

    quiet_libraries()
    folder = save_baked(load_model(model, dtype=dtype), sra, out)
    sys.stdout.write(f"{folder}: {model} with {sra.policy} sharpening in its weights (sra.json has the settings).\n")


def _open(sources: list[Path], console: Console) -> PassageIndex:
    from sra_pipelines.index.embedding import load_embedding
    from sra_pipelines.index.memory import DocumentIndex
    from sra_pipelines.index.schema import exists
    from sra_pipelines.index.stored_index import open_index
    from sra_pipelines.readers import read_document
    from sra_pipelines.reading.finding import find_documents
    from sra_pipelines.values import DocumentError

    if len(sources) == 1 and exists(sources[0]):
        return open_index(sources[0])
    documents = []
    for path in find_documents(sources):
        try:
            documents.append(read_document(path))
        except DocumentError as problem:
            console.print(f"sra-rag: {problem}", style="red", soft_wrap=True, markup=False, highlight=False)
    if not documents:
        raise ConfigError("No document could be read. Give others, or an index.")
    return DocumentIndex(documents, load_embedding("embedded"))


def _describe(profile: Profile) -> str:
    lines = [profile.reason]
    if look := profile.evidence.get("look"):
        counts = ", ".join(f"{name} {count}" for name, count in look["found"].items())
        lines.append(f"  right passage weighed, of {look['asked']} questions: {counts}")
    for name, metrics in profile.evidence["confirmation"].items():
        for metric, found in metrics.items():
            lines.append(
                f"  {name}: {metric} {found['other']:.3f} against {found['baseline']:.3f} "
                f"({found['difference']:+.3f}, 95% interval {found.get('low', float('nan')):+.3f} to "
                f"{found.get('high', float('nan')):+.3f}; n = {found['n']}; corrected p = {found['p_adjusted']:.3f})"
            )
        harm = profile.evidence["harm_nats_a_token"].get(name, {})
        lines += [f"  {name}: {task} {found['difference']:+.4f} nats a token" for task, found in harm.items()]
    return "\n".join(lines) + "\n"
