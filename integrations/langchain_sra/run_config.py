"""Settings from the config of a run, which apply to a whole chain or graph."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import RunnableConfig, ensure_config

__all__ = ["with_configured"]


def with_configured(config: RunnableConfig | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Add ``sra`` from the current config to the keyword arguments of a call, unless they already contain it."""
    configurable = ensure_config(config).get("configurable") or {}
    return kwargs if "sra" in kwargs or "sra" not in configurable else {**kwargs, "sra": configurable["sra"]}
