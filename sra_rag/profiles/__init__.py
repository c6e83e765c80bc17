"""Built-in profiles: settings found by ``sra-rag calibrate``, with their measurements."""

from __future__ import annotations

from pathlib import Path

__all__ = ["profile_names", "profile_path"]

_FOLDER = Path(__file__).parent


def profile_names() -> list[str]:
    """Return the names of the built-in profiles, which are accepted wherever the path of a profile is."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def profile_path(name: str) -> Path | None:
    """Return the path of a built-in profile; None if there is no profile with this name."""
    return _FOLDER / f"{name}.json" if name in profile_names() else None
