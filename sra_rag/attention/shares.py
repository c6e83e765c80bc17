"""Where the attention of an answer's tokens fell, layer by layer: on which spans of the prompt, and how spread out.

Collected from the weights that the forward pass itself used (sharpened, where it was), and only where `observing` asks
for it. Nothing that the model computes changes: `tests/sra_rag/test_shares.py` holds that, and holds
the shares to the weights of transformers' eager attention.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch

from sra_rag.attention.token_spans import require_ascending
from sra_rag.errors import ConfigError

__all__ = ["AttentionShares", "active_shares", "decoding_weights", "observing"]

_ACTIVE: ContextVar[AttentionShares | None] = ContextVar("sra_shares", default=None)


class AttentionShares:
    """The share of attention that each token of one answer gave to spans of its prompt.

    Counted are the tokens of the answer that were fed to the model: in generation all but the last.

    Parameters
    ----------
    spans
        First token of each span, and the one after its last; ascending, not overlapping.
    prompt_length
        Tokens of the prompt. Rows at this position and later are the answer's.

    Raises
    ------
    ConfigError
        If spans overlap or leave the prompt.
    """

    def __init__(self, spans: Sequence[tuple[int, int]], prompt_length: int) -> None:
        require_ascending(spans, prompt_length, "prompt")
        self.spans = tuple(spans)
        self.prompt_length = prompt_length
        self.position = 0
        self._rows: dict[int, list[torch.Tensor]] = {}
        self._entropies: dict[int, list[torch.Tensor]] = {}
        self._labels = torch.full((prompt_length,), len(self.spans))
        for index, (first, last) in enumerate(self.spans):
            self._labels[first:last] = index

    def wants(self, position: int, n_rows: int) -> bool:
        """Whether a forward pass of `n_rows` rows, the first at `position`, reads tokens of the answer alone."""
        return n_rows > 0 and position >= self.prompt_length

    def add(self, layer: int, weights: torch.Tensor, first_key: int) -> None:
        """Take the weights of one row or several.

        Parameters
        ----------
        layer
            Index of the attention layer.
        weights
            ``(1, H_q, Q, K)``.
        first_key
            Position of the first key that they are about.

        Raises
        ------
        ConfigError
            If they are those of several sequences.
        """
        if weights.shape[0] != 1:
            raise ConfigError(
                f"Attention shares are those of one answer, but {weights.shape[0]} are being written at once. "
                "Ask one at a time."
            )
        rows = weights[0].float()
        mean = rows[..., : max(0, self.prompt_length - first_key)].mean(dim=0)
        self._labels = self._labels.to(mean.device)
        sums = mean.new_zeros(len(mean), len(self.spans) + 1)
        sums.index_add_(1, self._labels[first_key : first_key + mean.shape[1]], mean)
        self._rows.setdefault(layer, []).extend(sums[:, :-1])
        self._entropies.setdefault(layer, []).extend(torch.special.entr(rows).sum(dim=-1).unbind(dim=1))

    @property
    def n_tokens(self) -> int:
        """How many tokens of the answer were counted."""
        return max(map(len, self._rows.values()), default=0)

    def by_layer(self) -> torch.Tensor:
        """Share of each span, a mean over heads and tokens.

        Returns
        -------
        shares
            ``(layers, spans)``, float32, each in [0, 1]; the difference from 1 is the share of the rest of the prompt
            and of the answer itself. Without a counted token, no layers.
        """
        if not self._rows:
            return torch.zeros(0, len(self.spans))
        return torch.stack([torch.stack(self._rows[layer]).mean(dim=0) for layer in sorted(self._rows)]).cpu()

    def by_token(self) -> torch.Tensor:
        """Share of each span, a mean over layers and heads.

        Returns
        -------
        shares
            ``(tokens, spans)``, float32.
        """
        if not self._rows:
            return torch.zeros(0, len(self.spans))
        return torch.stack([torch.stack(rows) for rows in self._rows.values()]).mean(dim=0).cpu()

    def entropy_by_head(self) -> torch.Tensor:
        """Entropy of the weights, a mean over tokens.

        Returns
        -------
        entropy
            ``(layers, H_q)``, float32, nats. Without a token counted, no layers.
        """
        if not self._entropies:
            return torch.zeros(0, 0)
        return torch.stack([torch.stack(self._entropies[layer]).mean(dim=0) for layer in sorted(self._entropies)]).cpu()

    def mean(self) -> torch.Tensor | None:
        """Share of each span, a mean over layers, heads and tokens, ``(spans,)``; None without a token counted."""
        return self.by_layer().mean(dim=0) if self._rows else None


def decoding_weights(
    query: torch.Tensor,
    key: torch.Tensor,
    *,
    scale: float,
    mask: torch.Tensor | None = None,
    softcap: float | None = None,
    beta: torch.Tensor | None = None,
    log_weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Weights of rows whose kernel keeps none: a decoded one, or the few of a given answer.

    Parameters
    ----------
    query, key
        ``(B, H_q, Q, D)`` and ``(B, H_kv, K, D)``.
    scale, softcap
        As in `fast_reattention`.
    mask
        Broadcasts to ``(B, H_q, Q, K)``: bool, True where a key is seen, or additive.
    beta
        ``(B, H_q, Q)``, sharpening factors.
    log_weight
        ``(B, H_q, Q, K)``, added to the sharpened scores: ``log w`` of evidence.

    Returns
    -------
    weights
        ``(B, H_q, Q, K)``, float32.
    """
    batch, heads, n_rows, size = query.shape
    grouped = query.reshape(batch, key.shape[1], -1, size).float()
    scores = (grouped @ key.float().transpose(2, 3)).view(batch, heads, n_rows, -1) * scale
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask.float()
    if beta is not None:
        scores = scores * beta[..., None]
    if log_weight is not None:
        scores = scores + log_weight
    return torch.softmax(scores, dim=-1)


def active_shares() -> AttentionShares | None:
    """Return the shares that the calling thread or task collects, or None."""
    return _ACTIVE.get()


@contextmanager
def observing(shares: AttentionShares | None) -> Iterator[AttentionShares | None]:
    """Collect into `shares` within the block, in this thread (or asyncio task) only; None collects nothing.

    The model must be on sra-rag's attention: within `reattend`, with settings or with None.
    """
    token = _ACTIVE.set(shares)
    try:
        yield shares
    finally:
        _ACTIVE.reset(token)
