"""Attention settings with their names in results."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sra_evaluations.rivals import Rival, parse_rival
from sra_rag.config import SRAConfig, SRALike
from sra_rag.errors import ConfigError
from sra_rag.notation import FORMS, names_file, parse_sra

__all__ = ["Setting", "as_settings", "parse_setting"]

_NAMED = re.compile(r"([A-Za-z][\w .-]*):(.+)", re.DOTALL)
_NUMBER = re.compile(r"[0-9.]+")


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """One way to run the model.

    Parameters
    ----------
    name
        Name of the setting in tables.
    sra
        Settings of the attention, None for off.
    rival
        Alternative to reattention, or combined with it; None for none.
    """

    name: str
    sra: SRAConfig | None
    rival: Rival | None = None

    @property
    def leaves_context(self) -> bool:
        """Whether the keys and values of the context are those of off, so that its prefill can be shared."""
        if self.rival is not None and not self.rival.keeps_context:
            return False
        return self.sra is None or not self.sra.enabled or self.sra.rows != "all"

    def to_dict(self) -> dict[str, Any] | None:
        """Return the setting without its name, as JSON-ready values; None for off."""
        sra = None if self.sra is None else self.sra.to_dict()
        return sra if self.rival is None else {"rival": str(self.rival), "sra": sra}

    @classmethod
    def from_dict(cls, name: str, content: Mapping[str, Any] | None) -> Setting:
        """Return the setting that `to_dict` was called on.

        Raises
        ------
        ConfigError
            If a value is not allowed.
        """
        rival, sra = None, content
        if content is not None and "rival" in content:
            sra = content["sra"]
            head, _, strength = str(content["rival"]).partition("=")
            rival = Rival(head, float(strength) if strength else None)
        return cls(name, None if sra is None else SRAConfig.from_dict(sra), rival)


def parse_setting(text: str) -> Setting:
    """Read a setting as `sra_rag.notation.parse_sra` does, or a rival as `parse_rival` does; ``NAME:`` may precede it.

    Without a name, its text or the name of its file is used.

    Raises
    ------
    ConfigError
        If it is not a setting, or a value is not allowed.
    """
    named = _NAMED.fullmatch(text)
    if named and not names_file(text):
        return _read(named[1], named[2])
    name = f"alpha={text}" if _NUMBER.fullmatch(text) else Path(text).stem if names_file(text) else text
    return _read(name, text)


def _read(name: str, text: str) -> Setting:
    rival = parse_rival(text)
    return Setting(name, parse_sra(text)) if rival is None else Setting(name, rival[1], rival[0])


def as_settings(given: Sequence[Setting | SRALike]) -> list[Setting]:
    """Name settings as a caller may write them; a text is read by `parse_setting`.

    Raises
    ------
    ConfigError
        If there is none, two have one name, or a value is not allowed.
    """
    settings = [_as_setting(one) for one in given]
    if not settings:
        raise ConfigError(f"There is no setting to run. {FORMS}")
    names = [setting.name for setting in settings]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{', '.join(twice)}: two settings have this name. Name one, as in other:alpha=0.2.")
    return settings


def _as_setting(given: Setting | SRALike) -> Setting:
    if isinstance(given, Setting):
        return given
    if isinstance(given, str):
        return parse_setting(given)
    sra = SRAConfig.coerce(given)
    return Setting("off", None) if sra is None else Setting(_described(sra), sra)


def _described(sra: SRAConfig) -> str:
    default = SRAConfig(alpha=0.0).to_dict()
    changed = {name: value for name, value in sra.to_dict().items() if value != default[name]}
    return ",".join(f"{name}={value}" for name, value in changed.items()) or "alpha=0"
