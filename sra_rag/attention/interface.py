"""The attention and mask functions that transformers calls, registered under the name ``"sra"``.

Importing this module registers ``"sra"`` with transformers' public attention and mask interfaces and changes nothing
else. A model set to ``"sra"`` computes exactly the same as with ``"sdpa"`` (or ``"eager"`` if its scores are
soft-capped, which sdpa does not support) until a session is active, by a `reattend` block or `activate`.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import causal_mask_function, sdpa_mask

from sra_rag.attention.fast import fast_reattention
from sra_rag.attention.look import active_look, look_weights
from sra_rag.attention.session import Session, active_session
from sra_rag.attention.shared_keys import one_row_attention
from sra_rag.attention.shares import active_shares, decoding_weights
from sra_rag.attention.visibility import Visibility
from sra_rag.errors import UnsupportedModelError

__all__ = ["ATTENTION_NAME", "sra_attention_forward", "sra_mask"]

ATTENTION_NAME = "sra"

_SUPPORTED = (
    "Supported are causal language models whose scores are a scaled dot product, soft-capped or not, "
    "with full, sliding-window or chunked attention (Llama, Mistral, Qwen, Phi, Gemma, GPT-NeoX and similar models)"
)


def sra_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int | torch.Tensor = 0,
    kv_offset: int = 0,
    mask_function: Callable[..., torch.Tensor] = causal_mask_function,
    attention_mask: torch.Tensor | Visibility | None = None,
    local_size: int | None = None,
    **kwargs: Any,
) -> torch.Tensor | Visibility | None:
    """Describe the mask of a forward pass, or build the mask of sdpa if nothing is to be changed.

    Signature and meaning of the arguments are those of transformers' mask interface.
    """
    session = active_session()
    shares = active_shares()
    look = active_look()
    if shares is not None:
        shares.position = int(q_offset)
    if look is not None:
        look.position = int(q_offset)
    if isinstance(attention_mask, Visibility):  # prepared ahead by `generate`, for static caches
        return attention_mask
    if session is None or not session.active:
        if getattr(kwargs.get("config"), "attn_logit_softcapping", None) is not None:
            kwargs["allow_is_causal_skip"] = False  # eager attention has no flag that replaces a causal mask
        return sdpa_mask(
            batch_size=batch_size,
            q_length=q_length,
            kv_length=kv_length,
            q_offset=q_offset,
            kv_offset=kv_offset,
            mask_function=mask_function,
            attention_mask=attention_mask,
            local_size=local_size,
            **kwargs,
        )
    real = None
    if attention_mask is not None:
        real = attention_mask.bool()[:, kv_offset : kv_offset + kv_length]
        missing = kv_length - real.shape[1]  # slots of a static cache that are not used yet
        written = int(q_offset) + q_length - kv_offset
        if real[:, :written].all():
            real = None
        elif missing > 0:
            real = torch.nn.functional.pad(real, (0, missing))
    visibility = Visibility(
        session, n_rows=q_length, n_keys=kv_length, position=int(q_offset), key_position=kv_offset, real=real
    )
    if mask_function is causal_mask_function:
        return visibility
    # transformers lets sdpa skip a mask only where it is the plain pattern, with nothing joined to it.
    if local_size is not None and kwargs.get("allow_is_causal_skip", True) and _is_window(mask_function, local_size):
        return dataclasses.replace(visibility, window=local_size)

    def rule(start: int, stop: int) -> torch.Tensor:
        return sdpa_mask(
            batch_size=batch_size,
            q_length=stop - start,
            kv_length=kv_length,
            q_offset=int(q_offset) + start,
            kv_offset=kv_offset,
            mask_function=mask_function,
            allow_is_causal_skip=False,
            use_vmap=kwargs.get("use_vmap", False),
            device=kwargs.get("device", "cpu"),
        )

    return dataclasses.replace(visibility, rule=rule)


def sra_attention_forward(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | Visibility | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Attend with the settings of the active session, or exactly like sdpa without one.

    Signature and meaning of the arguments are those of transformers' attention interface; shapes are
    ``(B, H_q, Q, D)`` for `query`, ``(B, H_kv, K, D)`` for `key` and `value`.

    Returns
    -------
    output
        ``(B, Q, H_q, D_v)``.
    weights
        None: attention weights are never built (eager attention of a soft-capped model returns its own).

    Raises
    ------
    UnsupportedModelError
        If the scores are changed in a way that sharpening would not do right.
    """
    visibility, mask = (attention_mask, None) if isinstance(attention_mask, Visibility) else (None, attention_mask)
    session = visibility.session if visibility is not None else active_session()
    causal = bool(getattr(module, "is_causal", True) if is_causal is None else is_causal)
    if session is None or not session.active or not causal:
        _observe(module, query, key, mask, scaling, softcap)
        if softcap is not None:
            return _eager(module, query, key, value, mask, scaling, dropout, softcap=softcap, **kwargs)
        if mask is None and not dropout and kwargs.get("position_bias") is None:
            output = one_row_attention(query, key, value, scaling)
            if output is not None:
                return output, None
        return sdpa_attention_forward(module, query, key, value, mask, dropout, scaling, is_causal, **kwargs)
    _refuse_unsupported(module, dropout, kwargs)
    if visibility is None:
        visibility = _visibility_of_tensor(session, query, key, mask)
    output = fast_reattention(
        query,
        key,
        value,
        visibility=visibility,
        layer=int(module.layer_idx),  # type: ignore[arg-type]
        scale=query.shape[-1] ** -0.5 if scaling is None else scaling,
        softcap=softcap,
    )
    return output.transpose(1, 2).contiguous(), None


def _observe(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
    softcap: float | None,
) -> None:
    """Collect the plain weights of a question's or an answer's tokens, where they are wanted."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    look = active_look()
    if look is not None:
        layer = int(module.layer_idx)  # type: ignore[arg-type]
        if heads := look.heads_of(layer, query.shape[1]):
            weights = look_weights(query, key, heads, scale=scale, mask=mask, softcap=softcap)
            look.add(layer, weights, look.position + query.shape[2] - key.shape[2])
    shares = active_shares()
    if shares is None or not shares.wants(shares.position, query.shape[2]):
        return
    weights = decoding_weights(query, key, scale=scale, mask=mask, softcap=softcap)
    # A window's cache holds the last keys, the rows' own among them; any other begins at position 0.
    first_key = max(0, shares.position + query.shape[2] - key.shape[2])
    shares.add(int(module.layer_idx), weights, first_key)  # type: ignore[arg-type]


def _visibility_of_tensor(
    session: Session, query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor | None
) -> Visibility:
    """Describe a mask that the caller made: a 4D tensor, or none at all."""
    rows, keys = query.shape[2], key.shape[2]
    if mask is not None:
        return Visibility(session, rows, keys, position=keys - rows, rule=mask)
    # Without a mask, several rows are at the start of the cache and one row is at its end, as for sdpa.
    return Visibility(session, rows, keys, position=keys - 1 if rows == 1 else 0)


def _refuse_unsupported(module: torch.nn.Module, dropout: float, kwargs: dict[str, Any]) -> None:
    reason = None
    if kwargs.get("s_aux") is not None:
        reason = "its attention has sinks, which take a share of the softmax"
    elif kwargs.get("position_bias") is not None:
        reason = "a position bias is added to its scores"
    elif not hasattr(module, "layer_idx"):
        reason = "its attention layers do not know their index"
    elif dropout > 0:
        reason = "it is in training mode with attention dropout (call model.eval())"
    if reason is not None:
        raise UnsupportedModelError(
            f"{type(module).__name__} cannot be sharpened: {reason}. {_SUPPORTED}. Run it without sra."
        )


def _eager(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
    dropout: float,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Call the eager attention that the model's own file defines."""
    eager = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    if eager is None:
        raise UnsupportedModelError(f"{type(module).__name__} has no eager attention to fall back on. {_SUPPORTED}.")
    if isinstance(mask, torch.Tensor) and mask.dtype == torch.bool:
        zero = torch.zeros((), dtype=query.dtype, device=query.device)
        mask = torch.where(mask, zero, torch.finfo(query.dtype).min)
    return eager(module, query, key, value, mask, dropout=dropout, scaling=scaling, **kwargs)


def _is_window(mask_function: Callable[..., torch.Tensor], size: int) -> bool:
    """Tell a sliding window of `size` from chunks of that size, by the keys that row `size` may see."""
    zero = torch.zeros(1, dtype=torch.long)
    keys = torch.tensor([0, 1, size, size + 1])
    try:
        seen = mask_function(zero, zero, torch.full_like(keys, size), keys)
    except (IndexError, RuntimeError):  # a pattern that looks positions up in its own table
        return False
    return seen.tolist() == [False, True, True, False]


AttentionInterface.register(ATTENTION_NAME, sra_attention_forward)
AttentionMaskInterface.register(ATTENTION_NAME, sra_mask)
