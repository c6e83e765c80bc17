"""The rows of a forward pass that settings apply to, laid out for a launch or two a layer.

It does what `vllm_sra.plugin.batch.scaled_query` does, for all requests at once and without waiting for the device:
what is known on the host goes over in one copy, which all layers share, and the rest is computed there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch

from sra_rag.config import SRAConfig
from vllm_sra.gpu.factor_rules import FactorRules, factor_rules
from vllm_sra.gpu.row_tiles import NO_WINDOW, RowTiles
from vllm_sra.plugin.batch import RowSpan

__all__ = ["Sharpen", "SharpenedRows"]

Sharpen = Callable[..., None]
"""Writes rows times their factors: `vllm_sra.gpu.row_tiles.sharpen_reference`, or a kernel with its arguments."""

_NARROW, _WIDE = 16, 64  # query rows times heads that a program serves: decoding and prefill


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """Rows that one set of requests has sharpened."""

    tiles: tuple[RowTiles, ...]
    rules: FactorRules


@dataclasses.dataclass(slots=True)
class _Table:
    """Tiles of one size."""

    numbers: list[int] = dataclasses.field(default_factory=list)
    n_rows: int = 0
    longest: int = 0


class SharpenedRows:
    """The rows of one forward pass.

    Parameters
    ----------
    spans
        Rows of requests with settings, one at least; see `vllm_sra.plugin.batch.sharpened_spans`.
    group
        Query heads that share a key head.
    device
        Where the queries are.
    sharpen
        Writes rows times their factors.
    """

    def __init__(self, spans: Sequence[RowSpan], group: int, device: torch.device, sharpen: Sharpen) -> None:
        self._spans = tuple(spans)
        self._group = group
        self._device = device
        self._sharpen = sharpen
        self._layouts: dict[tuple[int, ...], _Layout] = {}

    def scaled(
        self,
        query: torch.Tensor,
        key_cache: torch.Tensor,
        block_table: torch.Tensor,
        *,
        layer: int,
        scale: float,
        window: int = NO_WINDOW,
    ) -> torch.Tensor:
        """Multiply the rows that are sharpened by their factors.

        Parameters
        ----------
        query
            ``(rows, H_q, D)``; left as it is.
        key_cache, block_table, scale, window
            As for `vllm_sra.gpu.row_tiles.paged_entropy_reference`; the keys of the rows themselves are in the cache.
        layer
            Index of the attention layer.

        Returns
        -------
        query
            `query` itself where nothing is sharpened in this layer, else a copy.
        """
        active = tuple(index for index, span in enumerate(self._spans) if span.session.sharpens(layer))
        if not active:
            return query
        if active not in self._layouts:
            self._layouts[active] = self._lay_out([self._spans[index] for index in active])
        layout = self._layouts[active]
        scaled = query.clone()
        for tiles in layout.tiles:
            self._sharpen(
                query, key_cache, block_table, tiles, scale=scale, window=window,
                lines=layout.rules.lines, alpha=layout.rules.alpha[layer], out=scaled,
            )  # fmt: skip
        return scaled

    def _lay_out(self, spans: Sequence[RowSpan]) -> _Layout:
        settings: dict[SRAConfig, int] = {}
        tables: dict[tuple[bool, int], _Table] = {}
        narrow, wide = (max(1, served // self._group) for served in (_NARROW, _WIDE))
        for span in spans:
            session = span.session
            skipped = session.first_row(span.position, span.stop - span.start)
            start, position = span.start + skipped, span.position + skipped
            n_rows = span.stop - start
            size = narrow if n_rows <= narrow else wide
            table = tables.setdefault((session.needs_entropy, size), _Table())
            number = settings.setdefault(session.config, len(settings))
            for first in range(0, n_rows, size):
                n = min(size, n_rows - first)
                table.numbers += (span.request, start + first, n, position + first, table.n_rows, number)
                table.n_rows += n
            table.longest = max(table.longest, position + n_rows)
        packed = torch.tensor(
            [number for table in tables.values() for number in table.numbers],
            dtype=torch.int32,
            pin_memory=self._device.type == "cuda",
        ).to(self._device, non_blocking=True)
        parts = packed.split([len(table.numbers) for table in tables.values()])
        tiles = tuple(
            RowTiles(part.view(-1, 6), size, table.n_rows, table.longest, needs_entropy)
            for part, ((needs_entropy, size), table) in zip(parts, tables.items(), strict=True)
        )
        some = spans[0].session
        return _Layout(tiles, factor_rules(tuple(settings), some.n_layers, some.n_heads, some.heads, self._device))
