"""Plain attention of one row, with the query heads that share keys served together where that gives the same bits.

On CPUs in half precision, PyTorch's kernel reads the keys once for each query head: a decoded token takes several times
as long as with the query heads of a group as rows of one head. The results are the same on processors where the kernel
rounds both alike, which is tried once; elsewhere nothing is changed.
"""

from __future__ import annotations

from functools import cache

import torch
from torch.nn.functional import scaled_dot_product_attention

__all__ = ["one_row_attention"]

_HALF = (torch.bfloat16, torch.float16)
_TRIED = (1, 7, 64, 511, 512, 513, 1500)  # numbers of keys; the kernel works in blocks of 512


def one_row_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None
) -> torch.Tensor | None:
    """Return the attention of one row over all keys, or None if it is not the same, or not faster, than sdpa's.

    Parameters
    ----------
    query
        ``(B, H_q, 1, D)``; otherwise the result is None.
    key, value
        ``(B, H_kv, K, D)``.
    scale
        Factor of the dot product; None for ``D ** -0.5``.

    Returns
    -------
    output
        ``(B, 1, H_q, D)``, or None.
    """
    heads, kv_heads, size = query.shape[1], key.shape[1], query.shape[-1]
    if query.shape[2] != 1 or heads == kv_heads or query.dtype not in _HALF or query.device.type != "cpu":
        return None
    if value.shape[-1] != size or torch.compiler.is_compiling():
        return None
    if not _gives_the_same_bits(query.dtype, heads, kv_heads, size):
        return None
    return _packed(query, key, value, scale).transpose(1, 2)


def _packed(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None) -> torch.Tensor:
    batch, heads, _, size = query.shape
    rows = query.reshape(batch, key.shape[1], -1, size)
    return scaled_dot_product_attention(rows, key, value, scale=scale).reshape(batch, heads, 1, size)


@cache
def _gives_the_same_bits(dtype: torch.dtype, heads: int, kv_heads: int, size: int) -> bool:
    generator = torch.Generator().manual_seed(0)
    for n_keys in _TRIED:
        query, key, value = (
            torch.randn(1, n_heads, n, size, generator=generator).to(dtype)
            for n_heads, n in ((heads, 1), (kv_heads, n_keys), (kv_heads, n_keys))
        )
        plain = scaled_dot_product_attention(query, key, value, enable_gqa=True)
        if not torch.equal(_packed(query, key, value, None), plain):
            return False
    return True
