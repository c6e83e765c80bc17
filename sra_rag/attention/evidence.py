"""Evidence weights: chosen keys count `w` times in the softmax of chosen heads.

With ``E`` the keys of the evidence and ``beta_i`` the sharpening factor of a row, its weights are::

    a'_ij = softmax_j(beta_i * s_ij + log w * [j in E])

which is ordinary attention over all keys joined with ``w - 1`` times attention over ``E`` (log-sum-exps ``Z``)::

    o = (Z o_all + (w - 1) Z_E o_E) / (Z + (w - 1) Z_E)

so it works with any kernel that returns the log-sum-exp, and costs only the attention over the few keys of ``E``. If
the keys of E have different weights ``w_j``, attention over E has the bias ``log(w_j - 1)``.

Fewer times than the others, a key counts where all others count more often: ``E`` is then everything but these keys, to
the end of the text.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence
from typing import Protocol

import torch

from sra_rag.errors import ConfigError

__all__ = ["TO_END", "Evidence", "LayerEvidence"]

TO_END = 1 << 30
"""End of a span that goes on to the last key, however many keys are added while an answer is written."""

Spans = Sequence[tuple[int, int]]


class Placed(Protocol):
    """The part of `sra_rag.attention.visibility.Visibility` that is used here."""

    @property
    def position(self) -> int:
        """Position of the first row."""
        ...

    @property
    def key_position(self) -> int:
        """Position of the first key."""
        ...

    @property
    def window(self) -> int | None:
        """Number of positions, including its own, that a row may attend to; None for all."""
        ...

    @property
    def real(self) -> torch.Tensor | None:
        """``(B, K)`` bool, False for padding; None without padding."""
        ...


class Evidence:
    """The keys that get more weight, with their weights, heads and rows.

    Parameters
    ----------
    spans
        For each sequence of the batch, the positions (padding included) of its evidence, as (start, end) with exclusive
        end; the end of the last one may be `TO_END`. A sequence without spans is not changed.
    starts
        For each sequence, the position of the first row with evidence weights.
    weight
        ``w`` > 1: how many times a key of the evidence counts; one number for all spans, or for each sequence one
        number for each of its spans.
    heads
        ``(layer, query head)`` of the heads that use the weights; None for all.
    n_layers, n_heads
        Number of attention layers, and of query heads in each layer.

    Raises
    ------
    ConfigError
        If a weight, a span or a head is not allowed.
    """

    def __init__(
        self,
        spans: Sequence[Spans],
        starts: Sequence[int],
        *,
        weight: float | Sequence[Sequence[float]],
        heads: Sequence[tuple[int, int]] | None,
        n_layers: int,
        n_heads: int,
    ) -> None:
        weights = [[weight] * len(sequence) for sequence in spans] if isinstance(weight, int | float) else weight
        for value in itertools.chain.from_iterable(weights):
            if not math.isfinite(value) or value <= 1:
                raise ConfigError(f"The evidence weight {value!r} is not allowed: it must be finite and above 1.")
        if [len(sequence) for sequence in weights] != [len(sequence) for sequence in spans]:
            raise ConfigError("The evidence needs one weight for all spans, or one for each span of each sequence.")
        if len(spans) != len(starts):
            raise ConfigError(f"There are spans for {len(spans)} sequences and first rows for {len(starts)}.")
        for sequence in spans:
            end = 0
            for first, last in sequence:
                if not end <= first < last:
                    raise ConfigError(
                        f"The span {first}:{last} of the evidence is not allowed: spans hold at least one position, "
                        "ascend and do not overlap."
                    )
                end = last
        for layer, head in heads or ():
            if not (0 <= layer < n_layers and 0 <= head < n_heads):
                raise ConfigError(
                    f"Head {layer}.{head} is not one of the model's, which has {n_layers} layers of {n_heads} heads."
                )
        self.spans = tuple(tuple(sequence) for sequence in spans)
        self.starts = tuple(starts)
        self.weights = tuple(tuple(map(float, sequence)) for sequence in weights)
        self.heads = None if heads is None else frozenset(heads)
        self.n_heads = n_heads
        self._goes_on = any(sequence and sequence[-1][1] >= TO_END for sequence in self.spans)
        self._end: int | None = None
        self._layers: dict[tuple[tuple[bool, ...], torch.device], LayerEvidence] = {}
        self._keys: dict[torch.device, _Keys] = {}
        self._factors: dict[tuple[tuple[bool, ...], torch.device], tuple[torch.Tensor, tuple[torch.Tensor, ...]]] = {}

    def weighs(self, layer: int) -> tuple[bool, ...]:
        """Return which query heads of a layer use the weights."""
        if not any(self.spans):
            return (False,) * self.n_heads
        return tuple(self.heads is None or (layer, head) in self.heads for head in range(self.n_heads))

    def of_layer(self, layer: int, device: torch.device, end: int) -> LayerEvidence | None:
        """Return the evidence of one layer; None if the layer has no weights.

        Parameters
        ----------
        layer
            Index of the attention layer.
        device
            Device of the result.
        end
            Position after the last key.
        """
        weighs = self.weighs(layer)
        if not any(weighs):
            return None
        if self._goes_on and end != self._end:
            self._layers, self._keys, self._end = {}, {}, end
        name = weighs, device
        if name not in self._layers:
            self._layers[name] = self._of_heads(weighs, device, end if self._goes_on else TO_END)
        return self._layers[name]

    def _of_heads(self, weighs: tuple[bool, ...], device: torch.device, end: int) -> LayerEvidence:
        name = weighs, device
        if name not in self._factors:
            chosen = torch.tensor(weighs)
            of_spans = (torch.where(chosen, torch.tensor(row)[:, None], 1.0).to(device) for row in self.weights)
            self._factors[name] = chosen.to(device), tuple(of_spans)
        if device not in self._keys:
            spans = tuple(tuple((first, min(last, end)) for first, last in sequence) for sequence in self.spans)
            self._keys[device] = _Keys(spans, self.weights, device)
        chosen, factors = self._factors[name]
        return LayerEvidence(self._keys[device], self.starts, self.weights, chosen, factors)


class _Keys:
    """The keys of the evidence, for all layers. With `TO_END` they change with each token: only what is used is made.

    Parameters
    ----------
    spans, weights
        As for `LayerEvidence`.
    device
        Device of the tensors.
    """

    def __init__(self, spans: Sequence[Spans], weights: Sequence[Sequence[float]], device: torch.device) -> None:
        self.spans = tuple(tuple(sequence) for sequence in spans)
        self._weights = weights
        self._device = device

    @functools.cached_property
    def edges(self) -> tuple[torch.Tensor, ...]:
        return tuple(torch.tensor(sequence, device=self._device) for sequence in self.spans)

    @functools.cached_property
    def positions(self) -> torch.Tensor:
        each = self._each()
        longest = max(map(len, each))
        return torch.tensor([[*row, *[0] * (longest - len(row))] for row in each], device=self._device)

    @functools.cached_property
    def valid(self) -> torch.Tensor:
        counts = torch.tensor([len(row) for row in self._each()])
        return (torch.arange(int(counts.max())) < counts[:, None]).to(self._device)

    @functools.cached_property
    def bias(self) -> torch.Tensor | None:
        greatest = max(itertools.chain.from_iterable(self._weights))
        if min(itertools.chain.from_iterable(self._weights)) == greatest:
            return None
        rows = [
            [
                math.log(weight - 1) - math.log(greatest - 1)
                for (first, last), weight in zip(sequence, weights, strict=True)
                for _ in range(first, last)
            ]
            for sequence, weights in zip(self.spans, self._weights, strict=True)
        ]
        longest = max(map(len, rows))
        return torch.tensor([row + [0.0] * (longest - len(row)) for row in rows], device=self._device)

    def _each(self) -> list[list[int]]:
        return [[position for first, last in sequence for position in range(first, last)] for sequence in self.spans]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class LayerEvidence:
    """The evidence of one layer.

    Parameters
    ----------
    keys
        The keys of all spans.
    starts
        As for `Evidence`.
    weights
        The weight of each span.
    weighs
        ``(H_q,)`` bool: the query heads that use the weights.
    factors
        For each sequence ``(S, H_q)``, float32: the weight of each of its spans for each query head, 1 for a head
        without weights.
    """

    keys: _Keys
    starts: tuple[int, ...]
    weights: tuple[tuple[float, ...], ...]
    weighs: torch.Tensor
    factors: tuple[torch.Tensor, ...]

    @property
    def spans(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """As for `Evidence`, to the last key at most."""
        return self.keys.spans

    @property
    def bias(self) -> torch.Tensor | None:
        """``(B, E)``, float32: ``log(w_j - 1)`` of each key minus that of the largest weight; None if all are equal."""
        return self.keys.bias

    def first_row(self, position: int, n_rows: int) -> int:
        """Index of the first of `n_rows` rows, beginning at `position`, with evidence weights in any sequence."""
        starts = [start for start, spans in zip(self.starts, self.spans, strict=True) if spans]
        return min(max(0, min(starts) - position), n_rows)

    def of_sequence(
        self, number: int, position: int, first_key: int
    ) -> tuple[torch.Tensor, torch.Tensor] | tuple[None, None]:
        """Return the spans of a sequence, ``(S, 2)``, int64, and its `factors`; None if its row has none.

        Parameters
        ----------
        number
            Index of the sequence.
        position
            Position of the row.
        first_key
            Position of the key that the spans are counted from.
        """
        if not self.spans[number] or position < self.starts[number]:
            return None, None
        edges = self.keys.edges[number]
        return edges - first_key if first_key else edges, self.factors[number]

    def log_extra(self) -> torch.Tensor:
        """Return ``log(w - 1)`` of the largest weight, ``(H_q, 1)``; ``-inf`` for a query head without weights."""
        greatest = max(itertools.chain.from_iterable(self.weights))
        return torch.where(self.weighs, math.log(greatest - 1), -math.inf)[:, None]

    def gather(
        self, key: torch.Tensor, value: torch.Tensor, visibility: Placed, start: int, stop: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return the keys and values of the evidence.

        Parameters
        ----------
        key, value
            ``(B, H_kv, K, D)``.
        visibility
            Positions of rows and keys.
        start, stop
            Range of rows that attend to the evidence.

        Returns
        -------
        key, value
            ``(B, H_kv, E, D)``.
        seen
            ``(B, stop - start, E)`` bool: the keys that each row may attend to; None if these are all.
        """
        if self._all_is_seen(visibility, start):
            [spans] = self.spans
            keys, values = ([x[:, :, first:last] for first, last in spans] for x in (key, value))
            return (keys[0], values[0], None) if len(spans) == 1 else (torch.cat(keys, 2), torch.cat(values, 2), None)
        index = self.keys.positions - visibility.key_position
        valid = self.keys.valid & (index >= 0) & (index < key.shape[2])
        index = index.where(valid, 0)
        rows = torch.arange(start, stop, device=index.device)[:, None]
        own = rows + (visibility.position - visibility.key_position)
        seen = valid[:, None] & (index[:, None] <= own)
        if visibility.window is not None:
            seen &= index[:, None] > own - visibility.window
        if visibility.real is not None:
            seen &= visibility.real.to(index.device).gather(1, index)[:, None]
        seen &= rows + visibility.position >= torch.tensor(self.starts, device=index.device)[:, None, None]
        of_each = index[:, None, :, None].expand(-1, key.shape[1], -1, -1)
        key, value = (x.gather(2, of_each.expand(-1, -1, -1, x.shape[3])) for x in (key, value))
        return key, value, seen

    def add_to_scores(self, scores: torch.Tensor, visibility: Placed, start: int, first_key: int) -> torch.Tensor:
        """Add ``log w`` to the scores of the evidence, in place.

        Parameters
        ----------
        scores
            ``(B, H_q, rows, keys)``, float32, of the rows beginning at `start`.
        visibility
            Positions of rows and keys.
        start
            Index of the first row.
        first_key
            Index of the first key of the scores.
        """
        n_rows, n_keys = scores.shape[2:]
        weighs = self.weighs[:, None, None]
        for row, (begin, spans) in enumerate(zip(self.starts, self.spans, strict=True)):
            top = min(max(0, begin - visibility.position - start), n_rows)
            for span, weight in zip(spans, self.weights[row], strict=True):
                first, last = (min(max(0, p - visibility.key_position - first_key), n_keys) for p in span)
                scores[row, :, top:, first:last] += torch.where(weighs, math.log(weight), 0.0)
        return scores

    def _all_is_seen(self, visibility: Placed, start: int) -> bool:
        plain = visibility.real is None and visibility.window is None and visibility.key_position == 0
        if len(self.spans) > 1 or not plain or visibility.position + start < self.starts[0]:
            return False
        return self.spans[0][-1][1] <= visibility.position + start + 1
