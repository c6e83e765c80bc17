"""Scaled ReAttention at the speed of ordinary attention.

``softmax(beta_i * s_i) V`` is ordinary attention with the query row ``q_i`` replaced by ``beta_i q_i``: find
the entropy, scale the query, call the kernel. `sra_rag.attention.rows` has two ways to do so. On CPUs there are two
more: `sra_rag.attention.one_pass` for long prompts, and `sra_rag.attention.one_row` for a token that is decoded.
"""

from __future__ import annotations

import itertools

import torch

from sra_rag.attention.kernels import has_kernel
from sra_rag.attention.one_pass import OnePassRows, in_one_pass
from sra_rag.attention.one_row import sharpened_row
from sra_rag.attention.reallocate import reallocated_attention
from sra_rag.attention.rows import KernelRows, ScoreRows
from sra_rag.attention.shares import active_shares, decoding_weights
from sra_rag.attention.visibility import Visibility

__all__ = ["fast_reattention", "sharpening_factors"]


def fast_reattention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    visibility: Visibility,
    layer: int,
    scale: float,
    softcap: float | None = None,
) -> torch.Tensor:
    """Attention of one layer, sharpened and weighed by the settings of the session in `visibility`.

    Agrees with `sra_rag.attention.reference.scaled_reattention` within the rounding of the dtype.

    Parameters
    ----------
    query
        ``(B, H_q, Q, D)``, float32, bfloat16 or float16.
    key, value
        ``(B, H_kv, K, D)`` and ``(B, H_kv, K, D_v)``, the cached ones included.
    visibility
        Which keys each row may see, and the settings.
    layer
        Index of the attention layer.
    scale
        Factor of the dot product.
    softcap
        Scores become ``softcap * tanh(s / softcap)`` where given.

    Returns
    -------
    output
        ``(B, H_q, Q, D_v)``.
    """
    key, value = key[:, :, : visibility.end], value[:, :, : visibility.end]
    evidence = None
    if visibility.session.evidence is not None:
        evidence = visibility.session.evidence.of_layer(layer, query.device, visibility.key_position + key.shape[2])
    first, n_rows = _first_row(visibility, layer), visibility.n_rows
    if visibility.session.reallocates and first < n_rows:
        return _reallocate(query, key, value, visibility, layer, scale, softcap, first)
    weighed = n_rows if evidence is None else evidence.first_row(visibility.position, n_rows)
    shares = active_shares()
    if n_rows == 1 and min(first, weighed) == 0 and softcap is None and shares is None:
        output = sharpened_row(
            query, key, value, visibility=visibility, layer=layer, scale=scale, sharpened=first == 0,
            evidence=evidence if weighed == 0 else None,
        )  # fmt: skip
        if output is not None:
            return output
    rows = _serve(query, key, value, visibility, scale, softcap, first)
    if isinstance(rows, KernelRows):
        rows = in_one_pass(rows, layer, first)
    beta = _factors(rows, visibility, layer, first) if first < n_rows else None
    outputs = [
        rows.output(
            start,
            stop,
            beta[:, :, start - first : stop - first] if beta is not None and start >= first else None,
            evidence if start >= weighed else None,
        )
        for start, stop in itertools.pairwise(sorted({0, first, weighed, n_rows}))
    ]
    output = torch.cat(outputs, dim=2) if len(outputs) > 1 else outputs[0] if outputs else query.new_empty(query.shape)

    if shares is not None and shares.wants(visibility.position, visibility.n_rows):
        first_key = visibility.first_key(0)
        if isinstance(rows, ScoreRows) and visibility.n_rows == 1:
            weights = rows.weights
        else:
            mask = visibility.bias(0, visibility.n_rows, query.device)
            extra = None
            if evidence is not None:
                extra = torch.zeros(*query.shape[:3], key.shape[2] - first_key, device=query.device)
                extra = evidence.add_to_scores(extra, visibility, 0, first_key)
            weights = decoding_weights(
                query, key[:, :, first_key:], scale=scale, mask=mask, softcap=softcap, beta=beta, log_weight=extra
            )
        shares.add(layer, weights, visibility.key_position + first_key)
    return output


def sharpening_factors(
    query: torch.Tensor, key: torch.Tensor, *, visibility: Visibility, layer: int, scale: float
) -> tuple[int, torch.Tensor | None]:
    """Return the factors of rows; the attention itself is computed by another kernel.

    Parameters
    ----------
    query, key, visibility, layer, scale
        As for `fast_reattention`.

    Returns
    -------
    first
        The first row that is sharpened; ``Q`` where none is.
    beta
        ``(B, H_q, Q - first)``, float32: what the query rows from `first` on are multiplied by. None where none is.
    """
    key = key[:, :, : visibility.end]
    first = _first_row(visibility, layer)
    if first == visibility.n_rows:
        return first, None
    return first, _factors(_serve(query, key, key, visibility, scale, None, first), visibility, layer, first)


def _reallocate(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    visibility: Visibility,
    layer: int,
    scale: float,
    softcap: float | None,
    first: int,
) -> torch.Tensor:
    """Attention with the weights of the rows from `first` on reallocated, and those before untouched."""
    output, weights = reallocated_attention(
        query, key, value, visibility=visibility, layer=layer, scale=scale, softcap=softcap, start=first
    )
    shares = active_shares()
    if shares is not None and shares.wants(visibility.position, visibility.n_rows):
        shares.add(layer, weights, visibility.key_position)
    if first == 0:
        return output
    rows = _serve(query, key, value, visibility, scale, softcap, first)
    return torch.cat([rows.output(0, first, None), output], dim=2)


def _first_row(visibility: Visibility, layer: int) -> int:
    session = visibility.session
    if not session.sharpens(layer):
        return visibility.n_rows
    return session.first_row(visibility.position, visibility.n_rows)


def _serve(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    visibility: Visibility,
    scale: float,
    softcap: float | None,
    first: int,
) -> KernelRows | ScoreRows:
    """Choose the faster way for these rows, the first `first` of which are not sharpened."""
    kernel = softcap is None and visibility.rule is None and has_kernel(query, key, value)
    if not kernel:
        return ScoreRows(query, key, value, visibility, scale, softcap)
    if (
        (visibility.n_rows == 1 and first == 0)
        and visibility.session.needs_entropy
        # On CPU, products of half-precision matrices round the scores and are slower than the kernel.
        and (query.dtype == torch.float32 or query.is_cuda)
    ):
        return ScoreRows(query, key, value, visibility, scale, softcap)
    return KernelRows(query, key, value, visibility, scale)


def _factors(rows: KernelRows | ScoreRows, visibility: Visibility, layer: int, first: int) -> torch.Tensor:
    query, session = rows.query, visibility.session
    if isinstance(rows, OnePassRows):
        return rows.beta
    if session.needs_entropy:
        entropy, count = rows.entropy(first)
    else:
        entropy = count = query.new_ones((*query.shape[:2], visibility.n_rows - first), dtype=torch.float32)
    real = visibility.is_real_row(first, query.device)
    return session.beta(layer, visibility.position + first, entropy, count, real)
