"""A short name for the weights of a model, loaded in any dtype or in files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open
from transformers import AutoConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

__all__ = ["fingerprint", "fingerprint_of_files"]

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
    parameters = ((name, parameter.detach()) for name, parameter in sorted(model.named_parameters()))
    return _fingerprint(model.config, parameters)


def fingerprint_of_files(folder: Path) -> str | None:
    """Return the fingerprint of a model in a folder without loading it; of the weights only samples are read.

    It is that of the loaded model if the files have one tensor for each of its parameters, under the same name, as for
    Llama, Qwen, Mistral and similar models.

    Returns
    -------
    fingerprint
        None if the folder has no files in the format safetensors.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return None
    of_names: dict[str, Path] = {}
    for path in files:
        with safe_open(path, "pt") as tensors:
            of_names |= dict.fromkeys(tensors.keys(), path)

    def parameters() -> Iterable[tuple[str, torch.Tensor]]:
        for name, path in sorted(of_names.items()):
            with safe_open(path, "pt") as tensors:
                yield name, tensors.get_tensor(name)

    return _fingerprint(AutoConfig.from_pretrained(folder), parameters())


def _fingerprint(config: PreTrainedConfig, parameters: Iterable[tuple[str, torch.Tensor]]) -> str:
    text = config.get_text_config(decoder=True)
    shape = [config.model_type, text.num_hidden_layers, text.num_attention_heads, text.hidden_size]
    digest = hashlib.sha256(json.dumps(shape).encode())
    for name, parameter in parameters:
        digest.update(name.encode())
        if parameter.is_floating_point() and parameter.device.type != "meta":
            flat = parameter.reshape(-1)
            numbers = flat[:: max(1, flat.numel() // _SAMPLES)][:_SAMPLES].to("cpu", torch.bfloat16)
            digest.update(numbers.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
