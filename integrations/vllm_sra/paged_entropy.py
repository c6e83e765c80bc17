"""Entropy of attention rows over keys in a paged cache: which rows, and the reference that the kernel is held to."""

from __future__ import annotations

import dataclasses

import torch

__all__ = ["NO_WINDOW", "RowTiles", "paged_entropy_reference"]

NO_WINDOW = 0
"""Stands for "sees all keys up to its own" where a window is a number of keys."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RowTiles:
    """Rows of a batch whose entropy is wanted, in pieces that are served at once.

    Parameters
    ----------
    table
        ``(tiles, 5)``, int32, on the device: the request, the first row among those of the batch, how many rows, the
        position of the first in its sequence, and where among the results it goes.
    rows_per_tile
        No tile has more rows.
    longest
        Keys that the last row of any tile may see, without a window.
    """

    table: torch.Tensor
    rows_per_tile: int
    longest: int

    def __len__(self) -> int:
        return self.table.shape[0]


def paged_entropy_reference(
    query: torch.Tensor,
    key_cache: torch.Tensor,
    block_table: torch.Tensor,
    tiles: RowTiles,
    *,
    scale: float,
    window: int,
    out: torch.Tensor,
) -> None:
    """Write the entropy of rows, spelled out: all scores of a tile, their softmax, ``-sum a log a``.

    Parameters
    ----------
    query
        ``(rows, H_q, D)``.
    key_cache
        ``(blocks, block_size, H_kv, D)``, with any strides. Heads ``h * H_q / H_kv`` and on share the keys of head
        ``h``.
    block_table
        ``(requests, blocks)``, int32: where the keys of each request lie, in order.
    tiles
        The rows wanted. A row sees the keys up to its own position; those must be in the cache.
    scale
        Factor of the dot product.
    window
        A row sees only as many keys, its own included; `NO_WINDOW` for all.
    out
        ``(results, H_q)``, float32, nats; written where the tiles say.
    """
    block_size, n_kv_heads = key_cache.shape[1:3]
    for request, first, n_rows, position, result in tiles.table.tolist():
        n_keys = position + n_rows
        blocks = block_table[request, : -(-n_keys // block_size)].long()
        keys = key_cache[blocks].flatten(0, 1)[:n_keys]
        rows = query[first : first + n_rows].float().unflatten(1, (n_kv_heads, -1))
        scores = torch.einsum("rhgd,khd->rhgk", rows, keys.to(query.dtype).float()) * scale
        places = torch.arange(n_keys, device=query.device)
        own = places[position:, None]
        seen = places <= own
        if window != NO_WINDOW:
            seen &= places > own - window
        weights = scores.masked_fill(~seen[:, None, None], float("-inf")).softmax(-1)
        out[result : result + n_rows] = -torch.special.xlogy(weights, weights).sum(-1).flatten(1)
