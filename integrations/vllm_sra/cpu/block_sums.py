"""Partial softmax of query rows over blocks of keys, for caches in which the keys of a block are transposed.

In such a cache a block has the shape ``(D, block_size)``, and the scores of a query over the block are a weighted sum
of its rows. Compiled kernels read each key once for all query heads of a group. Without them, `embedding_bag` computes
the weighted sums for many rows at once, directly from the cache.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import torch

from vllm_sra.cpu.compiled import compiled_kernels

__all__ = ["BlockSums", "SeenBlocks", "block_sums"]

_SCORES_PER_CHUNK = 1 << 16  # float32 numbers; small enough for the cache of one core
_CONVERTED_PER_CHUNK = 1 << 18  # numbers of keys that are converted to float32 at once
_KERNEL_COLUMNS = 32  # the compiled kernels process 32 or 16 columns at once; 32 is a multiple of both
_HIDDEN = -1e30  # used instead of -inf, because 0 * -inf is NaN


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class SeenBlocks:
    """``N`` pairs of a query row and a block of keys that the row attends to; all tensors are ``(N,)``, int64.

    Parameters
    ----------
    blocks
        Index of each block in the cache.
    owners
        Index of the query row of each pair.
    first, last
        Range of the visible keys within each block; `last` is exclusive.
    """

    blocks: torch.Tensor
    owners: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor


class BlockSums(Protocol):
    """Sums over blocks, reused by all layers of a forward pass."""

    attends: bool
    """Whether `attend` is supported."""

    def measure(self, query: torch.Tensor, cache: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the scores of query rows and the sums of their partial softmax.

        Parameters
        ----------
        query
            Query rows, ``(R, H_q, D)``, float32, already multiplied by the scale.
        cache
            Keys and values, ``(blocks, H_kv, 2, D, block_size)``: the keys first, transposed.

        Returns
        -------
        sums
            ``(3, N, H_q)``, float32. For each block and head: the maximum score ``m``, ``sum exp(score - m)``, and
            ``sum exp(score - m) * (score - m)``.
        scores
            ``(N, H_q, block_size)``, float32; empty if `attends` is False.
        """
        ...

    def attend(self, scores: torch.Tensor, beta: torch.Tensor, peak: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
        """Compute ``softmax(beta * scores) V``. The values of a block must be stored as ``(block_size, D)``.

        Parameters
        ----------
        scores
            Scores from `measure`.
        beta
            Factors of the rows, ``(R, H_q)``, float32.
        peak
            Maximum score of each row, ``(R, H_q)``.
        cache
            The same cache as in `measure`.

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
        The pairs of rows and blocks.
    n_heads
        Number of query heads.
    cache
        Cache of any layer; only its shape, strides and dtype are used.
    """
    size = cache.shape[-1]
    contiguous = cache.stride(-1) == 1 and cache.stride(-2) == size
    if contiguous and size % _KERNEL_COLUMNS == 0 and (kernels := compiled_kernels()) is not None:
        return _Compiled(kernels, seen, attends=cache.shape[-2] % _KERNEL_COLUMNS == 0)
    return _Bags(seen, n_heads, cache)


class _Compiled:
    """Sums computed by the compiled kernels."""

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
    """Blocks that are processed at once.

    Parameters
    ----------
    blocks, owners
        See `SeenBlocks`.
    terms
        For each block and query head: the rows of the table of `_Bags` whose weighted sum gives the scores.
    hidden
        Blocks with invisible keys, and the bias to add to their scores; None if all keys are visible.
    """

    blocks: torch.Tensor
    owners: torch.Tensor
    terms: torch.Tensor
    hidden: tuple[torch.Tensor, torch.Tensor] | None


class _Bags:
    """Sums computed by PyTorch operators."""

    attends = False

    def __init__(self, seen: SeenBlocks, n_heads: int, cache: torch.Tensor) -> None:
        _, kv_heads, _, head_size, block_size = cache.shape
        self._in_place = _is_table(cache)
        per_chunk = max(1, _SCORES_PER_CHUNK // (n_heads * block_size))
        if not self._in_place:
            per_chunk = max(1, min(per_chunk, _CONVERTED_PER_CHUNK // (kv_heads * head_size * block_size)))
        self._starts = torch.arange(min(per_chunk, len(seen.blocks)) * n_heads) * head_size
        columns, heads = torch.arange(block_size), torch.arange(kv_heads)
        self._chunks = []
        parts = (numbers.split(per_chunk) for numbers in (seen.blocks, seen.owners, seen.first, seen.last))
        for blocks, owners, first, last in zip(*parts, strict=True):
            if self._in_place:  # the values of each head follow its keys
                rows = (blocks[:, None] * kv_heads + heads) * 2 * head_size
            else:
                rows = (torch.arange(len(blocks))[:, None] * kv_heads + heads) * head_size
            terms = rows[..., None, None] + torch.arange(head_size)
            terms = terms.expand(-1, -1, n_heads // kv_heads, -1).reshape(-1)
            hidden = None
            partly = ((first > 0) | (last < block_size)).nonzero().flatten()
            if len(partly):
                visible = (columns >= first[partly, None]) & (columns < last[partly, None])
                hidden = partly, torch.where(visible, 0.0, _HIDDEN)[:, None]
            self._chunks.append(_Chunk(blocks, owners, terms, hidden))

    def measure(self, query: torch.Tensor, cache: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.cat([self._sums(chunk, query, cache) for chunk in self._chunks], 1), query.new_empty(0)

    def attend(self, scores: torch.Tensor, beta: torch.Tensor, peak: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError("only the compiled kernels support attend")

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
            partly_hidden, bias = chunk.hidden
            scores.index_add_(0, partly_hidden, bias.expand(-1, n_heads, -1))
        peak = scores.amax(-1, keepdim=True)
        scores.sub_(peak)
        weights = scores.exp()
        return torch.stack((peak[..., 0], weights.sum(-1), torch.linalg.vecdot(weights, scores)))


def _is_table(cache: torch.Tensor) -> bool:
    """Whether a cache is a contiguous float32 table, so that sums can be computed without a copy."""
    return cache.dtype == torch.float32 and cache.is_contiguous()
