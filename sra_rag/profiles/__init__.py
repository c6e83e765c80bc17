"""Profiles that come with sra-rag: settings that ``sra-rag calibrate`` found, with the evidence inside."""

from __future__ import annotations

from pathlib import Path

__all__ = ["profile_names", "profile_path"]

_FOLDER = Path(__file__).parent


def profile_names() -> list[str]:
    """Return the names that stand for settings wherever the path of a file would."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def profile_path(name: str) -> Path | None:
    """Return the file of a profile that comes with sra-rag; None where there is none of that name."""
    return _FOLDER / f"{name}.json" if name in profile_names() else None
