"""Versions of installed packages, which affect results and must be the same on all workers."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable, Mapping

from sra_rag.errors import ConfigError

__all__ = ["installed_versions", "require_versions"]


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of the given packages, without those that are not installed."""
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def require_versions(wanted: Mapping[str, str]) -> None:
    """Raise unless this machine has the given versions, which `installed_versions` returned on another machine.

    Raises
    ------
    ConfigError
        If a version differs, or a package is not installed.
    """
    here = installed_versions(name for name in wanted if name != "python")
    different = [
        f"{name} {here[name]} instead of {version}" if name in here else f"{name} is not installed"
        for name, version in wanted.items()
        if here.get(name) != version
    ]
    if different:
        raise ConfigError(
            f"it has other versions than the machine where the command was started: {', '.join(different)}. "
            "Install the same on every node."
        )
