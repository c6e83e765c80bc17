"""Partial softmaxes of rows over the blocks of keys that they see, where the keys of a block lie transposed.

There the scores of a query over a block are the sum of the block's rows, ``(D, block_size)``, each multiplied by one of
the query's numbers. Compiled kernels read each key once for all heads of a group. Without them, `embedding_bag`
computes such sums from the cache itself, wherever its blocks lie, for many rows at once.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import torch

from vllm_sra.cpu.compiled import compiled_kernels

__all__ = ["BlockSums", "SeenBlocks", "block_sums"]

_SCORES_AT_ONCE = 1 << 16  # float32; they and what is computed of them stay in a core's own cache
_WIDENED_AT_ONCE = 1 << 18  # numbers of keys that are copied into float32 at once
_KEYS_AT_ONCE = 32  # the kernels take so many, or half of them
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


class BlockSums(Protocol):
    """Sums over blocks that all layers of a forward pass ask for."""

    attends: bool
    """Whether it can attend too."""

    def measure(self, query: torch.Tensor, cache: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Measure the scores of rows.

        Parameters
        ----------
        query
            ``(R, H_q, D)``, float32, multiplied by the scale.
        cache
            Keys and values, ``(blocks, H_kv, 2, D, block_size)``: the keys first, transposed.

        Returns
        -------
        sums
            ``(3, N, H_q)``, float32: of each block and head the greatest score, the sum of exponentials ``e``, and
            ``sum e * score``, both of scores less the greatest.
        scores
            ``(N, H_q, block_size)``, float32; empty where it does not attend.
        """
        ...

    def attend(self, scores: torch.Tensor, beta: torch.Tensor, peak: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
        """Weigh the values of the cache, which lie in rows, by ``softmax(beta * scores)``.

        Parameters
        ----------
        scores
            As measured.
        beta
            ``(R, H_q)``, float32.
        peak
            The greatest score of each row, ``(R, H_q)``.
        cache
            As it was measured.

        Returns
        -------
        attended
            ``(R, H_q, D)``, float32.
        """
        ...


def block_sums(seen: SeenBlocks, n_heads: int, cache: torch.Tensor) -> BlockSums:
    """Prepare sums over blocks.

    Parameters
    ----------
    seen
        The blocks.
    n_heads
        Of queries.
    cache
        Of any layer.
    """
    size = cache.shape[-1]
    in_one_piece = cache.stride(-1) == 1 and cache.stride(-2) == size
    if in_one_piece and size % _KEYS_AT_ONCE == 0 and (kernels := compiled_kernels()) is not None:
        return _Compiled(kernels, seen, attends=cache.shape[-2] % _KEYS_AT_ONCE == 0)
    return _Bags(seen, n_heads, cache)


class _Compiled:
    """Sums by the compiled kernels."""

    def __init__(self, kernels: Any, seen: SeenBlocks, attends: bool) -> None:
        self._kernels = kernels
        self._seen = seen.blocks, seen.owners, seen.first, seen.last
        self.attends = attends

    def measure(self, query: torch.Tensor, cache: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores, sums = self._kernels.block_scores(query.contiguous(), cache, *self._seen)
        return sums, scores

    def attend(self, scores: torch.Tensor, beta: torch.Tensor, peak: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
        return self._kernels.attend(scores, beta.contiguous(), peak.contiguous(), cache, *self._seen)


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

    attends = False

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

    def measure(self, query: torch.Tensor, cache: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.cat([self._sums(chunk, query, cache) for chunk in self._chunks], 1), query.new_empty(0)

    def attend(self, scores: torch.Tensor, beta: torch.Tensor, peak: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError("only the compiled kernels attend")

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
