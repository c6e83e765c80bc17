"""Read the ``[[vocabulary]]`` tables of a preset file; errors name the line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sra_pipelines.retrieval.vocabulary import VocabularyEntry
from sra_rag.errors import ConfigError

__all__ = ["read_vocabulary", "table_fields", "table_place"]

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
    places = (table_place(path, text, "vocabulary", number) for number in range(len(tables)))
    return tuple(_entry(table, where, defaults) for table, where in zip(tables, places, strict=True))


def _entry(table: object, where: str, defaults: Mapping[str, Any]) -> VocabularyEntry:
    fields = table_fields(table, where, _KEYS, _REQUIRED, defaults)
    try:
        return VocabularyEntry(**fields)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def table_fields(
    table: object, where: str, keys: Mapping[str, type], required: Sequence[str], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values of a table with tuples instead of lists, after checking their names and types.

    Parameters
    ----------
    table
        The table.
    where
        File and line of the table, for messages.
    keys
        Type of the value of each allowed key: `str`, `bool`, or `list` for a list of texts.
    required
        Keys that a table needs.
    defaults
        Values of keys that the table does not have.

    Raises
    ------
    ConfigError
        If a key is unknown or missing, or a value has another type.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: expected a table with {', '.join(keys)}, got {type(table).__name__}.")
    values: dict[str, Any] = dict(defaults) | dict(table)
    for name, value in values.items():
        if name not in keys:
            raise ConfigError(f"{where}: unknown key {name!r}. Allowed are {', '.join(keys)}.")
        if not isinstance(value, keys[name]) or (
            isinstance(value, list) and not all(isinstance(text, str) for text in value)
        ):
            what = {str: "a text", bool: "true or false"}.get(keys[name], "a list of texts")
            raise ConfigError(f"{where}: {name} must be {what}, got {value!r}.")
    missing = [name for name in required if name not in values]
    if missing:
        raise ConfigError(f"{where}: {', '.join(missing)} is missing. A table needs {', '.join(required)}.")
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}


def table_place(path: str, text: str, name: str, number: int) -> str:
    """Return the file, and the line at which a table starts or, for tables on one line, at which the list starts.

    Parameters
    ----------
    path, text
        Path and text of the file.
    name, number
        Name of the list of tables, such as ``"vocabulary"``, and position of the table in it.
    """
    is_yaml = Path(path).suffix.lower() in (".yaml", ".yml")
    starts = _yaml_lines(text, name) if is_yaml else _toml_lines(text, name)
    if number < len(starts):
        return f"{path}, line {starts[number]} ({name} table {number + 1})"
    inline = re.search(rf"^[ \t]*{name}[ \t]*=", _without_long_texts(text), re.MULTILINE)
    line = f", line {_line_at(text, inline.start())}" if inline else ""
    return f"{path}{line}, {name} table {number + 1}"


def _toml_lines(text: str, name: str) -> list[int]:
    pattern = rf"^[ \t]*\[\[[ \t]*{name}[ \t]*\]\]"
    return [_line_at(text, found.start()) for found in re.finditer(pattern, _without_long_texts(text), re.MULTILINE)]


def _without_long_texts(text: str) -> str:
    """Return a TOML text in which texts of several lines are blank: they can contain what looks like a table."""
    return re.sub(r'"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'', lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def _line_at(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _yaml_lines(text: str, name: str) -> list[int]:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    lists = [value for key, value in pairs if key.value == name and isinstance(value, yaml.SequenceNode)]
    return [item.start_mark.line + 1 for value in lists for item in value.value]
