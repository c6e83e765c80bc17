"""A short name for the weights of a model, the same in each dtype it is loaded in."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["fingerprint"]

_SAMPLES = 64  # numbers of each parameter that count


def fingerprint(model: PreTrainedModel) -> str:
    """Return a name for architecture and weights.

    Some numbers of each parameter count, rounded to bfloat16, so that float32 and bfloat16 copies of a checkpoint have
    the same name. Parameters in other formats (4-bit, 8-bit) count by name only.

    Returns
    -------
    fingerprint
        16 hexadecimal digits.
    """
    text = model.config.get_text_config(decoder=True)
    shape = [model.config.model_type, text.num_hidden_layers, text.num_attention_heads, text.hidden_size]
    digest = hashlib.sha256(json.dumps(shape).encode())
    for name, parameter in sorted(model.named_parameters()):
        digest.update(name.encode())
        if parameter.is_floating_point() and parameter.device.type != "meta":
            flat = parameter.detach().reshape(-1)
            numbers = flat[:: max(1, flat.numel() // _SAMPLES)][:_SAMPLES].to("cpu", torch.bfloat16)
            digest.update(numbers.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
