"""Prefix caching that stays right: blocks of keys and values that settings change are not shared with others.

A sharpened row changes the keys and values of its position in all layers above. So a block is shared if it ends before
the first sharpened row: the context's under ``rows="after_context"``, the whole prompt's under ``rows="generated"``,
none's under ``rows="all"``.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from vllm.v1.core import kv_cache_utils

from vllm_sra.plugin.request_settings import read_settings

if TYPE_CHECKING:
    from vllm.v1.request import Request

__all__ = ["blocks_are_salted", "salt_changed_blocks", "sharpening_key"]

_NAME = "sra"


def sharpening_key(request: Request, end: int) -> tuple[str, str, int] | None:
    """Return what is to be hashed with a block of a request that ends before position `end`; None if it is plain.

    The first sharpened row counts too: the same tokens under the same settings are others where it stands elsewhere.
    """
    if request.sampling_params is None:
        return None
    settings = read_settings(request.sampling_params.extra_args)
    if settings is None:
        return None
    first = settings.first_changed(request.num_prompt_tokens)
    return (_NAME, settings.cache_key(), first) if end > first else None


def blocks_are_salted() -> bool:
    """Whether `salt_changed_blocks` was called in this process: whether vLLM was started with the plugin."""
    return getattr(kv_cache_utils.generate_block_hash_extra_keys, "salted_by", None) == _NAME


def salt_changed_blocks() -> None:
    """Have vLLM hash settings with the blocks they change. Calling it again changes nothing.

    There is no public way: ``cache_salt`` is one for a whole request, and the client's to give. So the function that
    gathers what is hashed with a block is wrapped; ``tests/vllm_sra/test_caching.py`` notices when it moves.
    """
    if blocks_are_salted():
        return
    plain = kv_cache_utils.generate_block_hash_extra_keys

    @functools.wraps(plain)
    def salted(
        request: Request, start_token_idx: int, end_token_idx: int, start_mm_idx: int
    ) -> tuple[tuple[Any, ...] | None, int]:
        keys, next_mm_idx = plain(request, start_token_idx, end_token_idx, start_mm_idx)
        key = sharpening_key(request, end_token_idx)
        return (keys if key is None else (*(keys or ()), key)), next_mm_idx

    salted.salted_by = _NAME  # type: ignore[attr-defined]
    kv_cache_utils.generate_block_hash_extra_keys = salted
