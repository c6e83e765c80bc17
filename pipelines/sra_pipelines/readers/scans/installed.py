"""Whether text can be recognized; a module of its own, because all readers ask, and the recognition loads PDFium."""

from __future__ import annotations

import importlib.util

__all__ = ["is_installed"]


def is_installed() -> bool:
    """Return whether the extra ``ocr`` is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("rapidocr", "onnxruntime", "cv2"))
