"""Rows that decode, sharpened with no key copied: for caches in which the keys of a block lie transposed.

There the scores of a query over a block are the sum of the block's rows, ``(D, block_size)``, each multiplied by one of
the query's numbers. `embedding_bag` computes such sums from the cache itself, wherever its blocks lie, for many rows
at once. Entropy does not ask in which order keys stand, so what blocks give is merged as partial softmaxes are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from sra_rag.attention.session import Session
from vllm_sra.batch import RowSpan

__all__ = ["DecodingRows", "decoding_spans"]

_SCORES_AT_ONCE = 1 << 16  # float32; they and what is computed of them stay in a core's own cache
_WIDENED_AT_ONCE = 1 << 18  # numbers of keys that are copied into float32 at once
_HIDDEN = -1e30  # stands for -inf where 0 * -inf would spoil a sum


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


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    """Blocks that are served at once.

    Parameters
    ----------
    blocks
        Where they are in the cache.
    owners
        Which row sees each.
    terms
        Of each block and query head the rows, as numbered in the table of `_SeenKeys`, that sum up to its scores.
    hidden
        Which of the blocks have keys that are not seen, and what to add to their scores; None where all are seen.
    """

    blocks: torch.Tensor
    owners: torch.Tensor
    terms: torch.Tensor
    hidden: tuple[torch.Tensor, torch.Tensor] | None


class _SeenKeys:
    """The blocks of keys that rows see through a window of one size."""

    def __init__(self, spans: Sequence[RowSpan], window: int | None, n_heads: int, cache: torch.Tensor) -> None:
        _, kv_heads, _, head_size, block_size = cache.shape
        self._in_place = _is_table(cache)
        blocks, owners, partly, bias = [], [], [], []
        shown, n_blocks, columns = [], 0, torch.arange(block_size)
        for owner, span in enumerate(spans):
            first = 0 if window is None else max(0, span.n_keys - window)
            top, bottom = first // block_size, -(-span.n_keys // block_size)
            for block in sorted({top, bottom - 1}):
                place = columns + block * block_size
                seen = (place >= first) & (place < span.n_keys)
                if not bool(seen.all()):
                    partly.append(n_blocks + block - top)
                    bias.append(torch.where(seen, 0.0, _HIDDEN))
            blocks.append(span.blocks[top:bottom].long())
            owners.append(torch.full((bottom - top,), owner))
            shown.append(span.n_keys - first)
            n_blocks += bottom - top
        self.count = torch.tensor(shown, dtype=torch.float32)[:, None, None]
        self._by_row = torch.nn.utils.rnn.pad_sequence(
            list(torch.arange(n_blocks).split([len(b) for b in blocks])), batch_first=True, padding_value=n_blocks
        )
        at_once = max(1, _SCORES_AT_ONCE // (n_heads * block_size))
        if not self._in_place:
            at_once = max(1, min(at_once, _WIDENED_AT_ONCE // (kv_heads * head_size * block_size)))
        self._starts = torch.arange(min(at_once, n_blocks) * n_heads) * head_size
        self._chunks = []
        for start, (chosen, owner) in enumerate(
            zip(torch.cat(blocks).split(at_once), torch.cat(owners).split(at_once), strict=True)
        ):
            heads = torch.arange(kv_heads)
            if self._in_place:  # behind the keys of each head lie its values
                rows = (chosen[:, None] * kv_heads + heads) * 2 * head_size
            else:
                rows = (torch.arange(len(chosen))[:, None] * kv_heads + heads) * head_size
            terms = rows[..., None, None] + torch.arange(head_size)
            terms = terms.expand(-1, -1, n_heads // kv_heads, -1).reshape(-1)
            here = [n for n, place in enumerate(partly) if 0 <= place - start * at_once < len(chosen)]
            hidden = None
            if here:
                places = torch.tensor([partly[n] - start * at_once for n in here])
                hidden = places, torch.stack([bias[n] for n in here])[:, None]
            self._chunks.append(_Chunk(chosen, owner, terms, hidden))

    def entropy(self, query: torch.Tensor, cache: torch.Tensor, scale: float) -> torch.Tensor:
        """Entropy (nats) of rows ``(R, H_q, D)``: ``(R, H_q)``, float32."""
        numbers = query.float() * scale
        parts = [self._measure(chunk, numbers, cache) for chunk in self._chunks]
        nothing = numbers.new_zeros(1, query.shape[1])
        peak, total, weighted = (
            torch.cat([*(part[n] for part in parts), nothing + empty])[self._by_row]
            for n, empty in enumerate((_HIDDEN, 0.0, 0.0))
        )
        highest = peak.amax(1)
        shift = peak - highest[:, None]
        weight = shift.exp()
        normaliser = (weight * total).sum(1)
        mean = (weight * torch.addcmul(weighted, total, shift)).sum(1) / normaliser
        return normaliser.log_().sub_(mean).clamp_min_(0)

    def _measure(
        self, chunk: _Chunk, numbers: torch.Tensor, cache: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """For each block and head: greatest score, sum of exponentials ``e``, and ``sum e * score``, both less it."""
        if self._in_place:
            table = cache.view(-1, cache.shape[-1])
        else:
            table = cache[:, :, 0].index_select(0, chunk.blocks).float().view(-1, cache.shape[-1])
        size = len(chunk.blocks) * numbers.shape[1]
        scores = torch.nn.functional.embedding_bag(
            chunk.terms,
            table,
            self._starts[:size],
            mode="sum",
            per_sample_weights=numbers.index_select(0, chunk.owners).view(-1),
        ).view(len(chunk.blocks), numbers.shape[1], -1)
        if chunk.hidden is not None:
            places, bias = chunk.hidden
            scores.index_add_(0, places, bias.expand(-1, numbers.shape[1], -1))
        peak = scores.amax(-1, keepdim=True)
        scores.sub_(peak)
        shares = scores.exp()
        return peak[..., 0], shares.sum(-1), torch.linalg.vecdot(shares, scores)


def _is_table(cache: torch.Tensor) -> bool:
    """Whether a cache is one table of rows of float32 numbers, which sums can be taken from as it is."""
    return cache.dtype == torch.float32 and cache.is_contiguous()
