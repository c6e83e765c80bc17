"""Scaled ReAttention, spelled out: the golden five steps that every fast path is held to.

Nothing here is ever changed for speed. It holds the whole ``Q x K`` score matrix, in float32 (float64 for
float64 inputs).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from sra_rag.policies import POLICIES

__all__ = ["ReferenceOutput", "scaled_reattention"]


class ReferenceOutput(NamedTuple):
    """What `scaled_reattention` returns.

    Attributes
    ----------
    output
        ``(B, H_q, Q, D_v)``, in the dtype of the query.
    entropy
        ``(B, H_q, Q)``, nats, before sharpening; 0 for a row that sees no key.
    beta
        ``(B, H_q, Q)``, the factor of each row's scores.
    """

    output: torch.Tensor
    entropy: torch.Tensor
    beta: torch.Tensor


def scaled_reattention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    alpha: float | torch.Tensor,
    bounds: str | tuple[float, float] = "theoretical",
    attention_mask: torch.Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    policy: str = "entropy",
    softcap: float | None = None,
    log_weight: torch.Tensor | None = None,
) -> ReferenceOutput:
    """Attend, measure how spread out each row is, and attend again with each row sharpened by it.

    Scaled ReAttention of Gao et al., "Pay Attention to What You Need" (arXiv 2307.13365): with scores
    ``s = scale * q . k``, weights ``a = softmax(s)`` and row entropies ``H = -sum a log a``, the factor is
    ``beta = 1 + alpha * (H - h_min) / (h_max - h_min)`` and the output ``softmax(beta * s) V``.

    Parameters
    ----------
    query
        ``(B, H_q, Q, D)``.
    key, value
        ``(B, H_kv, K, D)`` and ``(B, H_kv, K, D_v)``, with ``H_q`` a multiple of ``H_kv``.
    alpha
        Strength >= 0: a number, or a tensor that broadcasts to ``(B, H_q, Q)``; one per head is ``(H_q, 1)``.
    bounds
        ``"theoretical"`` (``0``, ``log n`` with ``n`` the keys that the row may see), ``"observed"`` (least and
        greatest entropy over the rows that see a key, per sequence and head) or a pair in nats. Where the two
        bounds are equal, the row's ratio counts as 0.
    attention_mask
        Broadcasts to ``(B, H_q, Q, K)``: bool (True is seen) or additive (``-inf``, or the least number of its
        dtype, hides a key; anything else is added to the score).
    is_causal
        Row ``i`` sees key ``j`` only if ``j <= i + K - Q``: the rows are the last ``Q`` positions.
    scale
        Factor of the dot product; ``D ** -0.5`` by default.
    policy
        Name of the curve from ratio to share of alpha, see `sra_rag.policies`.
    softcap
        Where given, scores become ``softcap * tanh(s / softcap)`` before anything else.
    log_weight
        Broadcasts to ``(B, H_q, Q, K)``: added to the sharpened scores, ``log w`` where a key is evidence and counts
        ``w`` times, 0 elsewhere. The entropy is that without it.
    """
    dtype = torch.promote_types(query.dtype, torch.float32)
    groups = query.shape[1] // key.shape[1]
    keys = key.to(dtype).repeat_interleave(groups, dim=1)
    values = value.to(dtype).repeat_interleave(groups, dim=1)
    scale = query.shape[-1] ** -0.5 if scale is None else scale

    # 1. scores over the keys that each row may see
    scores = scale * (query.to(dtype) @ keys.transpose(-1, -2))
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    rows, columns = scores.shape[-2:]
    seen = torch.ones_like(scores, dtype=torch.bool)
    if is_causal:
        positions = torch.arange(rows, device=scores.device)[:, None] + columns - rows
        seen &= torch.arange(columns, device=scores.device) <= positions
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        seen &= attention_mask
    elif attention_mask is not None:
        hidden = attention_mask <= torch.finfo(attention_mask.dtype).min
        seen &= ~hidden
        scores = scores + attention_mask.to(dtype).masked_fill(hidden, 0)
    count = seen.sum(-1)
    weights = _softmax(scores, seen)

    # 2. entropy of each row, nats
    entropy = -(weights * weights.clamp_min(torch.finfo(dtype).tiny).log()).sum(-1)

    # 3. sharpening factor
    if bounds == "theoretical":
        low, high = torch.zeros_like(entropy), count.clamp_min(1).to(dtype).log()
    elif bounds == "observed":
        low = entropy.masked_fill(count == 0, math.inf).amin(-1, keepdim=True)
        high = entropy.masked_fill(count == 0, -math.inf).amax(-1, keepdim=True)
    else:
        low, high = (torch.full_like(entropy, float(bound)) for bound in bounds)
    span = (high - low).expand_as(entropy)
    ratio = torch.where(span > 0, (entropy - low) / torch.where(span > 0, span, 1), 0)
    beta = 1 + alpha * POLICIES[policy].curve(ratio)

    # 4. and 5. softmax(beta * s + log w) V
    sharpened = beta[..., None] * scores
    if log_weight is not None:
        sharpened = sharpened + log_weight.to(dtype)
    output = _softmax(sharpened, seen) @ values
    return ReferenceOutput(output.to(query.dtype), entropy, beta)


def _softmax(scores: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    weights = torch.softmax(scores.masked_fill(~seen, -math.inf), dim=-1)
    return weights.nan_to_num(0)  # a row that sees nothing gives nothing
