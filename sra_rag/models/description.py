"""What identifies a loaded model, so that results can name it and a later run can compare."""

from __future__ import annotations

import hashlib
from typing import Any

import torch

from sra_rag.models.loading import LoadedModel

__all__ = ["describe_model"]


def describe_model(loaded: LoadedModel) -> dict[str, Any]:
    """Return the name and form of a model, with the SHA-256 of its weights and of its chat template."""
    digest = hashlib.sha256()
    n_parameters = 0
    for name, tensor in sorted(loaded.model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        n_parameters += tensor.numel()
    template = str(loaded.tokenizer.chat_template or "")
    return {
        "name": loaded.name,
        "architecture": type(loaded.model).__name__,
        "parameters": n_parameters,
        "dtype": str(loaded.model.dtype).removeprefix("torch."),
        "weights_sha256": digest.hexdigest(),
        "chat_template_sha256": hashlib.sha256(template.encode()).hexdigest(),
    }
