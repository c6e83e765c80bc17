"""Rows of a batch as tiles, and the reference implementation of sharpening that the kernel is tested against."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import torch

__all__ = [
    "NO_WINDOW",
    "TILE_FIELDS",
    "RowTiles",
    "TiledRows",
    "paged_entropy_reference",
    "read_blocks",
    "sharpen_reference",
    "tile",
    "tile_scores",
]

_NARROW, _WIDE = 16, 64  # query rows x heads that one kernel program processes, in decoding and in prefill

NO_WINDOW = 0
"""Window size that means: a row attends to all keys up to its own position."""

TILE_FIELDS = ("request", "first_row", "n_rows", "position", "result_row", "settings")
"""Columns of `RowTiles.table`: index of the request in the batch, index of the first row in the batch, number of rows,
position of the first row in its sequence, number of rows in the preceding tiles, and index of the settings (or of the
evidence, for rows that weigh it)."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RowTiles:
    """Rows of a batch, split into tiles of consecutive rows that are processed together.

    Parameters
    ----------
    table
        ``(tiles, 6)``, int32, on the device; the columns are `TILE_FIELDS`.
    rows_per_tile
        Maximum number of rows of a tile.
    n_rows
        Total number of rows of all tiles.
    longest
        Maximum number of keys that a row attends to, ignoring a window.
    needs_entropy
        Whether the settings depend on the entropy of rows. It is the same for all tiles.
    """

    table: torch.Tensor
    rows_per_tile: int
    n_rows: int
    longest: int
    needs_entropy: bool = True

    def __len__(self) -> int:
        return self.table.shape[0]


@dataclasses.dataclass(frozen=True, slots=True)
class TiledRows:
    """Consecutive rows of one request that are split into tiles.

    Parameters
    ----------
    request
        Index of the request in the batch.
    start, stop
        Range of the rows in the batch; `stop` is exclusive.
    position
        Position of the first row in its sequence.
    settings
        Index of their settings.
    needs_entropy
        Whether the settings depend on the entropy of rows.
    """

    request: int
    start: int
    stop: int
    position: int
    settings: int
    needs_entropy: bool = True


@dataclasses.dataclass(slots=True)
class _Table:
    """Tiles of one size; `numbers` is the flattened `RowTiles.table`."""

    numbers: list[int] = dataclasses.field(default_factory=list)
    n_rows: int = 0
    longest: int = 0


def tile(parts: Iterable[TiledRows], group: int, device: torch.device) -> tuple[RowTiles, ...]:
    """Split rows into tiles, with one copy to the device.

    Parameters
    ----------
    parts
        Rows, at least one.
    group
        Number of query heads that share a key head.
    device
        Device of the result.

    Returns
    -------
    tiles
        One for each size of tiles, separate for rows whose settings need no entropy.
    """
    tables: dict[tuple[bool, int], _Table] = {}
    narrow, wide = (max(1, lanes // group) for lanes in (_NARROW, _WIDE))
    for part in parts:
        n_rows = part.stop - part.start
        size = narrow if n_rows <= narrow else wide
        table = tables.setdefault((part.needs_entropy, size), _Table())
        for offset in range(0, n_rows, size):
            tile_rows = min(size, n_rows - offset)
            # In the order of TILE_FIELDS.
            table.numbers += (
                part.request, part.start + offset, tile_rows, part.position + offset, table.n_rows, part.settings
            )  # fmt: skip
            table.n_rows += tile_rows
        table.longest = max(table.longest, part.position + n_rows)
    packed = torch.tensor(
        [number for table in tables.values() for number in table.numbers],
        dtype=torch.int32,
        pin_memory=device.type == "cuda",
    ).to(device, non_blocking=True)
    columns = packed.split([len(table.numbers) for table in tables.values()])
    return tuple(
        RowTiles(column.view(-1, len(TILE_FIELDS)), size, table.n_rows, table.longest, needs_entropy)
        for column, ((needs_entropy, size), table) in zip(columns, tables.items(), strict=True)
    )


def paged_entropy_reference(
    query: torch.Tensor,
    key_cache: torch.Tensor,
    block_table: torch.Tensor,
    tiles: RowTiles,
    *,
    scale: float,
    window: int,
) -> torch.Tensor:
    """Compute the entropy of rows step by step: all scores of a tile, their softmax ``a``, then ``-sum a log a``.

    Parameters
    ----------
    query
        Query rows, ``(rows, H_q, D)``.
    key_cache
        Keys, ``(blocks, block_size, H_kv, D)``, with any strides. The ``H_q / H_kv`` query heads from
        ``h * H_q / H_kv`` on use the keys of head ``h``.
    block_table
        Cache blocks of the keys of each request, in order: ``(requests, blocks)``, int32.
    tiles
        The rows to process. A row attends to the keys up to its own position; these must be in the cache.
    scale
        Scale of the dot product.
    window
        Number of keys that a row attends to, including its own; `NO_WINDOW` for all keys.

    Returns
    -------
    entropy
        ``(tiles.n_rows, H_q)``, float32, nats, in the order of the tiles.
    """
    entropies = [query.new_empty((0, query.shape[1]), dtype=torch.float32)]
    for of_tile in tiles.table.tolist():
        weights = tile_scores(query, key_cache, block_table, of_tile, scale=scale, window=window).softmax(-1)
        entropies.append(-torch.special.xlogy(weights, weights).sum(-1).flatten(1))
    return torch.cat(entropies)


def tile_scores(
    query: torch.Tensor,
    key_cache: torch.Tensor,
    block_table: torch.Tensor,
    of_tile: Sequence[int],
    *,
    scale: float,
    window: int,
) -> torch.Tensor:
    """Return the scores of the rows of a tile, `of_tile` being its row of `RowTiles.table`; other arguments as above.

    Returns
    -------
    scores
        ``(rows of the tile, H_kv, H_q / H_kv, K)``, float32, of all keys up to the last row; ``-inf`` for the keys that
        a row does not attend to.
    """
    request, first_row, n_rows, position, _, _ = of_tile
    n_keys = position + n_rows
    keys = read_blocks(key_cache, block_table, request, n_keys)
    rows = query[first_row : first_row + n_rows].float().unflatten(1, (key_cache.shape[2], -1))
    scores = torch.einsum("rhgd,khd->rhgk", rows, keys.to(query.dtype).float()) * scale
    key_positions = torch.arange(n_keys, device=query.device)
    row_positions = key_positions[position:, None]
    visible = key_positions <= row_positions
    if window != NO_WINDOW:
        visible &= key_positions > row_positions - window
    return scores.masked_fill(~visible[:, None, None], float("-inf"))


def read_blocks(cache: torch.Tensor, block_table: torch.Tensor, request: int, n_keys: int) -> torch.Tensor:
    """Return the first `n_keys` keys or values of a request, ``(n_keys, H_kv, D)``; arguments as above."""
    blocks = block_table[request, : -(-n_keys // cache.shape[1])].long()
    return cache[blocks].flatten(0, 1)[:n_keys]


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
    """Write query rows multiplied by their factors, computed step by step.

    Parameters
    ----------
    query, key_cache, block_table, tiles, scale, window
        See `paged_entropy_reference`.
    lines
        See `vllm_sra.gpu.factor_rules.FactorRules`.
    alpha
        Strength of sharpening in the layer, ``(settings, H_q)``, float32.
    out
        Output, ``(rows, H_q, D)``, in the dtype of `query`. Rows that are in no tile are not modified.
    """
    entropy = query.new_zeros((tiles.n_rows, query.shape[1]), dtype=torch.float32)
    if tiles.needs_entropy:
        entropy = paged_entropy_reference(query, key_cache, block_table, tiles, scale=scale, window=window)
    for _, first_row, n_rows, position, result_row, settings in tiles.table.tolist():
        constant, slope, low, high = lines[settings].tolist()
        n_visible = torch.arange(position + 1, position + n_rows + 1, device=query.device, dtype=torch.float32)[:, None]
        if window != NO_WINDOW:
            n_visible = n_visible.clamp_max(window)
        upper = n_visible.clamp_min(2).log() if high == float("inf") else high
        ratio = (entropy[result_row : result_row + n_rows] - low) / (upper - low)
        beta = 1 + alpha[settings] * (constant + slope * ratio)
        rows = slice(first_row, first_row + n_rows)
        out[rows] = (query[rows] * beta[..., None]).to(out.dtype)
