"""The entry point that vLLM calls in each of its processes."""

from __future__ import annotations

import os
from typing import Any

from sra_rag.errors import ConfigError, require_extra

__all__ = ["register", "served_on"]

_ON_CPU = {"CPU_ATTN": "vllm_sra.cpu.cpu_attn.SRACPUAttentionBackend"}
_ON_ROCM = {"TRITON_ATTN": "vllm_sra.gpu.triton_attn.SRATritonAttentionBackend"}
_ON_CUDA = _ON_ROCM | {"FLASH_ATTN": "vllm_sra.gpu.flash_attn.SRAFlashAttentionBackend"}
_RUNNER = "VLLM_USE_V2_MODEL_RUNNER"


def served_on(platform: Any) -> bool:
    """Return whether reattention is supported on a vLLM platform."""
    return bool(platform.is_cpu() or platform.is_cuda_alike())


def register() -> None:
    """Replace vLLM's attention backends by backends with reattention. Repeated calls have no effect.

    Requests without settings still use vLLM's own kernels, unchanged. On a GPU, backends without reattention report
    every configuration as invalid, so that vLLM selects a backend with reattention. Devices other than CPUs and CUDA or
    ROCm GPUs are not affected.

    Raises
    ------
    ConfigError
        If vLLM's second model runner is requested: it does not report the position of each request in the batch.
    """
    require_extra("vllm_sra", "vllm", "vllm")
    from vllm.platforms import current_platform
    from vllm.v1.attention.backends.registry import AttentionBackendEnum, register_backend

    from vllm_sra.plugin.caching import salt_changed_blocks
    from vllm_sra.plugin.fitting import refuse_unfit_settings
    from vllm_sra.plugin.request_settings import read_settings
    from vllm_sra.plugin.returned import return_attention
    from vllm_sra.plugin.workers import carry_default_to_ray

    if not served_on(current_platform):
        return
    if os.environ.get(_RUNNER, "0").strip().lower() in ("1", "true"):
        raise ConfigError(
            f"{_RUNNER}={os.environ[_RUNNER]} cannot be used with reattention: this model runner does not report the "
            f"position of each request in the batch. Unset it, or serve without reattention (VLLM_PLUGINS without sra)."
        )
    os.environ[_RUNNER] = "0"
    read_settings(None)  # reject an invalid default at start-up
    for name, path in _backends(current_platform).items():
        register_backend(AttentionBackendEnum[name], path)
    salt_changed_blocks()
    refuse_unfit_settings()
    return_attention()
    carry_default_to_ray()


def _backends(platform: Any) -> dict[str, str]:
    if platform.is_cpu():
        return _ON_CPU
    from vllm_sra.gpu.unserved import unserved_names

    served = _ON_CUDA if platform.is_cuda() else _ON_ROCM
    return {name: f"vllm_sra.gpu.unserved.{name}" for name in unserved_names(set(served))} | served
