"""The query rows of a forward pass that belong to requests with settings: their factors, and their evidence weights."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import torch

from sra_rag.attention.evidence import Evidence, LayerEvidence
from sra_rag.attention.fast import fast_reattention, sharpening_factors
from sra_rag.attention.look import Look
from sra_rag.attention.session import Session
from sra_rag.attention.visibility import Visibility
from vllm_sra.plugin.request_settings import RequestSettings

__all__ = ["BatchEntry", "HeadShare", "ReadKeys", "RowSpan", "scaled_query", "sharpened_spans", "weigh_rows"]

ReadKeys = Callable[[torch.Tensor, int, bool], torch.Tensor]
"""Reads keys from the cache as ``(1, H_kv, K, D)``. Arguments: block indices, number of keys ``K``, and whether only
one query row uses the keys."""


@dataclasses.dataclass(frozen=True, slots=True)
class BatchEntry:
    """A request with settings.

    Parameters
    ----------
    settings
        Settings of the request.
    prompt_length
        Number of tokens of its prompt.
    look
        Record of its attention, if this is returned.
    """

    settings: RequestSettings
    prompt_length: int
    look: Look | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class HeadShare:
    """The attention heads of a model that a worker holds.

    Parameters
    ----------
    n_layers, n_heads
        Number of layers and query heads of the whole model.
    first_head, last_head
        Range of the query heads of this worker; `last_head` is exclusive.
    """

    n_layers: int
    n_heads: int
    first_head: int
    last_head: int


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RowSpan:
    """Consecutive query rows of one request.

    Parameters
    ----------
    session
        Session with the settings of the request.
    start, stop
        Range of its rows in the batch; `stop` is exclusive.
    position
        Position of its first row in the sequence.
    blocks
        Indices of the cache blocks of its keys, in order.
    request
        Index of the request in the batch.
    """

    session: Session
    start: int
    stop: int
    position: int
    blocks: torch.Tensor
    request: int

    @property
    def n_keys(self) -> int:
        """Number of keys up to the last row."""
        return self.position + self.stop - self.start

    @property
    def weighs(self) -> bool:
        """Whether its rows weigh evidence in some layer."""
        evidence = self.session.evidence
        return evidence is not None and self.position >= evidence.starts[0]

    def evidence(self, layer: int) -> LayerEvidence | None:
        """Return the evidence that its rows weigh in a layer; None if they weigh none."""
        if self.session.evidence is None or not self.weighs:
            return None
        return self.session.evidence.of_layer(layer, self.blocks.device, self.n_keys)

    def visibility(self, block_size: int, window: int | None) -> tuple[Visibility, torch.Tensor]:
        """Return the keys that its rows attend to, and the cache blocks that contain these keys."""
        first_key = 0 if window is None else max(0, self.position - window + 1)
        first_block = first_key // block_size
        offset = first_block * block_size
        visibility = Visibility(
            self.session, self.stop - self.start, self.n_keys - offset,
            position=self.position, key_position=offset, window=window,
        )  # fmt: skip
        return visibility, self.blocks[first_block : -(-self.n_keys // block_size)]


def sharpened_spans(
    entries: Mapping[int, BatchEntry],
    share: HeadShare,
    query_start: Sequence[int],
    n_keys: Sequence[int],
    block_table: torch.Tensor,
) -> list[RowSpan]:
    """Return the rows that settings apply to. Rows that weigh evidence are in separate spans.

    Parameters
    ----------
    entries
        Requests with settings, by their index in the batch.
    share
        Attention heads of this worker.
    query_start
        Index of the first row of each request, followed by the total number of rows.
    n_keys
        Number of keys of each request, including those of this pass.
    block_table
        Cache blocks of each request, ``(requests, blocks)``.
    """
    spans = []
    for index, entry in sorted(entries.items()):
        if index >= len(n_keys):  # a warm-up pass of vLLM
            continue
        start, stop = query_start[index], query_start[index + 1]
        session = _session(entry.settings, entry.prompt_length, share)
        position = n_keys[index] - (stop - start)
        weighed = stop
        if session.evidence is not None:
            weighed = min(start + max(0, session.evidence.starts[0] - position), stop)
        for first, last in ((start, weighed), (weighed, stop)):
            if first == last:
                continue
            span = RowSpan(session, first, last, position + first - start, block_table[index], index)
            sharpened = session.config.sharpens and session.first_row(span.position, last - first) < last - first
            if sharpened or span.weighs:
                spans.append(span)
    return spans


def scaled_query(
    query: torch.Tensor,
    spans: Sequence[RowSpan],
    read_keys: ReadKeys,
    *,
    layer: int,
    scale: float,
    block_size: int,
    window: int | None,
) -> torch.Tensor:
    """Multiply sharpened query rows by their factors, except for rows that weigh evidence in this layer.

    No other change is needed: ``softmax(beta_i * s_i) V`` is ordinary attention with the query ``beta_i q_i``.

    Parameters
    ----------
    query
        Query rows, ``(rows, H_q, D)``; not modified.
    spans
        See `sharpened_spans`.
    read_keys
        Function that reads keys from the cache.
    layer, scale, block_size, window
        Parameters of the attention layer. `window` is the size of the sliding window in keys, or None.

    Returns
    -------
    query
        `query` itself if no row is sharpened in this layer, otherwise a copy.
    """
    scaled = None
    for span in spans:
        if not span.session.sharpens(layer) or span.evidence(layer) is not None:
            continue
        visibility, blocks = span.visibility(block_size, window)
        if span.session.needs_entropy:
            keys = read_keys(blocks, visibility.n_keys, visibility.n_rows == 1)
        else:  # the keys are not used
            keys = query.new_empty(1, 1, 0, query.shape[-1])
        first, beta = sharpening_factors(
            query[span.start : span.stop].transpose(0, 1)[None],
            keys,
            visibility=visibility,
            layer=layer,
            scale=scale,
        )
        if beta is not None:
            scaled = query.clone() if scaled is None else scaled
            scaled[span.start + first : span.stop] *= beta[0].transpose(0, 1)[..., None]
    return query if scaled is None else scaled


def weigh_rows(
    query: torch.Tensor,
    spans: Sequence[RowSpan],
    read_keys: ReadKeys,
    read_values: ReadKeys,
    output: torch.Tensor,
    *,
    layer: int,
    scale: float,
    block_size: int,
    window: int | None,
) -> None:
    """Compute attention of the rows that weigh evidence in this layer, with the code of the transformers path.

    Parameters
    ----------
    query
        Query rows, ``(rows, H_q, D)``, not multiplied by factors.
    spans
        See `sharpened_spans`.
    read_keys, read_values
        Functions that read keys and values from the cache.
    output
        Attention of all rows, ``(rows, H_q, D)``. The rows that weigh evidence are replaced.
    layer, scale, block_size, window
        See `scaled_query`.
    """
    for span in spans:
        if span.evidence(layer) is None:
            continue
        visibility, blocks = span.visibility(block_size, window)
        keys, values = (read(blocks, visibility.n_keys, False) for read in (read_keys, read_values))
        attended = fast_reattention(
            query[span.start : span.stop].transpose(0, 1)[None],
            keys,
            values,
            visibility=visibility,
            layer=layer,
            scale=scale,
        )
        output[span.start : span.stop] = attended[0].transpose(0, 1)


@functools.lru_cache(maxsize=1024)
def _session(settings: RequestSettings, prompt_length: int, share: HeadShare) -> Session:
    return Session(
        settings.sra,
        share.n_layers,
        share.n_heads,
        context_length=settings.context_length,
        prompt_length=prompt_length,
        heads=range(share.first_head, share.last_head),
        evidence=_evidence(settings, share),
    )


def _evidence(settings: RequestSettings, share: HeadShare) -> Evidence | None:
    """Return the evidence of a request in the heads of this worker."""
    given = settings.evidence
    if given is None:
        return None
    heads = given.heads
    if heads is not None:
        here = range(share.first_head, share.last_head)
        heads = tuple((layer, head - here.start) for layer, head in heads if head in here)
    return Evidence(
        [given.spans],
        [settings.context_length or 0],
        weight=[given.weights],
        heads=heads,
        n_layers=share.n_layers,
        n_heads=share.last_head - share.first_head,
    )
