"""Read presets: those that come with the package, and files of one's own in TOML or YAML."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from sra_pipelines.presets.preset import Preset
from sra_pipelines.reading.splitting import Splitting
from sra_rag.errors import ConfigError

__all__ = ["load_preset", "preset_names", "preset_path"]

_FOLDER = Path(__file__).parent
_SUFFIXES = {".toml", ".yaml", ".yml"}
_TOP = {"name": str, "description": str, "instruction": str, "checks": list, "retrieval": dict, "splitting": dict}
_RETRIEVAL = {"order": str, "whole_pages": bool, "context_tokens": int}
_SPLITTING = {"tokens": int, "overlap": int, "at_headings": bool}


def preset_names() -> list[str]:
    """Return the names of the presets that come with the package, ``general`` first."""
    return sorted((path.stem for path in _FOLDER.glob("*.toml")), key=lambda name: (name != "general", name))


def preset_path(name: str) -> Path:
    """Return the file of a preset that comes with the package.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in preset_names():
        raise ConfigError(f"There is no preset {name!r}. There are {', '.join(preset_names())}, or give a file.")
    return _FOLDER / f"{name}.toml"


def load_preset(preset: str | Path | Preset) -> Preset:
    """Read a preset.

    Parameters
    ----------
    preset
        A name, or the path of a ``.toml``, ``.yaml`` or ``.yml`` file; a `Preset` is handed back.

    Raises
    ------
    ConfigError
        If there is no such preset, the file cannot be read, or it says what is not allowed.
    """
    if isinstance(preset, Preset):
        return preset
    path = Path(preset)
    return _read(path) if path.suffix.lower() in _SUFFIXES else _built_in(str(preset))


@cache
def _built_in(name: str) -> Preset:
    return _read(preset_path(name))


def _read(path: Path) -> Preset:
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix.lower() == ".toml" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"The preset {path} cannot be read: {reason}. 'sra-rag presets general' shows one."
        ) from error
    top = _checked(values, _TOP, str(path), required=("instruction",))
    retrieval = _checked(top.pop("retrieval", {}), _RETRIEVAL, f"{path}, retrieval")
    splitting = _checked(top.pop("splitting", {}), _SPLITTING, f"{path}, splitting")
    if not all(isinstance(check, str) for check in top.get("checks", [])):
        raise ConfigError(f"{path}: checks is a list of names.")
    top["checks"] = tuple(top.get("checks", ()))
    top["instruction"] = top["instruction"].strip()
    made = Preset(**{"name": path.stem, **top, **retrieval})
    return dataclasses.replace(made, splitting=Splitting(**splitting))


def _checked(values: object, allowed: Mapping[str, type], where: str, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the values once they are known to be of the allowed names and kinds."""
    if not isinstance(values, dict):
        raise ConfigError(
            f"{where}: a {type(values).__name__} came; keys with values are needed: {', '.join(allowed)}."
        )
    for name, value in values.items():
        if name not in allowed:
            raise ConfigError(f"{where}: {name!r} is not known. Allowed are {', '.join(allowed)}.")
        if not isinstance(value, allowed[name]) or (isinstance(value, bool) and allowed[name] is not bool):
            raise ConfigError(f"{where}: {name} is a {type(value).__name__}; a {allowed[name].__name__} is needed.")
    missing = [name for name in required if name not in values]
    if missing:
        raise ConfigError(f"{where}: {', '.join(missing)} is missing.")
    return dict(values)
