"""The rule of the paper's published code, as a rival: small weights are cut, and their mass goes to a block of tokens.

The rule that this project implements is the one by entropy (`sra_rag.policies`). The code that the authors of the paper
(Gao et al., arXiv 2307.13365) published has no entropy: it sets weights below ``factor / length`` to zero, and adds
their mass, times 4 to 5, to a block of tokens that moves with the layer. This module does so for the rows after the
context, in plain torch, so that the two can be compared.

What the description leaves open is chosen here: `FACTOR`; as many blocks as the model has layers, the first layer's at
the beginning of the sequence; the mass spread evenly over the block. As in that code, a row is not normalised again, so
its weights sum to more than 1.
"""

from __future__ import annotations

import torch

from sra_rag.attention.visibility import Visibility

__all__ = ["FACTOR", "reallocate", "reallocated_attention"]

FACTOR = 0.1
"""Weights below ``FACTOR / length`` are cut: a tenth of what each key would get if attention were even."""

_SCORES_AT_ONCE = 1 << 24  # float32 scores held at a time: 64 MiB


def reallocate(
    weights: torch.Tensor, seen: torch.Tensor, strength: torch.Tensor, layer: int, n_layers: int
) -> torch.Tensor:
    """Cut small weights, and add `strength` times their mass to the block of tokens of a layer.

    Parameters
    ----------
    weights
        ``(B, H_q, Q, K)``, float32: the softmax of the scores, 0 where a key is hidden.
    seen
        Broadcasts to `weights`, bool: which keys each row may see. Their number is the length.
    strength
        ``(H_q,)``: how many times the mass is added; 4 to 5 in the authors' code. A head with 0 is not changed.
    layer, n_layers
        Index of the layer, and number of layers. Layer ``l`` of ``L`` has the keys ``l n / L`` to ``(l + 1) n / L`` of
        the ``n`` that a row sees. A row with fewer keys than that, so that its block is empty, is not changed.

    Returns
    -------
    weights
        ``(B, H_q, Q, K)``; rows sum to ``1 + (strength - 1) * mass``.
    """
    length = seen.sum(-1, keepdim=True)
    low = weights * length < FACTOR
    mass = weights.masked_fill(~low, 0).sum(-1, keepdim=True)
    place = seen.cumsum(-1) * n_layers
    block = seen & (place > layer * length) & (place <= (layer + 1) * length)
    size = block.sum(-1, keepdim=True)
    factor = strength.to(weights)[:, None, None]
    moved = weights.masked_fill(low, 0) + block * (factor * mass / size.clamp_min(1))
    return torch.where((factor > 0) & (size > 0), moved, weights)


def reallocated_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    visibility: Visibility,
    layer: int,
    scale: float,
    softcap: float | None,
    start: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention of the rows from `start` on, with their weights reallocated.

    Parameters
    ----------
    query, key, value, visibility, layer, scale, softcap
        As for `sra_rag.attention.fast.fast_reattention`.
    start
        Index of the first row.

    Returns
    -------
    output
        ``(B, H_q, Q - start, D_v)``.
    weights
        ``(B, H_q, Q - start, K)``, float32, over all keys.
    """
    session, n_keys = visibility.session, key.shape[2]
    groups = query.shape[1] // key.shape[1]
    keys, values = (x.float().repeat_interleave(groups, dim=1) for x in (key, value))
    size = max(1, _SCORES_AT_ONCE // (query.shape[0] * query.shape[1] * n_keys))
    parts = []
    for top in range(start, visibility.n_rows, size):
        bottom = min(top + size, visibility.n_rows)
        first, last = visibility.first_key(top), visibility.last_key(bottom)
        bias = visibility.bias(top, bottom, query.device)
        scores = scale * (query[:, :, top:bottom].float() @ keys[:, :, first:last].transpose(-1, -2))
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        weights = torch.softmax(scores + bias, dim=-1).nan_to_num(0)  # a row that sees nothing gives nothing
        weights = reallocate(weights, bias > float("-inf"), session.strength(layer), layer, session.n_layers)
        parts.append(torch.nn.functional.pad(weights, (first, n_keys - last)))
    whole = torch.cat(parts, dim=2)
    return (whole @ values).to(query.dtype), whole
