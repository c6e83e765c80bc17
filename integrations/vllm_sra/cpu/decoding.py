"""Decoding rows without copying keys, for caches in which the keys of a block are transposed.

Entropy does not depend on the order of keys, so the results of blocks are merged like partial softmaxes. Evidence of
weight ``w`` adds ``log w`` to scores that were multiplied by the factor beta, so ``log(w) / beta`` to those before.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch

from sra_rag.attention.evidence import LayerEvidence
from sra_rag.attention.session import Session
from vllm_sra.cpu.block_sums import SeenBlocks, block_sums
from vllm_sra.plugin.batch import RowSpan

__all__ = ["DecodingRows", "decoding_spans"]

_LOWEST = -1e30  # maximum score of an empty set of keys; finite, because 0 * -inf is NaN


def decoding_spans(spans: Sequence[RowSpan]) -> tuple[list[RowSpan], list[RowSpan]]:
    """Split spans into those with exactly one row in this forward pass, and the others."""
    single = [span for span in spans if span.stop - span.start == 1]
    return single, [span for span in spans if span.stop - span.start != 1]


class DecodingRows:
    """The rows of requests that have exactly one row in a forward pass.

    Parameters
    ----------
    spans
        Spans with one row each.
    """

    def __init__(self, spans: Sequence[RowSpan]) -> None:
        groups: dict[object, list[RowSpan]] = {}
        for span in spans:
            groups.setdefault((span.session.config, _is_sharpened(span), span.weighs), []).append(span)
        self._groups = [_Group(tuple(group)) for group in groups.values()]
        self.count = len(spans)

    def scaled(
        self, query: torch.Tensor, cache: torch.Tensor, *, layer: int, scale: float, window: int | None
    ) -> torch.Tensor:
        """Multiply the rows by their factors, except for rows that weigh evidence in this layer.

        Parameters
        ----------
        query
            Query rows, ``(rows, H_q, D)``; not modified.
        cache
            Keys and values, ``(blocks, H_kv, 2, D, block_size)``: the keys first, transposed; the values in any order.
        layer, scale, window
            Parameters of the attention layer. `window` is the size of the sliding window in keys, or None.

        Returns
        -------
        query
            `query` itself if no row is sharpened in this layer, otherwise a copy.
        """
        scaled = None
        for group in self._groups:
            if not group.sharpens(layer) or group.weighs(layer):
                continue
            group_query = query[group.rows]
            beta = group.factors(group_query, cache, layer, scale, window)
            scaled = query.clone() if scaled is None else scaled
            scaled[group.rows] = (group_query * beta).to(query.dtype)
        return query if scaled is None else scaled

    def attended(
        self, query: torch.Tensor, cache: torch.Tensor, *, layer: int, scale: float, window: int | None
    ) -> torch.Tensor | None:
        """Compute attention of the rows. Each key is read once, for both entropy and scores.

        Parameters
        ----------
        query
            Query rows, ``(rows, H_q, D)``; exactly the rows of this object.
        cache
            See `scaled`. The values of a block must be stored as ``(block_size, D)``.
        layer, scale, window
            See `scaled`.

        Returns
        -------
        attended
            ``(rows, H_q, D)``, float32. None if no row is changed in this layer or the kernels are not available.
        """
        if not any(group.sharpens(layer) or group.weighs(layer) for group in self._groups):
            return None
        attended = torch.empty(query.shape, dtype=torch.float32)
        for group in self._groups:
            part = group.attended(query[group.rows], cache, layer, scale, window)
            if part is None:
                return None
            attended[group.rows] = part
        return attended

    def weigh(
        self,
        query: torch.Tensor,
        cache: torch.Tensor,
        output: torch.Tensor,
        *,
        layer: int,
        scale: float,
        window: int | None,
    ) -> bool:
        """Replace the rows of `output` that weigh evidence in this layer; return False if it is not possible.

        Parameters
        ----------
        query
            Query rows, ``(rows, H_q, D)``, not multiplied by factors.
        cache, layer, scale, window
            See `attended`.
        output
            Attention of all rows, ``(rows, H_q, D)``.
        """
        for group in self._groups:
            if group.weighs(layer):
                part = group.attended(query[group.rows], cache, layer, scale, window)
                if part is None:
                    return False
                output[group.rows] = part.to(output.dtype)
        return True


def _is_sharpened(span: RowSpan) -> bool:
    return span.session.config.sharpens and span.session.first_row(span.position, 1) == 0


class _Group:
    """Rows with the same settings; evidence may be in other positions for each row."""

    def __init__(self, spans: tuple[RowSpan, ...]) -> None:
        self._spans = spans
        self._sharpened = _is_sharpened(spans[0])
        self.session: Session = spans[0].session
        self.rows = torch.tensor([span.start for span in spans])
        self._seen: dict[int | None, _SeenKeys] = {}

    def sharpens(self, layer: int) -> bool:
        """Whether the rows are sharpened in a layer."""
        return self._sharpened and self.session.sharpens(layer)

    def weighs(self, layer: int) -> bool:
        """Whether the rows weigh evidence in a layer."""
        return self._spans[0].evidence(layer) is not None

    def factors(
        self, query: torch.Tensor, cache: torch.Tensor, layer: int, scale: float, window: int | None
    ) -> torch.Tensor:
        """Return the factors of the rows, ``(R, H_q, 1)``, float32."""
        seen = self._seen_keys(window, query, cache)
        if self.session.needs_entropy:
            return self._beta(layer, seen, seen.measure(query, cache, scale).entropy)
        return self._beta(layer, seen, query.new_ones(query.shape[:2], dtype=torch.float32))

    def attended(
        self, query: torch.Tensor, cache: torch.Tensor, layer: int, scale: float, window: int | None
    ) -> torch.Tensor | None:
        """Compute `DecodingRows.attended` for the rows of this group."""
        seen = self._seen_keys(window, query, cache)
        if not seen.attends:
            return None
        sharpens = self.sharpens(layer)
        measured = seen.measure(query, cache, scale, entropy=sharpens and self.session.needs_entropy)
        beta = self._beta(layer, seen, measured.entropy)[..., 0] if sharpens else torch.ones_like(measured.peak)
        beta = beta.expand(query.shape[:2])
        if (evidence := self._spans[0].evidence(layer)) is not None:
            measured = seen.weighed(measured, beta, evidence)
        return seen.attend(measured, beta, cache)

    def _seen_keys(self, window: int | None, query: torch.Tensor, cache: torch.Tensor) -> _SeenKeys:
        if window not in self._seen:  # the same for all layers of a forward pass
            self._seen[window] = _SeenKeys(self._spans, window, query.shape[1], cache)
        return self._seen[window]

    def _beta(self, layer: int, seen: _SeenKeys, entropy: torch.Tensor) -> torch.Tensor:
        # The session uses the position only to check whether rows are sharpened, which is true for all rows here.
        return self.session.beta(layer, self._spans[0].position, entropy[..., None], seen.count, None)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """Measurements of rows in a layer.

    Parameters
    ----------
    entropy, peak
        Entropy in nats, and maximum score; each ``(R, H_q)``, float32. Without entropies, ones are in their place.
    scores
        Scores of each block; see `BlockSums.measure`.
    """

    entropy: torch.Tensor
    peak: torch.Tensor
    scores: torch.Tensor


class _SeenKeys:
    """The keys that are visible to rows with a given window size."""

    def __init__(self, spans: Sequence[RowSpan], window: int | None, n_heads: int, cache: torch.Tensor) -> None:
        size = cache.shape[-1]
        parts, counts, visible = [], [], []
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
            visible.append(span.n_keys - hidden)
        self.count = torch.tensor(visible, dtype=torch.float32)[:, None, None]
        n_blocks = sum(counts)
        # In reverse order: attention starts with the first keys, which were then read last and are still in the cache.
        seen = SeenBlocks(*torch.cat(parts, 1).flip(1).contiguous())
        self._sums = block_sums(seen, n_heads, cache)
        self._owners = seen.owners
        self._evidence = _evidence_in_blocks(spans, parts, size, n_blocks)
        self._by_row = torch.nn.utils.rnn.pad_sequence(
            list(torch.arange(n_blocks - 1, -1, -1).split(counts)), batch_first=True, padding_value=n_blocks
        )

    @property
    def attends(self) -> bool:
        """Whether `attend` is supported."""
        return self._sums.attends

    def measure(self, query: torch.Tensor, cache: torch.Tensor, scale: float, *, entropy: bool = True) -> _Measured:
        """Compute maximum and scores of rows ``(R, H_q, D)``, and their entropy if it is needed."""
        sums, scores = self._sums.measure(query.float() * scale, cache)
        if not entropy:  # a dozen small operations less for each layer
            lowest = sums.new_full((1, sums.shape[-1]), _LOWEST)
            peak = torch.cat((sums[0], lowest))[self._by_row].amax(1)
            return _Measured(torch.ones_like(peak), peak, scores)
        padding = sums.new_tensor([_LOWEST, 0, 0])[:, None, None].expand(-1, 1, sums.shape[-1])
        peaks, total, weighted = torch.cat((sums, padding), 1)[:, self._by_row]
        peak = peaks.amax(1)
        shift = peaks - peak[:, None]
        weight = shift.exp()
        normaliser = (weight * total).sum(1)
        mean = (weight * torch.addcmul(weighted, total, shift)).sum(1) / normaliser
        return _Measured(normaliser.log_().sub_(mean).clamp_min_(0), peak, scores)

    def weighed(self, measured: _Measured, beta: torch.Tensor, evidence: LayerEvidence) -> _Measured:
        """Add the weights of evidence to the scores, in place, for attention with factors `beta`.

        Of `evidence` only the heads are used: they are the same for all rows, and the spans are those of each row.
        """
        index, column, log_weight = self._evidence
        if not len(index):  # outside the window
            return measured
        extra = torch.where(evidence.weighs, log_weight[:, None] / beta[self._owners[index]], 0.0)
        measured.scores[index, :, column] += extra
        peak = measured.peak + torch.where(evidence.weighs, log_weight.amax() / beta, 0.0)
        return dataclasses.replace(measured, peak=peak)

    def attend(self, measured: _Measured, beta: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
        """Compute attention with factors ``(R, H_q)``."""
        return self._sums.attend(measured.scores, beta, measured.peak, cache)


def _evidence_in_blocks(
    spans: Sequence[RowSpan], parts: Sequence[torch.Tensor], size: int, n_blocks: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the visible keys of evidence: index of the block in the scores, column in the block, and log weight.

    `parts` has the fields of `SeenBlocks` for each row, of all visible blocks of the row in order. The scores are in
    reverse order.
    """
    index, column, log_weight = [], [], []
    before = 0
    for span, part in zip(spans, parts, strict=True):
        if span.weighs and span.session.evidence is not None:
            top = -(-span.n_keys // size) - part.shape[1]
            hidden = top * size + int(part[2, 0])
            [own], [weights] = span.session.evidence.spans, span.session.evidence.weights
            for (first, last), weight in zip(own, weights, strict=True):
                for position in range(max(first, hidden), min(last, span.n_keys)):
                    index.append(n_blocks - 1 - (before + position // size - top))
                    column.append(position % size)
                    log_weight.append(math.log(weight))
        before += part.shape[1]
    return torch.tensor(index, dtype=torch.long), torch.tensor(column, dtype=torch.long), torch.tensor(log_weight)
