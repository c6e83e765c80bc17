"""What was measured of one example under one setting."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sra_rag.errors import ConfigError
from sra_rag.generation.result import Timing, Usage

__all__ = ["Record"]


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One example under one setting. A field that was not measured is None.

    Parameters
    ----------
    task, example, setting
        Names of the task, the example and the setting; together they identify the record.
    scores
        Values of the metrics, by the name of the metric.
    features
        What examples of the task differ in, such as ``{"position": 0.5}``.
    timed
        Whether the example was run alone, so that `seconds` and `peak_bytes` can be compared.
    answer, finish_reason, usage, seconds
        The generated answer, and its `sra_rag.Generation` fields.
    peak_bytes
        The most memory in use while the answer was generated.
    answered_at_once
        How many answers were generated in the same batch.
    gold_tokens
        Tokens of the gold answer whose likelihood was measured.
    likelihood_seconds
        Seconds that the measurement of the likelihood took.
    entropy
        Entropy of the attention of the gold answer's tokens in nats, ``(layers, H_q)``.
    keys
        Tokens of the prompt that these tokens attended to.
    passage_attention
        Share of the attention of these tokens on each passage of the prompt, mean over layers, heads and tokens.
    worker
        Name of the machine that answered, in a run on Ray.
    """

    task: str
    example: str
    setting: str
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    features: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    timed: bool = False
    answer: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    seconds: Timing | None = None
    peak_bytes: int | None = None
    answered_at_once: int | None = None
    gold_tokens: int | None = None
    likelihood_seconds: float | None = None
    entropy: tuple[tuple[float, ...], ...] | None = None
    keys: int | None = None
    passage_attention: tuple[float, ...] | None = None
    worker: str | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies the record: task, example and setting."""
        return self.task, self.example, self.setting

    @property
    def prompt_tokens(self) -> int | None:
        """Tokens of the prompt, None where nothing was measured that counts them."""
        return self.keys if self.usage is None else self.usage.prompt_tokens

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that were measured, as JSON has them."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Record:
        """Return the record that `to_dict` was called on.

        Raises
        ------
        ConfigError
            If a field is missing or unknown, or does not have the form that `to_dict` gives it.
        """
        values = dict(fields)
        try:
            if values.get("usage") is not None:
                values["usage"] = Usage(**values["usage"])
            if values.get("seconds") is not None:
                values["seconds"] = Timing(**values["seconds"])
            if values.get("entropy") is not None:
                values["entropy"] = tuple(tuple(layer) for layer in values["entropy"])
            if values.get("passage_attention") is not None:
                values["passage_attention"] = tuple(values["passage_attention"])
            return cls(**values)
        except TypeError as error:
            raise ConfigError(
                f"This is not a record of this release ({error}). Allowed fields are "
                f"{', '.join(field.name for field in dataclasses.fields(cls))}; the first three are required. "
                "Read the results with the release that wrote them."
            ) from error
