"""Load presets: those of the package, and preset files in TOML or YAML."""

from __future__ import annotations

import dataclasses
import itertools
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from sra_pipelines.metrics.formulas import FormulaError
from sra_pipelines.presets.metric_tables import METRIC_TABLES, join_metrics, read_metrics
from sra_pipelines.presets.preset import Preset
from sra_pipelines.presets.vocabulary_tables import read_vocabulary
from sra_pipelines.reading.splitting import Splitting
from sra_pipelines.structure.page_kinds import DOCUMENT_TYPES
from sra_rag.errors import ConfigError

__all__ = ["load_preset", "preset_names", "preset_path"]

_FOLDER = Path(__file__).parent
_INCLUDED = _FOLDER / "included"  # vocabularies that presets include: in other languages, and what is computed
_SUFFIXES = {".toml", ".yaml", ".yml"}
_TOP = {
    "name": str, "description": str, "instruction": str, "checks": list, "vocabularies": list, "documents": list,
    "language": str, "vocabulary": list, "row": list, "metric": list, "row_names": list, "metric_names": list,
    "retrieval": dict, "splitting": dict,
}  # fmt: skip
_RETRIEVAL = {"order": str, "whole_pages": bool, "context_tokens": int}
_SPLITTING = {"tokens": int, "overlap": int, "at_headings": bool}


def preset_names() -> list[str]:
    """Return the names of the presets of the package, ``general`` first."""
    return sorted((path.stem for path in _FOLDER.glob("*.toml")), key=lambda name: (name != "general", name))


def preset_path(name: str) -> Path:
    """Return the path of a preset of the package.

    Raises
    ------
    ConfigError
        If there is no preset with this name.
    """
    if name not in preset_names():
        raise ConfigError(f"There is no preset {name!r}. Use {', '.join(preset_names())}, or give a preset file.")
    return _FOLDER / f"{name}.toml"


def load_preset(preset: str | Path | Preset) -> Preset:
    """Load a preset.

    Parameters
    ----------
    preset
        Name of a preset, or path of a ``.toml``, ``.yaml`` or ``.yml`` file. A `Preset` is returned unchanged.

    Raises
    ------
    ConfigError
        If there is no such preset, the file cannot be read, or it contains an invalid value.
    """
    if isinstance(preset, Preset):
        return preset
    path = Path(preset)
    return _read(path) if path.suffix.lower() in _SUFFIXES else _built_in(str(preset))


@cache
def _built_in(name: str) -> Preset:
    return _read(preset_path(name))


def _read(path: Path) -> Preset:
    top = _values(path)
    retrieval = _checked(top.pop("retrieval", {}), _RETRIEVAL, f"{path}, retrieval")
    splitting = _checked(top.pop("splitting", {}), _SPLITTING, f"{path}, splitting")
    top["instruction"] = top["instruction"].strip()
    try:
        top["metrics"] = join_metrics(top["metrics"])
    except FormulaError as error:
        raise FormulaError(f"{path}: {error}") from error
    loaded = Preset(**{"name": path.stem, **top, **retrieval})
    return dataclasses.replace(loaded, splitting=Splitting(**splitting))


def _values(path: Path, including: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Return the values of a file, with its vocabulary and those that it includes; included files are vocabularies."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors write a byte order mark
        values = tomllib.loads(text) if path.suffix.lower() == ".toml" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"The preset {path} cannot be read: {reason}. For an example, see 'sra-rag presets general'."
        ) from error
    top = _checked(values, _TOP, str(path), required=() if including else ("instruction",))
    for name in ("checks", "vocabularies", "documents"):
        if not all(isinstance(value, str) for value in top.get(name, [])):
            raise ConfigError(f"{path}: {name} must be a list of names.")
        top[name] = tuple(top.get(name, ()))
    unknown = [name for name in top["documents"] if name not in DOCUMENT_TYPES]
    if unknown:
        raise ConfigError(f"{path}: documents: unknown types {unknown}. Use {', '.join(DOCUMENT_TYPES)}.")
    defaults = {"documents": list(top.pop("documents")), "language": top.pop("language", "")}
    own = read_vocabulary(top.pop("vocabulary", []), str(path), text, defaults)
    metrics = [read_metrics({name: top.pop(name, []) for name in METRIC_TABLES}, str(path), text)]
    others = [_included(other, path, (*including, path.resolve())) for other in top.pop("vocabularies")]
    top["vocabulary"] = (*own, *itertools.chain.from_iterable(other["vocabulary"] for other in others))
    top["metrics"] = [*metrics, *itertools.chain.from_iterable(other["metrics"] for other in others)]
    return top


def _included(name: str, path: Path, including: tuple[Path, ...]) -> dict[str, Any]:
    """Load a vocabulary that a file includes: that of a preset, one of `_INCLUDED` of the package, or of a file."""
    if Path(name).suffix.lower() in _SUFFIXES:
        included = (path.parent / name).resolve()
    elif name in preset_names():
        included = preset_path(name)
    elif name in _included_names():
        included = _INCLUDED / f"{name}.toml"
    else:
        names = ", ".join([*preset_names(), *_included_names()])
        raise ConfigError(f"{path}: vocabularies: There is no preset {name!r}. Use {names}, or give a file.")
    if included in including:
        raise ConfigError(f"{path}: vocabularies names {name}, which includes this file. Remove one of the two.")
    return _values(included, including)


def _included_names() -> list[str]:
    return sorted(path.stem for path in _INCLUDED.glob("*.toml"))


def _checked(values: object, allowed: Mapping[str, type], where: str, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the values, after checking that their names and types are allowed."""
    if not isinstance(values, dict):
        raise ConfigError(
            f"{where}: expected keys with values, got {type(values).__name__}. Allowed keys are {', '.join(allowed)}."
        )
    for name, value in values.items():
        if name not in allowed:
            raise ConfigError(f"{where}: unknown key {name!r}. Allowed are {', '.join(allowed)}.")
        if not isinstance(value, allowed[name]) or (isinstance(value, bool) and allowed[name] is not bool):
            raise ConfigError(f"{where}: {name} must be {allowed[name].__name__}, got {type(value).__name__}.")
    missing = [name for name in required if name not in values]
    if missing:
        raise ConfigError(f"{where}: {', '.join(missing)} is missing.")
    return dict(values)
