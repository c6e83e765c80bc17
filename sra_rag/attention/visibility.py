"""Which keys each query row may see, described instead of drawn.

A causal, padded or sliding-window mask over ``Q`` rows and ``K`` keys follows from a few numbers, so none is
ever built for the whole sequence: `Visibility` answers for a block of rows at a time. It travels through the
model where a mask tensor would (transformers hands it from the mask function to every attention layer).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

from sra_rag.attention.session import Session

__all__ = ["Visibility"]

MaskRule = Callable[[int, int], torch.Tensor]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Visibility:
    """The rows of one forward pass and the keys each may see.

    Positions count from the first slot of the key/value cache, padding included. Row ``i`` is at
    ``position + i``, key ``j`` at ``key_position + j``.

    Parameters
    ----------
    session
        The settings in force for this forward pass.
    n_rows, n_keys
        ``Q`` and ``K``; a static cache has more keys than have been written.
    position, key_position
        Position of the first row and of the first key.
    window
        A row sees only the last `window` positions up to its own; None for all.
    real
        ``(B, K)`` bool, False for padding; None where nothing is padded.
    rule
        Any other pattern: a mask that broadcasts to ``(B, H_q, Q, K)``, bool or additive, or a function that
        makes it for the rows from its first argument to before its second. Where given it alone decides,
        together with `real`.
    """

    session: Session
    n_rows: int
    n_keys: int
    position: int = 0
    key_position: int = 0
    window: int | None = None
    real: torch.Tensor | None = None
    rule: MaskRule | torch.Tensor | None = None
    _counts: dict[tuple[int, torch.device], torch.Tensor] = dataclasses.field(default_factory=dict, repr=False)
    _left_padding: list[list[int] | None] = dataclasses.field(default_factory=list, repr=False)

    # What transformers and accelerate ask of a prepared 4D mask on its way to the attention layers.
    ndim = 4

    def to(self, *args: object, **kwargs: object) -> Visibility:
        """Return itself; tensors are moved to the device of the keys when they are used."""
        return self

    def contiguous(self) -> Visibility:
        """Return itself."""
        return self

    @property
    def first_row_key(self) -> int:
        """Index of the first row's own key."""
        return self.position - self.key_position

    @property
    def end(self) -> int:
        """Index after the last key that any row may see."""
        if self.rule is not None:
            return self.n_keys
        return min(self.n_keys, self.first_row_key + self.n_rows)

    @property
    def is_full_causal(self) -> bool:
        """Whether row ``i`` sees every real key up to its own: no window, no other rule."""
        return self.rule is None and (self.window is None or self.window >= self.end)

    def first_key(self, row: int) -> int:
        """Index of the first key that `row` or any later row may see."""
        if self.rule is not None or self.window is None:
            return 0
        return max(0, self.first_row_key + row - self.window + 1)

    def last_key(self, stop: int) -> int:
        """Index after the last key that any row before `stop` may see."""
        return self.end if self.rule is not None else min(self.n_keys, self.first_row_key + stop)

    def bias(self, start: int, stop: int, device: torch.device) -> torch.Tensor:
        """Additive float32 mask of rows ``start..stop`` over keys ``first_key(start)..last_key(stop)``.

        Returns
        -------
        bias
            Broadcasts to ``(B, H_q, stop - start, keys)``; ``-inf`` hides a key.
        """
        first, last = self.first_key(start), self.last_key(stop)
        if self.rule is None:
            rows = torch.arange(self.position + start, self.position + stop, device=device)
            keys = torch.arange(self.key_position + first, self.key_position + last, device=device)
            mask = keys <= rows[:, None]
            if self.window is not None:
                mask &= keys > rows[:, None] - self.window
            mask = mask[None, None]
        elif isinstance(self.rule, torch.Tensor):
            mask = (self.rule[:, :, start:stop] if self.rule.shape[2] > 1 else self.rule).to(device)
        else:
            mask = self.rule(start, stop).to(device)
        if self.real is not None:
            real = self.real[:, None, None, first:last].to(device)
            mask = mask & real if mask.dtype == torch.bool else mask.masked_fill(~real, float("-inf"))
        if mask.dtype == torch.bool:
            return torch.zeros(mask.shape, device=device).masked_fill(~mask, float("-inf"))
        return mask.float().masked_fill(mask <= torch.finfo(mask.dtype).min, float("-inf"))

    def count(self, start: int, device: torch.device) -> torch.Tensor:
        """How many keys each row from `start` on may see.

        Only for visibilities without a `rule`; those with one count in their `bias`.

        Returns
        -------
        count
            ``(1 or B, 1, Q - start)``, float32.
        """
        known = self._counts.get((start, device))
        if known is None:  # all layers of a forward pass ask the same
            known = self._counts[start, device] = self._count(start, device)
        return known

    def _count(self, start: int, device: torch.device) -> torch.Tensor:
        last = torch.arange(start, self.n_rows, device=device) + self.first_row_key
        first = torch.zeros_like(last) if self.window is None else (last - self.window + 1).clamp_min(0)
        if self.real is None:
            return (last - first + 1).float()[None, None]
        before = torch.nn.functional.pad(self.real.to(device).long().cumsum(-1), (1, 0))
        return (before[:, last + 1] - before[:, first]).float()[:, None]

    def left_padding(self, n_sequences: int) -> list[int] | None:
        """Return how many keys are padding before the first real one of each sequence.

        None if other keys are padding too, or all keys of a sequence.

        Keys after `end` do not count.
        """
        if self.real is None:
            return [0] * n_sequences
        if not self._left_padding:  # all layers of a forward pass ask the same
            real = self.real[:, : self.end]
            padding = (~real).sum(1).tolist()
            on_the_left = max(padding) < self.end and not any(
                row[:n].any() for row, n in zip(real, padding, strict=True)
            )
            self._left_padding.append(padding if on_the_left else None)
        return self._left_padding[0]

    def is_real_row(self, start: int, device: torch.device) -> torch.Tensor | None:
        """Which rows from `start` on are tokens, ``(B, 1, Q - start)`` bool; None where all do."""
        if self.real is None or self.first_row_key + self.n_rows > self.real.shape[1]:
            return None
        return self.real[:, None, self.first_row_key + start : self.first_row_key + self.n_rows].to(device)
