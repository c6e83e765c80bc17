"""Correct prefix caching: key/value blocks that depend on settings are not shared with other settings.

A sharpened row changes the keys and values of its position in all later layers. So a block is shared only if it ends
before the first sharpened row. These are the blocks of the context for ``rows="after_context"``, the blocks of the
whole prompt for ``rows="generated"``, and no blocks for ``rows="all"``. Evidence changes rows after the context only.

A request that returns attention needs the rows after its context, so it takes only the context from the cache.
"""

from __future__ import annotations

import functools
import uuid
from typing import TYPE_CHECKING, Any

from vllm.v1.core import kv_cache_utils

from vllm_sra.plugin.request_settings import read_settings

if TYPE_CHECKING:
    from vllm.v1.request import Request

__all__ = ["blocks_are_salted", "salt_changed_blocks", "sharpening_key"]

_NAME = "sra"


def sharpening_key(request: Request, end: int) -> tuple[str, str, int] | None:
    """Return the extra hash key of a block that ends before position `end`; None if no settings affect the block.

    The key includes the position of the first changed row: with another position, the same tokens and settings give
    other keys and values. If attention is returned, each block after the context has a key that no other block has.
    """
    if request.sampling_params is None:
        return None
    settings = read_settings(request.sampling_params.extra_args)
    if settings is None:
        return None
    if settings.look is not None:
        observed = settings.context_length or 0
        return (_NAME, uuid.uuid4().hex, observed) if end > observed else None
    first = settings.first_changed(request.num_prompt_tokens)
    return (_NAME, settings.cache_key(), first) if end > first else None


def blocks_are_salted() -> bool:
    """Whether `salt_changed_blocks` was called in this process, that is, whether vLLM was started with the plugin."""
    return getattr(kv_cache_utils.generate_block_hash_extra_keys, "salted_by", None) == _NAME


def salt_changed_blocks() -> None:
    """Add the settings to vLLM's hash of the blocks that they change. Repeated calls have no effect.

    vLLM has no public API for this: ``cache_salt`` applies to a whole request and belongs to the client. So this wraps
    the function that collects the extra hash keys of a block. ``tests/vllm_sra/test_caching.py`` fails if vLLM moves
    that function.
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
