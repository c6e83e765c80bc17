"""Entropy of attention rows in memory linear in the length.

With ``a = softmax(s)`` and ``s_j = scale * q . k_j``::

    H = -sum_j a_j log a_j = lse(s) - sum_j a_j s_j = lse(s) - scale * q . (sum_j a_j k_j)

and ``sum_j a_j k_j`` is ordinary attention with the keys in the values' place. So any kernel that returns the
log-sum-exp gives the entropy in one call, without the ``Q x K`` matrix.
"""

from __future__ import annotations

import torch

__all__ = ["entropy_from_mean_key", "entropy_from_scores"]


def entropy_from_mean_key(query: torch.Tensor, mean_key: torch.Tensor, lse: torch.Tensor, scale: float) -> torch.Tensor:
    """Entropy (nats) of rows from what a kernel returned for ``V := K``.

    Parameters
    ----------
    query, mean_key
        ``(B, H_q, Q, D)``; `mean_key` is ``sum_j a_j k_j``.
    lse
        ``(B, H_q, Q)``, float32.
    scale
        Factor of the dot product.

    Returns
    -------
    entropy
        ``(B, H_q, Q)``, float32, >= 0.
    """
    mean_score = torch.linalg.vecdot(query.to(lse.dtype), mean_key.to(lse.dtype)) * scale
    return (lse - mean_score).clamp_min_(0)


def entropy_from_scores(log_weights: torch.Tensor, *, scratch: torch.Tensor | None = None) -> torch.Tensor:
    """Entropy (nats) of rows whose log-softmax is at hand.

    Parameters
    ----------
    log_weights
        ``(..., K)``, float32; hidden keys hold a large negative number, not ``-inf`` (``0 * inf`` is not 0).
    scratch
        A tensor of the same shape that may be overwritten.

    Returns
    -------
    entropy
        ``(...)``, float32, >= 0.
    """
    return torch.linalg.vecdot(torch.exp(log_weights, out=scratch), log_weights).neg_()
