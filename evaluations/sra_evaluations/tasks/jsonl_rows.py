"""Rows of JSONL files, plain or compressed with gzip."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from pathlib import Path
from typing import Any

from sra_rag.errors import ConfigError

__all__ = ["answers_of", "choose", "field_of", "read_rows"]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read one JSON object per line.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a line is not a JSON object.
    """
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise ConfigError(f"{path}: cannot be read ({error}). Give a JSONL file in UTF-8, plain or .gz.") from error
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ConfigError(
                f"{path}, line {number}: this is not valid JSON ({error.msg}). Correct or remove it."
            ) from error
        if not isinstance(row, dict):
            raise ConfigError(
                f"{path}, line {number}: this is a {type(row).__name__}; each line must be one JSON object."
            )
        rows.append(row)
    if not rows:
        raise ConfigError(f"{path}: the file has no rows. Give one JSON object per line.")
    return rows


def field_of(row: dict[str, Any], name: str, path: Path | None) -> Any:
    """Return a required field of a row.

    Raises
    ------
    ConfigError
        If the row does not have it; the message names the fields that it has.
    """
    if name not in row:
        raise ConfigError(f"{path}: a row has no {name!r}; it has {', '.join(map(repr, row)) or 'nothing'}.")
    return row[name]


def answers_of(given: Any) -> tuple[str, ...]:
    """Return the answers of a field that is a list, a single value, or null for no answer."""
    answers = given if isinstance(given, list) else [given]
    return tuple(str(answer) for answer in answers if answer not in (None, ""))


def choose(available: int, count: int, seed: str) -> list[int]:
    """Choose at most `count` of `available` rows, in their order; a larger `count` includes those of a smaller one."""
    order = list(range(available))
    random.Random(seed).shuffle(order)
    return sorted(order[:count])
