"""Partial softmaxes of rows over the blocks of keys that they see, where the keys of a block lie transposed.

There the scores of a query over a block are the sum of the block's rows, ``(D, block_size)``, each multiplied by one of
the query's numbers. A compiled kernel reads each key once for all heads of a group. Without one, `embedding_bag`
computes such sums from the cache itself, wherever its blocks lie, for many rows at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

from vllm_sra.compiled import compiled_block_sums

__all__ = ["SeenBlocks", "block_sums"]

Sums = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Of queries ``(rows, H_q, D)``, float32, scaled, and the cache, of each block and head the greatest score, the sum of
exponentials ``e``, and ``sum e * score``, both of scores less the greatest: ``(3, N, H_q)``."""

_SCORES_AT_ONCE = 1 << 16  # float32; they and what is computed of them stay in a core's own cache
_WIDENED_AT_ONCE = 1 << 18  # numbers of keys that are copied into float32 at once
_KEYS_AT_ONCE = 32  # of a block: the kernel takes so many, or half of them
_HIDDEN = -1e30  # stands for -inf where 0 * -inf would spoil a sum


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class SeenBlocks:
    """Blocks of keys, each as one row sees it; all ``(N,)``, int64.

    Parameters
    ----------
    blocks
        Where they are in the cache.
    owners
        Which row sees each.
    first, last
        From which to before which of a block's keys.
    """

    blocks: torch.Tensor
    owners: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor


def block_sums(seen: SeenBlocks, n_heads: int, cache: torch.Tensor) -> Sums:
    """Prepare sums over blocks that all layers of a forward pass ask for.

    Parameters
    ----------
    seen
        The blocks.
    n_heads
        Of queries.
    cache
        Keys and values, ``(blocks, H_kv, 2, D, block_size)``, of any layer: the keys first, transposed.
    """
    size = cache.shape[-1]
    in_one_piece = cache.stride(-1) == 1 and cache.stride(-2) == size
    if in_one_piece and size % _KEYS_AT_ONCE == 0 and (kernel := compiled_block_sums()) is not None:
        return lambda query, cache: kernel(query.contiguous(), cache, *(seen.blocks, seen.owners, seen.first, seen.last))
    return _Bags(seen, n_heads, cache)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    """Blocks that are served at once.

    Parameters
    ----------
    blocks, owners
        As in `SeenBlocks`.
    terms
        Of each block and query head the rows, as numbered in the table of `_Bags`, that sum up to its scores.
    hidden
        Which of the blocks have keys that are not seen, and what to add to their scores; None where all are seen.
    """

    blocks: torch.Tensor
    owners: torch.Tensor
    terms: torch.Tensor
    hidden: tuple[torch.Tensor, torch.Tensor] | None


class _Bags:
    """Sums by PyTorch's operators."""

    def __init__(self, seen: SeenBlocks, n_heads: int, cache: torch.Tensor) -> None:
        _, kv_heads, _, head_size, block_size = cache.shape
        self._in_place = _is_table(cache)
        at_once = max(1, _SCORES_AT_ONCE // (n_heads * block_size))
        if not self._in_place:
            at_once = max(1, min(at_once, _WIDENED_AT_ONCE // (kv_heads * head_size * block_size)))
        self._starts = torch.arange(min(at_once, len(seen.blocks)) * n_heads) * head_size
        columns, heads = torch.arange(block_size), torch.arange(kv_heads)
        self._chunks = []
        parts = (numbers.split(at_once) for numbers in (seen.blocks, seen.owners, seen.first, seen.last))
        for blocks, owners, first, last in zip(*parts, strict=True):
            if self._in_place:  # behind the keys of each head lie its values
                rows = (blocks[:, None] * kv_heads + heads) * 2 * head_size
            else:
                rows = (torch.arange(len(blocks))[:, None] * kv_heads + heads) * head_size
            terms = rows[..., None, None] + torch.arange(head_size)
            terms = terms.expand(-1, -1, n_heads // kv_heads, -1).reshape(-1)
            hidden = None
            partly = ((first > 0) | (last < block_size)).nonzero().flatten()
            if len(partly):
                shown = (columns >= first[partly, None]) & (columns < last[partly, None])
                hidden = partly, torch.where(shown, 0.0, _HIDDEN)[:, None]
            self._chunks.append(_Chunk(blocks, owners, terms, hidden))

    def __call__(self, query: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
        return torch.cat([self._sums(chunk, query, cache) for chunk in self._chunks], 1)

    def _sums(self, chunk: _Chunk, query: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
        if self._in_place:
            table = cache.view(-1, cache.shape[-1])
        else:
            table = cache[:, :, 0].index_select(0, chunk.blocks).float().view(-1, cache.shape[-1])
        n_heads = query.shape[1]
        scores = torch.nn.functional.embedding_bag(
            chunk.terms,
            table,
            self._starts[: len(chunk.blocks) * n_heads],
            mode="sum",
            per_sample_weights=query.index_select(0, chunk.owners).view(-1),
        ).view(len(chunk.blocks), n_heads, -1)
        if chunk.hidden is not None:
            places, bias = chunk.hidden
            scores.index_add_(0, places, bias.expand(-1, n_heads, -1))
        peak = scores.amax(-1, keepdim=True)
        scores.sub_(peak)
        shares = scores.exp()
        return torch.stack((peak[..., 0], shares.sum(-1), torch.linalg.vecdot(shares, scores)))


def _is_table(cache: torch.Tensor) -> bool:
    """Whether a cache is one table of rows of float32 numbers, which sums can be taken from as it is."""
    return cache.dtype == torch.float32 and cache.is_contiguous()
