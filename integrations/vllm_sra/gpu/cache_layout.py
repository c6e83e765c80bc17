"""Where keys and values are in a paged cache of vLLM's GPU backends, and a check of this at start-up."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch

from sra_rag.attention.evidence import Evidence
from sra_rag.errors import UnsupportedModelError
from vllm_sra.gpu.row_tiles import NO_WINDOW, RowTiles, sharpen_reference
from vllm_sra.gpu.sharpening_kernel import SPLITS, sharpen
from vllm_sra.gpu.weighed_rows import evidence_table, weigh_reference
from vllm_sra.gpu.weighing_kernel import weigh

if TYPE_CHECKING:
    from vllm.v1.kv_cache_interface import AttentionSpec

__all__ = ["check_paged_cache", "key_blocks", "value_blocks"]

_TOLERANCE = 1e-2  # relative error of a row; a wrong key, value, block or head causes errors several times as large


def key_blocks(kv_cache: torch.Tensor, head_size: int) -> torch.Tensor:
    """View the keys of a cache, ``(blocks, H_kv, block_size, 2 * D)``, as ``(blocks, block_size, H_kv, D)``."""
    return kv_cache.transpose(1, 2)[..., :head_size]


def value_blocks(kv_cache: torch.Tensor, head_size: int) -> torch.Tensor:
    """View the values of a cache like `key_blocks`."""
    return kv_cache.transpose(1, 2)[..., head_size:]


def check_paged_cache(layer: Any, kv_cache_spec: AttentionSpec, n_heads: int, device: torch.device) -> None:
    """Check that the kernels read what vLLM writes to a cache, by comparison with the references.

    This also compiles the kernels, so that no request has to wait for the compilation.

    Parameters
    ----------
    layer
        A vLLM attention layer; keys and values are written by its implementation.
    kv_cache_spec
        Shape and dtype of the cache.
    n_heads
        Number of query heads on this worker.
    device
        Device of the cache.

    Raises
    ------
    UnsupportedModelError
        If the results differ.
    """
    size, n_kv_heads, head_size = kv_cache_spec.block_size, kv_cache_spec.num_kv_heads, kv_cache_spec.head_size
    random = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random).to(device, kv_cache_spec.dtype)

    n_keys, blocks = 2 * size - 3, [2, 1]
    cache = torch.zeros(3, n_kv_heads, size, 2 * head_size, dtype=kv_cache_spec.dtype, device=device)
    keys, values, query = (normal(n_keys, heads, head_size) for heads in (n_kv_heads, n_kv_heads, n_heads))
    slots = torch.tensor([blocks[n // size] * size + n % size for n in range(n_keys)], device=device)
    layer.impl.do_kv_cache_update(layer, keys, values, cache, slots)
    read = key_blocks(cache, head_size), value_blocks(cache, head_size)
    used = torch.tensor(blocks, device=device)
    correct = all(
        torch.equal(view[used].flatten(0, 1)[:n_keys], written)
        for view, written in zip(read, (keys, values), strict=True)
    )
    table = torch.tensor([blocks], dtype=torch.int32, device=device)
    # The references get the original keys and values as a single block.
    single_block = torch.zeros(1, 1, dtype=torch.int32, device=device)
    places: dict[str, Any] = {"scale": head_size**-0.5, "window": NO_WINDOW}
    # Parameters for which the factor is 1 + H.
    rules: dict[str, Any] = {
        "lines": torch.tensor([[0.0, 1, 0, 1]], device=device),
        "alpha": torch.ones(1, n_heads, device=device),
    }
    weights = evidence_table((_evidence(size, n_heads),), 1, device)
    no_weights = dataclasses.replace(weights, first_span=torch.zeros_like(weights.first_span))
    weighs = weights.weighs[0]
    for n_rows, splits in ((1, 1), (1, SPLITS), (min(64 // (n_heads // n_kv_heads), n_keys), 1)):
        # See TILE_FIELDS.
        tile = torch.tensor([[0, n_keys - n_rows, n_rows, n_keys - n_rows, 0, 0]], dtype=torch.int32, device=device)
        tiles = RowTiles(tile, n_rows, n_rows, n_keys)
        expected, actual = query.clone(), query.clone()
        sharpen_reference(query, keys[None], single_block, tiles, out=expected, **places, **rules)
        sharpen(query, read[0], table, tiles, out=actual, splits=splits, **places, **rules)
        correct = correct and _agree(actual, expected)
        single = query, keys[None], values[None], single_block, tiles
        weigh_reference(*single, table=weights, weighs=weighs, output=expected, **places)
        weigh_reference(*single, table=no_weights, weighs=weighs, output=actual, **places)
        weigh(
            query, *read, table, tiles, table=weights, weighs=weighs, output=actual, splits=max(2, splits), **places
        )  # fmt: skip
        correct = correct and _agree(actual, expected)
    if not correct:
        raise UnsupportedModelError(
            f"This build of vLLM stores {kv_cache_spec.dtype} keys and values in blocks of {size} x {n_kv_heads} x "
            f"{head_size} in an unknown layout, so they cannot be read back. Serve without reattention (VLLM_PLUGINS "
            "without sra), or with the other one of --attention-backend FLASH_ATTN and TRITON_ATTN."
        )


def _evidence(block_size: int, n_heads: int) -> Evidence:
    """Return evidence with keys of two blocks."""
    return Evidence([[(1, block_size + 2)]], [0], weight=3.0, heads=None, n_layers=1, n_heads=n_heads)


def _agree(actual: torch.Tensor, expected: torch.Tensor) -> bool:
    error = (actual.float() - expected.float()).norm(dim=-1) / expected.float().norm(dim=-1)
    return bool((error < _TOLERANCE).all())
