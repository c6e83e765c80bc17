"""Spans of tokens whose attention is measured."""

from __future__ import annotations

from collections.abc import Sequence

from sra_rag.errors import ConfigError

__all__ = ["require_ascending"]


def require_ascending(spans: Sequence[tuple[int, int]], length: int, whole: str) -> None:
    """Raise `ConfigError` unless spans ascend, do not overlap, and are within the tokens of a text.

    Parameters
    ----------
    spans
        First token of each span, and the one after its last.
    length
        Number of tokens of the text.
    whole
        Name of the text in the message, such as ``"prompt"``.
    """
    end = 0
    for first, last in spans:
        if not end <= first <= last <= length:
            raise ConfigError(
                f"The span {first}:{last} is not allowed: spans ascend, do not overlap, and are within the "
                f"{length} tokens of the {whole}."
            )
        end = last
