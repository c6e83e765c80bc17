"""What vLLM calls in each of its processes."""

from __future__ import annotations

import os

from sra_rag.errors import ConfigError, require_extra

__all__ = ["register"]

_BACKENDS = {"CPU_ATTN": "vllm_sra.cpu.SRACPUAttentionBackend"}
_RUNNER = "VLLM_USE_V2_MODEL_RUNNER"


def register() -> None:
    """Put attention with reattention in the place of vLLM's own on CPU. Calling it again changes nothing.

    Requests without settings are served by vLLM's own kernels, as they were. On other devices nothing is changed.

    Raises
    ------
    ConfigError
        If vLLM's second model runner is asked for, which tells nobody which request stands where.
    """
    require_extra("vllm_sra", "vllm", "vllm")
    from vllm.platforms import current_platform
    from vllm.v1.attention.backends.registry import AttentionBackendEnum, register_backend

    from vllm_sra.caching import salt_changed_blocks
    from vllm_sra.settings import read_settings
    from vllm_sra.workers import carry_default_to_ray

    if not current_platform.is_cpu():
        return
    if os.environ.get(_RUNNER, "0").strip().lower() in ("1", "true"):
        raise ConfigError(
            f"{_RUNNER}={os.environ[_RUNNER]} cannot be served with reattention: that model runner does not tell which "
            f"request stands where. Unset it, or serve without reattention (VLLM_PLUGINS without sra)."
        )
    os.environ[_RUNNER] = "0"
    read_settings(None)  # a default that is not allowed is refused now
    for name, path in _BACKENDS.items():
        register_backend(AttentionBackendEnum[name], path)
    salt_changed_blocks()
    carry_default_to_ray()
