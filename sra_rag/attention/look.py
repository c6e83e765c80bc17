"""Where heads look while the question is read: the attention that its rows give to spans of the context, head by head.

A few heads of a model, its *retrieval heads*, put their attention on the passage that answers the question (Wu et al.
2024, arXiv 2404.15574; QRHead, arXiv 2506.09944). Looking changes nothing that the model computes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch

from sra_rag.attention.token_spans import require_ascending

__all__ = ["Look", "active_look", "looking", "mean_shares"]

_ACTIVE: ContextVar[Look | None] = ContextVar("sra_look", default=None)


class Look:
    """The share of attention that the rows of one question give to spans of its context.

    Parameters
    ----------
    spans
        The first token of each span and the one after its last; ascending, not overlapping.
    start
        Position of the first row that is counted: the one after the context.
    heads
        ``(layer, query head)`` of the heads that look; None for all.
    by_row
        Whether the rows are told apart, for `row_shares`.

    Raises
    ------
    ConfigError
        If spans overlap or reach beyond `start`.
    """

    def __init__(
        self,
        spans: Sequence[tuple[int, int]],
        start: int,
        heads: Sequence[tuple[int, int]] | None = None,
        *,
        by_row: bool = False,
    ) -> None:
        require_ascending(spans, start, "context")
        self.spans = tuple(spans)
        self.start = start
        self._heads: dict[int, list[int]] | None = None
        if heads is not None:
            self._heads = {}
            for layer, head in heads:
                self._heads.setdefault(layer, []).append(head)
        self._sums: dict[int, torch.Tensor] = {}
        self._rows: dict[int, list[torch.Tensor]] | None = {} if by_row else None
        self.n_rows = 0
        self.position = start
        self._edges = torch.tensor([edge for span in spans for edge in span], dtype=torch.long)

    def heads_of(self, layer: int, n_heads: int) -> list[int]:
        """Return which query heads of a layer look."""
        return list(range(n_heads)) if self._heads is None else self._heads.get(layer, [])

    def add(self, layer: int, weights: torch.Tensor, first_key: int) -> None:
        """Take the weights of rows.

        Parameters
        ----------
        layer
            Index of the attention layer.
        weights
            ``(heads, Q, K)``, float32, of the heads that look.
        first_key
            Position of the first key that they are about.
        """
        edges = (self._edges.to(weights.device) - first_key).clamp(0, weights.shape[-1])
        sums = _within(edges, weights.sum(dim=1, dtype=torch.float64)).float().cpu()
        if self._rows is not None:
            of_rows = _within(edges, weights.double())
            shares = of_rows / of_rows.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(of_rows.dtype).tiny)
            self._rows.setdefault(layer, []).append(shares.sum(dim=0).float().cpu())
        self._sums[layer] = self._sums[layer] + sums if layer in self._sums else sums
        if layer == min(self._sums):
            self.n_rows += weights.shape[1]

    def shares(self) -> torch.Tensor:
        """Return the mean share of each span over the rows seen.

        Returns
        -------
        shares
            ``(heads, spans)``, float32, each in [0, 1], in the order of the layers and within a layer as given. Without
            a row seen, no heads.
        """
        if not self._sums:
            return torch.zeros(0, len(self.spans))
        return torch.cat([self._sums[layer] for layer in sorted(self._sums)]) / self.n_rows

    def row_shares(self, counts: Sequence[int]) -> torch.Tensor:
        """Return the share of groups of spans in the attention of each row to all spans, mean over the heads.

        Parameters
        ----------
        counts
            How many spans each group has; together all, in their order.

        Returns
        -------
        shares
            ``(rows, groups)``, float32, each in [0, 1]; without a head that looks, no rows.
        """
        if not self._rows or not self._sums:
            return torch.zeros(0, len(counts))
        summed = torch.stack([torch.cat(rows) for rows in self._rows.values()]).sum(dim=0)
        shares = summed / sum(len(of_layer) for of_layer in self._sums.values())
        return torch.stack([group.sum(dim=1) for group in shares.split(list(counts), dim=1)], dim=1)


def _within(edges: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return sums over spans, ``(..., spans)``: differences of running sums, no product with a matrix of spans."""
    at = torch.nn.functional.pad(weights.cumsum(-1), (1, 0))[..., edges]
    return at[..., 1::2] - at[..., ::2]


def mean_shares(look: torch.Tensor) -> torch.Tensor:
    """Return the share of each span in the attention to all spans, ``(spans,)``, float64.

    Each head counts equally, however much of its attention it gives to the spans.

    Parameters
    ----------
    look
        ``(heads, spans)``: what `Look.shares` returns.
    """
    look = look.double()
    return (look / look.sum(dim=1, keepdim=True).clamp_min(torch.finfo(look.dtype).tiny)).mean(dim=0)


def look_weights(
    query: torch.Tensor,
    key: torch.Tensor,
    heads: Sequence[int],
    *,
    scale: float,
    mask: torch.Tensor | None = None,
    softcap: float | None = None,
) -> torch.Tensor:
    """Attention weights of some heads of one sequence.

    Parameters
    ----------
    query, key
        ``(1, H_q, Q, D)`` and ``(1, H_kv, K, D)``.
    heads
        Query heads.
    scale, softcap
        As in `sra_rag.attention.fast.fast_reattention`.
    mask
        Broadcasts to ``(1, H_q, Q, K)``: bool, True where a key is seen, or additive; None where the last of the rows
        sees all keys and each earlier one a key less.

    Returns
    -------
    weights
        ``(heads, Q, K)``, float32.
    """
    groups = query.shape[1] // key.shape[1]
    chosen = torch.tensor(heads, device=query.device)
    rows = query[0].index_select(0, chosen).float()
    columns = key[0].index_select(0, chosen // groups).float()
    scores = torch.baddbmm(rows.new_empty(1), rows, columns.transpose(1, 2), beta=0, alpha=scale)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if mask is None:
        n_rows, n_keys = scores.shape[1:]
        mask = torch.ones(n_rows, n_keys, dtype=torch.bool, device=scores.device).tril(n_keys - n_rows)[None, None]
    mask = mask[0] if mask.shape[1] == 1 else mask[0].index_select(0, chosen)
    scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask.float()
    return torch.softmax(scores, dim=-1)


def active_look() -> Look | None:
    """Return what the calling thread or task looks with, if it does."""
    return _ACTIVE.get()


@contextmanager
def looking(look: Look | None) -> Iterator[Look | None]:
    """Collect into `look` within the block, in this thread (or asyncio task) only; None collects nothing.

    The model must be on sra-rag's attention, without settings: within ``reattend(model, None)``.
    """
    token = _ACTIVE.set(look)
    try:
        yield look
    finally:
        _ACTIVE.reset(token)
