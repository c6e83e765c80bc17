"""Settings that come with the config of a run, so that a whole chain or graph is switched at once."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import RunnableConfig, ensure_config

__all__ = ["with_configured"]


def with_configured(config: RunnableConfig | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of a call with ``sra`` from the config in force, unless the call brings its own."""
    configurable = ensure_config(config).get("configurable") or {}
    return kwargs if "sra" in kwargs or "sra" not in configurable else {**kwargs, "sra": configurable["sra"]}
