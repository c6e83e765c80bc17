"""What vLLM calls in each of its processes."""

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
    """Say whether reattention is served on one of vLLM's platforms."""
    return bool(platform.is_cpu() or platform.is_cuda_alike())


def register() -> None:
    """Put attention with reattention in the place of vLLM's own. Calling it again changes nothing.

    Requests without settings are served by vLLM's own kernels, as they were. On a GPU the backends that reattention was
    not added to say that they are not valid, so that vLLM chooses one that it was added to. On devices other than CPUs
    and GPUs of CUDA and ROCm nothing is changed.

    Raises
    ------
    ConfigError
        If vLLM's second model runner is asked for, which tells nobody which request stands where.
    """
    require_extra("vllm_sra", "vllm", "vllm")
    from vllm.platforms import current_platform
    from vllm.v1.attention.backends.registry import AttentionBackendEnum, register_backend

    from vllm_sra.plugin.caching import salt_changed_blocks
    from vllm_sra.plugin.fitting import refuse_unfit_settings
    from vllm_sra.plugin.request_settings import read_settings
    from vllm_sra.plugin.workers import carry_default_to_ray

    if not served_on(current_platform):
        return
    if os.environ.get(_RUNNER, "0").strip().lower() in ("1", "true"):
        raise ConfigError(
            f"{_RUNNER}={os.environ[_RUNNER]} cannot be served with reattention: that model runner does not tell which "
            f"request stands where. Unset it, or serve without reattention (VLLM_PLUGINS without sra)."
        )
    os.environ[_RUNNER] = "0"
    read_settings(None)  # a default that is not allowed is refused now
    for name, path in _backends(current_platform).items():
        register_backend(AttentionBackendEnum[name], path)
    salt_changed_blocks()
    refuse_unfit_settings()
    carry_default_to_ray()


def _backends(platform: Any) -> dict[str, str]:
    if platform.is_cpu():
        return _ON_CPU
    from vllm_sra.gpu.unserved import unserved_names

    served = _ON_CUDA if platform.is_cuda() else _ON_ROCM
    return {name: f"vllm_sra.gpu.unserved.{name}" for name in unserved_names(set(served))} | served
