"""Settings of a request to vLLM, read from ``SamplingParams.extra_args`` (``vllm_xargs`` in the HTTP API)."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.notation import parse_sra
from sra_rag.policies import POLICIES, REALLOCATE

__all__ = ["DEFAULT_VARIABLE", "RequestSettings", "read_settings"]

DEFAULT_VARIABLE = "SRA_RAG_VLLM_SRA"
"""Environment variable with the default settings, in the notation of ``--sra``; off if it is not set."""

_SETTINGS, _CONTEXT, _PROMPT = "sra", "sra_context_length", "sra_prompt_length"


@dataclasses.dataclass(frozen=True, slots=True)
class RequestSettings:
    """Settings of one request.

    Parameters
    ----------
    sra
        Settings of Scaled ReAttention; always enabled, as off is represented by None.
    context_length
        Number of prompt tokens up to the end of the context, for ``rows="after_context"``.
    prompt_length
        Number of tokens that count as the prompt when a given answer follows it, to measure the likelihood of that
        answer. By default all tokens of vLLM's prompt.
    """

    sra: SRAConfig
    context_length: int | None = None
    prompt_length: int | None = None

    def own_prompt(self, given: int) -> int:
        """Return how many of the `given` tokens of vLLM's prompt belong to the prompt and not to a given answer."""
        return given if self.prompt_length is None else min(self.prompt_length, given)

    def first_changed(self, given: int) -> int:
        """Return the position of the first row that may be sharpened; earlier keys and values are not changed."""
        if self.sra.rows == "all":
            return 0
        if self.sra.rows == "generated":
            return self.own_prompt(given)
        return min(self.context_length or 0, given)

    def cache_key(self) -> str:
        """Return a key that identifies keys and values computed with these settings."""
        return _hash(self.sra)


def read_settings(extra_args: Mapping[str, Any] | None) -> RequestSettings | None:
    """Read the settings of a request, or the default settings of the server if it has none.

    Parameters
    ----------
    extra_args
        ``sra``: a number (alpha), the notation of ``--sra``, JSON, or a mapping; ``"off"`` for off.
        ``sra_context_length``: number of tokens up to the end of the context; required for ``rows="after_context"``.
        ``sra_prompt_length``: number of tokens up to the start of an answer that is given and not generated.

    Returns
    -------
    settings
        The settings; None for off.

    Raises
    ------
    ConfigError
        If a value is not allowed, or not supported inside vLLM.
    """
    args = extra_args or {}
    context, prompt = (_length(name, args.get(name)) for name in (_CONTEXT, _PROMPT))
    if args.get(_SETTINGS) is None:
        sra, is_default = _default(os.environ.get(DEFAULT_VARIABLE, "off")), True
    else:
        sra, is_default = _parse(args[_SETTINGS]), False
    if sra is None or not sra.enabled:
        return None
    if sra.rows == "after_context" and context is None:
        if is_default:  # the default applies only to requests with a context length
            return None
        raise ConfigError(
            f'rows="after_context" requires {_CONTEXT}: the number of prompt tokens up to the end of the context. '
            "Compute it with vllm_sra.client.context_length, or use other rows."
        )
    _refuse_unservable(sra)
    return RequestSettings(sra, context, prompt)


# Cached: vLLM hashes the settings of a request with every block of its prompt.
@functools.lru_cache(maxsize=1024)
def _hash(sra: SRAConfig) -> str:
    return hashlib.sha256(json.dumps(sra.to_dict(), sort_keys=True).encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=8)
def _default(text: str) -> SRAConfig | None:
    try:
        return parse_sra(text)
    except ConfigError as error:
        raise ConfigError(f"{DEFAULT_VARIABLE}={text!r}: {error}") from error


@functools.lru_cache(maxsize=1024)
def _parse_text(text: str) -> SRAConfig | None:
    if not text.startswith("{"):
        return parse_sra(text, files=False)
    try:
        return SRAConfig.coerce(json.loads(text))
    except ValueError as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"sra={text!r} is not valid JSON: {error}.") from error


def _parse(value: Any) -> SRAConfig | None:
    if isinstance(value, str):
        return _parse_text(value.strip())
    if isinstance(value, Mapping | int | float):
        return SRAConfig.coerce(value)
    raise ConfigError(
        f"sra={value!r} is a {type(value).__name__}, which is not allowed. Give off, an alpha such as 0.2, options "
        "such as alpha=0.2,rows=generated, or JSON."
    )


def _length(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"{name}={value!r} is not allowed: give a number of tokens, 0 or more.")
    return value


def _refuse_unservable(sra: SRAConfig) -> None:
    if sra.evidence is not None:
        raise ConfigError(
            "Evidence is not served inside vLLM yet: the evidence heads must be observed while the question is read, "
            "and its rows read a second time. Load the model in this process (--engine here), or ask without evidence."
        )
    if sra.policy == REALLOCATE:
        raise ConfigError(
            'policy="reallocate" is there for comparison and is not served inside vLLM. Load the model in this process '
            "(--engine here), or use another policy."
        )
    if sra.bounds == "observed" and POLICIES[sra.policy].needs_entropy:
        raise ConfigError(
            'bounds="observed" requires all rows of a prompt at once, but vLLM may process a prompt in chunks or reuse '
            'cached blocks. Use bounds="theoretical" or a pair of numbers.'
        )
