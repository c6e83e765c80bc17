"""The rows of a forward pass that settings apply to, arranged for one or two kernel launches per layer.

This gives the same result as `vllm_sra.plugin.batch.scaled_query`, but for all requests at once and without
synchronizing with the device. Data of the host is copied to the device once for all layers; the rest is computed there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch

from sra_rag.config import SRAConfig
from vllm_sra.gpu.factor_rules import FactorRules, factor_rules
from vllm_sra.gpu.row_tiles import NO_WINDOW, RowTiles, TiledRows, tile
from vllm_sra.plugin.batch import RowSpan

__all__ = ["Sharpen", "SharpenedRows"]

Sharpen = Callable[..., None]
"""Function that writes rows multiplied by their factors: `vllm_sra.gpu.row_tiles.sharpen_reference`, or a kernel with
the same arguments."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """Tiles and factor parameters for one set of requests."""

    tiles: tuple[RowTiles, ...]
    rules: FactorRules


class SharpenedRows:
    """The rows of one forward pass.

    Parameters
    ----------
    spans
        Rows of requests with settings, at least one; see `vllm_sra.plugin.batch.sharpened_spans`.
    group
        Number of query heads that share a key head.
    device
        Device of the queries.
    sharpen
        Function that writes rows multiplied by their factors.
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
        """Multiply the sharpened rows by their factors.

        Parameters
        ----------
        query
            Query rows, ``(rows, H_q, D)``; not modified.
        key_cache, block_table, scale, window
            See `vllm_sra.gpu.row_tiles.paged_entropy_reference`. The keys of the rows must already be in the cache.
        layer
            Index of the attention layer.

        Returns
        -------
        query
            `query` itself if no row is sharpened in this layer, otherwise a copy.
        """
        active = tuple(index for index, span in enumerate(self._spans) if span.session.sharpens(layer))
        if not active:
            return query
        if active not in self._layouts:
            self._layouts[active] = self._create_layout([self._spans[index] for index in active])
        layout = self._layouts[active]
        scaled = query.clone()
        for tiles in layout.tiles:
            self._sharpen(
                query, key_cache, block_table, tiles, scale=scale, window=window,
                lines=layout.rules.lines, alpha=layout.rules.alpha[layer], out=scaled,
            )  # fmt: skip
        return scaled

    def _create_layout(self, spans: Sequence[RowSpan]) -> _Layout:
        settings: dict[SRAConfig, int] = {}
        parts = []
        for span in spans:
            skipped = span.session.first_row(span.position, span.stop - span.start)
            index = settings.setdefault(span.session.config, len(settings))
            start, position = span.start + skipped, span.position + skipped
            parts.append(TiledRows(span.request, start, span.stop, position, index, span.session.needs_entropy))
        session = spans[0].session  # layers and heads are the same for all sessions
        rules = factor_rules(tuple(settings), session.n_layers, session.n_heads, session.heads, self._device)
        return _Layout(tile(parts, self._group, self._device), rules)
