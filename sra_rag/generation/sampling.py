"""Sampling options of a request: frozen values, validated without torch and applied by `logits_processors`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sra_rag.errors import ConfigError

__all__ = ["SamplingOptions"]

_LEAST_SEED, _MOST_SEED = -(1 << 63), (1 << 64) - 1  # what torch.Generator accepts

_REPLACED = {
    "do_sample": "set temperature, 0 for the likeliest token each time",
    "max_length": "set max_new_tokens",
    "use_cache": "the key/value cache is always used",
    "stop_strings": "set stop",
    "return_dict_in_generate": "the result always contains everything",
}


@dataclasses.dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Options of one request.

    Parameters
    ----------
    max_new_tokens
        Maximum number of tokens of the answer.
    temperature
        Sampling temperature; 0 is greedy decoding.
    top_k, top_p, min_p, typical_p
        Restrict sampling to the k most likely tokens; to the most likely tokens with a total probability of p; to
        tokens with at least min_p times the probability of the most likely token; or to locally typical tokens. None is
        no limit.
    repetition_penalty
        Divisor for the logits of tokens that occurred before; 1 is no penalty.
    stop
        Texts that end the answer. They are not included in it.
    seed
        Random seed of at most 64 bits. The same seed gives the same answer on the same machine; None uses a new seed.
    json_schema
        Schema of a JSON answer, which is complete within `max_new_tokens`. An empty schema allows any JSON; None is
        text. Requires the extra ``structured``.
    stop_repetition
        Whether an answer that repeats itself is stopped and cut before the repetition; see
        `sra_rag.generation.repetition`. JSON answers are never cut.
    end_after_colon
        Whether a text may end directly after a colon. By default it may not: small models sometimes end an answer at
        "The answer is:". A model on a server is not held to it.
    timeout
        Time limit in seconds, after which `GenerationTimeoutError` is raised; None is no limit.
    extra
        Further fields of transformers' ``GenerationConfig`` that work on one sequence at a time, such as
        ``no_repeat_ngram_size``.

    Raises
    ------
    ConfigError
        If a value is not allowed.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    json_schema: Mapping[str, Any] | None = None
    stop_repetition: bool = True
    end_after_colon: bool = False
    timeout: float | None = None
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        object.__setattr__(self, "stop", stop)
        if not all(isinstance(text, str) and text for text in stop):
            raise ConfigError(f"stop={self.stop!r} is not allowed: give one or more texts that are not empty.")
        _check("max_new_tokens", self.max_new_tokens, self.max_new_tokens >= 1, ">= 1")
        _check("temperature", self.temperature, self.temperature >= 0, ">= 0")
        _check("top_k", self.top_k, self.top_k is None or self.top_k >= 1, ">= 1 or None")
        _check("repetition_penalty", self.repetition_penalty, self.repetition_penalty > 0, "> 0")
        _check(
            "seed", self.seed, self.seed is None or _LEAST_SEED <= self.seed <= _MOST_SEED, "at most 64 bits, or None"
        )
        _check("timeout", self.timeout, self.timeout is None or self.timeout > 0, "> 0 or None")
        for name in ("top_p", "min_p", "typical_p"):
            value = getattr(self, name)
            _check(name, value, value is None or 0 < value <= 1, "above 0 and at most 1, or None")
        for name in sorted(_REPLACED.keys() & self.extra.keys()):
            raise ConfigError(f"{name} is not an option here: {_REPLACED[name]}.")
        for name in ("num_beams", "num_return_sequences"):
            if self.extra.get(name, 1) not in (1, None):
                raise ConfigError(
                    f"{name}={self.extra[name]!r} is not supported: one sequence is generated per prompt."
                )

    def replace(self, **changes: Any) -> SamplingOptions:
        """Return a copy with some options changed, validated again.

        Names that are not options of this class go into `extra` if transformers' ``GenerationConfig`` knows them.
        """
        known = {field.name for field in dataclasses.fields(self)}
        own = {name: value for name, value in changes.items() if name in known}
        extra = {name: value for name, value in changes.items() if name not in known}
        if extra:
            from transformers import GenerationConfig

            allowed = GenerationConfig().to_dict().keys()
            unknown = sorted(set(extra) - set(allowed))
            if unknown:
                raise ConfigError(
                    f"Unknown generation option {', '.join(unknown)}. Known are {', '.join(sorted(known - {'extra'}))} "
                    "and the fields of transformers' GenerationConfig."
                )
            own["extra"] = {**self.extra, **own.get("extra", {}), **extra}
        return dataclasses.replace(self, **own)


def _check(name: str, value: object, is_allowed: bool, allowed: str) -> None:
    if not is_allowed:
        raise ConfigError(f"{name}={value!r} is not allowed: it must be {allowed}.")
