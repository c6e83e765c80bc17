"""The query rows of a forward pass whose attention is returned, and the sums of their attention."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch

from sra_rag.attention.look import Look, look_weights, mean_shares
from vllm_sra.plugin.batch import BatchEntry, ReadKeys

__all__ = ["ObservedRows", "distribution", "observe", "observed_rows"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ObservedRows:
    """Consecutive query rows of one request, all after its context.

    Parameters
    ----------
    look
        Record of the attention of the request.
    start, stop
        Range of the rows in the batch; `stop` is exclusive.
    position
        Position of the first row in the sequence.
    blocks
        Indices of the cache blocks of its keys, in order.
    request
        Index of the request in the batch.
    """

    look: Look
    start: int
    stop: int
    position: int
    blocks: torch.Tensor
    request: int


def observed_rows(
    entries: Mapping[int, BatchEntry], query_start: Sequence[int], n_keys: Sequence[int], block_table: torch.Tensor
) -> list[ObservedRows]:
    """Return the rows whose attention is returned; parameters are those of `vllm_sra.plugin.batch.sharpened_spans`."""
    rows = []
    for index, entry in sorted(entries.items()):
        if index >= len(n_keys) or entry.look is None:
            continue
        start, stop = query_start[index], query_start[index + 1]
        position = n_keys[index] - (stop - start)
        start += max(0, entry.look.start - position)
        if start < stop:
            first = n_keys[index] - (stop - start)
            rows.append(ObservedRows(entry.look, start, stop, first, block_table[index], index))
    return rows


def observe(
    query: torch.Tensor,
    rows: Sequence[ObservedRows],
    read_keys: ReadKeys,
    *,
    layer: int,
    scale: float,
    block_size: int,
    window: int | None,
) -> None:
    """Add the attention of rows in one layer to the records of their requests.

    Parameters
    ----------
    query
        Query rows, ``(rows, H_q, D)``.
    rows
        See `observed_rows`.
    read_keys, layer, scale, block_size, window
        As for `vllm_sra.plugin.batch.scaled_query`.
    """
    for part in rows:
        heads = part.look.heads_of(layer, query.shape[1])
        if not heads:
            continue
        n_rows = part.stop - part.start
        first_key = 0 if window is None else max(0, part.position - window + 1)
        first_block = first_key // block_size
        offset, end = first_block * block_size, part.position + n_rows
        keys = read_keys(part.blocks[first_block : -(-end // block_size)], end - offset, n_rows == 1)
        positions = torch.arange(offset, end, device=query.device)
        own = torch.arange(part.position, end, device=query.device)[:, None]
        seen = positions <= own
        if window is not None:
            seen &= positions > own - window
        weights = look_weights(
            query[part.start : part.stop].transpose(0, 1)[None], keys, heads, scale=scale, mask=seen[None, None]
        )
        part.look.add(layer, weights, offset)


def distribution(look: Look) -> torch.Tensor:
    """Return the share of each span in the attention to all spans, ``(spans,)``, float32.

    At least one row must have been observed. This is what `sra_rag.evidence.choice.choose_evidence` uses.
    """
    return mean_shares(look.shares()).float()
