"""Limits on a JSON schema, checked before it is compiled: its size, and the keywords that are not supported.

The grammar compiler ignores some keywords that it does not support, and the answer would then not follow the schema.
These keywords are rejected here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sra_rag.errors import JSONSchemaError

__all__ = ["cannot_follow", "compiles_at_once", "require_compilable"]

_MOST_CHARACTERS = 100_000
_MOST_VALUES = 5_000  # objects, lists, texts and numbers of the schema, including the values of "enum"
_MOST_LEVELS = 64
_MOST_ENUM_VALUES = 1_000
_MOST_PROPERTIES = 300
_MOST_ALTERNATIVES = 200
_LARGEST_BOUND = 10_000
_MOST_REPETITIONS = 1_000
_LONGEST_PATTERN = 500

_UNSUPPORTED = frozenset(
    {
        "not", "if", "then", "else", "contains", "dependentRequired", "dependentSchemas", "dependencies",
        "$dynamicRef", "$recursiveRef",
    }
)  # fmt: skip
_SCHEMAS = frozenset({"items", "additionalItems", "additionalProperties", "unevaluatedProperties"})
_LISTS_OF_SCHEMAS = frozenset({"prefixItems", "items", "anyOf", "oneOf", "allOf"})
_NAMED_SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_BOUNDS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
# A schema within these limits compiles in some milliseconds, so it needs no other process.
_FEW_CHARACTERS = 4_000
_FEW_VALUES = 100
_SMALL_BOUND = 20
_MULTIPLYING = frozenset({"pattern", "patternProperties", "allOf", "oneOf", "format"})
_REPETITION = re.compile(r"\{(\d*),?(\d*)\}")
_PLACE = re.compile(r"^\[[\d:]+\] \S+:\d+: ")  # the time and the line of the compiler's source
_LONGEST_SHOWN = 500


def cannot_follow(reason: object, schema: str) -> JSONSchemaError:
    """Return the error for a schema that the grammar compiler refuses, with its reason in one line."""
    why = " ".join(_PLACE.sub("", str(reason)).split()).rstrip(".")
    return JSONSchemaError(f"The JSON schema cannot be followed: {why}. It was: {schema[:_LONGEST_SHOWN]}")


def require_compilable(schema: Mapping[str, Any]) -> str:
    """Return a JSON schema as text, if it is within the limits.

    Parameters
    ----------
    schema
        The JSON schema.

    Raises
    ------
    JSONSchemaError
        If it is not JSON, too large, refers to another document, or uses a keyword that is not supported.
    """
    levels, values = _size(schema)
    _require(levels <= _MOST_LEVELS, "more nested levels", f"{_MOST_LEVELS}")
    _require(values <= _MOST_VALUES, "more values", f"{_MOST_VALUES:,}")
    try:
        text = json.dumps(schema)
    except (TypeError, ValueError) as error:
        raise JSONSchemaError(f"The JSON schema is not JSON: {error}.") from error
    _require(len(text) <= _MOST_CHARACTERS, f"{len(text):,} characters", f"{_MOST_CHARACTERS:,}")
    counts = {"enum": 0, "properties": 0, "alternatives": 0}
    for part in _parts(schema):
        _require_supported(part)
        _require_small_bounds(part)
        counts["enum"] += len(part["enum"]) if isinstance(part.get("enum"), list) else 0
        counts["properties"] += len(part["properties"]) if isinstance(part.get("properties"), dict) else 0
        counts["alternatives"] += sum(
            len(part[name]) for name in ("anyOf", "oneOf") if isinstance(part.get(name), list)
        )
    _require(counts["enum"] <= _MOST_ENUM_VALUES, f"{counts['enum']:,} enum values", f"{_MOST_ENUM_VALUES:,}")
    _require(counts["properties"] <= _MOST_PROPERTIES, f"{counts['properties']:,} properties", f"{_MOST_PROPERTIES:,}")
    _require(
        counts["alternatives"] <= _MOST_ALTERNATIVES,
        f"{counts['alternatives']:,} alternatives in anyOf and oneOf",
        f"{_MOST_ALTERNATIVES:,}",
    )
    return text


def compiles_at_once(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema, which `require_compilable` accepts, is so small that it compiles in milliseconds."""
    if len(json.dumps(schema)) > _FEW_CHARACTERS or _size(schema)[1] > _FEW_VALUES:
        return False
    return not any(
        _MULTIPLYING & part.keys()
        or any(isinstance(part[name], int | float) and part[name] > _SMALL_BOUND for name in _BOUNDS & part.keys())
        for part in _parts(schema)
    )


def _require(within: bool, given: str, most: str) -> None:
    if not within:
        raise JSONSchemaError(
            f"The JSON schema is too large: it has {given}; at most {most} are accepted. Split the question, or use a "
            "simpler schema."
        )


def _size(schema: object) -> tuple[int, int]:
    """Return the number of nested levels, at most one more than allowed, and of values."""
    deepest, values = 0, 0
    waiting: list[tuple[int, object]] = [(1, schema)]
    while waiting and values <= _MOST_VALUES:
        level, value = waiting.pop()
        deepest, values = max(deepest, level), values + 1
        if level <= _MOST_LEVELS and isinstance(value, Mapping | list | tuple):
            inner = value.values() if isinstance(value, Mapping) else value
            waiting += [(level + 1, item) for item in inner]
    return deepest, values


def _parts(schema: object) -> Iterator[Mapping[str, Any]]:
    """Yield a schema and all schemas in it, but not values such as those of ``enum`` and ``default``."""
    if not isinstance(schema, Mapping):
        return  # true and false are schemas too
    yield schema
    for name, value in schema.items():
        if name in _SCHEMAS and isinstance(value, Mapping):
            yield from _parts(value)
        elif name in _LISTS_OF_SCHEMAS and isinstance(value, list | tuple):
            for item in value:
                yield from _parts(item)
        elif name in _NAMED_SCHEMAS and isinstance(value, Mapping):
            for item in value.values():
                yield from _parts(item)


def _require_supported(part: Mapping[str, Any]) -> None:
    unsupported = sorted(_UNSUPPORTED & part.keys())
    if unsupported:
        raise JSONSchemaError(
            f"The JSON schema uses {', '.join(map(repr, unsupported))}, which the answer could not be made to follow. "
            "Remove it, and check the answer for it yourself."
        )
    reference = part.get("$ref")
    if reference is not None and not (isinstance(reference, str) and reference.startswith("#")):
        raise JSONSchemaError(
            f"The JSON schema refers to {reference!r}. Only references within the schema ('#/$defs/NAME') are "
            "followed; nothing is fetched. Copy the schema that it refers to into '$defs'."
        )


def _require_small_bounds(part: Mapping[str, Any]) -> None:
    for name in _BOUNDS & part.keys():
        value = part[name]
        if isinstance(value, int | float) and value > _LARGEST_BOUND:
            raise JSONSchemaError(
                f"The JSON schema has {name}={value!r}; at most {_LARGEST_BOUND:,} is accepted. Use a smaller number, "
                "or leave it out."
            )
    for pattern in [part.get("pattern"), *(part.get("patternProperties") or {})]:
        if not isinstance(pattern, str):
            continue
        if len(pattern) > _LONGEST_PATTERN:
            raise JSONSchemaError(
                f"The JSON schema has a pattern of {len(pattern):,} characters; at most {_LONGEST_PATTERN} are "
                "accepted."
            )
        repetitions = 1
        for bounds in _REPETITION.finditer(pattern):
            repetitions *= max(1, *(int(bound) for bound in bounds.groups() if bound))
        if repetitions > _MOST_REPETITIONS:
            raise JSONSchemaError(
                f"The pattern {pattern[:100]!r} of the JSON schema repeats a part up to {repetitions:,} times; at most "
                f"{_MOST_REPETITIONS:,} are accepted. Use smaller repetitions."
            )
