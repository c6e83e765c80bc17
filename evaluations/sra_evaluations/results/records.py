"""The folder of a run: what it was obtained with, and one JSON line an answer, written as they come.

A line is complete once it ends; an incomplete one, as after a kill, is dropped when the run continues, and its example
is asked again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sra_evaluations.examples import Example
from sra_evaluations.results.record import Record
from sra_rag.errors import ConfigError

__all__ = ["Records", "example_name", "read_examples", "read_run", "write_examples", "write_whole"]

_MANIFEST, _RECORDS, _EXAMPLES = "manifest.json", "records.jsonl", "examples.jsonl"
# These may grow from one run to the next; the others have to stay.
_GROWING = ("tasks", "settings")


class Records:
    """Results on disk, which a later run continues.

    Parameters
    ----------
    folder
        Made if it is not there.
    manifest
        What this run is made with; ``tasks`` and ``settings`` map names to contents.

    Raises
    ------
    ConfigError
        If the folder has the results of another run; the message names the differences.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        known = _read_manifest(folder)
        if known is None:
            if (folder / _RECORDS).exists():
                raise ConfigError(f"{folder} has {_RECORDS} but no {_MANIFEST}. Give another folder with --to.")
            known = {**manifest, **{name: {} for name in _GROWING}}
        _refuse_another_run(folder, known, manifest)
        self.manifest = known
        self._write({name: known[name] | manifest[name] for name in _GROWING})
        self.records = list(_read_records(folder, mend=True))
        self._known = {record.key for record in self.records}

    def add_settings(self, settings: Mapping[str, Any]) -> None:
        """Note settings that are run from now on; raises as the constructor does."""
        _refuse_another_run(self.folder, self.manifest, {"settings": settings})
        if not settings.keys() <= self.manifest["settings"].keys():
            self._write({"settings": self.manifest["settings"] | settings})

    def note(self, fields: Mapping[str, Any]) -> None:
        """Record how the current run is made; a later run that is made differently replaces this."""
        self._write(fields)

    def __contains__(self, key: tuple[str, str, str]) -> bool:
        """Whether (task, example, setting) was answered."""
        return key in self._known

    def add(self, record: Record) -> None:
        """Write a record, whole or not at all."""
        with (self.folder / _RECORDS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record.to_dict(), ensure_ascii=False) + "\n")
        self.records.append(record)
        self._known.add(record.key)

    def _write(self, changes: Mapping[str, Any]) -> None:
        self.manifest = {**self.manifest, **changes}
        write_whole(self.folder / _MANIFEST, json.dumps(self.manifest, indent=2) + "\n")


def read_run(folder: Path) -> tuple[dict[str, Any], list[Record]]:
    """Read the manifest and the records of a run.

    Raises
    ------
    ConfigError
        If the folder has no run.
    """
    manifest = _read_manifest(folder)
    if manifest is None:
        raise ConfigError(f"{folder} has no results ({_MANIFEST} is missing). Give a folder that evaluate wrote.")
    return manifest, list(_read_records(folder, mend=False))


def write_examples(folder: Path, task: str, examples: Iterable[Example]) -> None:
    """Keep the examples that are not there yet, named as records name them."""
    known = read_examples(folder, mend=True)
    with (folder / _EXAMPLES).open("a", encoding="utf-8") as file:
        for example in examples:
            name = example_name(example)
            if (task, name) not in known:
                line = {"task": task, "example": name} | {"content": example.to_dict()}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


def read_examples(folder: Path, *, mend: bool = False) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the examples of a run by task and name, as `Example.to_dict` wrote them."""
    lines = _read_lines(folder / _EXAMPLES, mend=mend)
    return {(line["task"], line["example"]): line["content"] for line in lines}


def example_name(example: Example) -> str:
    """Return the name of an example in records: its id, and a part of its hash, as two examples may have one id."""
    return f"{example.id}@{example.sha256()[:12]}"


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    path = folder / _MANIFEST
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}). Give another folder with --to.") from error


def _refuse_another_run(folder: Path, known: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    fixed = [name for name in manifest if name not in _GROWING]
    different = [name for name in fixed if known.get(name, manifest[name]) != manifest[name]]
    # A task may have other examples than last time (a greater limit): records name theirs by its hash.
    settings = known["settings"]
    different += [f"setting {name}" for name, it in manifest["settings"].items() if settings.get(name, it) != it]
    if different:
        raise ConfigError(
            f"{folder} has results of a different run: {', '.join(different)} differ. Results of the two must not "
            "be mixed: give another folder with --to, or run with the values in its manifest.json."
        )


def _read_records(folder: Path, *, mend: bool) -> Iterator[Record]:
    for number, line in enumerate(_read_lines(folder / _RECORDS, mend=mend), start=1):
        try:
            yield Record.from_dict(line)
        except ConfigError as error:
            raise ConfigError(f"{folder / _RECORDS}, line {number}: {error}") from error


def _read_lines(path: Path, *, mend: bool) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    if mend and len(whole) < len(raw):
        os.truncate(path, len(whole))
    for number, line in enumerate(whole.decode("utf-8").split("\n")[:-1], start=1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise ConfigError(f"{path}, line {number} is no JSON ({error}). Remove the line, and run again.") from error


def write_whole(path: Path, text: str) -> None:
    """Write a file completely or not at all."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)
