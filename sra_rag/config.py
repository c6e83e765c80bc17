"""The attention settings: a frozen, validated value that is used everywhere.

`SRAConfig` is validated on creation. Whether it is compatible with a particular model, such as its number of layers and
heads, is checked when it is applied to the model.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias

from sra_rag.errors import ConfigError
from sra_rag.evidence_config import EvidenceConfig
from sra_rag.policies import POLICIES, REALLOCATE
from sra_rag.profiles import profile_names, profile_path

__all__ = ["Alpha", "Bounds", "Rows", "SRAConfig", "SRALike"]

Alpha: TypeAlias = float | tuple[float, ...] | tuple[tuple[float, ...], ...]
Bounds: TypeAlias = Literal["theoretical", "observed"] | tuple[float, float]
Rows: TypeAlias = Literal["all", "after_context", "generated"]

_ALPHA = 0.2
_REALLOCATED = 4.5  # times the mass; the authors' code has 4 to 5
_MOST_ALPHA = 100.0  # then a row attends to one key; factors far above it overflow in float16
_ROWS = ("all", "after_context", "generated")
_NAMED_BOUNDS = ("theoretical", "observed")


@dataclasses.dataclass(frozen=True, slots=True)
class SRAConfig:
    """Settings of Scaled ReAttention (SRA; Gao et al., arXiv 2307.13365).

    Parameters
    ----------
    alpha
        Strength of sharpening, 0 to 100: a number, one per layer (``L``), or one per layer and query head
        (``L x H_q``). 0 is no sharpening, bit for bit. By default 0.2, or 0 if `evidence` is given. With
        ``policy="reallocate"`` it is how many times the mass of the cut weights is moved, by default 4.5.
    bounds
        The bounds that normalize the entropy of a row, in nats: ``"theoretical"`` (0 and the log of the number of keys
        that are visible to the row), ``"observed"`` (the minimum and maximum over the sharpened rows of the sequence,
        per head) or a pair ``(h_min, h_max)``.
    layers
        ``"all"``, ``"last:N"``, or layer indices; negative ones count from the end.
    heads
        ``"all"`` or query-head indices, the same in each layer.
    rows
        The positions whose attention is sharpened: ``"all"`` (as in the paper), ``"after_context"`` (the question and
        the answer) or ``"generated"`` (only generated tokens). By default ``"all"``, or ``"after_context"`` if
        `evidence` is given or the policy is ``"reallocate"``.
    policy
        ``"entropy"`` (the paper's rule), ``"constant"`` or ``"focus"``; see `sra_rag.policies`. ``"reallocate"`` is the
        rule of the authors' published code, which differs from the paper's; see `sra_rag.attention.reallocate`.
    evidence
        Weight on the passage that answers the question: an `EvidenceConfig`, a mapping of its fields, a weight, True
        for the settings measured for the model, or None. It applies to the positions after the context, regardless of
        `rows`.

    Raises
    ------
    ConfigError
        If a value is not allowed; the message names the allowed values.
    """

    alpha: Alpha = None  # type: ignore[assignment]  # the default depends on `evidence`
    bounds: Bounds = "theoretical"
    layers: str | tuple[int, ...] = "all"
    heads: str | tuple[int, ...] = "all"
    rows: Rows = None  # type: ignore[assignment]
    policy: str = "entropy"
    evidence: EvidenceConfig | None = None

    def __post_init__(self) -> None:
        # Normalize values (JSON has no tuples); a frozen dataclass requires object.__setattr__ for this.
        object.__setattr__(self, "evidence", EvidenceConfig.coerce(self.evidence))
        reallocates = self.policy == REALLOCATE
        if self.alpha is None:
            alpha = _REALLOCATED if reallocates else _ALPHA
            object.__setattr__(self, "alpha", alpha if self.evidence is None else 0.0)
        if self.rows is None:
            object.__setattr__(self, "rows", "after_context" if self.evidence or reallocates else "all")
        object.__setattr__(self, "alpha", _alpha(self.alpha))
        object.__setattr__(self, "bounds", _bounds(self.bounds))
        object.__setattr__(self, "layers", _layers(self.layers))
        object.__setattr__(self, "heads", _indices("heads", self.heads, '"all" or a list of query-head indices'))
        if self.rows not in _ROWS:
            raise ConfigError(f"rows={self.rows!r} is not allowed. Use one of: {', '.join(_ROWS)}.")
        if self.policy not in (*POLICIES, REALLOCATE):
            raise ConfigError(
                f"policy={self.policy!r} is unknown. Use one of: {', '.join(sorted((*POLICIES, REALLOCATE)))}."
            )
        if reallocates:
            _check_reallocation(self)
        elif self.bounds == "observed" and self.rows == "generated" and POLICIES[self.policy].needs_entropy:
            raise ConfigError(
                'bounds="observed" takes its bounds from the rows of the prompt, which rows="generated" does not '
                'sharpen. Use bounds="theoretical" or a pair, or other rows.'
            )
        if self.bounds == "observed" and self.evidence is not None:
            raise ConfigError(
                'bounds="observed" takes its bounds from all rows of a prompt at once, and evidence reads the question '
                'apart from the context. Use bounds="theoretical" or a pair, or no evidence.'
            )
        if isinstance(self.bounds, tuple):
            h_min, h_max = self.bounds
            if self.max_alpha * h_min >= h_max - h_min:
                raise ConfigError(
                    f"bounds={self.bounds!r} with alpha {self.max_alpha:g} would invert the attention of a focused row "
                    "(beta <= 0 at entropy 0). Use a smaller h_min or a smaller alpha."
                )

    @property
    def max_alpha(self) -> float:
        """The maximum strength over all layers and heads."""
        return max(_flat(self.alpha))

    @property
    def sharpens(self) -> bool:
        """Whether any row is sharpened."""
        return self.max_alpha > 0 and self.layers != () and self.heads != ()

    @property
    def enabled(self) -> bool:
        """Whether the settings change attention at all."""
        return self.sharpens or self.evidence is not None

    def replace(self, **changes: Any) -> SRAConfig:
        """Return a copy with some fields changed, validated again."""
        _reject_unknown(changes)
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """Return the settings as JSON, and write them to `path` where one is given."""
        text = json.dumps(dataclasses.asdict(self), indent=2) + "\n"
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> SRAConfig:
        """Make settings from a mapping, such as parsed JSON.

        Raises
        ------
        ConfigError
            If a key is unknown or a value not allowed.
        """
        _reject_unknown(settings)
        return cls(**settings)

    @classmethod
    def from_json(cls, path: str | PathLike[str]) -> SRAConfig:
        """Read settings from a JSON file.

        A calibrated profile is such a file too: its settings are under the key ``"sra"``. The name of one that is
        part of sra-rag (see `sra_rag.profiles`) can be given instead of its path.

        Raises
        ------
        ConfigError
            If the file is missing, is not JSON or holds settings that are not allowed.
        """
        try:
            parsed = json.loads((profile_path(str(path)) or Path(path)).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(
                f"The SRA settings {str(path)!r} cannot be read: {error.strerror or error}. Give a file of settings, "
                f"or the name of a built-in profile: {', '.join(profile_names())}."
            ) from error
        except ValueError as error:
            raise ConfigError(f"The SRA settings {str(path)!r} are not valid JSON: {error}.") from error
        if isinstance(parsed, Mapping) and "sra" in parsed:
            parsed = parsed["sra"]
        if not isinstance(parsed, Mapping):
            raise ConfigError(
                f"The SRA settings {str(path)!r} hold {type(parsed).__name__}, not an object of settings."
            )
        return cls.from_dict(parsed)

    @classmethod
    def coerce(cls, value: SRALike) -> SRAConfig | None:
        """Convert any value that is accepted for ``sra=`` to settings.

        Parameters
        ----------
        value
            Settings, a mapping of settings, a number (alpha), a text as for `sra_rag.notation.parse_sra` (such as
            ``"evidence"``, ``"evidence=16,alpha=0.3"``, ``"off"`` or the path of a JSON file), or None for off.

        Returns
        -------
        sra
            Settings, which are not `enabled` for ``"off"``; None for None.

        Raises
        ------
        ConfigError
            If the value has another type, or is not allowed.
        """
        if value is None or isinstance(value, cls):
            return value
        if isinstance(value, bool):
            raise ConfigError(f"sra={value!r} is not a strength. Give an alpha such as 0.2, or None for off.")
        if isinstance(value, int | float):
            return cls(alpha=value)
        if isinstance(value, Mapping):
            return cls.from_dict(value)
        if isinstance(value, str):
            from sra_rag.notation import parse_sra  # it makes objects of this class

            return parse_sra(value) or cls(alpha=0.0)  # None would mean "as loaded" to some callers
        if isinstance(value, PathLike):
            return cls.from_json(value)
        raise ConfigError(
            f"sra={value!r} is a {type(value).__name__}. Give an SRAConfig, a dict, a number (alpha), 'evidence' or "
            "other settings as text, the path of a JSON file, or None for off."
        )


def _check_reallocation(config: SRAConfig) -> None:
    if config.rows == "all":
        raise ConfigError(
            'policy="reallocate" holds the whole score matrix of its rows, so rows="all" is not allowed. Use '
            'rows="after_context" or rows="generated".'
        )
    if config.evidence is not None or config.bounds != "theoretical":
        raise ConfigError(
            'policy="reallocate" has no entropy and no evidence weights: it is there for comparison. Leave bounds and '
            "evidence out, or use another policy."
        )


SRALike: TypeAlias = SRAConfig | Mapping[str, Any] | float | str | PathLike[str] | None


def _flat(alpha: Alpha) -> list[float]:
    if isinstance(alpha, tuple):
        return [number for item in alpha for number in _flat(item)]
    return [alpha]


def _alpha(value: Any) -> Alpha:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        if not value:
            raise ConfigError("alpha is an empty list. Give a number, one per layer, or one per layer and head.")
        items = tuple(_alpha(item) for item in value)
        if not all(isinstance(item, float) for item in items) and not (
            all(isinstance(item, tuple) and isinstance(item[0], float) for item in items)
            and len({len(item) for item in items if isinstance(item, tuple)}) == 1
        ):
            raise ConfigError("alpha is a ragged list. Give a number, one per layer, or one per layer and head.")
        return items  # type: ignore[return-value]  # checked above
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(
            f"alpha={value!r} is not a number. Give one from 0 to {_MOST_ALPHA:g}, one per layer, or one per layer and "
            "head."
        )
    if not 0 <= value <= _MOST_ALPHA:  # false for NaN, too
        raise ConfigError(f"alpha={value!r} is not allowed: it must be between 0 (off) and {_MOST_ALPHA:g}.")
    return float(value)


def _bounds(value: Any) -> Bounds:
    allowed = f"Use one of {', '.join(map(repr, _NAMED_BOUNDS))}, or a pair (h_min, h_max) in nats."
    if isinstance(value, str):
        if value not in _NAMED_BOUNDS:
            raise ConfigError(f"bounds={value!r} is not allowed. {allowed}")
        return value  # type: ignore[return-value]  # one of the two names
    if not isinstance(value, Sequence) or len(value) != 2:
        raise ConfigError(f"bounds={value!r} is not allowed. {allowed}")
    h_min, h_max = value
    if not all(isinstance(h, int | float) for h in value) or not 0 <= h_min < h_max <= sys.float_info.max:
        raise ConfigError(f"bounds={value!r} is not allowed: 0 <= h_min < h_max must hold. {allowed}")
    return float(h_min), float(h_max)


def _layers(value: Any) -> str | tuple[int, ...]:
    allowed = '"all", "last:N" (N >= 1) or a list of layer indices'
    if isinstance(value, str) and value.startswith("last:"):
        count = value.removeprefix("last:")
        if not count.isdecimal() or int(count) < 1:
            raise ConfigError(f"layers={value!r} is not allowed. Use {allowed}.")
        return value
    return _indices("layers", value, allowed)


def _indices(name: str, value: Any, allowed: str) -> str | tuple[int, ...]:
    if value == "all":
        return "all"
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigError(f"{name}={value!r} is not allowed. Use {allowed}.")
    if not all(isinstance(item, int) and not isinstance(item, bool) for item in value) or len(set(value)) < len(value):
        raise ConfigError(f"{name}={value!r} is not allowed: indices must be distinct integers. Use {allowed}.")
    return tuple(value)


def _reject_unknown(settings: Mapping[str, Any]) -> None:
    known = [field.name for field in dataclasses.fields(SRAConfig)]
    unknown = sorted(str(key) for key in settings if key not in known)
    if unknown:
        raise ConfigError(f"Unknown SRA setting {', '.join(unknown)}. Known are: {', '.join(known)}.")
