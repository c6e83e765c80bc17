"""Evidence in the settings of a request: the keys that get more weight, or the spans whose attention is returned."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sra_rag.attention.evidence import TO_END
from sra_rag.attention.look import Look
from sra_rag.errors import ConfigError
from sra_rag.evidence_config import EvidenceConfig

__all__ = ["EVIDENCE", "RETURN_EVIDENCE", "EvidenceSpans", "LookRequest", "read_evidence", "read_look"]

EVIDENCE, RETURN_EVIDENCE = "sra_evidence", "sra_return_evidence"
"""Arguments of a request: the weighed spans, and the request to return attention."""

_LOOK = frozenset({"spans", "heads", "passages"})

Span = tuple[int, int]
Heads = tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class EvidenceSpans:
    """Keys that count several times in the softmax of the rows after the context.

    Parameters
    ----------
    spans
        Token spans, as (start, end) with exclusive end, ascending. Each is within the context, or the last one goes on
        to the end of the answer (`TO_END`).
    weights
        Weight of each span, above 1.
    heads
        ``(layer, query head)`` of the heads that weigh the spans; None for all.
    """

    spans: tuple[Span, ...]
    weights: tuple[float, ...]
    heads: Heads | None


@dataclasses.dataclass(frozen=True, slots=True)
class LookRequest:
    """Spans whose share of attention is returned, instead of an answer.

    Parameters
    ----------
    spans
        Token spans of the context, as (start, end) with exclusive end, ascending.
    heads
        ``(layer, query head)`` of the heads that are observed; None for all.
    passages
        How many spans each passage has, whose share in each row is returned too; empty for none.
    """

    spans: tuple[Span, ...]
    heads: Heads | None
    passages: tuple[int, ...] = ()

    def start(self, context_length: int) -> Look:
        """Return an empty record of the attention of the rows from `context_length` on."""
        return Look(self.spans, context_length, self.heads, by_row=bool(self.passages))


def read_evidence(value: Any, config: EvidenceConfig, context_length: int) -> EvidenceSpans:
    """Read the weighed spans of a request.

    Parameters
    ----------
    value
        ``[[start, end, weight], ...]``, as a list or as JSON text. The end of the last span may be null: it goes on to
        the end of the answer.
    config
        Evidence settings of the request: the heads that weigh the spans.
    context_length
        Number of tokens of the context; spans are within it.

    Raises
    ------
    ConfigError
        If a value is not allowed.
    """
    parts = _parsed(EVIDENCE, value)
    if not isinstance(parts, list) or not all(isinstance(part, list) and len(part) == 3 for part in parts) or not parts:
        raise ConfigError(
            f"{EVIDENCE}={value!r} is not allowed: give a list of [start, end, weight], such as [[5, 9, 4]]."
        )
    weights = []
    for *_, weight in parts:
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not math.isfinite(weight) or weight <= 1:
            raise ConfigError(f"{EVIDENCE}: the weight {weight!r} is not allowed: give a finite number above 1.")
        weights.append(float(weight))
    ends = [part[:2] for part in parts]
    if goes_on := ends[-1][1] is None:
        ends[-1] = [ends[-1][0], TO_END]
    spans = _spans(EVIDENCE, ends, context_length, goes_on=goes_on)
    return EvidenceSpans(spans, tuple(weights), _heads("evidence.heads", config.heads))


def read_look(value: Any, context_length: int | None) -> LookRequest:
    """Read the request to return attention.

    Parameters
    ----------
    value
        ``{"spans": [[start, end], ...], "heads": [[layer, head], ...], "passages": [count, ...]}``, as a mapping or as
        JSON text. Without heads, all are observed; without passages, no rows are told apart.
    context_length
        Number of tokens of the context; spans are within it.

    Raises
    ------
    ConfigError
        If a value is not allowed.
    """
    content = _parsed(RETURN_EVIDENCE, value)
    if not isinstance(content, Mapping) or "spans" not in content or not _LOOK.issuperset(content):
        raise ConfigError(
            f"{RETURN_EVIDENCE}={value!r} is not allowed: give an object with spans, such as [[0, 20], [20, 55]], and "
            "heads, such as [[18, 7]] (layer, head), or no heads for all. It may have passages, such as [1, 1]: how "
            "many spans each has."
        )
    if context_length is None:
        raise ConfigError(
            f"{RETURN_EVIDENCE} requires sra_context_length: the number of prompt tokens up to the end of the context."
        )
    heads = EvidenceConfig(look=content.get("heads", "all")).look
    spans = content["spans"]
    if not isinstance(spans, list) or not spans:
        raise ConfigError(f"{RETURN_EVIDENCE}: spans={spans!r} is not allowed: give a list of [start, end].")
    passages = content.get("passages", [])
    counted = isinstance(passages, list) and all(type(count) is int and count > 0 for count in passages)
    if not counted or (passages and sum(passages) != len(spans)):
        raise ConfigError(
            f"{RETURN_EVIDENCE}: passages={passages!r} is not allowed: give how many of the {len(spans)} spans each "
            "passage has, in their order."
        )
    return LookRequest(_spans(RETURN_EVIDENCE, spans, context_length), _heads("heads", heads), tuple(passages))


def _parsed(name: str, value: Any) -> Any:
    return _parsed_text(name, value if isinstance(value, str) else json.dumps(value))


# Cached: vLLM asks for the settings of a request with every block of its prompt.
@functools.lru_cache(maxsize=1024)
def _parsed_text(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{name}={text!r} is not valid JSON: {error}.") from error


def _spans(name: str, parts: Sequence[Any], context_length: int, *, goes_on: bool = False) -> tuple[Span, ...]:
    end, spans = 0, []
    for number, part in enumerate(parts, start=1):
        pair = isinstance(part, list) and len(part) == 2 and all(type(edge) is int for edge in part)
        most = (context_length, TO_END) if goes_on and number == len(parts) else (context_length - 1, context_length)
        if not pair or not end <= part[0] < part[1] or part[0] > most[0] or part[1] > most[1]:
            if pair and part[1] == TO_END:
                part = [part[0], None]
            raise ConfigError(
                f"{name}: the span {part!r} is not allowed: give [start, end] in tokens of the prompt, with at least "
                f"one token, ascending, not overlapping, and within the {context_length} tokens of the context."
            )
        end = part[1]
        spans.append((part[0], part[1]))
    return tuple(spans)


def _heads(name: str, heads: Any) -> Heads | None:
    if isinstance(heads, int):
        raise ConfigError(
            f'{name}={heads} is not allowed inside vLLM, which ranks no heads. Give pairs (layer, head), or "all". '
            "sra-rag heads shows the best heads of a model."
        )
    return None if heads == "all" else heads
