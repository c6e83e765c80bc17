"""How keys lie within a block of a paged cache: found out by writing some, never guessed.

The instruction sets that vLLM's CPU kernels are built for want the keys of a block in orders of their own, each a
permutation of ``(block_size, head_size)``. A layout is found by writing keys that number their places, and held to
reading other keys back exactly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

from sra_rag.errors import UnsupportedModelError

__all__ = ["KeyLayout", "find_layout"]

Write = Callable[[torch.Tensor], torch.Tensor]
"""Writes keys ``(block_size, D)`` into an empty block; returns the block as it lies, ``(block_size, D)``."""

_DIGITS = 64  # each digit is exact in any of the dtypes


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class KeyLayout:
    """Reads keys from blocks.

    Parameters
    ----------
    order
        Where in a flat block each of the keys' numbers stands, ``(block_size * D,)``; None for keys that lie in rows,
        or transposed, ``(D, block_size)``.
    transposed
        Which of the two.
    """

    order: torch.Tensor | None
    transposed: bool

    def read(self, cache: torch.Tensor, blocks: torch.Tensor, n_keys: int, *, columns: bool) -> torch.Tensor:
        """Copy the keys of some blocks.

        Parameters
        ----------
        cache
            ``(blocks, H_kv, block_size, D)``, as vLLM declares it.
        blocks
            Indices.
        n_keys
            How many of the keys are wanted.
        columns
            Whether the keys of one number are to lie together (for products with few rows) or those of one key (for the
            attention kernel).

        Returns
        -------
        keys
            ``(1, H_kv, n_keys, D)``.
        """
        chosen = cache.index_select(0, blocks)
        n, heads, size, head_size = chosen.shape
        if self.order is not None:
            chosen = chosen.flatten(2)[..., self.order].view(n, heads, size, head_size)
        elif self.transposed:
            chosen = chosen.view(n, heads, head_size, size)
            if columns:
                return chosen.permute(1, 2, 0, 3).reshape(1, heads, head_size, n * size).transpose(2, 3)[:, :, :n_keys]
            chosen = chosen.transpose(2, 3)
        return chosen.transpose(0, 1).reshape(1, heads, n * size, head_size).contiguous()[:, :, :n_keys]


def find_layout(write: Write, block_size: int, head_size: int, dtype: torch.dtype) -> KeyLayout:
    """Find out how `write` lays keys.

    Raises
    ------
    UnsupportedModelError
        If keys cannot be read back exactly by any order.
    """
    places = torch.arange(block_size * head_size)
    found = torch.zeros_like(places)
    unit = 1
    while unit < len(places):
        digits = (places // unit % _DIGITS).to(dtype).view(block_size, head_size)
        found += write(digits).flatten().long() * unit
        unit *= _DIGITS
    order = torch.full_like(places, -1)
    order[found.clamp(0, len(places) - 1)] = places
    if bool((order >= 0).all()):
        layout = KeyLayout(order, transposed=False)
        if torch.equal(order, places):
            layout = KeyLayout(None, transposed=False)
        elif torch.equal(order.view(block_size, head_size), places.view(head_size, block_size).t()):
            layout = KeyLayout(None, transposed=True)
        keys = torch.randn(block_size, head_size, generator=torch.Generator().manual_seed(0)).to(dtype)
        read = layout.read(write(keys)[None, None], torch.tensor([0]), block_size, columns=False)
        if torch.equal(read[0, 0], keys):
            return layout
    raise UnsupportedModelError(
        f"This build of vLLM lays keys of {dtype} in blocks of {block_size} x {head_size} in a way that they cannot be "
        "read back from. Serve without reattention (VLLM_PLUGINS without sra), or with another --block-size or --dtype."
    )
