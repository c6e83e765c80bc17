"""Remove the paths of the server from messages to its clients: a path is replaced by its last component.

The names of models on the hub, URLs and the routes of the server have slashes too, and stay.
"""

from __future__ import annotations

import re

__all__ = ["without_paths"]

_PART = r"""[^\s/\\'"<>|:;,()]+"""
_SEPARATOR = r"[/\\]"
_ROUTES = r"(?:v1|page|mcp|metrics|health|docs|openapi\.json)\b"
# A relative path is told from the name of a model by the suffix of a file of documents, indexes or models.
_SUFFIXES = (
    "index|uploads|sqlite3|jsonl?|toml|bin|safetensors|gguf|npz|lock|log|py|pdf|docx?|xlsx?|pptx?|od[ts]|html?|epub|eml"
    "|md|txt|csv|tsv|png|jpe?g|tiff?|webp"
)

# A message that begins with a path, as those about indexes and documents do. An absolute path may contain spaces.
_LEADING = re.compile(r"""^(?:(?:[A-Za-z]:)?[/\\][^:\n]*|[^\s:'"/\\]+[/\\][^\s:'"]*)(?=: )""")
_QUOTED = re.compile(rf"""(?P<quote>['"`])(?!/{_ROUTES})(?:~|\.{{1,2}}|[A-Za-z]:|\\)?{_SEPARATOR}[^'"`\n]*(?P=quote)""")
_FILE_URL = re.compile(r"\bfile:/{2,3}(?=[^\s/])")
_ABSOLUTE = re.compile(
    rf"(?<![\w/.\\~#-])(?!//)(?!/{_ROUTES})(?:~|\.{{1,2}}|[A-Za-z]:|\\(?=\\))?"
    rf"(?:{_SEPARATOR}{_PART}(?: (?!(?:~|\.{{1,2}})[/\\]){_PART})*(?={_SEPARATOR}))*{_SEPARATOR}{_PART}"
)
_RELATIVE = re.compile(rf"(?<![\w/.\\:-]){_PART}(?:{_SEPARATOR}{_PART})*{_SEPARATOR}[^\s/\\'\"]+\.(?:{_SUFFIXES})\b")


def without_paths(message: str) -> str:
    """Return a message in which the paths of files are replaced by their last components."""
    message = _FILE_URL.sub("/", message)
    leading = _LEADING.match(message)
    if leading is not None:
        message = message.replace(leading[0], _last(leading[0]))
    message = _QUOTED.sub(lambda match: f"{match['quote']}{_last(match[0][1:-1])}{match['quote']}", message)
    for pattern in (_ABSOLUTE, _RELATIVE):
        message = pattern.sub(lambda match: _last(match[0]), message)
    return message


def _last(path: str) -> str:
    """Return the last component of a path; the end of a sentence is not part of it."""
    return re.split(_SEPARATOR, path.rstrip("/\\"))[-1]
