"""Attention kernels that also return the log-sum-exp of each row.

Entropy without a ``Q x K`` matrix needs ``lse_i`` beside the output (see `sra_rag.attention.entropy`).
PyTorch's public ``scaled_dot_product_attention`` runs kernels that compute it and throws it away, so the
operators that it calls are called here, and nowhere else. There is no public way to them (FlexAttention returns
the log-sum-exp but is compiled on first use, and unfused on CPU); ``tests/sra_rag/test_kernels.py`` notices
when one moves or changes what it returns.
"""

from __future__ import annotations

import torch

__all__ = ["attend", "has_kernel"]

_HALF = (torch.float16, torch.bfloat16)


def has_kernel(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> bool:
    """Tell whether `attend` can serve these tensors (device, dtype and head size)."""
    head_size = query.shape[-1]
    if not (query.dtype == key.dtype == value.dtype) or not head_size == key.shape[-1] == value.shape[-1]:
        return False
    if query.device.type == "cpu":
        return query.dtype in (torch.float32, torch.float64, *_HALF)
    if query.device.type == "cuda":
        return query.dtype in (torch.float32, *_HALF) and head_size % 8 == 0 and head_size <= 256
    return False


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    scale: float,
    causal: bool = False,
    bias: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ordinary attention, ``softmax(scale * q k^T + bias) v``, and the log-sum-exp of each row.

    Parameters
    ----------
    query
        ``(B, H_q, Q, D)``.
    key, value
        ``(B, H_kv, K, D)``; keys are not copied for grouped queries where the kernel can do without.
    causal
        Row ``i`` sees keys ``0..i`` only; asked for only where ``Q == K``.
    bias
        Additive, float32, broadcasts to ``(B, 1, Q, K)``.

    Returns
    -------
    output
        ``(B, H_q, Q, D)``, in the dtype of the query.
    lse
        ``(B, H_q, Q)``, float32 (float64 for float64). Undefined for a row from which the bias hides every key.
    """
    # The kernels take the numbers of a row to lie side by side; the one for CPUs does not even look.
    query, key, value = (x if x.stride(-1) == 1 else x.contiguous() for x in (query, key, value))
    if query.device.type == "cpu":
        return _attend_cpu(query, key, value, scale, causal, bias)
    return _attend_cuda(query, key, value, scale, causal, bias)


def _attend_cpu(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, causal: bool, bias: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    if bias is not None:
        bias = bias.to(torch.promote_types(query.dtype, torch.float32))
        bias = bias.expand(query.shape[0], -1, query.shape[2], key.shape[2])
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, causal, attn_mask=bias, scale=scale
    )


def _attend_cuda(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, causal: bool, bias: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    if bias is None and query.dtype in _HALF:
        output, lse, *_ = torch.ops.aten._scaled_dot_product_flash_attention(
            query, key, value, 0.0, causal, False, scale=scale
        )
        return output, lse
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    if bias is not None:
        bias = _aligned(bias.to(query.dtype), query.shape[0], query.shape[1], query.shape[2], key.shape[2])
    output, lse, *_ = torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, bias, True, 0.0, causal, scale=scale
    )
    return output, lse[:, :, : query.shape[2]]  # the kernel pads its rows to a multiple of 32


def _aligned(bias: torch.Tensor, batch: int, heads: int, rows: int, columns: int) -> torch.Tensor:
    # The memory-efficient kernel reads the bias in vectors: each of its rows must start at a multiple of 16 bytes. Rows
    # that are alike stay one.
    padded = torch.nn.functional.pad(bias.expand(*bias.shape[:-1], columns), (0, -columns % 8))
    return padded[..., :columns].expand(batch, heads, rows, columns)
