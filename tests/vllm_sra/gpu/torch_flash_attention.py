"""FlashAttention's kernels, which exist only for CUDA, implemented in torch with the same arguments.

With them the rest of vLLM's FlashAttention backend, and our subclass of it, runs unchanged.
"""

import torch


def flash_attn_varlen_func(
    q, k, v, out, cu_seqlens_q, seqused_k, softmax_scale, causal, window_size, block_table, softcap, alibi_slopes, **_
):
    assert causal is True
    assert not softcap
    assert alibi_slopes is None
    starts = cu_seqlens_q.tolist()
    group = q.shape[1] // k.shape[2]
    for request, length in enumerate(seqused_k.tolist()):
        rows = slice(starts[request], starts[request + 1])
        blocks = block_table[request, : -(-length // k.shape[1])].long()
        keys, values = (c[blocks].flatten(0, 1)[:length].repeat_interleave(group, dim=1) for c in (k, v))
        scores = torch.einsum("rhd,khd->hrk", q[rows], keys) * softmax_scale
        row_positions = torch.arange(length - scores.shape[1], length)[:, None]
        key_positions = torch.arange(length)
        visible = key_positions <= row_positions
        if window_size[0] >= 0:
            visible &= key_positions >= row_positions - window_size[0]
        weights = scores.masked_fill(~visible, float("-inf")).softmax(-1)
        out[rows] = torch.einsum("hrk,khd->rhd", weights, values).to(out.dtype)


def reshape_and_cache_flash(key, value, key_cache, value_cache, slot_mapping, *_):
    size = key_cache.shape[1]
    kept = slot_mapping >= 0
    slots = slot_mapping[kept]
    for new, cache in ((key, key_cache), (value, value_cache)):
        cache[slots // size, slots % size] = new[: len(slot_mapping)][kept].to(cache.dtype)


def use_torch_flash_attention(monkeypatch):
    """Replace the kernels in vLLM."""
    from vllm.v1.attention.backends import flash_attn

    monkeypatch.setattr(flash_attn, "flash_attn_varlen_func", flash_attn_varlen_func, raising=False)
    monkeypatch.setattr(flash_attn, "reshape_and_cache_flash", reshape_and_cache_flash, raising=False)
    monkeypatch.setattr(flash_attn, "get_flash_attn_version", lambda *_, **__: 2)
