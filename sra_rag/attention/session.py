"""The active settings: created for one model, and read by every attention layer during the forward pass.

The active session is in a context variable. Each thread and each asyncio task has its own, so one model serves all of
them at once.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch

from sra_rag.attention.compiling import decoding_kernel
from sra_rag.attention.evidence import Evidence
from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.policies import POLICIES, REALLOCATE

__all__ = ["Session", "activate", "active_session"]

_ACTIVE: ContextVar[Session | None] = ContextVar("sra_session", default=None)

Length = int | Sequence[int]

_NEVER = sys.maxsize  # a position that no row reaches


@dataclasses.dataclass(slots=True, eq=False)
class Session:
    """An `SRAConfig` for a model of a given size.

    Parameters
    ----------
    config
        The settings.
    n_layers, n_heads
        Number of attention layers, and of query heads in each layer.
    context_length, prompt_length
        Number of positions of the context and of the prompt, padding included; one number, or one per sequence.
        Required for ``rows="after_context"`` and ``rows="generated"``.
    heads
        The query heads on this device if a model is split among devices; by default all.
    evidence
        The keys that get more weight. May be set later, because they are chosen while the question is read.

    Raises
    ------
    ConfigError
        If the settings do not fit the model, or a length that they need is missing.
    """

    config: SRAConfig
    n_layers: int
    n_heads: int
    context_length: Length | None = None
    prompt_length: Length | None = None
    heads: range | None = None
    evidence: Evidence | None = None
    _alpha: tuple[torch.Tensor | None, ...] = dataclasses.field(init=False, repr=False)
    _moved: dict[tuple[int, torch.device], torch.Tensor] = dataclasses.field(init=False, repr=False)
    _start: tuple[int, ...] = dataclasses.field(init=False, repr=False)
    _observed: dict[int, tuple[torch.Tensor, torch.Tensor]] = dataclasses.field(init=False, repr=False)
    _lines: dict[int, tuple[torch.Tensor, torch.Tensor]] = dataclasses.field(init=False, repr=False)
    _row_kernel: tuple[Any | None] | tuple[()] = dataclasses.field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        whole = _alpha_by_layer(self.config, self.n_layers, self.n_heads)
        self._alpha = whole if self.heads is None else _of_heads(whole, self.heads)
        self._start = _first_sharpened(self.config, self.context_length, self.prompt_length)
        self._moved, self._observed, self._lines = {}, {}, {}

    @property
    def active(self) -> bool:
        """Whether anything is sharpened or weighted."""
        return (self.config.sharpens and min(self._start) < _NEVER) or self.evidence is not None

    @property
    def needs_entropy(self) -> bool:
        """Whether the policy uses the entropy of a row."""
        return not self.reallocates and POLICIES[self.config.policy].needs_entropy

    @property
    def reallocates(self) -> bool:
        """Whether small weights are removed and their mass is moved, instead of multiplying scores."""
        return self.config.policy == REALLOCATE

    def sharpens(self, layer: int) -> bool:
        """Whether any head of `layer` is sharpened."""
        if not 0 <= layer < self.n_layers:
            raise ConfigError(
                f"The model asked for layer {layer}, but the session was created for {self.n_layers} layers."
            )
        return self._alpha[layer] is not None

    def strength(self, layer: int) -> torch.Tensor:
        """Return alpha of the heads of a layer on this device, ``(H_q,)``; 0 if a head is not sharpened."""
        alpha = self._alpha[layer]
        if alpha is None:
            return torch.zeros(self.n_heads if self.heads is None else len(self.heads))
        return alpha[:, 0]

    def alpha_with_gradient(self) -> torch.Tensor:
        """Make alpha a tensor that gathers gradients, also where it is 0.

        Returns
        -------
        alpha
            ``(L, H_q)``, float32, a leaf that the factors of this session are computed from.
        """
        rows = [torch.zeros(self.n_heads, 1) if row is None else row for row in self._alpha]
        alpha = torch.stack(rows)[..., 0].requires_grad_()
        self._alpha = tuple(row[:, None] for row in alpha)
        return alpha

    def sharpen_only(self, sequences: Sequence[bool]) -> None:
        """Do not sharpen sequences in which no evidence stands out; rows that were processed before do not change.

        Parameters
        ----------
        sequences
            For each sequence of the batch, whether it is sharpened.
        """
        starts = self._start if len(self._start) > 1 else self._start * len(sequences)
        self._start = tuple(start if kept else _NEVER for start, kept in zip(starts, sequences, strict=True))

    def first_row(self, position: int, n_rows: int) -> int:
        """Index of the first of `n_rows` rows, beginning at `position`, that is sharpened in any sequence."""
        return min(max(0, min(self._start) - position), n_rows)

    def row_kernel(self) -> Any | None:
        """Return the kernel for a row that is decoded, or None: the same for a whole answer, see `decoding_kernel`."""
        if not self._row_kernel:
            self._row_kernel = (decoding_kernel(),)
        elif self._row_kernel[0] is None:
            decoding_kernel()  # for the answers after this one
        return self._row_kernel[0]

    def sharpens_all(self, position: int) -> bool:
        """Whether a row at `position` is sharpened in all sequences."""
        return max(self._start) <= position

    def line(self, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the factors of the heads for the normalised entropy 0, and how much greater they are for 1.

        For a policy whose curve is linear, and a layer that is sharpened; ``(H_q,)``, float32.
        """
        if layer not in self._lines:
            alpha = self.strength(layer)
            start, end = POLICIES[self.config.policy].curve(torch.tensor([0.0, 1.0]))
            self._lines[layer] = 1 + alpha * start, alpha * (end - start)
        return self._lines[layer]

    def beta(
        self,
        layer: int,
        position: int,
        entropy: torch.Tensor,
        count: torch.Tensor,
        real: torch.Tensor | None,
    ) -> torch.Tensor:
        """Sharpening factor of each row (step 3 of the method).

        Parameters
        ----------
        layer
            Index of the attention layer.
        position
            Position of the first row.
        entropy
            ``(B, H_q, Q)``, nats, float32; ignored by a policy that does not need it.
        count
            Number of keys that each row may attend to; broadcasts to `entropy`.
        real
            ``(B, 1, Q)`` bool, False for padding rows; None without padding.
        """
        policy = POLICIES[self.config.policy]
        alpha = self._alpha[layer]
        if alpha is None:
            return torch.ones_like(entropy)
        ratio = self._ratio(layer, position, entropy, count, real) if policy.needs_entropy else entropy
        beta = 1 + self._on(entropy.device, layer, alpha) * policy.curve(ratio)
        if max(self._start) > position:
            rows = torch.arange(position, position + entropy.shape[-1], device=entropy.device)
            start = torch.tensor(self._start, device=entropy.device)[:, None, None]
            beta = torch.where(rows >= start, beta, 1.0)
        return beta

    def _on(self, device: torch.device, layer: int, alpha: torch.Tensor) -> torch.Tensor:
        """Move the alpha of a layer to a device once, because the copy waits until the device has finished its work."""
        if alpha.device == device or alpha.requires_grad:
            return alpha.to(device)
        if (layer, device) not in self._moved:
            self._moved[layer, device] = alpha.to(device)
        return self._moved[layer, device]

    def _ratio(
        self, layer: int, position: int, entropy: torch.Tensor, count: torch.Tensor, real: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the position of entropies between the bounds; 0 if the bounds are equal."""
        bounds = self.config.bounds
        if bounds == "theoretical":
            # With a single visible key the entropy is 0, and so is its ratio to the log of 2.
            return entropy / count.clamp_min(2).log_()
        if bounds == "observed":
            low, high = self._observe(layer, position, entropy, count, real)
            return torch.where(high > low, (entropy - low) / (high - low), 0.0)
        h_min, h_max = bounds
        return (entropy - h_min) / (h_max - h_min)

    def _observe(
        self, layer: int, position: int, entropy: torch.Tensor, count: torch.Tensor, real: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Update the minimum and maximum entropy of each sequence and head; a single row does not change them."""
        known = None if position <= min(self._start) else self._observed.get(layer)
        if entropy.shape[-1] > 1:
            rows = torch.arange(position, position + entropy.shape[-1], device=entropy.device)
            start = torch.tensor(self._start, device=entropy.device)[:, None, None]
            counted = (count > 0) & (rows >= start)
            if real is not None:
                counted = counted & real
            low = entropy.masked_fill(~counted, float("inf")).amin(-1, keepdim=True)
            high = entropy.masked_fill(~counted, float("-inf")).amax(-1, keepdim=True)
            if known is not None:
                low, high = torch.minimum(low, known[0]), torch.maximum(high, known[1])
            self._observed[layer] = known = low, high
        if known is None:
            zero = torch.zeros_like(entropy[..., :1])
            return zero, zero
        return known


def active_session() -> Session | None:
    """Return the session of the calling thread or task, or None."""
    return _ACTIVE.get()


@contextmanager
def activate(session: Session | None) -> Iterator[Session | None]:
    """Make `session` the active one of this thread or task within the block; None switches off."""
    token = _ACTIVE.set(session)
    try:
        yield session
    finally:
        _ACTIVE.reset(token)


def _alpha_by_layer(config: SRAConfig, n_layers: int, n_heads: int) -> tuple[torch.Tensor | None, ...]:
    """Return alpha per head for each layer as ``(H_q, 1)`` float32, or None if it is 0 for all heads."""
    if isinstance(config.alpha, tuple):
        given = torch.tensor(config.alpha, dtype=torch.float32)
        if given.shape[0] != n_layers:
            raise ConfigError(f"alpha has {given.shape[0]} layers, but the model has {n_layers}.")
        if given.ndim == 2 and given.shape[1] != n_heads:
            raise ConfigError(f"alpha has {given.shape[1]} heads a layer, but the model has {n_heads} query heads.")
        alpha = given.reshape(n_layers, -1).expand(n_layers, n_heads)
    else:
        alpha = torch.full((n_layers, n_heads), config.alpha)
    chosen = torch.zeros(n_layers, n_heads)
    layers = _chosen("layers", config.layers, n_layers)
    chosen[torch.tensor(layers, dtype=torch.long)[:, None], _chosen("heads", config.heads, n_heads)] = 1
    alpha = alpha * chosen
    return tuple(row[:, None].clone() if row.any() else None for row in alpha)


def _of_heads(alpha: tuple[torch.Tensor | None, ...], heads: range) -> tuple[torch.Tensor | None, ...]:
    here = (None if row is None else row[heads.start : heads.stop] for row in alpha)
    return tuple(row if row is not None and row.any() else None for row in here)


def _chosen(name: str, given: str | tuple[int, ...], size: int) -> list[int]:
    if given == "all":
        return list(range(size))
    if isinstance(given, str):
        count = int(given.removeprefix("last:"))
        if count > size:
            raise ConfigError(f"{name}={given!r}, but the model has {size}.")
        return list(range(size - count, size))
    for index in given:
        if not -size <= index < size:
            raise ConfigError(f"{name} names {index}, but the model's go from 0 to {size - 1}.")
    return [index % size for index in given]


def _first_sharpened(config: SRAConfig, context: Length | None, prompt: Length | None) -> tuple[int, ...]:
    if config.rows == "all":
        return (0,)
    name, length = ("context_length", context) if config.rows == "after_context" else ("prompt_length", prompt)
    if length is None:
        raise ConfigError(
            f"rows={config.rows!r} needs to know where those rows begin. "
            f"Give {name}= (tokens, padding included; one number or one per sequence)."
        )
    starts = (length,) if isinstance(length, int) else tuple(int(item) for item in length)
    if not starts or min(starts) < 0:
        raise ConfigError(f"{name}={length!r} is not allowed: give whole numbers >= 0.")
    return starts
