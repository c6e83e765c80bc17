"""Which versions of packages are installed: what results hang on, and what workers on other machines have to share."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable, Mapping

from sra_rag.errors import ConfigError

__all__ = ["installed_versions", "require_versions"]


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the version of Python and of those packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def require_versions(wanted: Mapping[str, str]) -> None:
    """Hold this machine's versions to another's, as `installed_versions` returned them there.

    Raises
    ------
    ConfigError
        If one of them is another, or is not installed.
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
