"""What a result was obtained with: model, data, versions, machine. Enough to run it again, and to know it again."""

from __future__ import annotations

import hashlib
import os
import platform
from typing import Any

import torch
from sra_pipelines.versions import installed_versions

from sra_rag.models.loading import LoadedModel

__all__ = ["describe_machine", "describe_model", "describe_versions"]

_PACKAGES = ("sra-rag", "torch", "transformers", "numpy", "scipy", "sentence-transformers", "faiss-cpu")


def describe_model(loaded: LoadedModel) -> dict[str, Any]:
    """Name a model, with the SHA-256 of its weights and of its chat template."""
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


def describe_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results hang on."""
    return installed_versions(_PACKAGES)


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Return what the model runs on."""
    machine = {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()}
    machine |= {"threads": torch.get_num_threads(), "cpu_capability": torch.backends.cpu.get_cpu_capability()}
    if device.type == "cuda":
        machine |= {"gpu": torch.cuda.get_device_name(device), "gpus": torch.cuda.device_count()}
    return machine | {"device": device.type}
