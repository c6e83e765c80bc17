"""What a result was obtained with: model, data, versions, machine. Enough to run it again, and to know it again."""

from __future__ import annotations

import hashlib
import os
import platform
from typing import TYPE_CHECKING, Any

import torch
from sra_pipelines.ray.versions import installed_versions

from sra_rag.models.loading import LoadedModel

if TYPE_CHECKING:
    from vllm_sra.client.served_engine import ServedEngine

__all__ = ["describe_machine", "describe_model", "describe_served", "describe_versions", "versions_there"]

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


def describe_served(engine: ServedEngine) -> dict[str, Any]:
    """Name a model on a server, whose weights cannot be known from here."""
    template = str(engine.model.tokenizer.chat_template or "")
    return {
        "name": engine.name,
        "server": engine.where,
        "prompts": "tokens" if engine.model.takes_tokens else "messages",
        "context_window": engine.context_window,
        "weights_sha256": "unknown",
        "chat_template_sha256": hashlib.sha256(template.encode()).hexdigest(),
    }


def versions_there(engine: ServedEngine) -> dict[str, str]:
    """Return the versions of a server's programs, as far as they are known."""
    return {f"{name} on the server": version for name, version in sorted(engine.model.versions.items())}


def describe_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results hang on."""
    return installed_versions(_PACKAGES)


def describe_machine(device: torch.device | None) -> dict[str, Any]:
    """Return what the model runs on; None is a server, of which nothing is known."""
    if device is None:
        return {"device": "a server"}
    machine = {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()}
    machine |= {"threads": torch.get_num_threads(), "cpu_capability": torch.backends.cpu.get_cpu_capability()}
    if device.type == "cuda":
        machine |= {"gpu": torch.cuda.get_device_name(device), "gpus": torch.cuda.device_count()}
    return machine | {"device": device.type}
