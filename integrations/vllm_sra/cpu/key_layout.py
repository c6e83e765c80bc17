"""Layout of keys within a block of a paged cache, determined by writing test keys. Values are read in the same way.

vLLM's CPU kernels store the keys of a block in an order that depends on the instruction set. Each order is a
permutation of ``(block_size, head_size)``. The layout is determined by writing keys whose values encode their index. It
is then verified: other keys must be read back exactly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

from sra_rag.errors import UnsupportedModelError

__all__ = ["KeyLayout", "find_layout"]

Write = Callable[[torch.Tensor], torch.Tensor]
"""Writes keys ``(block_size, D)`` into an empty block; returns the memory of the block as ``(block_size, D)``."""

_DIGITS = 64  # base of the digits that encode an index; each digit is exact in all supported dtypes


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class KeyLayout:
    """Reads keys from blocks.

    Parameters
    ----------
    order
        Index of each number of the keys in the flat block, ``(block_size * D,)``. None if the keys are stored as
        ``(block_size, D)`` or transposed, as ``(D, block_size)``.
    transposed
        Whether the keys are stored transposed.
    """

    order: torch.Tensor | None
    transposed: bool

    @property
    def in_order(self) -> bool:
        """Whether a block is stored as ``(block_size, D)``."""
        return self.order is None and not self.transposed

    def read(self, cache: torch.Tensor, blocks: torch.Tensor, n_keys: int, *, columns: bool) -> torch.Tensor:
        """Copy the keys of blocks.

        Parameters
        ----------
        cache
            Key cache with vLLM's shape, ``(blocks, H_kv, block_size, D)``.
        blocks
            Indices of the blocks.
        n_keys
            Number of keys to return.
        columns
            Memory order of the result. True: the same dimension of all keys is contiguous, for products with few rows.
            False: each key is contiguous, for the attention kernel.

        Returns
        -------
        keys
            ``(1, H_kv, n_keys, D)``.
        """
        selected = cache.index_select(0, blocks)
        n, heads, size, head_size = selected.shape
        if self.order is not None:
            selected = selected.flatten(2)[..., self.order].view(n, heads, size, head_size)
        elif self.transposed:
            selected = selected.view(n, heads, head_size, size)
            if columns:
                return (
                    selected.permute(1, 2, 0, 3).reshape(1, heads, head_size, n * size).transpose(2, 3)[:, :, :n_keys]
                )
            selected = selected.transpose(2, 3)
        return selected.transpose(0, 1).reshape(1, heads, n * size, head_size).contiguous()[:, :, :n_keys]


def find_layout(write: Write, block_size: int, head_size: int, dtype: torch.dtype) -> KeyLayout:
    """Determine the layout in which `write` stores keys.

    Raises
    ------
    UnsupportedModelError
        If no permutation reads the keys back exactly.
    """
    indices = torch.arange(block_size * head_size)
    stored = torch.zeros_like(indices)
    unit = 1
    while unit < len(indices):
        digits = (indices // unit % _DIGITS).to(dtype).view(block_size, head_size)
        stored += write(digits).flatten().long() * unit
        unit *= _DIGITS
    order = torch.full_like(indices, -1)
    order[stored.clamp(0, len(indices) - 1)] = indices
    if bool((order >= 0).all()):
        layout = KeyLayout(order, transposed=False)
        if torch.equal(order, indices):
            layout = KeyLayout(None, transposed=False)
        elif torch.equal(order.view(block_size, head_size), indices.view(head_size, block_size).t()):
            layout = KeyLayout(None, transposed=True)
        keys = torch.randn(block_size, head_size, generator=torch.Generator().manual_seed(0)).to(dtype)
        read = layout.read(write(keys)[None, None], torch.tensor([0]), block_size, columns=False)
        if torch.equal(read[0, 0], keys):
            return layout
    raise UnsupportedModelError(
        f"This build of vLLM stores {dtype} keys or values in blocks of {block_size} x {head_size} in an unknown "
        "layout, so they cannot be read back. Serve without reattention (VLLM_PLUGINS without sra), or with another "
        "--block-size or --dtype."
    )
