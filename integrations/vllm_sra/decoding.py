"""Rows that decode, sharpened with no key copied: for caches in which the keys of a block lie transposed.

Entropy does not ask in which order keys stand, so what blocks give is merged as partial softmaxes are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sra_rag.attention.session import Session
from vllm_sra.batch import RowSpan
from vllm_sra.block_sums import SeenBlocks, block_sums

__all__ = ["DecodingRows", "decoding_spans"]

_LOWEST = -1e30  # the greatest score of no keys: less than any, and 0 * it is no NaN


def decoding_spans(spans: Sequence[RowSpan]) -> tuple[list[RowSpan], list[RowSpan]]:
    """Part the requests with one row in this forward pass from the others."""
    one = [span for span in spans if span.stop - span.start == 1]
    return one, [span for span in spans if span.stop - span.start != 1]


class DecodingRows:
    """The single rows of requests in one forward pass.

    Parameters
    ----------
    spans
        One row each.
    """

    def __init__(self, spans: Sequence[RowSpan]) -> None:
        by_config: dict[object, list[RowSpan]] = {}
        for span in spans:
            by_config.setdefault(span.session.config, []).append(span)
        self._groups = [_Group(tuple(group)) for group in by_config.values()]

    def scaled(
        self, query: torch.Tensor, cache: torch.Tensor, *, layer: int, scale: float, window: int | None
    ) -> torch.Tensor:
        """Multiply the rows by their factors.

        Parameters
        ----------
        query
            ``(rows, H_q, D)``; left as it is.
        cache
            Keys and values, ``(blocks, H_kv, 2, D, block_size)``: the keys first, transposed; the values in any order.
        layer, scale, window
            Of the attention; `window` is None where all keys are seen.

        Returns
        -------
        query
            `query` itself where nothing is sharpened in this layer, else a copy.
        """
        scaled = None
        for group in self._groups:
            if not group.session.sharpens(layer):
                continue
            chosen = query[group.rows]
            beta = group.factors(chosen, cache, layer, scale, window)
            scaled = query.clone() if scaled is None else scaled
            scaled[group.rows] = (chosen * beta).to(query.dtype)
        return query if scaled is None else scaled


class _Group:
    """Rows of the same settings."""

    def __init__(self, spans: tuple[RowSpan, ...]) -> None:
        self._spans = spans
        self.session: Session = spans[0].session
        self.rows = torch.tensor([span.start for span in spans])
        self._seen: dict[int | None, _SeenKeys] = {}

    def factors(
        self, query: torch.Tensor, cache: torch.Tensor, layer: int, scale: float, window: int | None
    ) -> torch.Tensor:
        """Return what the rows are multiplied by, ``(R, H_q, 1)``, float32."""
        if window not in self._seen:  # all layers of a forward pass ask the same
            self._seen[window] = _SeenKeys(self._spans, window, query.shape[1], cache)
        seen = self._seen[window]
        if self.session.needs_entropy:
            entropy = seen.entropy(query, cache, scale)[..., None]
        else:
            entropy = query.new_ones((*query.shape[:2], 1), dtype=torch.float32)
        # All rows here are sharpened, so the first one's position says all that a session wants to know of positions.
        return self.session.beta(layer, self._spans[0].position, entropy, seen.count, None)


class _SeenKeys:
    """The keys that rows see through a window of one size."""

    def __init__(self, spans: Sequence[RowSpan], window: int | None, n_heads: int, cache: torch.Tensor) -> None:
        size = cache.shape[-1]
        parts, counts, shown = [], [], []
        for owner, span in enumerate(spans):
            hidden = 0 if window is None else max(0, span.n_keys - window)
            top, bottom = hidden // size, -(-span.n_keys // size)
            starts = torch.arange(top, bottom) * size
            parts.append(
                torch.stack(
                    (
                        span.blocks[top:bottom].long(),
                        torch.full_like(starts, owner),
                        (hidden - starts).clamp_min(0),
                        (span.n_keys - starts).clamp_max(size),
                    )
                )
            )
            counts.append(bottom - top)
            shown.append(span.n_keys - hidden)
        self.count = torch.tensor(shown, dtype=torch.float32)[:, None, None]
        n_blocks = sum(counts)
        # Backwards: the first keys that attention wants afterwards are then the last ones read, and near at hand.
        seen = SeenBlocks(*torch.cat(parts, 1).flip(1).contiguous())
        self._sums = block_sums(seen, n_heads, cache)
        self._by_row = torch.nn.utils.rnn.pad_sequence(
            list(torch.arange(n_blocks - 1, -1, -1).split(counts)), batch_first=True, padding_value=n_blocks
        )

    def entropy(self, query: torch.Tensor, cache: torch.Tensor, scale: float) -> torch.Tensor:
        """Entropy (nats) of rows ``(R, H_q, D)``: ``(R, H_q)``, float32."""
        sums = self._sums(query.float() * scale, cache)
        nothing = sums.new_tensor([_LOWEST, 0, 0])[:, None, None].expand(-1, 1, sums.shape[-1])
        peak, total, weighted = torch.cat((sums, nothing), 1)[:, self._by_row]
        shift = peak - peak.amax(1, keepdim=True)
        weight = shift.exp()
        normaliser = (weight * total).sum(1)
        mean = (weight * torch.addcmul(weighted, total, shift)).sum(1) / normaliser
        return normaliser.log_().sub_(mean).clamp_min_(0)
