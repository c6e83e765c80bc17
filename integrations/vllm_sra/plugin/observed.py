"""The query rows of a forward pass whose attention is returned, and the sums of their attention."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch

from sra_rag.attention.look import Look, look_weights, mean_shares
from vllm_sra.plugin.batch import BatchEntry, HeadShare, ReadKeys

__all__ = ["ObservedRows", "distribution", "observe", "observed_rows", "share_sums"]


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
    share
        Attention heads of this worker.
    """

    look: Look
    start: int
    stop: int
    position: int
    blocks: torch.Tensor
    request: int
    share: HeadShare

    def heads(self, layer: int) -> list[int]:
        """Return the observed query heads of a layer on this worker, by their index here."""
        here = range(self.share.first_head, self.share.last_head)
        return [head - here.start for head in self.look.heads_of(layer, self.share.n_heads) if head in here]


def observed_rows(
    entries: Mapping[int, BatchEntry],
    share: HeadShare,
    query_start: Sequence[int],
    n_keys: Sequence[int],
    block_table: torch.Tensor,
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
            rows.append(ObservedRows(entry.look, start, stop, first, block_table[index], index, share))
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
        heads = part.heads(layer)
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


def share_sums(look: Look, n_rows: int, passages: Sequence[int] = ()) -> torch.Tensor:
    """Return what a worker knows of the attention of a request; the sum over all workers gives `distribution`.

    Parameters
    ----------
    look
        Record of the attention of the heads of this worker.
    n_rows
        Number of rows after the context that should have been observed.
    passages
        How many spans each passage has, where their share in each row is asked for.

    Returns
    -------
    sums
        ``(spans + n_rows passages + 2,)``, float32: for each span, the sum over the heads of its share in the attention
        of the head to all spans; the same for each row and passage, row by row; the number of heads; and 1 if rows are
        missing, else 0.
    """
    shares = look.shares()
    n_heads = len(shares)
    of_spans = n_heads * mean_shares(shares) if n_heads else torch.zeros(len(look.spans))
    missing = n_heads > 0 and look.n_rows != n_rows
    of_rows = torch.zeros(n_rows, len(passages))  # of the same size on all workers
    if passages and n_heads and not missing:
        of_rows = n_heads * look.row_shares(passages)
    return torch.cat([of_spans.float(), of_rows.flatten(), torch.tensor([float(n_heads), float(missing)])])


def distribution(sums: torch.Tensor) -> torch.Tensor | None:
    """Return the share of each span in the attention to all spans, ``(spans,)``; None if it was not observed.

    Behind them are the shares of passages in each row, where they were asked for.

    `sums` is the sum of `share_sums` over all workers. The mean over the heads is what
    `sra_rag.evidence.choice.choose_evidence` uses.
    """
    n_heads, missing = sums[-2:].tolist()
    return sums[:-2] / n_heads if n_heads and not missing else None
