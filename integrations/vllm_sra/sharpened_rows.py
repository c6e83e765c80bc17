"""The rows of a forward pass that settings apply to, laid out for one launch a layer, and their queries multiplied.

It does what `vllm_sra.batch.scaled_query` does, for all requests at once and without waiting for the device: what is
known on the host goes over in one copy, which all layers share, and the rest is computed there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch

from sra_rag.attention.session import Session
from vllm_sra.batch import RowSpan
from vllm_sra.paged_entropy import NO_WINDOW, RowTiles

__all__ = ["Measure", "SharpenedRows"]

Measure = Callable[..., None]
"""Writes the entropy of rows: `vllm_sra.paged_entropy.paged_entropy_reference`, or a kernel with its arguments."""

_NARROW, _WIDE = 16, 64  # query rows times heads that a program serves: decoding and prefill


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Neighbouring rows of the layout whose factors are computed at once."""

    session: Session
    position: int
    start: int
    stop: int


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """Rows that one set of requests has sharpened; those whose policy needs entropy come first."""

    rows: torch.Tensor
    positions: torch.Tensor
    groups: tuple[_Group, ...]
    n_measured: int
    tiles: tuple[RowTiles, ...]
    counts: dict[int, torch.Tensor] = dataclasses.field(default_factory=dict)

    def count(self, window: int) -> torch.Tensor:
        """How many keys each row may see, ``(rows,)``, float32."""
        if window not in self.counts:  # all layers of a forward pass ask the same
            seen = (self.positions + 1).float()
            self.counts[window] = seen if window == NO_WINDOW else seen.clamp_max(window)
        return self.counts[window]


class SharpenedRows:
    """The rows of one forward pass.

    Parameters
    ----------
    spans
        Rows of requests with settings; see `vllm_sra.batch.sharpened_spans`.
    group
        Query heads that share a key head.
    device
        Where the queries are.
    measure
        Writes entropies.
    """

    def __init__(self, spans: Sequence[RowSpan], group: int, device: torch.device, measure: Measure) -> None:
        # Those without need of entropy last, and requests of the same settings side by side.
        self._spans = sorted(spans, key=lambda span: (not span.session.needs_entropy, hash(span.session.config)))
        self._group = group
        self._device = device
        self._measure = measure
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
            As for `vllm_sra.paged_entropy.paged_entropy_reference`; the keys of the rows themselves are in the cache.
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
        entropy = torch.empty((layout.n_measured, query.shape[1]), dtype=torch.float32, device=query.device)
        for tiles in layout.tiles:
            self._measure(query, key_cache, block_table, tiles, scale=scale, window=window, out=entropy)
        beta = [_factors(group, layer, entropy, layout.count(window)) for group in layout.groups]
        factors = beta[0] if len(beta) == 1 else torch.cat(beta)
        scaled = query.clone()
        scaled[layout.rows] = (query[layout.rows] * factors[..., None]).to(query.dtype)
        return scaled

    def _lay_out(self, spans: Sequence[RowSpan]) -> _Layout:
        rows: list[int] = []
        positions: list[int] = []
        groups: list[_Group] = []
        tables: dict[int, list[int]] = {}
        narrow, wide = (max(1, served // self._group) for served in (_NARROW, _WIDE))
        n_measured = longest = 0
        for span in spans:
            skipped = span.session.first_row(span.position, span.stop - span.start)
            start, position, result = span.start + skipped, span.position + skipped, len(rows)
            n_rows = span.stop - start
            rows.extend(range(start, span.stop))
            positions.extend(range(position, position + n_rows))
            if groups and groups[-1].session.config == span.session.config:
                groups[-1] = dataclasses.replace(groups[-1], stop=len(rows))
            else:
                groups.append(_Group(span.session, position, result, len(rows)))
            if span.session.needs_entropy:
                n_measured, longest = len(rows), max(longest, position + n_rows)
                size = narrow if n_rows <= narrow else wide
                for first in range(0, n_rows, size):
                    tables.setdefault(size, []).extend(
                        (span.request, start + first, min(size, n_rows - first), position + first, result + first)
                    )
        packed = torch.tensor(
            rows + positions + [number for table in tables.values() for number in table],
            dtype=torch.int32,
            pin_memory=self._device.type == "cuda",
        ).to(self._device, non_blocking=True)
        sizes = [len(rows), len(rows), *map(len, tables.values())]
        there, own, *laid = packed.split(sizes)
        tiles = tuple(RowTiles(t.view(-1, 5), size, longest) for size, t in zip(tables, laid, strict=True))
        return _Layout(there.long(), own, tuple(groups), n_measured, tiles)


def _factors(group: _Group, layer: int, entropy: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """Return the factors of a group's rows, ``(rows, H_q)``, float32."""
    if group.session.needs_entropy:
        measured = entropy[group.start : group.stop].T[None]
    else:
        measured = entropy.new_ones((1, entropy.shape[1], group.stop - group.start))
    # All rows here are sharpened, so the first one's position says all that a session wants to know of positions.
    beta = group.session.beta(layer, group.position, measured, count[group.start : group.stop], None)
    return beta[0].T
