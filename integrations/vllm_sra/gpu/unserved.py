"""vLLM backends without reattention: never selected when the plugin is on, and rejected if requested by name.

Each attribute of this module is a vLLM backend, under its name in `AttentionBackendEnum`, that reports every
configuration as invalid. So vLLM selects the next backend, FlashAttention or Triton, and settings of a request are
never silently ignored.
"""

from __future__ import annotations

from typing import Any

from vllm.utils.import_utils import resolve_obj_by_qualname
from vllm.v1.attention.backends.registry import AttentionBackendEnum

__all__ = ["REASON", "unserved_names"]

REASON = (
    "it is not supported with reattention; use --attention-backend FLASH_ATTN or TRITON_ATTN, or serve without "
    "reattention (VLLM_PLUGINS without sra)"
)

_NO_CLASS = ("TORCH_SDPA", "NO_ATTENTION", "CUSTOM")
_CLASSES: dict[str, type] = {}


def unserved_names(served: set[str]) -> list[str]:
    """Return the names of the backends that are not in `served`."""
    return [
        name for name in AttentionBackendEnum.__members__
        if name not in served and name not in _NO_CLASS and not name.startswith("CPU_")
    ]  # fmt: skip


def __getattr__(name: str) -> Any:
    # Created at first access: most backends can be imported only on the devices that they support.
    if name.startswith("_") or name not in AttentionBackendEnum.__members__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _CLASSES:
        plain = resolve_obj_by_qualname(AttentionBackendEnum[name].value)

        def validate_configuration(cls: type, *_: Any, **__: Any) -> list[str]:
            return [REASON]

        _CLASSES[name] = type(
            plain.__name__,
            (plain,),
            {
                "__doc__": f"{plain.__name__}, not supported with reattention.",
                "__module__": __name__,
                "__qualname__": name,
                "validate_configuration": classmethod(validate_configuration),
            },
        )
    return _CLASSES[name]
