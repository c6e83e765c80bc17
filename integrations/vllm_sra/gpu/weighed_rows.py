"""The rows of a forward pass that weigh evidence, and the reference implementation that the kernel is tested against.

This gives the same result as `vllm_sra.plugin.batch.weigh_rows`, but for all requests at once and after any attention
kernel: attention over all keys is joined with attention over the keys of the evidence (see
`sra_rag.attention.evidence`), so only these keys and values are read again, and the other keys for their log-sum-exp.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import torch

from sra_rag.attention.evidence import Evidence
from vllm_sra.gpu.row_tiles import NO_WINDOW, RowTiles, TiledRows, read_blocks, tile, tile_scores
from vllm_sra.plugin.batch import RowSpan

__all__ = ["EvidenceTable", "Weigh", "WeighedRows", "evidence_table", "weigh_reference"]

Weigh = Callable[..., None]
"""Function that replaces rows by attention with evidence weights: `weigh_reference`, or a kernel with the same
arguments."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class EvidenceTable:
    """The weighed spans of several requests, on the device.

    Parameters
    ----------
    spans
        ``(spans, 2)``, int32: start and end (exclusive) of each span, as positions in the sequence.
    extra
        ``(spans,)``, float32: ``log2(w - 1)`` of the weight of each span.
    first_span
        ``(evidences + 1,)``, int32: index of the first span of each evidence, followed by the number of spans.
    weighs
        ``(layers, evidences, H_q)``, int8: 1 for the query heads that use the weights.
    active
        For each layer, whether any head uses weights.
    """

    spans: torch.Tensor
    extra: torch.Tensor
    first_span: torch.Tensor
    weighs: torch.Tensor
    active: tuple[bool, ...]


# Cached: the requests of a batch stay the same for many tokens. Evidence is compared by identity.
@functools.lru_cache(maxsize=64)
def evidence_table(evidences: tuple[Evidence, ...], n_layers: int, device: torch.device) -> EvidenceTable:
    """Return the table of the evidence of several requests, each of which is a single sequence.

    Parameters
    ----------
    evidences
        Evidence of each request, at least one; rows refer to it by its index.
    n_layers
        Number of attention layers.
    device
        Device of the result.
    """
    spans: list[tuple[int, int]] = []
    extra: list[float] = []
    first_span = [0]
    for evidence in evidences:
        spans += evidence.spans[0]
        extra += [math.log2(weight - 1) for weight in evidence.weights[0]]
        first_span.append(len(spans))
    n_heads = evidences[0].n_heads
    weighs = torch.zeros(n_layers, len(evidences), n_heads, dtype=torch.int8)
    for index, evidence in enumerate(evidences):
        for layer in range(n_layers):
            weighs[layer, index] = torch.tensor(evidence.weighs(layer))
    return EvidenceTable(
        torch.tensor(spans, dtype=torch.int32).to(device),
        torch.tensor(extra, dtype=torch.float32).to(device),
        torch.tensor(first_span, dtype=torch.int32).to(device),
        weighs.to(device),
        tuple(weighs.any(dim=(1, 2)).tolist()),
    )


class WeighedRows:
    """The rows of one forward pass that weigh evidence.

    Parameters
    ----------
    spans
        Rows of requests that weigh evidence, at least one; see `vllm_sra.plugin.batch.sharpened_spans`.
    group
        Number of query heads that share a key head.
    device
        Device of the queries.
    weigh
        Function that replaces rows by attention with evidence weights.
    """

    def __init__(self, spans: Sequence[RowSpan], group: int, device: torch.device, weigh: Weigh) -> None:
        evidences: dict[Evidence, int] = {}
        parts = []
        for span in spans:
            assert span.session.evidence is not None  # noqa: S101 - see `RowSpan.weighs`
            index = evidences.setdefault(span.session.evidence, len(evidences))
            parts.append(TiledRows(span.request, span.start, span.stop, span.position, index))
        self._weigh = weigh
        self._tiles = tile(parts, group, device)
        self._table = evidence_table(tuple(evidences), spans[0].session.n_layers, device)

    def weigh(
        self,
        query: torch.Tensor,
        key_cache: torch.Tensor,
        value_cache: torch.Tensor,
        block_table: torch.Tensor,
        output: torch.Tensor,
        *,
        layer: int,
        scale: float,
        window: int = NO_WINDOW,
    ) -> None:
        """Replace the rows that weigh evidence in a layer.

        Parameters
        ----------
        query
            Query rows, ``(rows, H_q, D)``, multiplied by their factors where they are sharpened.
        key_cache, value_cache, block_table, scale, window, output
            See `weigh_reference`.
        layer
            Index of the attention layer.
        """
        if not self._table.active[layer]:
            return
        for tiles in self._tiles:
            self._weigh(
                query, key_cache, value_cache, block_table, tiles, scale=scale, window=window,
                table=self._table, weighs=self._table.weighs[layer], output=output,
            )  # fmt: skip


def weigh_reference(
    query: torch.Tensor,
    key_cache: torch.Tensor,
    value_cache: torch.Tensor,
    block_table: torch.Tensor,
    tiles: RowTiles,
    *,
    scale: float,
    window: int,
    table: EvidenceTable,
    weighs: torch.Tensor,
    output: torch.Tensor,
) -> None:
    """Replace rows by attention with evidence weights, computed step by step: ``softmax(s + log w) V``.

    Parameters
    ----------
    query, key_cache, block_table, tiles, scale, window
        See `vllm_sra.gpu.row_tiles.paged_entropy_reference`. The settings of a tile are an index into `table`.
    value_cache
        Values, like `key_cache`.
    table
        The weighed spans.
    weighs
        ``(evidences, H_q)``, int8: 1 for the query heads that use the weights in this layer.
    output
        Attention of all rows, ``(rows, H_q, D)``. In the rows of the tiles, heads that use weights are replaced; the
        others are not modified.
    """
    first_span = table.first_span.tolist()
    for of_tile in tiles.table.tolist():
        request, first_row, n_rows, position, _, index = of_tile
        scores = tile_scores(query, key_cache, block_table, of_tile, scale=scale, window=window)
        for span in range(first_span[index], first_span[index + 1]):
            start, end = table.spans[span].tolist()
            scores[..., start:end] += math.log(2 ** table.extra[span].item() + 1)
        values = read_blocks(value_cache, block_table, request, position + n_rows).float()
        attended = torch.einsum("rhgk,khd->rhgd", scores.softmax(-1), values).flatten(1, 2).to(output.dtype)
        of_rows = output[first_row : first_row + n_rows]
        of_rows.copy_(torch.where(weighs[index].bool()[:, None], attended, of_rows))
