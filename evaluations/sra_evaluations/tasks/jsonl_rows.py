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
    """Read one JSON object a line.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a line is no object.
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
            raise ConfigError(f"{path}, line {number}: this is no JSON ({error.msg}). Mend or remove it.") from error
        if not isinstance(row, dict):
            raise ConfigError(f"{path}, line {number}: a {type(row).__name__} came; each line is one JSON object.")
        rows.append(row)
    if not rows:
        raise ConfigError(f"{path}: the file holds no rows. Give one JSON object a line.")
    return rows


def field_of(row: dict[str, Any], name: str, path: Path | None) -> Any:
    """Return a field that must be there.

    Raises
    ------
    ConfigError
        If it is not, naming those that are.
    """
    if name not in row:
        raise ConfigError(f"{path}: a row lacks {name!r}; it has {', '.join(map(repr, row)) or 'nothing'}.")
    return row[name]


def answers_of(given: Any) -> tuple[str, ...]:
    """Return answers that were given as a list, as one value, or as null for none."""
    answers = given if isinstance(given, list) else [given]
    return tuple(str(answer) for answer in answers if answer not in (None, ""))


def choose(available: int, count: int, seed: str) -> list[int]:
    """Choose at most `count` of so many rows, in their order; a greater `count` keeps those of a smaller one."""
    order = list(range(available))
    random.Random(seed).shuffle(order)
    return sorted(order[:count])
