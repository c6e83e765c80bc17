"""The one JSON object that a command prints with ``--json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from sra_pipelines.file_names import printable

__all__ = ["write_json"]


def write_json(values: Mapping[str, Any]) -> None:
    """Write an object to standard output, in UTF-8 whatever file names it holds; see `printable`."""
    sys.stdout.write(json.dumps(_printable(values), indent=2, ensure_ascii=False) + "\n")


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {_printable(key): _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list | tuple) else value
