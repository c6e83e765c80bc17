"""Where sra-rag keeps files that it can make or fetch again."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Return where converted models are kept: ``$SRA_RAG_CACHE``, else the user's cache folder of the platform."""
    chosen = os.environ.get("SRA_RAG_CACHE")
    return Path(chosen) if chosen else user_cache_path("sra-rag")
