"""Read the ``[[vocabulary]]`` tables of a preset file; errors name the line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sra_pipelines.retrieval.vocabulary import VocabularyEntry
from sra_rag.errors import ConfigError

__all__ = ["read_vocabulary"]

_KEYS = {
    "topic": str,
    "asked": list,
    "written": list,
    "pages": list,
    "documents": list,
    "language": str,
    "statements": bool,
}
_REQUIRED = ("topic", "asked", "written")


def read_vocabulary(tables: object, path: str, text: str, defaults: Mapping[str, Any]) -> tuple[VocabularyEntry, ...]:
    """Return the entries of the tables.

    Parameters
    ----------
    tables
        The value of ``vocabulary`` in the file.
    path, text
        Path and text of the file, for messages.
    defaults
        Values of fields that an entry does not have.

    Raises
    ------
    ConfigError
        If a table is invalid; the message names the file, the line and what is allowed.
    """
    if not isinstance(tables, list):
        raise ConfigError(f"{path}: vocabulary must be a list of tables, written [[vocabulary]].")
    return tuple(_entry(table, _where(path, text, number), defaults) for number, table in enumerate(tables))


def _entry(table: object, where: str, defaults: Mapping[str, Any]) -> VocabularyEntry:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: expected a table with {', '.join(_KEYS)}, got {type(table).__name__}.")
    values: dict[str, Any] = dict(defaults) | dict(table)
    for name, value in values.items():
        if name not in _KEYS:
            raise ConfigError(f"{where}: unknown key {name!r}. Allowed are {', '.join(_KEYS)}.")
        if not isinstance(value, _KEYS[name]) or (
            isinstance(value, list) and not all(isinstance(text, str) for text in value)
        ):
            what = {str: "a text", bool: "true or false"}.get(_KEYS[name], "a list of texts")
            raise ConfigError(f"{where}: {name} must be {what}, got {value!r}.")
    missing = [name for name in _REQUIRED if name not in values]
    if missing:
        raise ConfigError(f"{where}: {', '.join(missing)} is missing. A table needs {', '.join(_REQUIRED)}.")
    fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    try:
        return VocabularyEntry(**fields)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _where(path: str, text: str, number: int) -> str:
    """Return the file, and the line at which a table starts or, for tables on one line, at which the list starts."""
    starts = _yaml_lines(text) if Path(path).suffix.lower() in (".yaml", ".yml") else _toml_lines(text)
    if number < len(starts):
        return f"{path}, line {starts[number]} (vocabulary table {number + 1})"
    inline = re.search(r"^[ \t]*vocabulary[ \t]*=", _without_long_texts(text), re.MULTILINE)
    line = f", line {_line_at(text, inline.start())}" if inline else ""
    return f"{path}{line}, vocabulary table {number + 1}"


def _toml_lines(text: str) -> list[int]:
    pattern = r"^[ \t]*\[\[[ \t]*vocabulary[ \t]*\]\]"
    return [_line_at(text, found.start()) for found in re.finditer(pattern, _without_long_texts(text), re.MULTILINE)]


def _without_long_texts(text: str) -> str:
    """Return a TOML text in which texts of several lines are blank: they can contain what looks like a table."""
    return re.sub(r'"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'', lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def _line_at(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _yaml_lines(text: str) -> list[int]:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    lists = [value for key, value in pairs if key.value == "vocabulary" and isinstance(value, yaml.SequenceNode)]
    return [item.start_mark.line + 1 for value in lists for item in value.value]
