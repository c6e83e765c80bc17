"""The versions and the machine with which a result was obtained."""

from __future__ import annotations

import os
import platform
from typing import Any

import torch
from sra_pipelines.ray.versions import installed_versions

__all__ = ["describe_machine", "describe_versions"]

_PACKAGES = ("sra-rag", "torch", "transformers", "numpy", "scipy", "sentence-transformers", "faiss-cpu")


def describe_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results hang on."""
    return installed_versions(_PACKAGES)


def describe_machine(device: torch.device | None) -> dict[str, Any]:
    """Return what the model runs on; None is a server, about which nothing is known."""
    if device is None:
        return {"device": "a server"}
    machine = {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()}
    machine |= {"threads": torch.get_num_threads(), "cpu_capability": torch.backends.cpu.get_cpu_capability()}
    if device.type == "cuda":
        machine |= {"gpu": torch.cuda.get_device_name(device), "gpus": torch.cuda.device_count()}
    return machine | {"device": device.type}
