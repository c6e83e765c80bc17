"""Text notation of settings, for example on the command line: ``alpha=0.3,rows=after_context``."""

from __future__ import annotations

import os
import re

from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.evidence_config import parse_heads
from sra_rag.profiles import profile_names

__all__ = ["FORMS", "names_file", "parse_indices", "parse_sra"]

_EXAMPLE = "alpha=0.3,rows=after_context,layers=10-19,policy=focus"
_EVIDENCE = "evidence=16,alpha=0.3"
FORMS = (
    f"Give off, evidence, an alpha such as 0.2, options such as {_EXAMPLE} or {_EVIDENCE}, or the path of a JSON file "
    "of settings."
)


def parse_sra(text: str, *, files: bool = True) -> SRAConfig | None:
    """Parse settings.

    Parameters
    ----------
    text
        ``off``, ``evidence``, an alpha, ``option=value,option=value`` with the fields of `SRAConfig`, the name of a
        built-in profile, or the path of a JSON file or profile. Layers and heads are written as for `parse_indices`,
        bounds as ``0,6.5``. The option ``evidence`` without a weight selects the settings measured for the model; the
        fields of `EvidenceConfig` are written as ``evidence.heads=40``.
    files
        Whether the text may be a path; False for untrusted text.

    Returns
    -------
    sra
        None for off.

    Raises
    ------
    ConfigError
        If it is none of these, or a value is not allowed.
    """
    if text.lower() == "off":
        return None
    if text in profile_names():
        return SRAConfig.from_json(text)
    if re.fullmatch(r"[0-9.]+", text):
        return SRAConfig(alpha=_number("alpha", text))
    if text == "evidence" or ("=" in text and not (files and names_file(text))):
        return SRAConfig.from_dict(_settings(re.split(r",(?=[\w.]+=|evidence\b)", text)))
    if not files:
        raise ConfigError(
            f"{text!r} is not a valid setting. Give off, evidence, an alpha such as 0.2, or options such as {_EXAMPLE}."
        )
    if not names_file(text):
        raise ConfigError(
            f"{text!r} is neither a valid setting nor the path of a file. {FORMS} Built-in profiles are "
            f"{', '.join(profile_names())}."
        )
    return SRAConfig.from_json(text)


def names_file(text: str) -> bool:
    """Return whether a text is the path of a file. It may be longer than a valid path."""
    return os.path.isfile(text)


def parse_indices(name: str, text: str) -> str | tuple[int, ...]:
    """Parse ``all``, ``last:N`` or indices such as ``0,3,10-19``; `name` is used in the error message.

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    if text == "all" or text.startswith("last:"):
        return text
    indices: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            indices += range(int(first), int(last or first) + 1)
    except ValueError as error:
        raise ConfigError(f"{name}={text!r} is not allowed. Use all, last:N, or such as 0,3,10-19.") from error
    return tuple(indices)


def _settings(options: list[str]) -> dict[str, object]:
    settings: dict[str, object] = {}
    evidence: dict[str, object] = {}
    for name, value in map(_option, options):
        group, _, field = name.partition(".")
        if group == "evidence":
            settings["evidence"] = evidence
            evidence |= {field or "weight": value} if field or value is not None else {}
        else:
            settings[name] = value
    return settings


def _option(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if text == "evidence":
        return name, None
    if not equals:
        raise ConfigError(f"{text!r} is not a valid option. {FORMS}")
    if name == "evidence.gate" and value == "agree":
        return name, value
    if name in ("evidence.words", "evidence.new_words", "evidence.retrieval") and value in ("true", "false"):
        return name, value == "true"
    if name in ("alpha", "evidence", "evidence.weight", "evidence.others", "evidence.line_weight", "evidence.gate"):
        return name, _number(name, value)
    if name in ("evidence.heads", "evidence.look"):
        return name, parse_heads(name.partition(".")[2], value)
    if name in ("evidence.passages", "evidence.tokens") and value.isdecimal():
        return name, int(value)
    if name == "bounds" and "," in value:
        return name, tuple(_number(name, part) for part in value.split(","))
    if name in ("layers", "heads"):
        return name, parse_indices(name, value)
    return name, value


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"{name}={text!r} is not a number. {FORMS}") from error
