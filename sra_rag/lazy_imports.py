"""Public names of a package that import their modules only when they are first used (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(
    package: str, names_by_module: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of a package whose public names are imported on first use.

    Type checkers do not run them, so the package also imports the same names under ``if TYPE_CHECKING:``.

    Parameters
    ----------
    package
        Name of the package: its ``__name__``.
    names_by_module
        For each module, as an absolute name, the public names that it defines.

    Returns
    -------
    getattr
        Imports the module that defines a name, and keeps the value in the package.
    dir
        Returns the names that the package has and those that it can import, sorted.
    """
    modules = {name: module for module, names in names_by_module.items() for name in names}

    def __getattr__(name: str) -> Any:  # noqa: N807 - the package takes it under this name
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)  # later uses do not call __getattr__
        return value

    def __dir__() -> list[str]:  # noqa: N807 - the package takes it under this name
        return sorted({*vars(sys.modules[package]), *modules})

    return __getattr__, __dir__
