"""The rows of a forward pass that belong to requests with settings, and the factors of those rows."""

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
"""Reads the keys in some blocks, so many of them, ``(1, H_kv, K, D)``; the third says whether one row will see them."""


@dataclasses.dataclass(frozen=True, slots=True)
class BatchEntry:
    """A request with settings.

    Parameters
    ----------
    settings
        What it asks for.
    prompt_length
        Tokens of its prompt.
    """

    settings: RequestSettings
    prompt_length: int


@dataclasses.dataclass(frozen=True, slots=True)
class HeadShare:
    """The part of a model that a worker holds.

    Parameters
    ----------
    n_layers, n_heads
        Of the whole model.
    first_head, last_head
        The query heads at hand, from the first to before the last.
    """

    n_layers: int
    n_heads: int
    first_head: int
    last_head: int


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RowSpan:
    """Rows of one request.

    Parameters
    ----------
    session
        Its settings.
    start, stop
        Its rows among those of the batch.
    position
        Of its first row in the sequence.
    blocks
        Of its keys in the cache, in order.
    request
        Its place in the batch.
    """

    session: Session
    start: int
    stop: int
    position: int
    blocks: torch.Tensor
    request: int

    @property
    def n_keys(self) -> int:
        """Keys up to its last row."""
        return self.position + self.stop - self.start


def sharpened_spans(
    entries: Mapping[int, BatchEntry],
    share: HeadShare,
    query_start: Sequence[int],
    n_keys: Sequence[int],
    block_table: torch.Tensor,
) -> list[RowSpan]:
    """Find the rows that settings apply to.

    Parameters
    ----------
    entries
        The requests with settings, by their place in the batch.
    share
        Of the model.
    query_start
        Of each request its first row, and at the end how many rows there are.
    n_keys
        Of each request its keys, those of this pass included.
    block_table
        ``(requests, blocks)``.
    """
    spans = []
    for index, entry in sorted(entries.items()):
        if index >= len(n_keys):  # a pass of vLLM's own, to warm up
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
    """Multiply the rows that are sharpened by their factors: all that Scaled ReAttention needs of a kernel.

    ``softmax(beta_i * s_i) V`` is ordinary attention with ``beta_i q_i`` for ``q_i``.

    Parameters
    ----------
    query
        ``(rows, H_q, D)``; left as it is.
    spans
        See `sharpened_spans`.
    read_keys
        Reads keys from the cache.
    layer, scale, block_size, window
        Of the attention; `window` is None where all keys are seen.

    Returns
    -------
    query
        `query` itself where nothing is sharpened in this layer, else a copy.
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
        else:  # nobody looks at them
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
