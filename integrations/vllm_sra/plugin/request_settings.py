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
from vllm_sra.plugin.request_evidence import (
    EVIDENCE,
    RETURN_EVIDENCE,
    EvidenceSpans,
    LookRequest,
    read_evidence,
    read_look,
)

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
        Settings of Scaled ReAttention; enabled unless attention is returned, as off is represented by None.
    context_length
        Number of prompt tokens up to the end of the context, for ``rows="after_context"`` and evidence.
    prompt_length
        Number of tokens that count as the prompt when a given answer follows it, to measure the likelihood of that
        answer. By default all tokens of vLLM's prompt.
    evidence
        Keys that get more weight; None if the settings have no evidence.
    look
        Spans whose share of attention is returned; None for an answer.
    """

    sra: SRAConfig
    context_length: int | None = None
    prompt_length: int | None = None
    evidence: EvidenceSpans | None = None
    look: LookRequest | None = None

    def own_prompt(self, given: int) -> int:
        """Return how many of the `given` tokens of vLLM's prompt belong to the prompt and not to a given answer."""
        return given if self.prompt_length is None else min(self.prompt_length, given)

    def first_changed(self, given: int) -> int:
        """Return the position of the first row that may be changed; earlier keys and values are not changed."""
        context = min(self.context_length or 0, given)
        first = {"all": 0, "generated": self.own_prompt(given), "after_context": context}[self.sra.rows]
        if not self.sra.sharpens:
            first = given
        return first if self.evidence is None else min(first, context)

    def cache_key(self) -> str:
        """Return a key that identifies keys and values computed with these settings."""
        return _hash(self.sra, self.evidence)


def read_settings(extra_args: Mapping[str, Any] | None) -> RequestSettings | None:
    """Read the settings of a request, or the default settings of the server if it has none.

    Parameters
    ----------
    extra_args
        ``sra``: a number (alpha), the notation of ``--sra``, JSON, or a mapping; ``"off"`` for off.
        ``sra_context_length``: number of tokens up to the end of the context; required for ``rows="after_context"``.
        ``sra_prompt_length``: number of tokens up to the start of an answer that is given and not generated.
        ``sra_evidence``: with evidence in ``sra``, the keys that get more weight; see `read_evidence`.
        ``sra_return_evidence``: return attention instead of an answer; see `read_look`.

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
    is_default = args.get(_SETTINGS) is None
    sra = _default(os.environ.get(DEFAULT_VARIABLE, "off")) if is_default else _parse(args[_SETTINGS])
    if args.get(RETURN_EVIDENCE) is not None:
        if args.get(EVIDENCE) is not None or not (is_default or sra is None or not sra.enabled):
            raise ConfigError(
                f"{RETURN_EVIDENCE} observes attention and does not change it. Leave out sra and {EVIDENCE}."
            )
        return RequestSettings(SRAConfig(alpha=0.0), context, prompt, look=read_look(args[RETURN_EVIDENCE], context))
    if args.get(EVIDENCE) is not None and (sra is None or sra.evidence is None):
        raise ConfigError(
            f'{EVIDENCE} requires settings with evidence, such as sra="evidence=4". Add them, or remove it.'
        )
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
    return RequestSettings(sra, context, prompt, _evidence(sra, args.get(EVIDENCE), context))


def _evidence(sra: SRAConfig, value: Any, context: int | None) -> EvidenceSpans | None:
    if sra.evidence is None:
        return None
    if value is None:
        raise ConfigError(
            f"Evidence inside vLLM requires {EVIDENCE}: the token spans of the prompt that get more weight, such as "
            "[[120, 180, 4]]. sra-rag finds them (--engine, or vllm_sra.client.served_engine.ServedEngine); "
            f"{RETURN_EVIDENCE} returns the attention to choose them by. Or use other settings."
        )
    if context is None:
        raise ConfigError(f"{EVIDENCE} requires {_CONTEXT}: the number of prompt tokens up to the end of the context.")
    return read_evidence(value, sra.evidence, context)


# Cached: vLLM hashes the settings of a request with every block of its prompt.
@functools.lru_cache(maxsize=1024)
def _hash(sra: SRAConfig, evidence: EvidenceSpans | None) -> str:
    parts = [sra.to_dict(), None if evidence is None else dataclasses.asdict(evidence)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=8)
def _default(text: str) -> SRAConfig | None:
    try:
        sra = parse_sra(text)
        if sra is not None and sra.evidence is not None:
            raise ConfigError("evidence cannot be the default: each request gives its own spans.")
    except ConfigError as error:
        raise ConfigError(f"{DEFAULT_VARIABLE}={text!r}: {error}") from error
    return sra


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
