"""The command that runs a comparison again, as far as the command line can express it."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from sra_evaluations.report.task_results import Examples
from sra_evaluations.results.record import Record
from sra_evaluations.runs.named_settings import Setting, parse_setting
from sra_evaluations.tasks import load_task
from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.profiles import profile_names

__all__ = ["Again", "run_again"]


@dataclasses.dataclass(frozen=True, slots=True)
class Again:
    """A command, and what it needs besides."""

    command: str
    notes: Sequence[str]


def run_again(manifest: Mapping[str, Any], records: Sequence[Record], examples: Examples) -> Again:
    """Return the command for a manifest.

    Parameters
    ----------
    manifest
        Of the run.
    records
        They show whether answers were generated.
    examples
        They show which tasks have no answers to generate.
    """
    notes: list[str] = []
    words = ["sra-rag", "evaluate"]
    for task in manifest["tasks"]:
        try:
            load_task(task)
        except ConfigError:
            notes.append(f"The command line does not know the task {task}: run it with sra_evaluations.compare.")
        else:
            words.append(task)
    for name, content in manifest["settings"].items():
        setting = Setting.from_dict(name, content)
        written = _written(setting)
        if written is None:
            rival = "" if setting.rival is None else f"{setting.rival}+"
            written = f"{name}:{rival}setting-{len(notes) + 1}.json"
            notes.append(f"Save the settings {name}, which are shown below, as setting-{len(notes) + 1}.json.")
        words += ["--sra", written]
    counts = [task["examples"] for task in manifest["tasks"].values() if "examples" in task]
    words += ["--model", str(manifest["model"]["name"])]
    if "server" in manifest["model"]:
        words += ["--engine", manifest["model"]["server"]]
    if "dtype" in manifest["model"]:
        words += ["--dtype", manifest["model"]["dtype"]]
    words += ["--limit", str(max(counts, default=1)), "--seed", str(manifest["seed"])]
    words += ["--max-new-tokens", str(manifest["max_new_tokens"])]
    asked = [r for r in records if not examples.get((r.task, r.example), {"plain": True})["plain"]]
    if asked and not any(record.answer is not None for record in asked):
        words.append("--no-generate")
    if "workers" in manifest:
        words.append("--ray")
        notes.append("The run was distributed by Ray; --ray-address names a cluster.")
    words += ["--to", "evaluation-again"]
    if len(set(counts)) > 1:
        notes.append(
            "Tasks have different numbers of examples. Where that is because they were run with different limits and "
            "not because there are no more, each needs its own command; the hashes of the examples show it."
        )
    return Again(shlex.join(words), notes)


def _written(wanted: Setting) -> str | None:
    """Write a setting so that it is read as the same under the same name; None if only a file can express it."""
    name, sra = wanted.name, wanted.sra
    ways = ["evidence", *profile_names(), _notation(sra)]
    if wanted.rival is not None:
        ways = [str(wanted.rival), *(f"{wanted.rival}+{way}" for way in ways)]
    for text in (name, *(f"{name}:{way}" for way in ways)):
        try:
            if parse_setting(text) == wanted:
                return text
        except ConfigError:
            continue
    return None


def _notation(sra: SRAConfig | None) -> str:
    if sra is None:
        return "off"
    default = SRAConfig().to_dict()
    options = {n: value for n, value in sra.to_dict().items() if n == "alpha" or value != default[n]}
    return ",".join(f"{name}={_option(value)}" for name, value in options.items())


def _option(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value).strip("[]").replace(" ", "")
