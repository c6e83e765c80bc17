"""Rows of a batch over keys in a paged cache: which are sharpened, and the reference that the kernel is held to."""

from __future__ import annotations

import dataclasses

import torch

__all__ = ["NO_WINDOW", "RowTiles", "paged_entropy_reference", "sharpen_reference"]

NO_WINDOW = 0
"""Stands for "sees all keys up to its own" where a window is a number of keys."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RowTiles:
    """Rows of a batch that are sharpened, in pieces that are served at once.

    Parameters
    ----------
    table
        ``(tiles, 6)``, int32, on the device: the request, the first row among those of the batch, how many rows, the
        position of the first in its sequence, how many rows stand in the tiles before, and whose settings apply.
    rows_per_tile
        No tile has more rows.
    n_rows
        Of all tiles.
    longest
        Keys that the last row of any tile may see, without a window.
    needs_entropy
        Whether the settings look at the entropy of rows, all or none.
    """

    table: torch.Tensor
    rows_per_tile: int
    n_rows: int
    longest: int
    needs_entropy: bool = True

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
) -> torch.Tensor:
    """Find the entropy of rows, spelled out: all scores of a tile, their softmax, ``-sum a log a``.

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

    Returns
    -------
    entropy
        ``(tiles.n_rows, H_q)``, float32, nats, in the order of the tiles.
    """
    block_size, n_kv_heads = key_cache.shape[1:3]
    found = [query.new_empty((0, query.shape[1]), dtype=torch.float32)]
    for request, first, n_rows, position, _, _ in tiles.table.tolist():
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
        found.append(-torch.special.xlogy(weights, weights).sum(-1).flatten(1))
    return torch.cat(found)


def sharpen_reference(
    query: torch.Tensor,
    key_cache: torch.Tensor,
    block_table: torch.Tensor,
    tiles: RowTiles,
    *,
    scale: float,
    window: int,
    lines: torch.Tensor,
    alpha: torch.Tensor,
    out: torch.Tensor,
) -> None:
    """Write query rows times their factors, spelled out.

    Parameters
    ----------
    query, key_cache, block_table, tiles, scale, window
        As for `paged_entropy_reference`.
    lines
        See `vllm_sra.gpu.factor_rules.FactorRules`.
    alpha
        ``(settings, H_q)``, float32, of the layer.
    out
        ``(rows, H_q, D)``, in the dtype of `query`; rows that are in no tile are left as they are.
    """
    measured = query.new_zeros((tiles.n_rows, query.shape[1]), dtype=torch.float32)
    if tiles.needs_entropy:
        measured = paged_entropy_reference(query, key_cache, block_table, tiles, scale=scale, window=window)
    for _, first, n_rows, position, before, settings in tiles.table.tolist():
        constant, slope, low, high = lines[settings].tolist()
        seen = torch.arange(position + 1, position + n_rows + 1, device=query.device, dtype=torch.float32)[:, None]
        if window != NO_WINDOW:
            seen = seen.clamp_max(window)
        top = seen.clamp_min(2).log() if high == float("inf") else high
        ratio = (measured[before : before + n_rows] - low) / (top - low)
        beta = 1 + alpha[settings] * (constant + slope * ratio)
        out[first : first + n_rows] = (query[first : first + n_rows] * beta[..., None]).to(out.dtype)
