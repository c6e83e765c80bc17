"""The query rows of a forward pass that belong to requests with settings, and their sharpening factors."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import torch

from sra_rag.attention.fast import sharpening_factors
from sra_rag.attention.session import Session
from sra_rag.attention.visibility import Visibility
from vllm_sra.plugin.request_settings import RequestSettings

__all__ = ["BatchEntry", "HeadShare", "RowSpan", "scaled_query", "sharpened_spans"]

ReadKeys = Callable[[torch.Tensor, int, bool], torch.Tensor]
"""Reads keys from the cache as ``(1, H_kv, K, D)``. Arguments: block indices, number of keys ``K``, and whether only
one query row uses the keys."""


@dataclasses.dataclass(frozen=True, slots=True)
class BatchEntry:
    """A request with settings.

    Parameters
    ----------
    settings
        Settings of the request.
    prompt_length
        Number of tokens of its prompt.
    """

    settings: RequestSettings
    prompt_length: int


@dataclasses.dataclass(frozen=True, slots=True)
class HeadShare:
    """The attention heads of a model that a worker holds.

    Parameters
    ----------
    n_layers, n_heads
        Number of layers and query heads of the whole model.
    first_head, last_head
        Range of the query heads of this worker; `last_head` is exclusive.
    """

    n_layers: int
    n_heads: int
    first_head: int
    last_head: int


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RowSpan:
    """Consecutive query rows of one request.

    Parameters
    ----------
    session
        Session with the settings of the request.
    start, stop
        Range of its rows in the batch; `stop` is exclusive.
    position
        Position of its first row in the sequence.
    blocks
        Indices of the cache blocks of its keys, in order.
    request
        Index of the request in the batch.
    """

    session: Session
    start: int
    stop: int
    position: int
    blocks: torch.Tensor
    request: int

    @property
    def n_keys(self) -> int:
        """Number of keys up to the last row."""
        return self.position + self.stop - self.start


def sharpened_spans(
    entries: Mapping[int, BatchEntry],
    share: HeadShare,
    query_start: Sequence[int],
    n_keys: Sequence[int],
    block_table: torch.Tensor,
) -> list[RowSpan]:
    """Return the rows that settings apply to.

    Parameters
    ----------
    entries
        Requests with settings, by their index in the batch.
    share
        Attention heads of this worker.
    query_start
        Index of the first row of each request, followed by the total number of rows.
    n_keys
        Number of keys of each request, including those of this pass.
    block_table
        Cache blocks of each request, ``(requests, blocks)``.
    """
    spans = []
    for index, entry in sorted(entries.items()):
        if index >= len(n_keys):  # a warm-up pass of vLLM
            continue
        start, stop = query_start[index], query_start[index + 1]
        session = _session(entry, share)
        position = n_keys[index] - (stop - start)
        if session.first_row(position, stop - start) < stop - start:
            spans.append(RowSpan(session, start, stop, position, block_table[index], index))
    return spans


def scaled_query(
    query: torch.Tensor,
    spans: Sequence[RowSpan],
    read_keys: ReadKeys,
    *,
    layer: int,
    scale: float,
    block_size: int,
    window: int | None,
) -> torch.Tensor:
    """Multiply sharpened query rows by their factors.

    No other change is needed: ``softmax(beta_i * s_i) V`` is ordinary attention with the query ``beta_i q_i``.

    Parameters
    ----------
    query
        Query rows, ``(rows, H_q, D)``; not modified.
    spans
        See `sharpened_spans`.
    read_keys
        Function that reads keys from the cache.
    layer, scale, block_size, window
        Parameters of the attention layer. `window` is the size of the sliding window in keys, or None.

    Returns
    -------
    query
        `query` itself if no row is sharpened in this layer, otherwise a copy.
    """
    scaled = None
    for span in spans:
        if not span.session.sharpens(layer):
            continue
        rows = span.stop - span.start
        first_key = 0 if window is None else max(0, span.position - window + 1)
        first_block = first_key // block_size
        offset = first_block * block_size
        blocks = span.blocks[first_block : -(-span.n_keys // block_size)]
        visibility = Visibility(
            span.session, rows, span.n_keys - offset, position=span.position, key_position=offset, window=window
        )
        if span.session.needs_entropy:
            keys = read_keys(blocks, span.n_keys - offset, rows == 1)
        else:  # the keys are not used
            keys = query.new_empty(1, 1, 0, query.shape[-1])
        first, beta = sharpening_factors(
            query[span.start : span.stop].transpose(0, 1)[None],
            keys,
            visibility=visibility,
            layer=layer,
            scale=scale,
        )
        if beta is not None:
            scaled = query.clone() if scaled is None else scaled
            scaled[span.start + first : span.stop] *= beta[0].transpose(0, 1)[..., None]
    return query if scaled is None else scaled


@functools.lru_cache(maxsize=1024)
def _session(entry: BatchEntry, share: HeadShare) -> Session:
    settings = entry.settings
    return Session(
        settings.sra,
        share.n_layers,
        share.n_heads,
        context_length=settings.context_length,
        prompt_length=entry.prompt_length,
        heads=range(share.first_head, share.last_head),
    )
